import type { RegistrationRecord } from './record';

export type RegistrationChange =
  | {
      readonly type: 'put';
      readonly owner: number;
      readonly record: RegistrationRecord;
      readonly previous: RegistrationRecord | undefined;
    }
  | { readonly type: 'delete'; readonly owner: number; readonly record: RegistrationRecord; readonly reason: string };

/**
 * Composite registration information: for each owning node its records by binding key; ours among them.
 * Everything that looks records up (digit analysis, device manager, API) follows `onChange`.
 */
export class CompositeSet {
  private readonly owners = new Map<number, Map<string, RegistrationRecord>>();
  private readonly listeners: ((change: RegistrationChange) => void)[] = [];

  onChange(listener: (change: RegistrationChange) => void): void {
    this.listeners.push(listener);
  }

  get(owner: number, key: string): RegistrationRecord | undefined {
    return this.owners.get(owner)?.get(key);
  }

  put(owner: number, record: RegistrationRecord): void {
    let records = this.owners.get(owner);
    if (records === undefined) {
      records = new Map();
      this.owners.set(owner, records);
    }
    const previous = records.get(record.key);
    records.set(record.key, record);
    this.tell({ type: 'put', owner, record, previous });
  }

  /** `undefined` when there was none. */
  delete(owner: number, key: string, reason: string): RegistrationRecord | undefined {
    const record = this.owners.get(owner)?.get(key);
    if (record === undefined) return undefined;
    this.owners.get(owner)?.delete(key);
    this.tell({ type: 'delete', owner, record, reason });
    return record;
  }

  /** Procedure D: drops everything that one owner has told. */
  purge(owner: number, reason: string): number {
    const records = [...(this.owners.get(owner)?.values() ?? [])];
    for (const record of records) this.delete(owner, record.key, reason);
    this.owners.delete(owner);
    return records.length;
  }

  /** The records of one owner. */
  of(owner: number): IterableIterator<RegistrationRecord> {
    return (this.owners.get(owner) ?? new Map<string, RegistrationRecord>()).values();
  }

  count(owner: number): number {
    return this.owners.get(owner)?.size ?? 0;
  }

  *all(): IterableIterator<{ owner: number; record: RegistrationRecord }> {
    for (const [owner, records] of this.owners) for (const record of records.values()) yield { owner, record };
  }

  /** The owners, other than `except`, that hold a record with this binding key. */
  holders(key: string, except: number): number[] {
    return [...this.owners].filter(([owner, records]) => owner !== except && records.has(key)).map(([owner]) => owner);
  }

  private tell(change: RegistrationChange): void {
    const failures: unknown[] = [];
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        failures.push(error);
      }
    }
    // Everybody is told, whoever fails: the tables that follow must not drift apart.
    if (failures.length > 0) throw new AggregateError(failures, 'a follower of the registrations failed');
  }
}
