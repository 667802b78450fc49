/** So many of a node are compared: a clock that was set is believed after as many. */
export const OFFSETS_KEPT = 3;

/**
 * How far the clocks of others are ahead of ours, by what they tell of them now and then. A message that took long makes a clock look further
 * behind than it is, so of the last few the one that is furthest ahead is nearest to the truth.
 */
export class ClockOffsets {
  private readonly heardOf = new Map<number, readonly number[]>();

  /** Both in ms since the epoch: what the other clock showed when it was told, what ours showed when that was heard. */
  heard(node: number, theirs: number, ours: number): void {
    this.heardOf.set(node, [...(this.heardOf.get(node) ?? []), theirs - ours].slice(-OFFSETS_KEPT));
  }

  /** In ms; undefined: nothing was heard of it. */
  of(node: number): number | undefined {
    const heard = this.heardOf.get(node);
    return heard === undefined ? undefined : Math.max(...heard);
  }
}
