import type { NodeContext } from '../../../src/device/node-context';
import { parseReplaces, type Replaces } from '../../../src/sip/replaces';
import {
  isWithout,
  SURVIVAL_ANSWERS,
  SURVIVAL_STEPS,
  type SurvivalEvent,
} from '../../../src/call-control/survival/survival-state';
import { FakeDevice, type FakeSession, profile, sdp, settled, target, World } from './kit';
import { Locations } from './locations';

const LOST = { pid: '2.cp.1', boot: 5 } as const;
const DIALOG: Replaces = { callId: 'lost@node2', toTag: 'of-alice', fromTag: 'of-node2', earlyOnly: false };
const FAR = { ...profile('node-2', 'node'), node: 2 };

interface Half {
  readonly world: World;
  readonly locations: Locations;
  /** The leg to Alice's node. */
  readonly far: FakeSession;
  readonly bob: FakeSession;
  /** Alice's phone where it will be: at this node. */
  readonly alice: FakeDevice;
}

/** Alice, a phone of node 2, has called Bob, a phone of this one. */
function half(dialog: Replaces | 'none' = DIALOG, surviveMs = 60_000): Half {
  const locations = new Locations();
  const world = new World({ locations, surviveMs });
  const bob = world.device('SEP-bob', '1.dp.2');
  const alice = world.device('SEP-alice', '1.dp.9');
  world.route('2000', [target('1.dp.2', 'SEP-bob')]);
  const party = { number: '1000', displayName: 'Alice', device: 'SEP-alice', node: 2, process: LOST } as const;
  const told = { version: 1, process: LOST, party, resources: [] };
  const context: NodeContext = {
    ...{ call: '2.cp.1-5', why: 'call', forwardedFrom: [], passed: [2] },
    half: dialog === 'none' ? told : { ...told, dialog },
  };
  const far = world.call({ from: FAR, context, who: 'node-2' });
  bob.session.answers(sdp('bob'), { Supported: 'timer, replaces' });
  far.acks();
  return { world, locations, far, bob: bob.session, alice };
}

const step = ({ world }: Half): string | undefined => world.control.calls()[0] && world.detail.survival?.step;

