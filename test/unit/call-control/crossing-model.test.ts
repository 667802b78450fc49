import fc from 'fast-check';
import type { OutgoingCall } from '../../../src/device/device-process';
import type { Session } from '../../../src/sip/user-agent';
import type { Codec } from '../../support/media-stream';
import type { Hold } from '../../support/party-sdp';
import { FakeDevice, headers, profile, settled, target, World } from './kit';
import { lose, music, speech, WiredDevice } from './model-sound';
import { Wire, WireSession } from './wire';
import { type Wish, WiredPhone } from './wired-phone';

/** `CALL_SEQUENCES=10000` for the long form. */
const RUNS = Number(process.env['CALL_SEQUENCES'] ?? 300);

type Who = 'alice' | 'bob';

interface Equipment {
  readonly codecs: readonly Codec[];
  /** The node knows them beforehand. */
  readonly configured: boolean;
}

interface Layout {
  readonly nodes: 1 | 2;
  readonly alice: Equipment;
  readonly bob: Equipment;
  /** Codecs of another phone that describes itself before Bob answers: a fork, or music while it rings. */
  readonly before?: readonly Codec[] | undefined;
}

type Step =
  | { readonly do: 'want'; readonly who: Who; readonly wish: Wish }
  | { readonly do: 'cross'; readonly wishes: readonly [Wish, Wish] }
  | { readonly do: 'deliver'; readonly way: number; readonly ahead: number }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'lose'; readonly node: number; readonly which: number }
  /** `rest`: everybody must hear what they should then. */
  | { readonly do: 'settle' | 'calm' | 'rest' | 'slow' | 'fast' };

function stationOf(name: string, { codecs, configured }: Equipment): ReturnType<typeof profile> {
  return { ...profile(name), codecs: configured ? codecs : undefined };
}

/** Alice, at the first node, calls Bob, at the last one. Everything between them takes its time, as the test says. */
class Exchange {
  readonly wire = new Wire();
  readonly worlds: readonly World[];
  readonly alice: WiredPhone;
  bob!: WiredPhone;
  private calls = 0;
  /** Resources that have died. */
  private losses = 0;

  constructor(layout: Layout) {
    this.worlds = Array.from({ length: layout.nodes }, (_, at) => {
      const world = new World({}, 7000 + 1000 * at);
      world.resources.servers = 1000;
      return world;
    });
    const [first, last] = [this.worlds[0]!, this.worlds.at(-1)!];
    const pid = layout.nodes === 1 ? '1.dp.2' : '2.dp.1';
    const bob = new WiredDevice(stationOf('SEP-bob', layout.bob), pid, (call) => {
      const [near, far] = this.dial(call.sdp === undefined);
      near.send(() => {
        this.bob = new WiredPhone('bob', 4100, layout.bob.codecs, far, last.clock, 'callee');
        if (layout.before !== undefined && call.sdp !== undefined) this.bob.ringElsewhere(4200, layout.before);
        this.bob.pickUp(call.sdp);
      });
      return near;
    });
    last.devices.set(pid, bob);
    if (layout.nodes === 2)
      first.devices.set(
        pid,
        new WiredDevice({ ...profile('node-2', 'node'), node: 2 }, pid, (call) => this.across(call, bob)),
      );
    first.route('2000', [target(pid, 'SEP-bob')]);
    const [phone, node] = this.dial(false);
    this.alice = new WiredPhone('alice', 4000, layout.alice.codecs, phone, first.clock, 'caller');
    const from = stationOf('SEP-alice', layout.alice);
    const caller = { number: '1000', displayName: 'Alice' };
    const offer = this.alice.describe();
    first.control.incoming({
      ...{ session: node, from, pid: '1.dp.9', caller, dialled: '2000', sdp: offer },
      ...{ maxForwards: 70, target: undefined, header: headers() },
    });
  }

  private dial(delayed: boolean): readonly [WireSession, WireSession] {
    this.calls += 1;
    return WireSession.pair(this.wire, `call-${this.calls}`, delayed);
  }

