import type { TextEntry } from './entry';
import { ListMap } from './list-map';
import { Told } from './told';

/** `entry` is undefined when it is gone. */
export interface EntryChange {
  readonly owner: number;
  readonly key: string;
  readonly entry: TextEntry | undefined;
  readonly previous: TextEntry | undefined;
  /** Why it is gone. */
  readonly reason?: string;
}

/** What all nodes say besides their devices: for each owner its entries by key; those of `NOBODY` among them. */
export class EntrySet {
  private readonly owners = new Map<number, Map<string, TextEntry>>();
  private readonly keys = new ListMap<TextEntry>();
  private readonly told = new Told<EntryChange>('the entries');

  /** As `CompositeSet.onChange`. */
  onChange(listener: (change: EntryChange) => void): void {
    this.told.follow(listener);
  }

  get(owner: number, key: string): TextEntry | undefined {
    return this.owners.get(owner)?.get(key);
  }

  put(entry: TextEntry): void {
    const { owner, key } = entry;
    const owned = this.owners.get(owner) ?? new Map<string, TextEntry>();
    this.owners.set(owner, owned);
    const previous = owned.get(key);
    if (previous === entry) return;
    owned.set(key, entry);
    if (previous !== undefined) this.keys.remove(key, previous);
    this.keys.add(key, entry);
    this.told.tell({ owner, key, entry, previous });
  }

  /** `undefined` when there was none. */
  delete(owner: number, key: string, reason: string): TextEntry | undefined {
    const owned = this.owners.get(owner);
    const previous = owned?.get(key);
    if (owned === undefined || previous === undefined) return undefined;
    owned.delete(key);
    if (owned.size === 0) this.owners.delete(owner);
    this.keys.remove(key, previous);
    this.told.tell({ owner, key, entry: undefined, previous, reason });
    return previous;
  }

  /** Drops everything that one owner has told. */
  purge(owner: number, reason: string): number {
    const owned = [...(this.owners.get(owner)?.keys() ?? [])];
    for (const key of owned) this.delete(owner, key, reason);
    return owned.length;
  }

  of(owner: number): Iterable<TextEntry> {
    return this.owners.get(owner)?.values() ?? [];
  }

  count(owner: number): number {
    return this.owners.get(owner)?.size ?? 0;
  }

  /** The entries with this key, whoever owns them. */
  withKey(key: string): readonly TextEntry[] {
    return this.keys.get(key);
  }

  *all(): IterableIterator<TextEntry> {
    for (const owned of this.owners.values()) yield* owned.values();
  }
}
