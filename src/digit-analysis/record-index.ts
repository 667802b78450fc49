import { compareStamps } from '../process/hlc';
import type { CompositeSet } from '../registration/composite-set';
import type { RegistrationRecord } from '../registration/record';

/** A record, and the node that told it. */
export interface HeldRecord {
  readonly owner: number;
  readonly record: RegistrationRecord;
}

const NONE: readonly HeldRecord[] = [];

/** The records of a composite set by number and by device name; follows the set change by change. */
export class RecordIndex {
  private readonly numbers = new Map<string, HeldRecord[]>();
  private readonly stations = new Map<string, HeldRecord[]>();
  private readonly gateways = new Map<string, HeldRecord[]>();

  constructor(set: CompositeSet) {
    for (const held of set.all()) this.add(held);
    set.onChange((change) => {
      const { owner, record } = change;
      if (change.type === 'delete') this.remove({ owner, record });
      else this.replace({ owner, record }, change.previous);
    });
  }

  /** Everybody registered for a number. */
  byNumber(number: string): readonly HeldRecord[] {
    return this.numbers.get(number) ?? NONE;
  }

  station(device: string): readonly HeldRecord[] {
    return this.stations.get(device) ?? NONE;
  }

  gateway(device: string): readonly HeldRecord[] {
    return this.gateways.get(device) ?? NONE;
  }

  *allNumbers(): IterableIterator<[number: string, records: readonly HeldRecord[]]> {
    yield* this.numbers;
  }

  private replace(held: HeldRecord, previous: RegistrationRecord | undefined): void {
    if (previous !== undefined) this.remove({ owner: held.owner, record: previous });
    this.add(held);
  }

  private add(held: HeldRecord): void {
    for (const [map, key] of this.placesOf(held.record)) {
      const records = map.get(key);
      if (records === undefined) map.set(key, [held]);
      else records.push(held);
    }
  }

  private remove({ owner, record }: HeldRecord): void {
    for (const [map, key] of this.placesOf(record)) {
      const records = map.get(key);
      const at = records?.findIndex((held) => held.owner === owner && held.record.key === record.key) ?? -1;
      if (records === undefined || at < 0) continue;
      if (records.length === 1) map.delete(key);
      else records.splice(at, 1);
    }
  }

  private placesOf(record: RegistrationRecord): [Map<string, HeldRecord[]>, string][] {
    if (record.kind === 'media-resource') return [];
    if (record.kind === 'gateway') return [[this.gateways, record.device]];
    const lines = new Set(record.lines);
    return [
      [this.stations, record.device],
      ...Array.from(lines, (line): [Map<string, HeldRecord[]>, string] => [this.numbers, line]),
    ];
  }
}

/** Newest registration first; of equal stamps a fixed order. */
export function newestFirst(records: readonly HeldRecord[]): HeldRecord[] {
  return [...records].sort((a, b) => compareStamps(b.record.stamp, a.record.stamp) || a.owner - b.owner);
}
