import type { Change } from './messages';
import { MAX_PART_BYTES, MAX_REMEMBERED_CHANGES } from './timing';

/** Consecutive changes; the first has the sequence `first`. */
export interface Batch {
  readonly first: number;
  readonly changes: readonly Change[];
}

interface Remembered extends Batch {
  readonly bytes: number;
}

/**
 * The newest batches that were published: whoever missed a few gets them again instead of a snapshot of everything. What a
 * batch more costs does not depend on how many are remembered.
 */
export class RecentChanges {
  private batches: Remembered[] = [];
  /** Batches before this one are forgotten; they leave the array now and then. */
  private start = 0;
  private remembered = 0;

  add(batch: Batch, bytes: number): void {
    this.batches.push({ ...batch, bytes });
    this.remembered += batch.changes.length;
    for (let oldest = this.batches[this.start]; oldest !== undefined; oldest = this.batches[this.start]) {
      if (this.remembered - oldest.changes.length < MAX_REMEMBERED_CHANGES) break;
      this.remembered -= oldest.changes.length;
      this.start += 1;
    }
    if (this.start > this.batches.length / 2) {
      this.batches = this.batches.slice(this.start);
      this.start = 0;
    }
  }

  /** The changes after this sequence, in parts that fit into a message each; `undefined`: they are forgotten. */
  after(sequence: number): Batch[] | undefined {
    const oldest = this.batches[this.start];
    if (oldest === undefined || oldest.first > sequence + 1) return undefined;
    const parts: { first: number; changes: Change[] }[] = [];
    let bytes = 0;
    for (const batch of this.batches.slice(this.indexOf(sequence + 1))) {
      const last = parts.at(-1);
      bytes += batch.bytes;
      if (last === undefined || bytes > MAX_PART_BYTES) {
        parts.push({ first: batch.first, changes: [...batch.changes] });
        bytes = batch.bytes;
      } else {
        for (const change of batch.changes) last.changes.push(change);
      }
    }
    return parts;
  }

  /** Where the batch is that contains this sequence, or begins after it. */
  private indexOf(sequence: number): number {
    let low = this.start;
    let high = this.batches.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const batch = this.batches[middle];
      if (batch !== undefined && batch.first + batch.changes.length <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
