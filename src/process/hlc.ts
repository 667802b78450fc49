/**
 * Hybrid logical clock. A stamp is a wall-clock reading in ms with a counter, so that stamps of one cluster
 * are totally ordered with the node number as last resort, and never run behind a stamp already heard.
 */
export interface Stamp {
  readonly ms: number;
  readonly counter: number;
  readonly node: number;
}

/** A stamp further ahead of our own time than this is refused (its node's clock is wrong). */
export const MAX_AHEAD_MS = 60_000;

export function compareStamps(a: Stamp, b: Stamp): number {
  return a.ms - b.ms || a.counter - b.counter || a.node - b.node;
}

export class HybridClock {
  private last: Stamp;

  constructor(
    private readonly node: number,
    private readonly now: () => number,
  ) {
    this.last = { ms: 0, counter: 0, node };
  }

  /**
   * A stamp later than every one made or merged before; but when our wall clock was set back so far that nobody would
   * believe such a stamp, the clock begins anew.
   */
  next(): Stamp {
    const now = this.now();
    const ms = this.last.ms > now + MAX_AHEAD_MS ? now : Math.max(now, this.last.ms);
    this.last = { ms, counter: ms === this.last.ms ? this.last.counter + 1 : 0, node: this.node };
    return this.last;
  }

  /** Learns of a stamp of another node. `false`: it is too far ahead, and was not taken. */
  merge(stamp: Stamp): boolean {
    if (stamp.ms > this.now() + MAX_AHEAD_MS) return false;
    if (compareStamps(stamp, this.last) > 0) this.last = { ms: stamp.ms, counter: stamp.counter, node: this.node };
    return true;
  }
}
