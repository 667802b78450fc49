import { compareStamps } from '../process/hlc';
import type { CompositeSet, HeldRecord, RegistrationChange } from '../registration/composite-set';
import { ListMap } from '../registration/list-map';
import type { DeviceKind, RegistrationRecord } from '../registration/record';

/** The records of a composite set by number and by device name; follows the set change by change. */
export class RecordIndex {
  private readonly numbers = new ListMap<HeldRecord>();

  constructor(private readonly set: CompositeSet) {
    for (const held of set.all()) this.add(held, held.record);
    set.onChange((change) => this.follow(change));
  }

  /** Everybody registered for a number. */
  byNumber(number: string): readonly HeldRecord[] {
    return this.set.standing(this.numbers.get(number));
  }

  station(device: string): readonly HeldRecord[] {
    return this.ofKind(device, 'station');
  }

  gateway(device: string): readonly HeldRecord[] {
    return this.ofKind(device, 'gateway');
  }

  *allNumbers(): IterableIterator<[number: string, records: readonly HeldRecord[]]> {
    for (const [number, held] of this.numbers.entries()) yield [number, this.set.standing(held)];
  }

  private ofKind(device: string, kind: DeviceKind): readonly HeldRecord[] {
    return this.set.ofDevice(device).filter(({ record }) => record.kind === kind);
  }

  private follow(change: RegistrationChange): void {
    const { held, record } = change;
    if (change.type === 'delete') return this.remove(held, record);
    const { previous } = change;
    // Nearly every change is a refresh, which leads to the same places.
    if (previous !== undefined && samePlaces(previous, record)) return;
    if (previous !== undefined) this.remove(held, previous);
    this.add(held, record);
  }

  private add(held: HeldRecord, record: RegistrationRecord): void {
    for (const number of numbersOf(record)) this.numbers.add(number, held);
  }

  private remove(held: HeldRecord, record: RegistrationRecord): void {
    for (const number of numbersOf(record)) this.numbers.remove(number, held);
  }
}

function samePlaces(a: RegistrationRecord, b: RegistrationRecord): boolean {
  return (
    a.kind === b.kind &&
    (a.lines === b.lines ||
      (a.lines.length === b.lines.length && a.lines.every((line, index) => line === b.lines[index])))
  );
}

/** Each number once. */
function numbersOf({ kind, lines }: RegistrationRecord): Iterable<string> {
  if (kind !== 'station' && kind !== 'conference') return [];
  return lines.length < 2 ? lines : new Set(lines);
}

/** Newest registration first; of equal stamps a fixed order. */
export function newestFirst(records: readonly HeldRecord[]): HeldRecord[] {
  return [...records].sort(
    (a, b) =>
      compareStamps(b.record.stamp, a.record.stamp) || a.owner - b.owner || (a.record.key < b.record.key ? -1 : 1),
  );
}
