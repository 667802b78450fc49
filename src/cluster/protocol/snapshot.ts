import type { Entry } from '../../registration/entry';
import { entryBytes } from '../../registration/entry-size';
import { MAX_PART_BYTES } from './timing';

export interface SnapshotPart {
  readonly entries: readonly Entry[];
  /** Nothing comes after it. */
  readonly last: boolean;
}

/** A node's local entries as they were at a sequence, in parts that fit into a message each. */
export class Snapshot {
  /** Where each part begins, as far as it was looked at: a snapshot is not measured before somebody asks. */
  private readonly starts = [0];

  constructor(
    /** Sequence of the last change that it contains. */
    readonly sequence: number,
    readonly digest: string,
    private readonly entries: readonly Entry[],
    public usedAt: number,
  ) {}

  /** `undefined`: there are not so many parts. An empty snapshot has one part. */
  part(number: number): SnapshotPart | undefined {
    const start = this.startOf(number);
    if (start === undefined) return undefined;
    const end = this.startOf(number + 1) ?? this.entries.length;
    return { entries: this.entries.slice(start, end), last: end === this.entries.length };
  }

  private startOf(number: number): number | undefined {
    for (let known = this.starts.length; known <= number; known++) {
      const end = this.endOf(this.starts[known - 1] ?? 0);
      if (end === this.entries.length) return undefined;
      this.starts.push(end);
    }
    return this.starts[number];
  }

  /** The end of the part that begins here; it has at least one entry when there is one. */
  private endOf(start: number): number {
    let bytes = 0;
    for (let index = start; index < this.entries.length; index++) {
      const entry = this.entries[index];
      if (entry === undefined) break;
      bytes += entryBytes(entry);
      if (index > start && bytes > MAX_PART_BYTES) return index;
    }
    return this.entries.length;
  }
}
