import type { CompositeSet } from '../registration/composite-set';
import { isDevice, NOBODY, type Entry, type TextEntry } from '../registration/entry';
import type { EntrySet } from '../registration/entry-set';
import { deletionReason, type DeletionReason } from '../registration/record';

/** What somebody of this node has changed of our own entries. */
export type LocalChange =
  | { readonly type: 'put'; readonly entry: Entry }
  /** It is nobody's: we may have written it, or only heard of it. */
  | { readonly type: 'common'; readonly entry: TextEntry }
  | { readonly type: 'delete'; readonly key: string; readonly reason: DeletionReason };

/** The tables that replication keeps up: devices in one, all else that nodes say in another. */
export class Tables {
  /** Changes since somebody asked: a million may come at once, and to count each in the metrics costs more than it. */
  private readonly changes = { sent: 0, received: 0 };

  /** `local` hears of every change of our own entries. */
  constructor(
    private readonly node: number,
    private readonly composite: CompositeSet,
    private readonly entries: EntrySet,
    private readonly local: (change: LocalChange) => void,
  ) {
    composite.onChange((change) => {
      const { owner, record } = change;
      if (owner !== node) return;
      this.told(change.type === 'put' ? { type: 'put', entry: record } : deletion(record.key, change.reason));
    });
    entries.onChange(({ owner, key, entry, reason }) => {
      if (owner === NOBODY && entry !== undefined) this.local({ type: 'common', entry });
      if (owner === node) this.told(entry === undefined ? deletion(key, reason) : { type: 'put', entry });
    });
  }

  /** Those that are nobody's, as they stood on our disk. */
  get common(): Iterable<TextEntry> {
    return this.entries.of(NOBODY);
  }

  *own(): IterableIterator<Entry> {
    yield* this.composite.of(this.node);
    yield* this.entries.of(this.node);
  }

  put(owner: number, entry: Entry): void {
    this.changes.received += 1;
    if (isDevice(entry)) this.composite.put(owner, entry);
    else this.entries.put(entry);
  }

  delete(owner: number, key: string, reason: string): void {
    this.changes.received += 1;
    if (this.composite.delete(owner, key, reason) === undefined) this.entries.delete(owner, key, reason);
  }

  /** Drops everything that a node has told; how much that was. */
  purge(owner: number, reason: string): number {
    return this.composite.purge(owner, reason) + this.entries.purge(owner, reason);
  }

  /** Changes sent and received since this was last asked. */
  takeChanges(): { readonly sent: number; readonly received: number } {
    const taken = { ...this.changes };
    this.changes.sent = this.changes.received = 0;
    return taken;
  }

  private told(change: LocalChange): void {
    this.changes.sent += 1;
    this.local(change);
  }
}

function deletion(key: string, reason: unknown): LocalChange {
  return { type: 'delete', key, reason: deletionReason(reason) ?? 'unregistered' };
}
