import type { OutgoingCall } from '../../../src/device/device-process';
import { effectiveDirection } from '../../../src/sdp';
import type { Session } from '../../../src/sip/user-agent';
import { type FarHalf, formatWord } from '../../../src/device/node-context';
import { BOOT, FakeDevice, type FakeSession, headers, profile, sdp, settled, talking, target, World } from './kit';
import { Phone, type Who } from './phone';
import { Wire, WireSession } from './wire';

/** Bob's device process as node 1 sees it: a leg to node 2. */
class NodeDevice extends FakeDevice {
  readonly ends: WireSession[] = [];

  constructor(
    private readonly wire: Wire,
    private readonly far: World,
    private readonly bob: FakeDevice,
  ) {
    super({ ...profile('node-2', 'node'), node: 2 }, '2.dp.1');
  }

  override call(call: OutgoingCall): Session {
    const [near, session] = WireSession.pair(this.wire, 'between@nodes', call.sdp === undefined);
    const { caller, digits, sdp: offer, maxForwards, context } = call;
    const from = { ...profile('node-1', 'node'), node: 1 };
    const header = headers(call.headers);
    this.ends.push(near);
    near.send(() =>
      this.far.control.incoming({
        ...{ session, from, caller, maxForwards, header },
        ...(context === undefined ? {} : { context }),
        ...{ dialled: digits, sdp: offer, target: this.bob, pid: undefined },
      }),
    );
    return near;
  }
}

interface TwoNodes {
  readonly wire: Wire;
  /** Of the dialog between the nodes: those of the caller's node. */
  readonly ends: readonly WireSession[];
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
  const between = new NodeDevice(wire, two, bob);
  one.devices.set('2.dp.1', between);
  one.route('2000', [target('2.dp.1', 'SEP-bob')]);
  const a = one.call({ sdp: delayed ? null : sdp('alice') });
  wire.deliverAll();
  bob.session.rings();
  bob.session.answers(sdp('bob'), { 'Session-Expires': '1800' });
  wire.deliverAll();
  a.acks(delayed ? sdp('alice') : undefined);
  wire.deliverAll();
  return {
    wire,
    ends: between.ends,
    one,
    two,
    phones: { alice: new Phone('alice', a), bob: new Phone('bob', bob.session) },
  };
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

  describe('the two halves know of each other', () => {
    const halves = ({ one, two }: TwoNodes) => [one.detail, two.detail] as const;

    test('by the name of the call, by the call process of either, and by whom they are of', async () => {
      const nodes = talkingAcross();
      const [near, far] = halves(nodes);
      expect([near.call, far.call]).toEqual([`1.cp.1-${BOOT}`, `1.cp.1-${BOOT}`]);
      for (const world of [nodes.one, nodes.two])
        for (const id of [near.call, '1.cp.1']) expect(world.control.call(id)?.call).toBe(near.call);
      expect(near).toMatchObject({
        ...{ from: 'SEP-alice', to: 'SEP-bob', media: { path: 'direct' } },
        elsewhere: [
          { node: 2, process: far.id, boot: BOOT, party: { device: 'SEP-bob', number: '2000' }, resources: [] },
        ],
      });
      expect(far).toMatchObject({
        ...{ from: 'SEP-alice', to: 'SEP-bob' },
        elsewhere: [
          { node: 1, process: near.id, party: { device: 'SEP-alice', number: '1000', displayName: 'Alice' } },
        ],
      });
      await close(nodes);
      for (const world of [nodes.one, nodes.two])
        expect(world.records).toMatchObject([{ call: near.call, elsewhere: [{ resources: [] }] }]);
    });

    test("the caller's node shows the media resources that the callee's node has put in, as long as they serve", async () => {
      const nodes = talkingAcross();
      const { phones, one, two } = nodes;
      phones.alice.want(true);
      await rest(nodes);
      // Bob hears music by his own node.
      const music = [{ type: 'moh', name: 'moh-dallas', why: 'held by SEP-alice' }];
      expect(one.detail.elsewhere).toMatchObject([{ node: 2, resources: music }]);
      expect(two.detail.elsewhere).toMatchObject([{ node: 1, resources: [] }]);
      phones.alice.want(false);
      await rest(nodes);
      expect(one.detail.elsewhere).toMatchObject([{ node: 2, resources: [] }]);
      await close(nodes);
    });

    test('the music is that of who holds, not of whoever has the number at this node', async () => {
      const nodes = talkingAcross();
      nodes.phones.alice.want(true);
      await rest(nodes);
      expect(nodes.two.musicAskedFor).toEqual(['SEP-alice/1000']);
      await close(nodes);
    });

    test('a change that was told before is no news, whatever the order in which they come', async () => {
      const nodes = talkingAcross();
      const { one, wire } = nodes;
      const [{ elsewhere }] = halves(nodes);
      const half = (version: number, device: string): FarHalf => {
        const process = { pid: elsewhere[0]!.process, boot: BOOT };
        return {
          version,
          process,
          party: { number: '3000', displayName: 'Carol', device, node: 2, process },
          resources: [],
        };
      };
      const callee = nodes.ends[0]!.peer;
      const tell = (version: number, device: string): void => {
        const body = `1 x ${formatWord({ half: half(version, device) })}`;
        callee.request(`told-${version}`, { method: 'INFO', body, contentType: 'application/x-tandem-half' });
        wire.deliverAll();
      };
      tell(9, 'SEP-carol');
      expect(one.detail).toMatchObject({ to: 'SEP-carol', elsewhere: [{ party: { displayName: 'Carol' } }] });
      tell(8, 'SEP-dave');
      expect(one.detail.to).toBe('SEP-carol');
      await close(nodes);
    });
  });
});

