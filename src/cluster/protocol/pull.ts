import type { Chunk } from './messages';
import { CHUNK_TIMEOUT_MS, PULL_WINDOW } from './timing';

/** A snapshot is complete, and entries that it does not have stand yet. */
export interface Drop {
  readonly last: Chunk;
  readonly keys: Iterator<string>;
}

/**
 * What was asked of a peer: the changes that were missed, or a snapshot. A snapshot comes in numbered parts, of which
 * several are on their way at a time, else each would cost a round trip; they may come in any order.
 */
export class RunningPull {
  /** Its sequence; known from the first part on. */
  snapshot: number | undefined;
  /** Entries that have come. */
  entries = 0;
  drop: Drop | undefined;
  /** When each part was asked for that has not come. */
  private readonly asked = new Map<number, number>();
  private next = 0;
  private last: number | undefined;

  constructor(
    readonly id: number,
    /** `changes`: the missed ones do, and deltas are applied meanwhile; `snapshot`: deltas are kept until it is complete. */
    public kind: 'changes' | 'snapshot',
  ) {}

  /** The parts to ask for now. Which snapshot it is, and whether there is a second part, is only known from the first. */
  wanted(now: number): number[] {
    const window = this.snapshot === undefined ? 1 : PULL_WINDOW;
    const parts: number[] = [];
    while (this.asked.size < window && (this.last === undefined || this.next <= this.last)) {
      this.asked.set(this.next, now);
      parts.push(this.next);
      this.next += 1;
    }
    return parts;
  }

  /** The parts that have not come in time, to ask for again. */
  overdue(now: number): number[] {
    const parts: number[] = [];
    for (const [part, at] of this.asked) {
      if (now - at < CHUNK_TIMEOUT_MS) continue;
      this.asked.set(part, now);
      parts.push(part);
    }
    return parts;
  }

  /** A part came. `false`: it was not asked for, or has come before. */
  received(part: number, last: boolean): boolean {
    if (!this.asked.delete(part)) return false;
    if (last) {
      this.last = part;
      // What was asked for beyond the end does not come.
      for (const other of this.asked.keys()) if (other > part) this.asked.delete(other);
    }
    return true;
  }

  get complete(): boolean {
    return this.last !== undefined && this.asked.size === 0;
  }

  /** Our clock may have been set back: no wait becomes longer by that. */
  forgive(now: number): void {
    for (const [part, at] of this.asked) this.asked.set(part, Math.min(at, now));
  }
}
