import type { CallState } from '../core/call-state';
import type { LegId } from '../core/leg';

/** Pickup: somebody answers for a phone that rings. Which phones ring, and for whom one is picked up; pure. */

/** A phone of this node that rings. */
export interface RingingPhone {
  readonly leg: LegId;
  /** Its line. */
  readonly number: string;
  /** Ms since the epoch. */
  readonly since: number;
}

/** The phones of a call that ring here: its devices say so, and nobody of this node calls himself. */
export function ringingPhones(state: CallState): readonly RingingPhone[] {
  const { legs, trials, ringing, ringingAt, facts } = state;
  if (ringing === undefined) return [];
  const rings = new Set(trials.filter(({ outcome }) => outcome === 'ringing').map(({ leg }) => leg));
  return [...legs.values()]
    .filter(({ id, phase, profile }) => phase === 'calling' && profile.kind === 'station' && rings.has(id))
    .map(({ id, party }) => ({ leg: id, number: party.number, since: ringingAt ?? facts.startedAt }));
}

/** Who has waited longest; undefined: nobody waits. */
export function longestOf<Waiting extends { readonly ringsMs: number }>(
  calls: readonly Waiting[],
): Waiting | undefined {
  return calls.reduce<Waiting | undefined>(
    (longest, call) => (longest === undefined || call.ringsMs > longest.ringsMs ? call : longest),
    undefined,
  );
}
