import { ListMap } from './list-map';
import type { DeviceKind, RegistrationRecord } from './record';
import { Told } from './told';

/** A record, and the node that told it. The same object as long as the binding is there: a refresh changes its record. */
export interface HeldRecord {
  readonly owner: number;
  readonly record: RegistrationRecord;
}

export type RegistrationChange =
  | {
      readonly type: 'put';
      readonly owner: number;
      readonly record: RegistrationRecord;
      readonly previous: RegistrationRecord | undefined;
      readonly held: HeldRecord;
    }
  | {
      readonly type: 'delete';
      readonly owner: number;
      readonly record: RegistrationRecord;
      readonly reason: string;
      readonly held: HeldRecord;
    };

/** A few milliseconds of work. */
const PURGED_AT_ONCE = 2_000;

interface Held {
  readonly owner: number;
  record: RegistrationRecord;
}

/** What one node has told. */
class OwnedRecords {
  readonly byKey = new Map<string, Held>();
  private readonly kinds: Record<DeviceKind, number> = { station: 0, gateway: 0, 'media-resource': 0, conference: 0 };

  counted(kind: DeviceKind, by: 1 | -1): void {
    this.kinds[kind] += by;
  }

  countOf(kind: DeviceKind): number {
    return this.kinds[kind];
  }
}

/**
 * Composite registration information: for each owning node its records by binding key; ours among them.
 * Everything that looks records up (digit analysis, device manager, API) follows `onChange`.
 */
export class CompositeSet {
  private readonly owners = new Map<number, OwnedRecords>();
  private readonly devices = new ListMap<HeldRecord>();
  /** Purges of which not everybody has been told yet. */
  private purging = 0;
  private readonly told = new Told<RegistrationChange>('the registrations');

  /** Everybody is told every change, in the same order: what a follower changes itself is told when all have been told of what it follows. */
  onChange(listener: (change: RegistrationChange) => void): void {
    this.told.follow(listener);
  }

  get(owner: number, key: string): RegistrationRecord | undefined {
    return this.owners.get(owner)?.byKey.get(key)?.record;
  }

  put(owner: number, record: RegistrationRecord): void {
    let owned = this.owners.get(owner);
    if (owned === undefined) {
      owned = new OwnedRecords();
      this.owners.set(owner, owned);
    }
    const present = owned.byKey.get(record.key);
    const held = present ?? { owner, record };
    const previous = present?.record;
    held.record = record;
    if (previous === undefined) owned.byKey.set(record.key, held);
    if (previous?.device !== record.device) {
      if (previous !== undefined) this.devices.remove(previous.device, held);
      this.devices.add(record.device, held);
    }
    if (previous?.kind !== record.kind) {
      if (previous !== undefined) owned.counted(previous.kind, -1);
      owned.counted(record.kind, 1);
    }
    this.told.tell({ type: 'put', owner, record, previous, held });
  }

  /** `undefined` when there was none. */
  delete(owner: number, key: string, reason: string): RegistrationRecord | undefined {
    const owned = this.owners.get(owner);
    const held = owned?.byKey.get(key);
    if (owned === undefined || held === undefined) return undefined;
    const { record } = held;
    owned.byKey.delete(key);
    owned.counted(record.kind, -1);
    this.devices.remove(record.device, held);
    this.told.tell({ type: 'delete', owner, record, reason, held });
    return record;
  }

  /**
   * Procedure D: drops everything that one owner has told. From now on nothing of it is found; who follows the changes
   * is told of many in several turns of the event loop, so that polls and calls do not wait for it.
   */
  purge(owner: number, reason: string): number {
    const owned = this.owners.get(owner);
    if (owned === undefined) return 0;
    const entries = owned.byKey.size;
    this.owners.delete(owner);
    this.purging += 1;
    this.drop([...owned.byKey.values()], 0, reason);
    return entries;
  }

  /** Those that have not been purged a moment ago. */
  standing(records: readonly HeldRecord[]): readonly HeldRecord[] {
    if (this.purging === 0) return records;
    return records.filter((held) => this.owners.get(held.owner)?.byKey.get(held.record.key) === held);
  }

  /** The records of one owner. */
  *of(owner: number): IterableIterator<RegistrationRecord> {
    for (const held of this.owners.get(owner)?.byKey.values() ?? []) yield held.record;
  }

  /** How many records an owner has, of one kind or of all; takes the same time however many there are. */
  count(owner: number, kind?: DeviceKind): number {
    const owned = this.owners.get(owner);
    return (kind === undefined ? owned?.byKey.size : owned?.countOf(kind)) ?? 0;
  }

  /** The same for all owners together. */
  countAll(kind: DeviceKind): number {
    let all = 0;
    for (const owned of this.owners.values()) all += owned.countOf(kind);
    return all;
  }

  /** The records of a device, whoever owns them. */
  ofDevice(device: string): readonly HeldRecord[] {
    return this.standing(this.devices.get(device));
  }

  *all(): IterableIterator<HeldRecord> {
    for (const owned of this.owners.values()) yield* owned.byKey.values();
  }

  /** The owners, other than `except`, that hold a record with this binding key. */
  holders(key: string, except: number): number[] {
    const holders: number[] = [];
    for (const [owner, { byKey }] of this.owners) if (owner !== except && byKey.has(key)) holders.push(owner);
    return holders;
  }

  private drop(purged: readonly Held[], from: number, reason: string): void {
    const end = Math.min(purged.length, from + PURGED_AT_ONCE);
    if (end < purged.length) setImmediate(() => this.drop(purged, end, reason));
    else this.purging -= 1;
    const failures: unknown[] = [];
    for (const held of purged.slice(from, end)) {
      const { owner, record } = held;
      this.devices.remove(record.device, held);
      try {
        this.told.tell({ type: 'delete', owner, record, reason, held });
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw new AggregateError(failures, 'followers of the registrations failed');
  }
}
