import { admit, Lines, mayCall } from '../../../src/line/lines';

const NOTHING = {
  displayName: undefined,
  busyTrigger: undefined,
  maxCalls: undefined,
  noAnswerSeconds: undefined,
  pickupGroup: undefined,
};

test('a line has what its number has in the configuration, and no other line has anything', () => {
  const lines = new Lines({
    devices: [],
    numbers: [
      { ...NOTHING, number: '1000', displayName: 'Sales', noAnswerSeconds: 20 },
      { ...NOTHING, number: '2000', busyTrigger: 1, maxCalls: 2 },
    ],
  });
  expect(lines.of('1000')).toMatchObject({ displayName: 'Sales', noAnswerMs: 20_000, busyTrigger: undefined });
  expect(lines.of('2000')).toMatchObject({ noAnswerMs: undefined, busyTrigger: 1, maxCalls: 2 });
  expect(lines.of('3000')).toBeUndefined();
});

test.each([0, 1, 2, 3, 4])(
  'with %i calls, it takes another below its busy trigger and makes one below its most calls',
  (now) => {
    expect(admit({ busyTrigger: 2 }, now)).toBe(now < 2 ? 'ok' : 'busy');
    expect(mayCall({ maxCalls: 3 }, now)).toBe(now < 3);
    expect([admit({ busyTrigger: undefined }, now), mayCall({ maxCalls: undefined }, now)]).toEqual(['ok', true]);
  },
);

describe('who may take the place of a device in a call of the line 1000', () => {
  const device = (name: string, ...lines: string[]) => ({ name, lines });
  const lines = new Lines({
    devices: [device('desk', '1000'), device('hall', '3000', '1000'), device('mate', '1001'), device('other', '2000')],
    numbers: [
      { ...NOTHING, number: '1000', pickupGroup: 'sales' },
      { ...NOTHING, number: '1001', pickupGroup: 'sales' },
      { ...NOTHING, number: '2000', pickupGroup: 'store' },
    ],
  });

  test.each([
    ['desk', true, true],
    ['hall', true, true],
    ['mate', true, false],
    ['other', false, false],
    ['stranger', false, false],
  ])('%s: while it rings %s, when it is answered %s', (name, ringing, answered) => {
    expect([lines.mayReplace(name, '1000', true), lines.mayReplace(name, '1000', false)]).toEqual([ringing, answered]);
  });

  test('lines without a group are in none together', () => {
    expect(lines.mayReplace('other', '3000', true)).toBe(false);
    expect(lines.mayReplace('hall', '4000', true)).toBe(false);
  });
});
