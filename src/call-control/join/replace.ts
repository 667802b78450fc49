import { formatReason } from '../../sip/reason';
import type { CodecPolicy } from '../../media-control';
import type { Headers } from '../../sip/user-agent';
import { moveExchange, newExchange } from '../bridge/exchange-state';
import { type Bridge, seatOf } from '../core/call-state';
import type { IncomingOffer, Leg, LegId } from '../core/leg';
import { type Draft, ELSEWHERE } from '../core/draft';
import { answerIncoming } from '../dialog/answers';
import { awaitAck, pauseOffers, scheduleRefresh } from '../dialog/outgoing-offer';
import { moveTransfer } from '../features/transfer-state';
import { cancelBranches, noteOutcome } from '../ringing/branches';
import { isParkingSeat, unpark } from '../features/park';
import { anotherBridge } from './another-bridge';
import { connect } from './connect';
import { isLeaving, keepSeat, leave } from './leaving';

/** A leg that comes from another call, or with an INVITE that names a dialog of this one (RFC 3891), and takes the place of a leg. */
export interface Taken {
  readonly leg: Leg;
  /** Whose place it takes. */
  readonly replaces: LegId;
  /** Between it and who will be its other end. */
  readonly codecPolicy: CodecPolicy | undefined;
}

const REPLACED = formatReason(200, 'Replaced');
const NOTHING = formatReason(481, 'Nothing To Replace');

/** Whether a leg can be replaced now. One that has asked for a transfer, or that is leaving, is about to be. */
export function isReplaceable(
  state: { readonly transfer: { readonly by: LegId } | undefined; readonly kind: string },
  leg: Leg | undefined,
): leg is Leg {
  return leg !== undefined && leg.phase !== 'over' && !isLeaving(leg) && state.transfer?.by !== leg.id;
}

/** The leg is one of this call from here on. Should there be nothing to be replaced any more, it is ended. */
export function take(draft: Draft, { leg: given, replaces, codecPolicy }: Taken): void {
  const leg = { ...given };
  draft.state.legs.set(leg.id, leg);
  takeTimers(draft, leg);
  const old = draft.leg(replaces);
  if (old !== undefined && isParkingSeat(draft.state, old.id)) {
    unpark(draft);
    return replaceLeg(draft, old, leg, codecPolicy);
  }
  if (!isReplaceable(draft.state, old)) return leave(draft, leg, NOTHING);
  if (old.phase === 'calling') return pickUp(draft, old, leg, codecPolicy);
  if (draft.state.kind === 'setup') {
    if (draft.waiter.id === old.id && leg.incoming === undefined) return waitInstead(draft, old, leg);
    return leave(draft, leg, NOTHING);
  }
  replaceLeg(draft, old, leg, codecPolicy);
}

/** What was set for the leg in the call that it comes from. */
function takeTimers(draft: Draft, leg: Leg): void {
  if (leg.phase !== 'confirmed') return;
  scheduleRefresh(draft, leg, leg.refreshRole);
  if (leg.awaitingAck !== 'no') awaitAck(draft, leg, leg.awaitingAck);
  if (leg.blocked) pauseOffers(draft, leg);
}

/** The new leg takes the seat; the old one is ended. */
function replaceLeg(draft: Draft, old: Leg, leg: Leg, codecPolicy: CodecPolicy | undefined): void {
  const before = draft.bridge;
  if (before === undefined) return leave(draft, leg, REPLACED);
  const seat = seatOf(before, old);
  const seats = seat === 'a' ? { a: leg.id, b: before.seats.b } : { a: before.seats.a, b: leg.id };
  const bridge = anotherBridge(draft, seats, codecPolicy);
  connect(draft, bridge);
  leave(draft, old, REPLACED);
  if (draft.state.ringing?.waiter === old.id) waits(draft, old, leg);
  if (leg.incoming !== undefined)
    moveExchange(bridge, newExchange({ from: seat, requestId: leg.incoming.id, offer: leg.remoteSdp }));
}

