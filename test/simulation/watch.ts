import { POLL_INTERVAL_MS } from '../../src/cluster/protocol/timing';
import type { SimulatedNode } from './simulated-node';
import type { World } from './world';

const CHECK_MS = 50;

/**
 * Looks at the tables all the time. A device that is registered with a live node must be in the table of every other live
 * node, and one that is not must not, 2 poll periods and 2 round trips after the last loss: after the latest of the change
 * itself, the last message lost between the two nodes (or corruption), and the last start or awakening of one of them.
 */
export class Watch {
  private stopped = false;
  private readonly told = new Set<string>();
  /** The longest time that an entry was missing, or stood for nothing, after the last loss. */
  longest = 0;

  constructor(
    private readonly world: World,
    private readonly longestDelayMs: number,
  ) {
    this.arm();
  }

  stop(): void {
    this.stopped = true;
  }

  private get bound(): number {
    return 2 * POLL_INTERVAL_MS + 4 * this.longestDelayMs;
  }

  private arm(): void {
    this.world.agenda.after(CHECK_MS, () => {
      if (this.stopped) return;
      const nodes = this.world.running.filter((node) => node.online && !node.paused && !this.hasTwin(node));
      for (const owner of nodes) for (const viewer of nodes) if (owner !== viewer) this.compare(owner, viewer);
      this.arm();
    });
  }

  /** While two processes run with one number, it is not known yet whose entries are the node's. */
  private hasTwin({ number }: SimulatedNode): boolean {
    return this.world.twins.some((twin) => twin.running && twin.number === number);
  }

  private compare(owner: SimulatedNode, viewer: SimulatedNode): void {
    const since = Math.max(this.world.lastLoss(owner.number, viewer.number), owner.disturbedAt, viewer.disturbedAt);
    if (this.world.agenda.now - since <= CHECK_MS) return;
    for (const record of owner.composite.of(owner.number))
      if (viewer.composite.get(owner.number, record.key)?.pid !== record.pid)
        this.judge('missing', record.key, owner, viewer, since);
    for (const { key, body } of owner.lines.entries.of(owner.number))
      if (viewer.lines.entries.get(owner.number, key)?.body !== body) this.judge('missing', key, owner, viewer, since);
    for (const { key } of viewer.lines.entries.of(owner.number))
      if (owner.lines.entries.get(owner.number, key) === undefined)
        this.judge('left behind', key, owner, viewer, since);
    for (const { key } of viewer.composite.of(owner.number))
      if (owner.composite.get(owner.number, key) === undefined) this.judge('left behind', key, owner, viewer, since);
  }

  private judge(wrong: string, key: string, owner: SimulatedNode, viewer: SimulatedNode, lossAt: number): void {
    const duration = this.world.agenda.now - Math.max(lossAt, owner.since.get(key) ?? 0);
    this.longest = Math.max(this.longest, duration);
    const what = `${wrong} for too long: ${key} of node ${owner.number} at node ${viewer.number}`;
    if (duration <= this.bound || this.told.has(what)) return;
    this.told.add(what);
    this.world.complain(`${what}, ${duration} ms after the last loss`);
  }
}
