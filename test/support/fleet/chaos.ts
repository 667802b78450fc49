import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../simulation/random';
import type { Cluster } from '../cluster';
import type { NodeProcess } from '../node-process';

/** A time in which something did not work. */
export interface Outage {
  /** A node number, or the bus. */
  readonly what: number | 'bus';
  /** `starved`: none of our doing; the node got so little of the machine that its API did not answer in time. */
  readonly kind: FaultKind | 'starved';
  /** Ms since the epoch. */
  readonly from: number;
  /** Undefined: not over. */
  until: number | undefined;
}

/**
 * What can happen: a node is killed; stands still for so long that it is judged, or too briefly for that; its call
 * manager alone stands still; it is stopped in good order. Redis is killed, or stands still.
 */
export type FaultKind = 'kill' | 'pause' | 'blink' | 'stall' | 'stop' | 'redis-kill' | 'redis-pause';

/** How long each lasts, ms: the least, and what chance adds. */
const lasts: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [2000, 4000],
  pause: [4000, 2500],
  blink: [300, 1500],
  stall: [4000, 2500],
  stop: [1000, 3000],
  'redis-kill': [1500, 3000],
  'redis-pause': [4000, 2500],
};

/** Node faults come more often than faults of the bus. */
const deck: readonly FaultKind[] = [
  'kill',
  'pause',
  'kill',
  'redis-kill',
  'stall',
  'kill',
  'blink',
  'redis-pause',
  'stop',
];

/** A node that does not answer `/healthz` in this time is starved, ms. */
const STARVED_MS = 500;
const WATCH_EVERY_MS = 250;
/** No answer that is late takes longer to be known: the deadline of a request, and more, ms. */
export const STARVED_KNOWN_MS = 6000;

/** Never more nodes out at a time. */
const NODES_OUT = 2;

/** Faults at random on real processes, by a seed; it remembers when what was out. */
export class Chaos {
  readonly outages: Outage[] = [];
  private readonly busy = new Set<number | 'bus'>();
  private readonly running = new Set<Promise<void>>();
  private dealt = 0;
  private watching = true;

  constructor(
    private readonly cluster: Cluster,
    private readonly random: Random,
  ) {}

  /** A new fault every `everyMs` for so long; resolves when everything works again. */
  async run(forMs: number, everyMs: number): Promise<void> {
    const end = Date.now() + forMs;
    while (Date.now() < end) {
      this.begin();
      await pause(everyMs * (0.5 + this.random.next()));
    }
    while (this.running.size > 0) await Promise.all(this.running);
  }

  /** Whether any of them was out at any moment of the time. */
  hit(what: readonly (number | 'bus')[], from: number, until: number): boolean {
    return this.during(what, from, until).length > 0;
  }

  during(what: readonly (number | 'bus')[], from: number, until: number): Outage[] {
    return this.outages.filter(
      (outage) => what.includes(outage.what) && outage.from <= until && (outage.until ?? Infinity) >= from,
    );
  }

  /** Notes when the machine starves a node, until `stopWatching`. */
  async watch(): Promise<void> {
    await Promise.all(this.cluster.nodes.map((node) => this.watchNode(node)));
  }

  stopWatching(): void {
    this.watching = false;
  }

  private async watchNode(node: NodeProcess): Promise<void> {
    while (this.watching) {
      const from = Date.now();
      await node.fetch('/healthz').catch(() => undefined);
      const until = Date.now();
      if (until - from > STARVED_MS) this.outages.push({ what: node.id, kind: 'starved', from, until });
      await pause(WATCH_EVERY_MS);
    }
  }

  count(kind: Outage['kind']): number {
    return this.outages.filter((outage) => outage.kind === kind).length;
  }

  private begin(): void {
    const kind = deck[this.dealt % deck.length] ?? 'kill';
    const bus = kind === 'redis-kill' || kind === 'redis-pause';
    const nodesOut = [...this.busy].filter((what) => what !== 'bus').length;
    if (bus ? this.busy.has('bus') : nodesOut >= NODES_OUT) return;
    this.dealt += 1;
    const idle = this.cluster.nodes.filter(({ id }) => !this.busy.has(id));
    const node = this.random.pick(idle);
    if (node === undefined) return;
    const [least, more] = lasts[kind];
    const fault = this.inflict(kind, node, least + this.random.next() * more);
    this.running.add(fault);
    void fault.finally(() => this.running.delete(fault));
  }

  private async inflict(kind: FaultKind, node: NodeProcess, ms: number): Promise<void> {
    const what = kind === 'redis-kill' || kind === 'redis-pause' ? 'bus' : node.id;
    const outage: Outage = { what, kind, from: Date.now(), until: undefined };
    this.busy.add(what);
    this.outages.push(outage);
    await this.breakAndMend(kind, node, ms);
    outage.until = Date.now();
    this.busy.delete(what);
  }

  private async breakAndMend(kind: FaultKind, node: NodeProcess, ms: number): Promise<void> {
    const { redis } = this.cluster;
    switch (kind) {
      case 'kill':
        await node.kill9();
        await pause(ms);
        return node.start();
      case 'stop':
        await node.stop();
        await pause(ms);
        return node.start();
      case 'pause':
      case 'blink':
        node.freezeAll();
        await pause(ms);
        return node.thawAll();
      case 'stall':
        node.freeze();
        await pause(ms);
        return node.thaw();
      case 'redis-kill':
        await redis?.kill();
        await pause(ms);
        return redis?.start();
      case 'redis-pause':
        redis?.freeze();
        await pause(ms);
        return redis?.thaw();
    }
  }
}