/** Who is rung is rung for another leg. */
function waits(draft: Draft, old: Leg, leg: Leg): void {
  const { state, ringing } = draft;
  state.ringing = { ...ringing, waiter: leg.id, offer: undefined };
  for (const [id, bridge] of state.bridges)
    if (bridge.id !== state.bridge && bridge.seats.a === old.id)
      state.bridges.set(id, { ...bridge, seats: { a: leg.id, b: bridge.seats.b } });
}

/**
 * Whoever is rung is rung for a leg that has been in a call already (semi-attended transfer): nobody is rung twice. Until there is an answer it hears
 * music, as if the one that it replaces held it; in vain, that one's number is rung.
 */
function waitInstead(draft: Draft, old: Leg, leg: Leg): void {
  const { state } = draft;
  waits(draft, old, leg);
  draft.emit({ type: 'reject', leg: old.id, status: 487, headers: { Reason: REPLACED } });
  keepSeat(draft, old);
  state.kind = 'established';
  connect(draft, anotherBridge(draft, { a: old.id, b: leg.id }, undefined));
  const transfer = { by: old.id, subscription: undefined, told: [] } as const;
  moveTransfer(state, { ...transfer, step: 'asked' });
  moveTransfer(state, { ...transfer, step: 'ringing' });
}

/** Id of the INVITE of a leg that waits for its answer as a re-INVITE would. */
const INITIAL = 'initial';

/** The INVITE of a leg, to be answered by an exchange. */
export function initialOffer(headers: Headers): IncomingOffer {
  return { id: INITIAL, method: 'INVITE', headers, initial: true };
}

/** The leg answers for one that rings (RFC 3891 §3: an early dialog). */
function pickUp(draft: Draft, old: Leg, leg: Leg, codecPolicy: CodecPolicy | undefined): void {
  const { state, waiter } = draft;
  const { offer } = draft.ringing;
  const asks = waiter.phase === 'offered';
  // Two that are both to be offered something have nothing to say to each other.
  if (asks && offer === undefined && leg.remoteSdp === undefined)
    return leave(draft, leg, formatReason(488, 'No Offer'));
  noteOutcome(draft, old.id, 'picked up');
  cancelBranches(draft, formatReason(200, ELSEWHERE));
  state.ringing = undefined;
  if (asks) {
    state.kind = 'established';
    state.answeredAt = draft.moment.now;
    waiter.incoming = initialOffer(state.facts.timerHeaders);
  }
  const bridge = anotherBridge(draft, { a: waiter.id, b: leg.id }, codecPolicy);
  connect(draft, bridge);
  // What it was told in an 18x is its answer (RFC 3261 §13.2.1).
  if (asks && waiter.localSdp !== undefined) answerIncoming(draft, waiter, waiter.localSdp, 'plain');
  beginBetween(draft, bridge, asks ? offer : undefined);
}

/** Both have sent an INVITE, or one is in a dialog: whose offer goes to whom. */
function beginBetween(draft: Draft, bridge: Bridge, offer: string | undefined): void {
  const [waiter, leg] = draft.ends(bridge);
  const asked = { requestId: INITIAL, offer: undefined };
  if (waiter.incoming !== undefined && leg.incoming !== undefined && leg.remoteSdp === undefined)
    return moveExchange(bridge, { ...newExchange({ from: 'b', ...asked }), step: 'received' });
  if (waiter.incoming !== undefined) {
    // Two offers: one of them is answered without sound, and then offered the other one.
    if (leg.remoteSdp !== undefined) answerIncoming(draft, leg, silentAnswer(draft, leg, leg.remoteSdp), 'plain');
    return moveExchange(bridge, newExchange({ from: 'a', requestId: INITIAL, offer }));
  }
  if (leg.incoming !== undefined)
    moveExchange(bridge, newExchange({ from: 'b', requestId: INITIAL, offer: leg.remoteSdp }));
}

function silentAnswer(draft: Draft, leg: Leg, offer: string): string {
  leg.connection = 'silence';
  leg.localSdp = draft.silentAnswer(leg, offer);
  return leg.localSdp;
}
