import { bridgeOf, type CallState } from '../core/call-state';
import type { Leg, LegId } from '../core/leg';
import { isReplaceable } from '../join/replace';

/** The calls of lines that somebody else of the line may go on with, or join; pure. */

export interface CallOfLine {
  readonly leg: LegId;
  readonly number: string;
  readonly device: string;
  /** When it was answered, ms since the epoch. */
  readonly since: number;
}

/** The phones of this node that talk, or hold, in an answered call of these lines. */
export function callsOfLines(
  state: CallState,
  { numbers, held }: { readonly numbers: readonly string[]; readonly held: boolean },
): readonly CallOfLine[] {
  const { answeredAt, facts } = state;
  return phonesOf(state)
    .filter((leg) => numbers.includes(leg.party.number) && leg.holds === held && leg.aside === undefined)
    .map(({ id, party }) => ({
      leg: id,
      number: party.number,
      device: party.device,
      since: answeredAt ?? facts.startedAt,
    }));
}

/** The phones of this node that are connected with somebody in this call, and go on to be. */
export function phonesOf(state: CallState): readonly Leg[] {
  const seats = bridgeOf(state)?.seats;
  if (seats === undefined || state.kind !== 'established' || state.transfer !== undefined) return [];
  const ends = [state.legs.get(seats.a), state.legs.get(seats.b)];
  if (ends.some((leg) => leg?.phase !== 'confirmed')) return [];
  return ends.filter((leg): leg is Leg => leg?.profile.kind === 'station' && isReplaceable(state, leg));
}

/** Who is at the other end of the bridge. */
export function otherEndOf(state: CallState, id: LegId): Leg | undefined {
  const seats = bridgeOf(state)?.seats;
  return seats && state.legs.get(seats.a === id ? seats.b : seats.a);
}
