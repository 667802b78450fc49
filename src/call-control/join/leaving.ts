import type { SessionSignal } from '../../sip/user-agent';
import { type Leg, moveLeg } from '../core/leg';
import type { Draft } from '../core/draft';
import { endCall, partyOf } from '../core/ending';
import { abandonExchange } from '../bridge/exchange';
import { dropMusic } from '../bridge/music';
import { abandonOffers } from './connect';
import { fixedAnswer } from '../dialog/requests';

/** A leg without a seat: nobody talks to it any more, and it is ended as soon as it knows why. */

/** A phone that does not answer our last NOTIFY is ended all the same. */
const LAST_WORD_MS = 2000;

/** Ends a leg. `lastWord`: id of a request that it is to have before. */
export function leave(draft: Draft, leg: Leg, reason: string, lastWord?: string): void {
  dropMusic(draft, leg);
  if (lastWord === undefined) return endAndRemove(draft, leg, reason);
  leg.leaving = { lastWord, reason };
  draft.setTimer(`leave:${leg.id}`, LAST_WORD_MS);
}

/** Says so to its device, and nothing else. */
export function endLeg(draft: Draft, leg: Leg, reason: string): void {
  if (leg.phase === 'offered') draft.emit({ type: 'reject', leg: leg.id, status: 487, headers: { Reason: reason } });
  else if (leg.phase !== 'over') draft.emit({ type: 'bye', leg: leg.id, reason });
}

function endAndRemove(draft: Draft, leg: Leg, reason: string): void {
  endLeg(draft, leg, reason);
  removed(draft, leg);
}

/** Nothing is left of a leg. The call is over with its last one. */
export function removed(draft: Draft, leg: Leg): void {
  forget(draft, leg);
  if (draft.state.legs.size > 0) return;
  endCall(draft, { by: partyOf(draft, leg), status: 200, reason: 'Transferred' });
}

/** The leg with its timers and its music. */
export function forget(draft: Draft, leg: Leg): void {
  dropMusic(draft, leg);
  for (const kind of ['ack', 'reinvite', 'retry', 'refresh', 'leave'] as const) draft.cancelTimer(`${kind}:${leg.id}`);
  draft.state.legs.delete(leg.id);
}

/** The dialog of a leg is over, and its seat is kept: whoever it held is held until somebody else sits there. `held`: so is who it has not held. */
export function keepSeat(draft: Draft, leg: Leg, held = true): void {
  abandonExchange(draft);
  const other = draft.other(leg);
  if (other !== undefined) abandonOffers(draft, other);
  dropMusic(draft, leg);
  for (const kind of ['ack', 'reinvite', 'retry', 'refresh'] as const) draft.cancelTimer(`${kind}:${leg.id}`);
  leg.incoming = undefined;
  leg.outgoing = undefined;
  moveLeg(leg, 'over');
  leg.holds = held;
}

export function isLeaving({ leaving }: Leg): boolean {
  return leaving !== undefined;
}

export function fromLeaving(draft: Draft, leg: Leg, signal: SessionSignal): void {
  switch (signal.type) {
    case 'ended':
    case 'cancelled':
    case 'rejected':
      return removed(draft, leg);
    case 'request-answered':
      return signal.id === leg.leaving?.lastWord ? endAndRemove(draft, leg, leg.leaving.reason) : undefined;
    case 'reinvited':
      return draft.emit({ type: 'respond', leg: leg.id, id: signal.id, status: 481 });
    case 'requested': {
      const answer = signal.method === 'OPTIONS' ? fixedAnswer(signal.method) : undefined;
      return draft.emit({ type: 'respond', leg: leg.id, id: signal.id, ...(answer ?? { status: 481 }) });
    }
    case 'provisional':
    case 'answered':
    case 'acknowledged':
    case 'reinvite-answered':
    case 'reinvite-rejected':
      return;
  }
}

export function lastWordMissing(draft: Draft, leg: Leg): void {
  if (leg.leaving !== undefined) endAndRemove(draft, leg, leg.leaving.reason);
}
