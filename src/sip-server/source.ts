import { sourcePrefix } from '../process/address';

/**
 * Whose share an address counts for: an IPv4 address (also one that is written in IPv6) is one source, and all of an IPv6
 * /64 is: whoever has one address of it has them all.
 */
export const sourceOf = sourcePrefix;

/** How much each source holds: one thing counts once, for the source that it was taken for. */
export class ShareCount {
  private readonly holders = new Map<object, string>();
  private readonly counts = new Map<string, number>();

  of(source: string): number {
    return this.counts.get(source) ?? 0;
  }

  take(holder: object, source: string): void {
    this.release(holder);
    this.holders.set(holder, source);
    this.counts.set(source, this.of(source) + 1);
  }

  release(holder: object): void {
    const source = this.holders.get(holder);
    if (source === undefined) return;
    this.holders.delete(holder);
    const left = this.of(source) - 1;
    if (left > 0) this.counts.set(source, left);
    else this.counts.delete(source);
  }
}