describe('a half of a call whose other node is gone', () => {
  it('knows for every step and every event what comes, and the step may follow', () => {
    for (const [from, answers] of Object.entries(SURVIVAL_ANSWERS))
      for (const to of Object.values(answers))
        if (to !== from) expect(SURVIVAL_STEPS[from as keyof typeof SURVIVAL_STEPS]).toContain(to);
    const events: readonly SurvivalEvent[] = ['lost', 'registered', 'answered', 'refused', 'node-back', 'time-over'];
    for (const answers of Object.values(SURVIVAL_ANSWERS)) expect(Object.keys(answers)).toEqual(events);
    expect(isWithout({ survival: undefined })).toBe(false);
  });

  it('asks the phone, as soon as it is registered elsewhere, with what the other end speaks; nobody is silenced', async () => {
    const it = half();
    const { world, locations, far, bob, alice } = it;
    locations.register('SEP-alice', '2.dp.1', 5, 2);
    world.control.nodeGone(2);
    expect(step(it)).toBe('waiting');
    expect(bob.all('reinvite')).toEqual([]);
    expect(alice.calls).toEqual([]);
    locations.register('SEP-alice', '1.dp.9', 7, 1);
    expect(step(it)).toBe('asking');
    expect(parseReplaces(alice.asked.headers?.['Replaces'] ?? '')).toEqual({ ...DIALOG, earlyOnly: false });
    expect(alice.asked.sdp).toContain('10.0.0.2');
    alice.session.answers(sdp('alice', { port: 4444 }), { Supported: 'replaces' });
    expect(step(it)).toBe('again in service');
    expect(far.all('bye')).toHaveLength(1);
    expect(bob.offered?.sdp).toContain('m=audio 4444');
    bob.answersReinvite(sdp('bob', { version: 2 }));
    expect(alice.session.all('reinvite')).toEqual([]);
    expect(bob.all('reinvite')).toHaveLength(1);
    // Hold, as in any call.
    alice.session.reinvites(sdp('alice', { port: 4444, direction: 'sendonly', version: 2 }));
    await settled();
    expect(world.detail.legs.some(({ holds }) => holds)).toBe(true);
    alice.session.hangsUp();
    expect(bob.over).toBe(true);
    await world.close();
  });

  it('never asks a phone that is registered where it was, and goes on when the node was only cut off', async () => {
    const it = half();
    const { world, locations, far, alice } = it;
    locations.register('SEP-alice', '2.dp.1', 5, 2);
    world.control.nodeGone(2);
    world.control.nodeBack(2, 5);
    expect(step(it)).toBe('again in service');
    locations.register('SEP-alice', '2.dp.1', 5, 2);
    world.clock.advance(120_000);
    expect(alice.calls).toEqual([]);
    expect(far.over).toBe(false);
    expect(world.control.count).toBe(1);
    await world.close();
  });

  it('asks again when the phone registers anew, and never the same process twice', async () => {
    const it = half();
    const { world, locations, alice } = it;
    world.control.nodeGone(2);
    locations.register('SEP-alice', '1.dp.9', 7, 1);
    alice.session.rejects(481);
    expect(step(it)).toBe('waiting');
    locations.register('SEP-alice', '1.dp.9', 7, 1);
    expect(alice.calls).toHaveLength(1);
    const second = new FakeDevice(profile('SEP-alice'), '1.dp.10');
    world.devices.set('1.dp.10', second);
    locations.register('SEP-alice', '1.dp.10', 7, 1);
    second.session.answers(sdp('alice'));
    expect(step(it)).toBe('again in service');
    await world.close();
  });

  it.each([
    ['the dialog may be there yet: the call stays', false],
    ['the dialog is over: the call is, too', true],
  ])('gives up in time, with one line; %s', async (_, sure) => {
    const it = half();
    const { world, far, bob } = it;
    world.control.nodeGone(2);
    if (sure) far.emit({ type: 'ended', by: 'server', reason: 'gone' });
    expect(bob.over).toBe(false);
    world.clock.advance(60_000);
    expect(bob.over).toBe(sure);
    expect(world.warnings).toEqual(['call: the phone behind a lost node has not taken it up again undefined']);
    world.warnings.splice(0);
    await world.close();
  });

  it('outlives a request that finds nobody there; what the phone wants has to wait, but for its hang-up', async () => {
    const it = half();
    const { world, far, bob } = it;
    const id = bob.reinvites(sdp('bob', { port: 4010, version: 2 }));
    far.rejectsReinvite(408);
    expect(step(it)).toBe('waiting');
    expect(bob.responseTo(id)?.status).toBe(491);
    for (const method of ['REFER', 'INFO'])
      expect(bob.responseTo(bob.requestsThat(method, 'x', 'application/dtmf-relay'))?.status).toBe(491);
    bob.hangsUp();
    expect(world.control.count).toBe(0);
    await world.close();
  });

  it.each([
    ['the phone does not know Replaces', 'none' as const, 60_000],
    ['nobody is to be waited for', DIALOG, 0],
  ])('is what it was before when %s', async (_, dialog, ms) => {
    const it = half(dialog, ms);
    const { world, locations, far, bob, alice } = it;
    world.control.nodeGone(2);
    locations.register('SEP-alice', '1.dp.9', 7, 1);
    expect(step(it)).toBeUndefined();
    expect(alice.calls).toEqual([]);
    far.emit({ type: 'ended', by: 'server', reason: 'gone' });
    expect(bob.over).toBe(true);
    await world.close();
  });
});

describe('a node that is asked to call a phone of its own in the place of a dialog that another node had', () => {
  it('calls it with that, and replaces nothing itself', async () => {
    const world = new World();
    const alice = world.device('SEP-alice', '1.dp.9');
    const party = {
      number: '2000',
      displayName: 'Bob',
      device: 'SEP-bob',
      node: 3,
      process: { pid: '3.cp.1', boot: 5 },
    };
    const context = {
      ...{ call: '2.cp.1-5', why: 'survive', forwardedFrom: [], passed: [3] },
      half: { version: 1, process: { pid: '3.cp.1', boot: 5 }, party, resources: [] },
    } as NodeContext;
    const from = { ...profile('node-3', 'node'), node: 3 };
    const node = world.call({
      from,
      context,
      replaces: DIALOG,
      target: alice,
      dialled: '1000',
      sdp: sdp('bob'),
      who: 'node-3',
    });
    expect(parseReplaces(alice.asked.headers?.['Replaces'] ?? '')).toEqual(DIALOG);
    alice.session.answers(sdp('alice'), { Supported: 'replaces' });
    expect(node.all('answer')).toHaveLength(1);
    await world.close();
  });
});