  /** The call goes to the other node. */
  private across(call: OutgoingCall, bob: FakeDevice): Session {
    const [near, far] = this.dial(call.sdp === undefined);
    const { caller, digits, sdp, maxForwards, context } = call;
    const from = { ...profile('node-1', 'node'), node: 1 };
    near.send(() =>
      this.worlds[1]?.control.incoming({
        ...{ session: far, from, caller, maxForwards, header: headers(call.headers) },
        ...(context === undefined ? {} : { context }),
        ...{ dialled: digits, sdp, target: bob, pid: undefined },
      }),
    );
    return near;
  }

  get phones(): readonly WiredPhone[] {
    return [this.alice, this.bob];
  }

  async calm(): Promise<void> {
    this.wire.deliverAll();
    await settled();
    this.wire.deliverAll();
  }

  wait(ms: number): void {
    for (const world of this.worlds) world.clock.advance(ms);
  }

  /** Phones, servers and timers go on until nothing is under way. */
  async rest(): Promise<void> {
    for (const { resources } of this.worlds) resources.answer();
    for (let turn = 0; turn < 80; turn += 1) {
      await this.calm();
      this.wait(500);
      if (turn > 20 && this.phones.every(({ idle }) => idle)) break;
    }
    await this.calm();
  }

  async act(what: Step): Promise<void> {
    switch (what.do) {
      case 'want':
        return this[what.who].want(what.wish);
      case 'cross':
        return this.cross(what.wishes);
      case 'deliver':
        return this.wire.deliver(what.way, what.ahead);
      case 'wait':
        return this.wait(what.ms);
      case 'lose':
        return this.lose(what.node, what.which);
      case 'settle':
        return settled();
      case 'calm':
        return this.calm();
      case 'rest':
        await this.rest();
        return this.expectSound();
      case 'slow':
        for (const { resources } of this.worlds) resources.slow = true;
        return;
      case 'fast':
        for (const { resources } of this.worlds) resources.answer();
        return;
    }
  }

  /** Both want something, and their nodes hear of it before they hear of each other. */
  private cross(wishes: readonly [Wish, Wish]): void {
    this.phones.forEach((phone, at) => phone.want(wishes[at]!));
    for (const way of [0, this.wire.queues.length - 1]) this.wire.deliver(way);
  }

  /** A resource that is in use dies. */
  private lose(node: number, which: number): void {
    if (lose(this.worlds[node % this.worlds.length]!, which)) this.losses += 1;
  }

  /** Every call is there; after many losses none may be, but that is known everywhere. */
  expectCalls(): void {
    const calls = this.worlds.map(({ control }) => control.calls().length);
    const over = this.losses >= 3 && this.phones.every((phone) => phone.over);
    expect(calls).toEqual(this.worlds.map(() => (over ? 0 : 1)));
    if (!over) expect(this.phones.map(({ idle }) => idle)).toEqual([true, true]);
  }

  expectSound(): void {
    if (this.phones.some((phone) => phone.over)) return;
    for (const [ear, mouth] of [
      [this.alice, this.bob],
      [this.bob, this.alice],
    ] as const) {
      if (ear.hold !== 'none') continue;
      const where = `${ear.name} (${ear.hold}) hears, when ${mouth.name} (${mouth.hold}): `;
      if (mouth.hold === 'none') expect(where + speech(this.worlds, mouth, ear, 4)).toBe(`${where}speech`);
      // A hold during which servers die may be silent.
      else if (this.losses === 0) expect(where + music(this.worlds, ear)).toBe(`${where}music`);
    }
  }
}

