import type { RegistrationRecord } from '../../registration/record';
import { recordBytes } from './sizes';
import { MAX_PART_BYTES } from './timing';

export interface SnapshotPart {
  readonly records: readonly RegistrationRecord[];
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
    private readonly records: readonly RegistrationRecord[],
    public usedAt: number,
  ) {}

  /** `undefined`: there are not so many parts. An empty snapshot has one part. */
  part(number: number): SnapshotPart | undefined {
    const start = this.startOf(number);
    if (start === undefined) return undefined;
    const end = this.startOf(number + 1) ?? this.records.length;
    return { records: this.records.slice(start, end), last: end === this.records.length };
  }

  private startOf(number: number): number | undefined {
    for (let known = this.starts.length; known <= number; known++) {
      const end = this.endOf(this.starts[known - 1] ?? 0);
      if (end === this.records.length) return undefined;
      this.starts.push(end);
    }
    return this.starts[number];
  }

  /** The end of the part that begins here; it has at least one record when there is one. */
  private endOf(start: number): number {
    let bytes = 0;
    for (let index = start; index < this.records.length; index++) {
      const record = this.records[index];
      if (record === undefined) break;
      bytes += recordBytes(record);
      if (index > start && bytes > MAX_PART_BYTES) return index;
    }
    return this.records.length;
  }
}
