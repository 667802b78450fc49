import { alignAnswer, holds, isSdp } from '../sdp';
import type { Exchange, Leg, OutgoingOffer } from './call-state';
import { type Draft, reasonPhrase } from './draft';
import { awaitAck, holdsByAnswer, isFree, sendOffer } from './outgoing-offer';

/** Sends the offer of one leg to the other, once that is free. */
export function startExchange(draft: Draft): void {
  const { exchange } = draft.state;
  if (exchange?.step !== 'waiting') return;
  const to = draft.leg(exchange.to);
  if (to === undefined || !isFree(to)) return;
  draft.state.exchange = { ...exchange, step: 'offered' };
  sendOffer(draft, to, 'relay', exchange.offer === undefined ? undefined : draft.offerFor(to, exchange.offer));
}

/** 200 to a re-INVITE that was sent for an exchange. */
export function relayAnswered(draft: Draft, leg: Leg, offer: OutgoingOffer, sdp: string | undefined): void {
  const { exchange } = draft.state;
  if (exchange === undefined) return;
  // We had offered to both ends by ourselves; this is the second answer.
  if (exchange.step === 'handed-over') {
    leg.localSdp = offer.sdp;
    return completeHandOver(draft, leg, sdp);
  }
  const from = draft.leg(exchange.from);
  if (from === undefined) return;
  if (exchange.offer === undefined) return handOver(draft, exchange, from, leg, sdp);
  if (sdp === undefined || !isSdp(sdp)) return giveUp(draft, exchange, 488, '');
  leg.localSdp = offer.sdp;
  leg.remoteSdp = sdp;
  leg.holds = holdsByAnswer(leg.holds, exchange.offer, sdp);
  const answer = draft.stamped(from, alignAnswer(sdp, exchange.offer));
  from.remoteSdp = exchange.offer;
  from.localSdp = answer;
  from.holds = false;
  answerWaiting(draft, from, answer, 'plain');
  joined(draft, from, leg);
}

/** The legs talk to each other again. */
function joined(draft: Draft, from: Leg, to: Leg): void {
  for (const leg of [from, to]) leg.connection = 'peer';
  if (to.profile.kind === 'node') to.toldHold = from.holds;
  if (from.profile.kind === 'node') from.toldHold = to.holds;
  draft.state.exchange = undefined;
  draft.state.reconnections = 0;
}

function answerWaiting(draft: Draft, from: Leg, sdp: string, ack: 'plain' | 'answer'): void {
  const { incoming } = from;
  if (incoming === undefined) return;
  from.incoming = undefined;
  const { id, headers, method } = incoming;
  draft.emit({ type: 'respond', leg: from.id, id, status: 200, options: { headers, sdp } });
  if (method === 'INVITE') awaitAck(draft, from, ack);
}

/** The offer of `to` goes to `from`: in our 200, or in a re-INVITE when nobody asked for it. */
function handOver(draft: Draft, exchange: Exchange, from: Leg, to: Leg, sdp: string | undefined): void {
  if (sdp === undefined || !isSdp(sdp)) {
    // A 200 without the offer that it must carry; there is nothing to answer either.
    return giveUp(draft, exchange, 488, '');
  }
  to.remoteSdp = sdp;
  const offer = draft.offerFor(from, sdp);
  draft.state.exchange = { ...exchange, step: 'handed-over' };
  if (exchange.requestId === undefined) return sendOffer(draft, from, 'relay', offer);
  from.localSdp = offer;
  answerWaiting(draft, from, offer, 'answer');
}

/** The answer of `from` goes to `to` in our ACK. Without one `to` is silenced: its offer must be answered (RFC 3261 §13.2.2.4). */
export function completeHandOver(draft: Draft, from: Leg, sdp: string | undefined): void {
  const { exchange } = draft.state;
  const to = exchange === undefined ? undefined : draft.leg(exchange.to);
  const offer = to?.remoteSdp;
  if (to === undefined || offer === undefined) return;
  to.holds = holds(offer);
  if (sdp === undefined || !isSdp(sdp)) return refuseHandOver(draft, to, offer);
  from.remoteSdp = sdp;
  from.holds = holdsByAnswer(from.holds, offer, sdp);
  to.localSdp = draft.stamped(to, alignAnswer(sdp, offer));
  draft.emit({ type: 'acknowledge', leg: to.id, sdp: to.localSdp });
  joined(draft, from, to);
}

function refuseHandOver(draft: Draft, to: Leg, offer: string): void {
  to.localSdp = draft.silentAnswer(to, offer);
  to.connection = 'silence';
  draft.emit({ type: 'acknowledge', leg: to.id, sdp: to.localSdp });
  draft.state.exchange = undefined;
}

/** A re-INVITE that was sent for an exchange was refused. After 491 it goes again; else the session stays as it was. */
export function relayRefused(draft: Draft, leg: Leg, status: number, reason: string): void {
  const { exchange } = draft.state;
  if (exchange === undefined) return;
  if (exchange.step === 'handed-over') {
    const to = draft.leg(exchange.to);
    if (to?.remoteSdp !== undefined) refuseHandOver(draft, to, to.remoteSdp);
    return;
  }
  if (status === 491 && leg.blocked) {
    draft.state.exchange = { ...exchange, step: 'waiting' };
    return;
  }
  giveUp(draft, exchange, status, reason);
}

function giveUp(draft: Draft, exchange: Exchange, status: number, reason: string): void {
  const from = draft.leg(exchange.from);
  draft.state.exchange = undefined;
  if (from?.incoming === undefined) return;
  const { id } = from.incoming;
  from.incoming = undefined;
  // A challenge is for us, not for the other leg; a redirection cannot be followed in a dialog.
  const told = status === 401 || status === 407 || status < 400 ? 488 : status;
  const options = told === status ? reasonPhrase(reason) : {};
  draft.emit({ type: 'respond', leg: from.id, id, status: told, options });
}