const CODECS: readonly (readonly Codec[])[] = [['PCMU'], ['PCMA'], ['G722'], ['PCMA', 'PCMU']];
const codecs = fc.constantFrom(...CODECS);
const equipment = fc.record({ codecs, configured: fc.boolean() });
const layout: fc.Arbitrary<Layout> = fc.record({
  nodes: fc.constantFrom(1 as const, 2 as const),
  alice: equipment,
  bob: equipment,
  before: fc.option(codecs, { nil: undefined }),
});
const who = fc.constantFrom<Who>('alice', 'bob');
const hold = fc.constantFrom<Hold>('none', 'none', 'none', 'none', 'sendonly', 'sendonly', 'inactive', 'blackhole');
const wish: fc.Arbitrary<Wish> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ hold }) },
  { weight: 1, arbitrary: fc.record({ codecs }) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('want' as const), who, wish }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('deliver' as const),
      way: fc.nat(5),
      ahead: fc.constantFrom(0, 0, 0, 0, 1, 2),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 2000 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('settle' as const, 'calm' as const, 'rest' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), node: fc.nat(1), which: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('slow' as const, 'fast' as const) }) },
);

test('whatever two phones do and however messages cross, at rest they hear what they should', async () => {
  await fc.assert(
    fc.asyncProperty(layout, fc.array(step, { maxLength: 60, size: 'max' }), async (parts, steps) => {
      const exchange = new Exchange(parts);
      await exchange.rest();
      expect(exchange.bob).toBeDefined();
      exchange.expectSound();
      for (const what of steps) await exchange.act(what);
      await exchange.rest();
      exchange.expectCalls();
      exchange.expectSound();
      exchange.worlds[0]?.control.endAll('The test is over');
      await exchange.calm();
      for (const world of exchange.worlds) await world.close();
    }),
    { numRuns: RUNS },
  );
}, 600_000);

test('RFC 3261 §14.1: both hold, and later both resume in the same moment: the nodes tell each other at once, and again after 491', async () => {
  const both = { codecs: ['PCMU'], configured: false } as const;
  const exchange = new Exchange({ nodes: 2, alice: both, bob: both });
  await exchange.rest();
  for (const hold of ['sendonly', 'none'] as const) {
    await exchange.act({ do: 'cross', wishes: [{ hold }, { hold }] });
    await exchange.rest();
    exchange.expectSound();
  }
});

describe.each([1, 2] as const)(
  'RFC 3261 §13.2.1, %i node(s): a caller that keeps to the first description of its dialog',
  (nodes) => {
    const alice = { codecs: ['PCMA', 'PCMU'], configured: false } as const;
    test.each([
      ['that is answered with another port', { alice, bob: alice, before: alice.codecs }],
      ['that is answered with another codec', { alice, bob: { ...alice, codecs: ['PCMU'] }, before: ['PCMA'] }],
      [
        'through a transcoder',
        {
          alice: { codecs: ['G722'], configured: true },
          bob: { codecs: ['PCMU'], configured: true },
          before: ['PCMA'],
        },
      ],
    ] as const)('%s hears, and is heard', async (_, parts) => {
      const exchange = new Exchange({ nodes, ...parts });
      await exchange.rest();
      exchange.expectCalls();
      exchange.expectSound();
      expect(exchange.bob.said.filter((text) => text.startsWith('is offered'))).toEqual([]);
    });
  },
);

test('no transcoder is left for a while when both resume: they are brought together once there is one again', async () => {
  const alice = { codecs: ['G722'], configured: true } as const;
  const bob = { codecs: ['PCMA'], configured: true } as const;
  const exchange = new Exchange({ nodes: 2, alice, bob });
  await exchange.rest();
  await exchange.act({ do: 'cross', wishes: [{ hold: 'sendonly' }, { hold: 'sendonly' }] });
  await exchange.rest();
  for (const { resources } of exchange.worlds) {
    resources.none.add('transcoder');
    for (const one of resources.granted.filter(({ released }) => released === 0)) one.lost();
  }
  await exchange.act({ do: 'cross', wishes: [{ hold: 'none' }, { hold: 'none' }] });
  for (let seconds = 0; seconds < 5; seconds++) {
    await exchange.calm();
    exchange.wait(1000);
  }
  for (const { resources } of exchange.worlds) resources.none.clear();
  for (let rests = 0; rests < 4; rests++) await exchange.rest();
  exchange.expectCalls();
  exchange.expectSound();
});
