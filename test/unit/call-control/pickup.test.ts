import { featureCodesOf } from '../../../src/config/feature-codes';
import { Lines } from '../../../src/line/lines';
import type { OtherNodes } from '../../../src/call-control';
import { type FakeDevice, FakeSession, profile, sdp, settled, target, World } from './kit';
import { Office, sendsTo } from './transfer-kit';

const NOTHING = { displayName: undefined, busyTrigger: undefined, maxCalls: undefined, noAnswerSeconds: undefined };
const group = (number: string, pickupGroup: string) => ({ ...NOTHING, number, pickupGroup });
const LINES = new Lines({
  devices: [
    { name: 'SEP-carol', lines: ['3000'] },
    { name: 'SEP-mate', lines: ['3001'] },
    { name: 'SEP-hall', lines: ['3000', '3009'] },
    { name: 'SEP-other', lines: ['4000'] },
    { name: 'SEP-erin', lines: ['3002'] },
  ],
  numbers: ['3000', '3001', '3002'].map((number) => group(number, 'sales')),
});

function office(otherNodes?: OtherNodes): Office {
  const world = new World({
    lines: LINES,
    featureCodes: featureCodesOf({}),
    ...(otherNodes === undefined ? {} : { otherNodes }),
  });
  return new Office({ world, a: new FakeSession('nobody'), b: new FakeSession('nobody') });
}

/** A phone dials a code. */
async function dials(world: World, name: string, dialled: string): Promise<FakeSession> {
  const caller = { number: LINES.groupsOf(name).length > 0 ? '3001' : '4000', displayName: undefined };
  const session = world.call({ from: profile(name), caller, dialled, sdp: sdp('dave'), who: 'dave' });
  await settled();
  return session;
}

const ELSEWHERE = ['SIP;cause=200;text="Call completed elsewhere"'];

describe('a phone that rings is answered by feature code', () => {
  it.each([
    ['of its number, by the pickup group', 'SEP-mate', '**3000'],
    ['of its number, by a phone with the same line', 'SEP-hall', '**3000'],
    ['of the pickup group', 'SEP-mate', '*8'],
  ])('%s', async (_, name, code) => {
    const { world, carol, ...rest } = office();
    const caller = world.call({ dialled: '3000' });
    carol.session.rings();
    const dave = await dials(world, name, code);
    dave.acks();
    await settled();
    caller.acks();
    await new Office({ world, ...({ a: rest.alice, b: rest.bob } as const) }).rest();
    expect(carol.session.all('cancel').map(({ reason }) => reason)).toEqual(ELSEWHERE);
    expect([caller, dave].map((one) => one.all('answer').length)).toEqual([1, 1]);
    expect(sendsTo(caller)).toBe('10.0.0.9');
    expect(sendsTo(dave)).toBe('10.0.0.1');
    expect(world.control.calls()).toHaveLength(1);
    await world.close();
  });

  it.each([
    ['of another group', 'SEP-other', '**3000', 403, 'Not Your Pickup Group'],
    ['of no group', 'SEP-other', '*8', 403, 'In No Pickup Group'],
    ['that nobody has', 'SEP-mate', '**9999', 403, 'Not Your Pickup Group'],
    ['where nothing rings', 'SEP-mate', '**3002', 480, 'Nothing Rings There'],
    ['of a line of its own where nothing rings', 'SEP-hall', '**3000', 480, 'Nothing Rings There'],
  ])('%s: refused, and the phone rings on', async (_, name, code, status, reason) => {
    const { world, carol } = office();
    const rings = code !== '**3000' || status === 403;
    if (rings) {
      world.call({ dialled: '3000' });
      carol.session.rings();
    }
    const dave = await dials(world, name, code);
    expect(dave.all('reject')).toMatchObject([{ status, reason }]);
    expect(carol.calls.flatMap(({ session }) => session.all('cancel'))).toEqual([]);
    expect(world.control.calls()).toHaveLength(rings ? 1 : 0);
    await world.close();
  });

  it.each([
    ['a phone that says nothing but 100', (): void => undefined],
    ['a phone that has answered', (carol: FakeDevice): void => carol.session.answers(sdp('carol'))],
  ])('%s is none that rings', async (_, does) => {
    const { world, carol } = office();
    const caller = world.call({ dialled: '3000' });
    does(carol);
    if (carol.session.answered) caller.acks();
    const dave = await dials(world, 'SEP-mate', '**3000');
    expect(dave.all('reject')).toMatchObject([{ status: 480 }]);
    await world.close();
  });

  it('nobody picks up a call of his own', async () => {
    const { world, carol } = office();
    world.call({ dialled: '3000', from: profile('SEP-mate') });
    carol.session.rings();
    const dave = await dials(world, 'SEP-mate', '*8');
    expect(dave.all('reject')).toMatchObject([{ status: 480 }]);
    await world.close();
  });

  it('of a group the one that has been ringing longest is answered first', async () => {
    const { world, carol } = office();
    const erin = world.device('SEP-erin', '1.dp.7');
    world.route('3002', [target('1.dp.7', 'SEP-erin', { digits: '3002' })]);
    world.call({ dialled: '3002' });
    erin.session.rings();
    world.clock.advance(1000);
    world.call({ dialled: '3000' });
    carol.session.rings();
    world.clock.advance(1000);
    await dials(world, 'SEP-mate', '*8');
    expect([erin, carol].map(({ session }) => session.all('cancel').length)).toEqual([1, 0]);
    await dials(world, 'SEP-mate', '*8');
    expect(carol.session.all('cancel')).toHaveLength(1);
    await world.close();
  });

  it('who gives up meanwhile takes nothing', async () => {
    const asked: unknown[] = [];
    let answer: (value: unknown) => void = () => undefined;
    const { world, carol } = office({
      live: () => [2],
      ask: (_node, question) => {
        asked.push(question);
        return new Promise((resolve) => (answer = resolve));
      },
    });
    world.call({ dialled: '3000' });
    carol.session.rings();
    const dave = await dials(world, 'SEP-mate', '**3000');
    expect(asked).toEqual([{ op: 'ringing', number: '3000' }]);
    dave.emit({ type: 'cancelled', reason: undefined });
    answer(undefined);
    await settled();
    expect(carol.session.all('cancel')).toEqual([]);
    await world.close();
  });

  it('a call from outside, from another node, or with a number that only looks so, is no code', async () => {
    const { world, carol } = office();
    world.call({ dialled: '3000' });
    carol.session.rings();
    for (const kind of ['gateway', 'node'] as const) {
      const session = world.call({ from: profile('x', kind), dialled: '**3000' });
      expect(session.all('reject')).toMatchObject([{ status: 404 }]);
    }
    await world.close();
  });

  it.each([
    [{ op: 'ringing' }],
    [{ op: 'ringing', number: 3000 }],
    [{ op: 'other', number: '3000' }],
    [{ op: 'ringing', number: '3000', more: 1 }],
    [null],
    ['ringing'],
  ])('a question that cannot be read has no answer: %j', async (question) => {
    const { world } = office();
    expect(world.control.answer(question)).toBeUndefined();
    await world.close();
  });
});
