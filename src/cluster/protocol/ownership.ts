import { compareStamps, type Stamp } from '../../process/hlc';
import type { Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';
import type { Context } from './context';
import { POLL_INTERVAL_MS } from './timing';

/** A binding that has moved can come back for this long. */
export const KEPT_MS = 60_000;
const MAX_KEPT = 20_000;
/** When nobody has a newer entry for so long, there is none. */
const ORPHANED_MS = 2 * POLL_INTERVAL_MS;

/** The device has gone by its own will: nothing of an older registration is left. */
const BY_ITS_WILL: ReadonlySet<string> = new Set<DeletionReason>(['unregistered', 'replaced']);

interface Superseded {
  /** Of our own entry. */
  readonly stamp: Stamp;
  /** Since when. */
  at: number;
  /** Since when nobody is known to have a newer one. */
  orphanedAt?: number;
}

/**
 * Own entries whose devices have registered with another node since (procedure B): they are withdrawn. But what we hear is hearsay: the
 * other node may have taken an old request for a new one, and find a moment later that the connection is closed. So the device process
 * keeps the binding until the other's entry has stood for a while. When that goes away before, and not by the device's will,
 * ours is the device's entry again.
 */
export class Ownership {
  /** In the order of their time. */
  private readonly superseded = new Map<string, Superseded>();

  constructor(private readonly context: Context) {}

  /** An own entry was made or refreshed. */
  put(entry: Entry): void {
    this.superseded.delete(entry.key);
    const newer = this.newest(entry.key, entry.stamp);
    if (newer !== undefined) this.withdraw(entry, newer);
  }

  /** Another node has an entry that is to be believed. */
  heard({ key, stamp }: Entry, node: number): void {
    const own = this.context.own.table.get(key);
    if (own !== undefined && compareStamps(stamp, own.stamp) > 0) this.withdraw(own, node);
  }

  /** An entry of another node is gone; `snapshot`: for a reason that was not heard. */
  released(key: string, reason: DeletionReason | 'snapshot'): void {
    const superseded = this.superseded.get(key);
    if (superseded === undefined || this.newest(key, superseded.stamp) !== undefined) return;
    if (BY_ITS_WILL.has(reason)) this.settle(key);
    // It went on to a third node, which we have not heard yet, or will never.
    else if (reason === 'moved') superseded.orphanedAt = this.context.now;
    else this.back(key);
  }

  /** All entries of another node are gone, and not by the will of their devices. */
  purged(): void {
    for (const [key, { stamp }] of this.superseded) if (this.newest(key, stamp) === undefined) this.back(key);
  }

  /** Something becomes of it by and by. */
  get waits(): boolean {
    return this.superseded.size > 0;
  }

  /** While the bus does not work, what happens elsewhere is not heard: nothing is settled. */
  tick(now: number, busAlive: boolean): void {
    if (!busAlive) return;
    for (const [key, { stamp, orphanedAt }] of this.superseded)
      if (
        orphanedAt !== undefined &&
        Math.abs(now - orphanedAt) >= ORPHANED_MS &&
        this.newest(key, stamp) === undefined
      )
        this.back(key);
    for (const [key, { at }] of this.superseded) {
      if (Math.abs(now - at) < KEPT_MS && this.superseded.size <= MAX_KEPT) return;
      this.settle(key);
    }
  }

  /** Our own time or our own bus stood still: what has moved gets its time anew. */
  forgive(now: number): void {
    for (const superseded of this.superseded.values()) superseded.at = now;
  }

  private withdraw({ key, stamp }: Entry, to: number): void {
    this.superseded.delete(key);
    this.superseded.set(key, { stamp, at: this.context.now });
    this.context.emit({ type: 'own-moved', key, to });
  }

  private back(key: string): void {
    this.superseded.delete(key);
    this.context.emit({ type: 'own-back', key });
  }

  private settle(key: string): void {
    this.superseded.delete(key);
    this.context.emit({ type: 'own-settled', key });
  }

  /** The node that holds the newest entry that is to be believed, if that is newer than ours. */
  private newest(key: string, stamp: Stamp): number | undefined {
    let newest: number | undefined;
    let latest = stamp;
    for (const peer of this.context.peers.values()) {
      const entry = peer.get(key);
      if (entry === undefined || peer.disbelieved.has(key) || compareStamps(entry.stamp, latest) <= 0) continue;
      newest = peer.node;
      latest = entry.stamp;
    }
    return newest;
  }
}
