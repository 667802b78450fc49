import type { Deltas } from './protocol/messages';

/** A change that is told later than this after its stamp was not made just now. */
const FRESH_MS = 1_000;

/**
 * How long each change took, in ms, from the stamp that its owner gave it to `now`, when it stands in our tables. What was stamped long
 * before it was told (restored from a journal, or repeated) says nothing of the way that it took.
 */
export function delaysOf({ at, changes }: Deltas, now: number): readonly number[] {
  return changes.flatMap((change) => {
    const stamp = change.op === 'put' ? change.entry.stamp : change.op === 'stamp' ? change.stamp : undefined;
    return stamp === undefined || at.ms - stamp.ms > FRESH_MS ? [] : [Math.max(0, now - stamp.ms)];
  });
}
