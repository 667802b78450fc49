import type { Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';
import type { Change } from './messages';
import { type Batch, RecentChanges } from './recent-changes';
import { isRefresh, Replica } from './replica';
import { changeBytes } from './sizes';
import { Snapshot } from './snapshot';
import { MAX_PART_BYTES, MAX_SNAPSHOTS, SNAPSHOT_IDLE_MS } from './timing';

/** A node's local entries as a log: every change has the next sequence, and waits here until its batch goes out. */
export class OwnLog {
  readonly table = new Replica();
  readonly recent = new RecentChanges();
  private readonly snapshots = new Map<number, Snapshot>();
  private pending: Change[] = [];
  private pendingBytes = 0;
  private flushed = 0;

  /** Sequence of the last flushed change. */
  get sequence(): number {
    return this.flushed;
  }

  get waiting(): number {
    return this.pending.length;
  }

  /** The batch is as large as a message may be. */
  get full(): boolean {
    return this.pendingBytes >= MAX_PART_BYTES / 2;
  }

  put(entry: Entry): void {
    const previous = this.table.get(entry.key);
    if (!this.table.put(entry)) return;
    this.append(previous !== undefined && isRefresh(previous, entry) ? restamp(entry) : { op: 'put', entry });
  }

  /** The entry as it was; `undefined` when there was none. */
  delete(key: string, reason: DeletionReason): Entry | undefined {
    const entry = this.table.delete(key);
    if (entry !== undefined) this.append({ op: 'delete', key, reason });
    return entry;
  }

  /** The changes that wait, as a batch. */
  flush(): Batch | undefined {
    if (this.pending.length === 0) return undefined;
    const batch = { first: this.flushed + 1, changes: this.pending };
    this.recent.add(batch, this.pendingBytes);
    this.flushed += this.pending.length;
    this.pending = [];
    this.pendingBytes = 0;
    return batch;
  }

  /** All entries as they are now; the log must be flushed. Nodes that pull at the same sequence share one. */
  takeSnapshot(now: number): Snapshot {
    const present = this.snapshots.get(this.flushed);
    if (present !== undefined) return this.used(present, now);
    if (this.snapshots.size >= MAX_SNAPSHOTS) this.forgetOldest();
    const snapshot = new Snapshot(this.flushed, this.table.digest, this.table.all(), now);
    this.snapshots.set(snapshot.sequence, snapshot);
    return snapshot;
  }

  snapshot(sequence: number, now: number): Snapshot | undefined {
    const snapshot = this.snapshots.get(sequence);
    return snapshot === undefined ? undefined : this.used(snapshot, now);
  }

  forgetIdleSnapshots(now: number): void {
    for (const snapshot of this.snapshots.values())
      if (now - snapshot.usedAt > SNAPSHOT_IDLE_MS) this.snapshots.delete(snapshot.sequence);
  }

  private used(snapshot: Snapshot, now: number): Snapshot {
    snapshot.usedAt = now;
    return snapshot;
  }

  private forgetOldest(): void {
    let oldest: Snapshot | undefined;
    for (const snapshot of this.snapshots.values())
      if (oldest === undefined || snapshot.usedAt < oldest.usedAt) oldest = snapshot;
    if (oldest !== undefined) this.snapshots.delete(oldest.sequence);
  }

  private append(change: Change): void {
    this.pending.push(change);
    this.pendingBytes += changeBytes(change);
  }
}

function restamp({ key, stamp, expiresAt }: Entry): Change {
  return { op: 'stamp', key, stamp, expiresAt };
}
