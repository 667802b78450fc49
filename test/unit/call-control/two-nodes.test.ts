import type { OutgoingCall } from '../../../src/device/device-process';
import { effectiveDirection } from '../../../src/sdp';
import type { Session } from '../../../src/sip/user-agent';
import { FakeDevice, headers, profile, sdp, settled, target, World } from './kit';
import { Phone, type Who } from './phone';
import { Wire, WireSession } from './wire';

/** Bob's device process as node 1 sees it: a leg to node 2. */
class NodeDevice extends FakeDevice {
  constructor(
    private readonly wire: Wire,
    private readonly far: World,
    private readonly bob: FakeDevice,
  ) {
    super(profile('node-2', 'node'), '2.dp.1');
  }

  override call(call: OutgoingCall): Session {
    const [near, session] = WireSession.pair(this.wire, 'between@nodes', call.sdp === undefined);
    const { caller, digits, sdp: offer, maxForwards } = call;
    const from = profile('node-1', 'node');
    const header = headers(call.headers);
    near.send(() =>
      this.far.control.incoming({
        ...{ session, from, caller, maxForwards, header },
        ...{ dialled: digits, sdp: offer, target: this.bob, pid: undefined },
      }),
    );
    return near;
  }
}

interface TwoNodes {
  readonly wire: Wire;
  readonly one: World;
  readonly two: World;
  readonly phones: Record<Who, Phone>;
}

/** Alice at node 1 talks to Bob at node 2. */
function talkingAcross(delayed = false): TwoNodes {
  const wire = new Wire();
  const [one, two] = [new World(), new World()];
  const bob = new FakeDevice(profile('SEP-bob'), '2.dp.1');
  two.devices.set('2.dp.1', bob);
  one.devices.set('2.dp.1', new NodeDevice(wire, two, bob));
  one.route('2000', [target('2.dp.1', 'SEP-bob')]);
  const a = one.call({ sdp: delayed ? null : sdp('alice') });
  wire.deliverAll();
  bob.session.rings();
  bob.session.answers(sdp('bob'), { 'Session-Expires': '1800' });
  wire.deliverAll();
  a.acks(delayed ? sdp('alice') : undefined);
  wire.deliverAll();
  return { wire, one, two, phones: { alice: new Phone('alice', a), bob: new Phone('bob', bob.session) } };
}

async function rest({ wire, one, two, phones }: TwoNodes): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) {
    for (const phone of [phones.alice, phones.bob]) {
      phone.answer();
      wire.deliverAll();
      await settled();
      phone.hear();
      phone.offer();
      wire.deliverAll();
      phone.hear();
    }
    for (const world of [one, two]) world.clock.advance(500);
    wire.deliverAll();
    await settled();
    if (turn > 20 && phones.alice.idle && phones.bob.idle) return;
  }
}

async function close({ wire, one, two }: TwoNodes): Promise<void> {
  one.control.endAll('The test is over');
  wire.deliverAll();
  await one.close();
  expect(two.control.calls()).toEqual([]);
  await two.close();
}

function expectAgreement({ one, two, phones: { alice, bob } }: TwoNodes): void {
  const near = one.detail.legs[0];
  const far = two.detail.legs[1];
  expect([near?.holds, far?.holds]).toEqual([alice.holding, bob.holding]);
  // Each node plays for its own phone and for nobody else's.
  expect(one.resources.open).toBe(bob.holding && !alice.holding ? 1 : 0);
  expect(two.resources.open).toBe(alice.holding && !bob.holding ? 1 : 0);
  if (bob.holding && !alice.holding) expect(near).toMatchObject({ music: 'playing', connection: 'music' });
  if (alice.holding && !bob.holding) expect(far).toMatchObject({ music: 'playing', connection: 'music' });
  for (const [phone, other] of [
    [alice, '10.0.0.2'],
    [bob, '10.0.0.1'],
  ] as const) {
    const known = phone.knows;
    if (known === undefined) continue;
    // A phone that holds is never told the address of the other; two that talk know each other.
    if (phone.holding) expect(known).not.toContain(other);
    if (!alice.holding && !bob.holding) {
      expect(known).toContain(other);
      expect(effectiveDirection(known)).toBe('sendrecv');
    }
  }
}

describe('a call between two nodes', () => {
  test('each node plays music for its own phone only, and the resume joins the phones again', async () => {
    const nodes = talkingAcross();
    const { phones } = nodes;
    for (const name of ['alice', 'bob'] as const) {
      phones[name].want(true);
      await rest(nodes);
      expectAgreement(nodes);
      expect(phones[name].holding).toBe(true);
      phones[name].want(false);
      await rest(nodes);
      expectAgreement(nodes);
      expect(phones[name].holding).toBe(false);
    }
    await close(nodes);
  });

  test('RFC 3261 §14.1: both press hold in the same moment, and later both resume', async () => {
    const nodes = talkingAcross();
    const { phones } = nodes;
    for (const holding of [true, false]) {
      for (const phone of [phones.alice, phones.bob]) phone.want(holding);
      for (const phone of [phones.alice, phones.bob]) phone.offer();
      await rest(nodes);
      expectAgreement(nodes);
      expect([phones.alice.holding, phones.bob.holding]).toEqual([holding, holding]);
    }
    await close(nodes);
  });

  test('both move in the same moment: their offers cross between the nodes and neither waits for ever', async () => {
    const nodes = talkingAcross();
    const { phones } = nodes;
    for (const phone of [phones.alice, phones.bob]) phone.move();
    for (const phone of [phones.alice, phones.bob]) phone.offer();
    await rest(nodes);
    expect([phones.alice.idle, phones.bob.idle]).toEqual([true, true]);
    expect(phones.alice.knows).toContain('m=audio 4002');
    expect(phones.bob.knows).toContain('m=audio 4002');
    await close(nodes);
  });

  test('RFC 3261 §13.2.1: a delayed offer goes end to end, and hold works after it', async () => {
    const nodes = talkingAcross(true);
    nodes.phones.bob.want(true);
    await rest(nodes);
    expectAgreement(nodes);
    await close(nodes);
  });
});
