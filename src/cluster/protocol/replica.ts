import { compareStamps } from '../../process/hlc';
import { EntryDigest, entryHash, type EntryHash } from '../../registration/digest';
import { isDevice, type Entry } from '../../registration/entry';
import { sameAssignment, type RegistrationRecord } from '../../registration/record';

/** An entry with its hash, which is made once. */
interface Held extends EntryHash {
  readonly entry: Entry;
  high: number;
  low: number;
  /** The pull that last confirmed this entry. */
  mark: number;
}

/** The entries of one node with their digest, which is kept up in constant time for each change. */
export class Replica {
  private readonly entries = new Map<string, Held>();
  private readonly sum = new EntryDigest();
  private toAudit = this.entries.values();

  get count(): number {
    return this.entries.size;
  }

  get digest(): string {
    return this.sum.value;
  }

  get(key: string): Entry | undefined {
    return this.entries.get(key)?.entry;
  }

  all(): Entry[] {
    return Array.from(this.entries.values(), ({ entry }) => entry);
  }

  /** `false` when the same entry stood there already. */
  put(entry: Entry, mark = 0): boolean {
    const previous = this.entries.get(entry.key);
    if (previous !== undefined) {
      if (sameEntry(previous.entry, entry)) {
        previous.mark = mark;
        return false;
      }
      this.sum.remove(previous);
    }
    const { high, low } = entryHash(entry);
    const held: Held = { entry, mark, high, low };
    this.sum.add(held);
    this.entries.set(entry.key, held);
    return true;
  }

  delete(key: string): Entry | undefined {
    const held = this.entries.get(key);
    if (held === undefined) return undefined;
    this.entries.delete(key);
    this.sum.remove(held);
    return held.entry;
  }

  /** Keys of the entries that the pull `mark` did not confirm; who goes through them may delete them. */
  *unmarked(mark: number): IterableIterator<string> {
    for (const [key, held] of this.entries) if (held.mark !== mark) yield key;
  }

  /**
   * Makes the hashes of the next entries anew, all in turn over many calls. An entry that was altered in memory, and not by
   * `put`, shows in the digest from then on.
   */
  audit(entries: number): void {
    for (let audited = 0; audited < entries; audited++) {
      const { value: held, done } = this.toAudit.next();
      if (done === true) {
        this.toAudit = this.entries.values();
        return;
      }
      const { high, low } = entryHash(held.entry);
      if (high === held.high && low === held.low) continue;
      this.sum.remove(held);
      Object.assign(held, { high, low });
      this.sum.add(held);
    }
  }

  clear(): void {
    this.entries.clear();
    this.sum.clear();
  }
}

/** Nothing but the time at which it was made or confirmed, and its end, differs. */
export function isRefresh(a: Entry, b: Entry): boolean {
  if (a.key !== b.key || a.kind !== b.kind || a.boot !== b.boot) return false;
  if (isDevice(a)) return isDevice(b) && isSameDevice(a, b);
  return !isDevice(b) && a.owner === b.owner && a.body === b.body;
}

function isSameDevice(a: RegistrationRecord, b: RegistrationRecord): boolean {
  return (
    a.device === b.device &&
    a.instance === b.instance &&
    a.pid === b.pid &&
    a.contact === b.contact &&
    a.address === b.address &&
    a.lines.length === b.lines.length &&
    a.lines.every((line, index) => line === b.lines[index]) &&
    a.mac === b.mac &&
    sameAssignment(a.assignment, b.assignment)
  );
}

function sameEntry(a: Entry, b: Entry): boolean {
  return compareStamps(a.stamp, b.stamp) === 0 && a.expiresAt === b.expiresAt && isRefresh(a, b);
}
