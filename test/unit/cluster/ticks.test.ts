import type { Effect } from '../../../src/cluster/protocol/effects';
import type { Deltas, ProtocolMessage } from '../../../src/cluster/protocol/messages';
import { NodeProtocol } from '../../../src/cluster/protocol/node-protocol';
import { IN_FLIGHT_GRACE_MS, PAUSED_AFTER_MS, TICK_INTERVAL_MS } from '../../../src/cluster/protocol/timing';
import { HybridClock } from '../../../src/process/hlc';

/** Two nodes on a bus without delay; each is ticked when it wants to be. */
class Pair {
  now = 1_700_000_000_000;
  ticks = 0;
  readonly reports: string[] = [];
  readonly kinds: string[] = [];
  /** Messages that get lost. */
  loses: (message: ProtocolMessage) => boolean = () => false;
  readonly nodes = [1, 2].map((node) => {
    const self = {
      node,
      boot: this.now,
      token: `token-${node}`,
      address: `127.0.0.1:506${node}`,
      longestLifeMs: 60_000,
    };
    return new NodeProtocol(self, new HybridClock(node, () => this.now), this.now);
  });

  constructor() {
    for (const node of this.nodes) this.perform(node.start(this.now));
  }

  get first(): NodeProtocol {
    return this.nodes[0]!;
  }

  runFor(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      const next = Math.min(...this.nodes.map(({ tickAt }) => tickAt));
      if (next > end) break;
      this.now = Math.max(this.now, next);
      const due = this.nodes.find(({ tickAt }) => tickAt === next)!;
      this.ticks += 1;
      this.perform(due.tick(this.now));
    }
    this.now = end;
  }

  perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'report') this.reports.push(effect.report);
      if (effect.type !== 'publish') this.kinds.push(effect.type);
      else if (!this.loses(effect.message)) this.publish(effect.message, effect.to);
    }
  }

  private publish(message: ProtocolMessage, to: number | string): void {
    this.nodes.forEach((node, index) => {
      if (typeof to === 'string' || to === index + 1) this.perform(node.receive(message, this.now));
    });
  }
}

const isDelta = (message: ProtocolMessage): message is Deltas => message.type === 'deltas';

function put(pair: Pair, key: string): void {
  const { now } = pair;
  const { nodes } = pair;
  const stamp = { ms: now, counter: 0, node: 2 };
  const contact = { contact: 'sip:a@127.0.0.1:5062', address: 'udp:127.0.0.1:5062' };
  const record = { key, kind: 'station', device: key, lines: [key], instance: key, ...contact } as const;
  const put = nodes[1]!.localPut({ ...record, pid: '2.dp.1', boot: 1_700_000_000_000, stamp, expiresAt: now + 60_000 });
  pair.perform([...put, ...nodes[1]!.flush()]);
}

describe('ticks', () => {
  test('come once a second for each node that waits for nothing', () => {
    const pair = new Pair();
    pair.runFor(5_000);
    pair.ticks = 0;
    pair.runFor(60_000);
    expect(pair.ticks).toBeLessThanOrEqual(121);
    expect(pair.kinds.filter((kind) => kind === 'peer-online')).toHaveLength(2);
    expect(pair.reports).toEqual([]);
  });

  test('come soon while something is waited for: what was missed is asked for when its grace is over', () => {
    const pair = new Pair();
    pair.runFor(5_000);
    pair.loses = isDelta;
    put(pair, 'phone');
    pair.loses = () => false;
    expect(pair.kinds).not.toContain('put');
    // Until the next poll says that something is missing, and then no longer than this.
    pair.runFor(1_000 + IN_FLIGHT_GRACE_MS + TICK_INTERVAL_MS);
    expect(pair.kinds).toContain('put');
    pair.ticks = 0;
    pair.runFor(60_000);
    expect(pair.ticks).toBeLessThanOrEqual(121);
  });

  test('the bus is lost three seconds after the last own poll that was heard, not at the poll after that', () => {
    const pair = new Pair();
    pair.runFor(5_000);
    pair.loses = () => true;
    pair.runFor(2_990);
    expect(pair.kinds).not.toContain('bus-lost');
    pair.runFor(20);
    expect(pair.kinds.filter((kind) => kind === 'bus-lost')).toHaveLength(2);
  });

  test.each([
    ['a pause', PAUSED_AFTER_MS + 1],
    ['a clock that is set forward', 3_600_000],
    ['a clock that is set back', -3_600_000],
    ['a clock that is set back a little', -TICK_INTERVAL_MS - 1],
  ])('%s is noticed at the next tick', (_what, ms) => {
    const pair = new Pair();
    pair.runFor(5_000);
    pair.loses = () => true;
    pair.perform(pair.first.tick(pair.first.tickAt + ms));
    expect(pair.reports).toEqual(['paused']);
  });

  test('a clock that is set back is noticed when something is heard, and does not make the next tick later', () => {
    const pair = new Pair();
    pair.runFor(5_000);
    let poll: ProtocolMessage | undefined;
    pair.loses = (message) => {
      poll = message.type === 'poll' ? message : poll;
      return true;
    };
    pair.runFor(1_000);
    const back = pair.now - 3_600_000;
    pair.perform(pair.first.receive(poll!, back));
    expect(pair.reports).toEqual(['paused']);
    expect(pair.first.tickAt).toBeLessThanOrEqual(back);
  });

  test('of one that has ended none are wanted', () => {
    const pair = new Pair();
    pair.perform(pair.first.goodbye());
    expect(pair.first.tickAt).toBe(Infinity);
  });
});
