import type { Party } from '../../device/party';
import { bridgeOf } from '../core/call-state';
import type { Draft } from '../core/draft';
import type { Leg } from '../core/leg';
import type { CallEffect } from '../core/signals';
import { isFree, sendOffer } from './outgoing-offer';

type Carrier = Extract<CallEffect, { type: 'answer' | 'reinvite' }>;

/**
 * Tells each device who is at the other end when that is news to it (connected line, RFC 3325 and the Remote-Party-ID that phones know better): with
 * what goes to it anyway, else in a re-INVITE that changes nothing else.
 */
export function tellDevices(draft: Draft): void {
  const { state, effects } = draft;
  for (const effect of effects)
    if (effect.type === 'start-branch') know(draft.leg(effect.leg), draft.leg(effect.waiter)?.party);
  const seats = bridgeOf(state)?.seats;
  if (seats === undefined) return;
  const legs = [draft.leg(seats.a), draft.leg(seats.b)] as const;
  for (const [leg, other] of [legs, [legs[1], legs[0]]] as const)
    if (leg !== undefined && other !== undefined && isThere(other)) tell(draft, leg, other);
}

/** Who calls is known before there is an answer, who is called after it. */
function isThere({ phase }: Leg): boolean {
  return phase === 'confirmed' || phase === 'offered';
}

function tell(draft: Draft, leg: Leg, other: Leg): void {
  const { kind } = leg.profile;
  if ((kind !== 'station' && kind !== 'gateway') || leg.knows === textOf(other.party)) return;
  const { effects } = draft;
  const at = effects.findLastIndex((effect) => isCarrier(effect) && effect.leg === leg.id);
  const carrier = effects[at];
  if (carrier !== undefined && isCarrier(carrier)) {
    // Of somebody in another network it is only known what was dialled there.
    const isDialled = carrier.type === 'answer' && other.profile.kind === 'gateway';
    if (!isDialled) effects[at] = { ...carrier, connected: other.party };
    return know(leg, other.party);
  }
  // Nobody is disturbed for a name; and what goes out to a provider goes with what is said anyway.
  if (kind === 'gateway' || leg.knows?.split('\n')[0] === other.party.number) return;
  const idle = draft.state.kind === 'established' && draft.bridge?.exchange === undefined && isFree(leg);
  if (!idle || leg.aside !== undefined || leg.localSdp === undefined || leg.knows === undefined) return;
  sendOffer(draft, leg, 'refresh', leg.localSdp);
  tell(draft, leg, other);
}

function isCarrier(effect: CallEffect): effect is Carrier {
  return effect.type === 'answer' || effect.type === 'reinvite';
}

function know(leg: Leg | undefined, party: Party | undefined): void {
  if (leg !== undefined && party !== undefined) leg.knows = textOf(party);
}

function textOf({ number, displayName = '', outside, privacy = '' }: Party): string {
  return [number, displayName, outside === true ? 'outside' : '', privacy].join('\n');
}
