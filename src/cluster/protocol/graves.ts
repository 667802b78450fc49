import { compareStamps, type Stamp } from '../../process/hlc';
import type { Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';

/** That entries of a key are dead up to a stamp, and why. */
export interface Grave {
  readonly stamp: Stamp;
  readonly reason: DeletionReason;
  /** No binding of the key that is as old could live longer, ms since the epoch: nobody can restore one later. */
  readonly until: number;
}

/** Who keeps the same graves elsewhere. */
export interface GraveListener {
  buried(key: string, grave: Grave): void;
  exhumed(key: string): void;
}

const MAX_GRAVES = 100_000;
/** Graves that are looked at with each of our polls, in turn. */
const PRUNED_AT_ONCE = 400;

/**
 * Entries that are known to be deleted, for as long as any binding of their key that is as old could live: an entry that is older than its own deletion is
 * not believed, whoever brings it up again, with whatever journal. Beyond a hundred thousand the oldest is forgotten.
 */
export class Graves {
  private readonly graves = new Map<string, Grave>();
  private toPrune = this.graves.entries();

  /**
   * `longestLifeMs`: for how long a registration is granted at most. An older one of the same key, at another node or in a journal, may have been
   * granted for longer than the one that was ended.
   */
  constructor(
    private readonly longestLifeMs: number,
    private readonly told?: GraveListener,
  ) {}

  get size(): number {
    return this.graves.size;
  }

  /** The entry as it was is dead. One that does not expire is put back by its owner at will, and has no grave. */
  bury({ key, stamp, expiresAt }: Pick<Entry, 'key' | 'stamp' | 'expiresAt'>, reason: DeletionReason): void {
    if (expiresAt === 0) return;
    const present = this.graves.get(key);
    if (present !== undefined && compareStamps(present.stamp, stamp) >= 0) return;
    this.graves.delete(key);
    const oldest = this.graves.keys().next();
    if (this.graves.size >= MAX_GRAVES && oldest.done !== true) this.forget(oldest.value);
    const grave = { stamp, reason, until: Math.max(expiresAt, stamp.ms + this.longestLifeMs) };
    this.graves.set(key, grave);
    this.told?.buried(key, grave);
  }

  /** The grave of this very entry, or of a newer one of its key. */
  of({ key, stamp }: Pick<Entry, 'key' | 'stamp'>): Grave | undefined {
    const grave = this.graves.get(key);
    return grave === undefined || compareStamps(stamp, grave.stamp) > 0 ? undefined : grave;
  }

  /** The device has registered since. */
  forget(key: string): void {
    if (this.graves.delete(key)) this.told?.exhumed(key);
  }

  all(): IterableIterator<[key: string, grave: Grave]> {
    return this.graves.entries();
  }

  prune(now: number): void {
    for (let pruned = 0; pruned < PRUNED_AT_ONCE; pruned++) {
      const { value, done } = this.toPrune.next();
      if (done === true) {
        this.toPrune = this.graves.entries();
        return;
      }
      const [key, { until }] = value;
      if (until <= now) this.forget(key);
    }
  }
}
