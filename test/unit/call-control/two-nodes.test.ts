import fc from 'fast-check';
import type { OutgoingCall } from '../../../src/device/device-process';
import { effectiveDirection } from '../../../src/sdp';
import type { Session, SessionSignal } from '../../../src/sip/user-agent';
import { FakeDevice, headers, profile, sdp, settled, target, World } from './kit';
import { Phone, type Who } from './phone';

/** What is on its way between two nodes; each direction keeps its order, and they cross. */
class Wire {
  readonly queues: [(() => void)[], (() => void)[]] = [[], []];

  deliver(way: number): void {
    this.queues[way % 2]?.shift()?.();
  }

  deliverAll(): void {
    while (this.queues.some((queue) => queue.length > 0)) for (const way of [0, 1]) this.deliver(way);
  }
}

/** One end of a dialog between two nodes, as the two SIP servers would make it. */
class WireSession implements Session {
  readonly id: string;
  readonly callId = 'between@nodes';
  peer!: WireSession;
  over = false;
  private listener: ((signal: SessionSignal) => void) | undefined;
  private kept: SessionSignal[] = [];
  private readonly withOffer = new Map<string, boolean>();

  constructor(
    private readonly wire: Wire,
    private readonly way: 0 | 1,
    private readonly delayed: boolean,
  ) {
    this.id = `wire-${way}`;
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    for (const signal of this.kept.splice(0)) listener(signal);
  }

  private tell(signal: SessionSignal, after?: () => void): void {
    this.wire.queues[this.way].push(() => {
      this.peer.receive(signal);
      after?.();
    });
  }

  receive(signal: SessionSignal): void {
    if (this.over) return;
    if (['ended', 'rejected', 'cancelled'].includes(signal.type)) this.over = true;
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  progress(status: number, options: { readonly sdp?: string } = {}): void {
    this.tell({ type: 'provisional', status, reason: '', sdp: options.sdp, header: headers() });
  }
  answer(options: { readonly sdp: string }): void {
    const agreed = headers({ 'Session-Expires': '1800;refresher=uac' });
    this.tell({ type: 'answered', sdp: options.sdp, header: agreed }, () => {
      if (!this.delayed) this.peer.tell({ type: 'acknowledged', sdp: undefined });
    });
  }
  reject(status: number): void {
    this.over = true;
    this.tell({ type: 'rejected', status, reason: '', header: headers() });
  }
  cancel(): void {
    this.over = true;
    this.tell({ type: 'cancelled', reason: undefined });
  }
  acknowledge(description: string): void {
    this.tell({ type: 'acknowledged', sdp: description });
  }
  reinvite(id: string, options: { readonly sdp?: string }): void {
    this.withOffer.set(id, options.sdp !== undefined);
    this.tell({ type: 'reinvited', id, sdp: options.sdp, header: headers() });
  }
  request(): void {
    throw new Error('not part of this model');
  }
  respond(id: string, status: number, options: { readonly sdp?: string } = {}): void {
    if (status !== 200) return this.tell({ type: 'reinvite-rejected', id, status, reason: '' });
    this.tell({ type: 'reinvite-answered', id, sdp: options.sdp }, () => {
      if (this.peer.withOffer.get(id) === true) this.peer.tell({ type: 'acknowledged', sdp: undefined });
    });
  }
  bye(): void {
    if (this.over) return;
    this.over = true;
    this.tell({ type: 'ended', by: 'peer', reason: undefined });
  }
}

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
    const near = new WireSession(this.wire, 0, call.sdp === undefined);
    const session = new WireSession(this.wire, 1, call.sdp === undefined);
    near.peer = session;
    session.peer = near;
    const { caller, digits, sdp: offer, maxForwards } = call;
    const from = profile('node-1', 'node');
    const header = headers(call.headers);
    this.wire.queues[0].push(() =>
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

type Step =
  | { readonly do: 'hold' | 'resume' | 'move' | 'offer' | 'answer' | 'hear'; readonly who: Who }
  | { readonly do: 'deliver'; readonly way: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'settle' };

const who = fc.constantFrom<Who>('alice', 'bob');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('hold' as const, 'resume' as const), who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('offer' as const), who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('answer' as const, 'hear' as const), who }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), way: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 5000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('settle' as const) }) },
);

async function act(nodes: TwoNodes, what: Step): Promise<void> {
  switch (what.do) {
    case 'hold':
    case 'resume':
      return nodes.phones[what.who].want(what.do === 'hold');
    case 'deliver':
      return nodes.wire.deliver(what.way);
    case 'wait':
      for (const world of [nodes.one, nodes.two]) world.clock.advance(what.ms);
      return;
    case 'settle':
      return settled();
    case 'move':
    case 'offer':
    case 'answer':
    case 'hear':
      return nodes.phones[what.who][what.do]();
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

  test('whatever the phones do and however messages cross, at rest everybody agrees and nothing leaks', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 50 }), async (steps) => {
        const nodes = talkingAcross();
        for (const what of steps) await act(nodes, what);
        await rest(nodes);
        expectAgreement(nodes);
        await close(nodes);
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});
