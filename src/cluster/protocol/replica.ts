import { compareStamps } from '../../process/hlc';
import { recordHash, RegistrationDigest, type RecordHash } from '../../registration/digest';
import { sameAssignment, type RegistrationRecord } from '../../registration/record';

/** A record with its hash, which is made once. */
interface Entry extends RecordHash {
  readonly record: RegistrationRecord;
  high: number;
  low: number;
  /** The pull that last confirmed this entry. */
  mark: number;
}

/** The entries of one node with their digest, which is kept up in constant time for each change. */
export class Replica {
  private readonly entries = new Map<string, Entry>();
  private readonly sum = new RegistrationDigest();
  private toAudit = this.entries.values();

  get count(): number {
    return this.entries.size;
  }

  get digest(): string {
    return this.sum.value;
  }

  get(key: string): RegistrationRecord | undefined {
    return this.entries.get(key)?.record;
  }

  records(): RegistrationRecord[] {
    return Array.from(this.entries.values(), (entry) => entry.record);
  }

  /** `false` when the same entry stood there already. */
  put(record: RegistrationRecord, mark = 0): boolean {
    const previous = this.entries.get(record.key);
    if (previous !== undefined) {
      if (sameRecord(previous.record, record)) {
        previous.mark = mark;
        return false;
      }
      this.sum.remove(previous);
    }
    const { high, low } = recordHash(record);
    const entry: Entry = { record, mark, high, low };
    this.sum.add(entry);
    this.entries.set(record.key, entry);
    return true;
  }

  delete(key: string): RegistrationRecord | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined) return undefined;
    this.entries.delete(key);
    this.sum.remove(entry);
    return entry.record;
  }

  /** Keys of the entries that the pull `mark` did not confirm; who goes through them may delete them. */
  *unmarked(mark: number): IterableIterator<string> {
    for (const [key, entry] of this.entries) if (entry.mark !== mark) yield key;
  }

  /**
   * Makes the hashes of the next entries anew, all in turn over many calls. An entry that was altered in memory, and not by
   * `put`, shows in the digest from then on.
   */
  audit(entries: number): void {
    for (let audited = 0; audited < entries; audited++) {
      const { value: entry, done } = this.toAudit.next();
      if (done === true) {
        this.toAudit = this.entries.values();
        return;
      }
      const { high, low } = recordHash(entry.record);
      if (high === entry.high && low === entry.low) continue;
      this.sum.remove(entry);
      Object.assign(entry, { high, low });
      this.sum.add(entry);
    }
  }

  clear(): void {
    this.entries.clear();
    this.sum.clear();
  }
}

/** Nothing but the time of registration and its end differs. */
export function isRefresh(a: RegistrationRecord, b: RegistrationRecord): boolean {
  return (
    a.key === b.key &&
    a.kind === b.kind &&
    a.device === b.device &&
    a.instance === b.instance &&
    a.pid === b.pid &&
    a.boot === b.boot &&
    a.contact === b.contact &&
    a.address === b.address &&
    a.lines.length === b.lines.length &&
    a.lines.every((line, index) => line === b.lines[index]) &&
    a.mac === b.mac &&
    sameAssignment(a.assignment, b.assignment)
  );
}

function sameRecord(a: RegistrationRecord, b: RegistrationRecord): boolean {
  return compareStamps(a.stamp, b.stamp) === 0 && a.expiresAt === b.expiresAt && isRefresh(a, b);
}
