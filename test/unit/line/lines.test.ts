import { admit, Lines, mayCall } from '../../../src/line/lines';

const NOTHING = { displayName: undefined, busyTrigger: undefined, maxCalls: undefined, noAnswerSeconds: undefined };

test('a line has what its number has in the configuration, and no other line has anything', () => {
  const lines = new Lines([
    { ...NOTHING, number: '1000', displayName: 'Sales', noAnswerSeconds: 20 },
    { ...NOTHING, number: '2000', busyTrigger: 1, maxCalls: 2 },
  ]);
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