describe('a node is gone that rings for somebody here', () => {
  test.each<[string, (world: World) => void]>([
    [
      'it is off-line, and stays so',
      (world) => {
        world.control.nodeGone(2);
        world.clock.advance(3000);
      },
    ],
    ['it was started again', (world) => world.control.nodeRestarted(2)],
  ])('%s: its INVITE is called back, and the caller is told', async (_, happens) => {
    const world = new World();
    const node = new FakeDevice({ ...profile('node-2', 'node'), node: 2 }, '2.dp.1');
    world.devices.set('2.dp.1', node);
    world.route('2000', [target('2.dp.1', 'SEP-bob')]);
    const a = world.call();
    node.session.rings();
    happens(world);
    expect(node.session.last('cancel').reason).toContain('cause=503');
    expect(a.last('reject')).toMatchObject({ status: 480 });
    expect(world.control.calls()).toEqual([]);
    await world.close();
  });
});

test('a node that is gone for a moment goes on ringing', async () => {
  const world = new World();
  const node = new FakeDevice({ ...profile('node-2', 'node'), node: 2 }, '2.dp.1');
  world.devices.set('2.dp.1', node);
  world.route('2000', [target('2.dp.1', 'SEP-bob')]);
  const a = world.call();
  node.session.rings();
  world.control.nodeGone(2);
  world.clock.advance(2000);
  world.control.nodeBack(2, BOOT);
  world.clock.advance(5000);
  expect([...node.session.all('cancel'), ...a.all('reject')]).toEqual([]);
  await world.close();
});

describe('the words of nodes', () => {
  test.each([
    ['a phone', (a: FakeSession) => a],
    ['a node, not sealed by it', (_a: FakeSession, b: FakeSession) => b],
  ])('are refused from %s, and nobody hears of them', async (_, from) => {
    const { world, a, b } = talking({ callee: 'node' });
    const before = world.detail;
    const stranger = from(a, b);
    const id = stranger.requestsThat('INFO', 'process=1.cp.1-1;version=9', 'application/x-tandem-half');
    expect(stranger.last('respond')).toMatchObject({ id, status: 403 });
    expect(world.detail).toEqual(before);
    expect(
      [a, b].filter((session) => session !== stranger).flatMap(({ commands }) => commands.map(({ name }) => name)),
    ).not.toContain('request');
    expect(world.warnings.splice(0)).toEqual(['call: word of a node refused undefined']);
    await world.close();
  });
});
