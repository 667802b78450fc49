import { effectiveDirection, holds, unchanged } from '../sdp';
import type { Leg, OfferPurpose, OutgoingOffer } from './call-state';
import type { Draft } from './draft';
import { endCall } from './ending';
import { relayAnswered, relayRefused } from './exchange';
import { musicAnswered, musicRefused, reconnectMusic } from './music';
import { requestTimer } from './session-timer';

/** The SIP server gives up after 32 s; this is for the case that it does not. */
const LAST_RESORT_MS = 40_000;

/** Nothing of ours and nothing of the peer is under way on this leg (RFC 3261 §14.1). */
export function isFree(leg: Leg): boolean {
  return leg.outgoing === undefined && leg.incoming === undefined && leg.awaitingAck === 'no' && !leg.blocked;
}

/** Whether the device may make an offer now; otherwise it crosses one of ours, or of the other leg: 491. */
export function isOfferPossible(draft: Draft, leg: Leg): boolean {
  return leg.outgoing === undefined && leg.awaitingAck !== 'answer' && draft.state.exchange === undefined;
}

/** Our re-INVITE; without `sdp` the device makes the offer. The leg must be free. */
export function sendOffer(
  draft: Draft,
  leg: Leg,
  purpose: OfferPurpose,
  sdp: string | undefined,
  hold?: boolean,
): void {
  const id = draft.requestId();
  leg.outgoing = { id, purpose, sdp, ...(hold === undefined ? {} : { hold }) };
  draft.setTimer(`reinvite:${leg.id}`, LAST_RESORT_MS);
  const headers = requestTimer(draft.state.facts.refreshSeconds);
  draft.emit({ type: 'reinvite', leg: leg.id, id, sdp, headers });
}

export function awaitAck(draft: Draft, leg: Leg, what: 'plain' | 'answer'): void {
  leg.awaitingAck = what;
  draft.setTimer(`ack:${leg.id}`, LAST_RESORT_MS);
}

/** No ACK: without the answer that it should have brought there is no session; else the SIP server judges (RFC 3261 §13.3.1.4). */
export function ackMissing(draft: Draft, leg: Leg): void {
  const awaited = leg.awaitingAck;
  leg.awaitingAck = 'no';
  if (awaited !== 'answer') return;
  endCall(draft, { by: 'system', status: 408, reason: 'No ACK' });
}

/** Whether the device holds, when it has answered our offer. Only an offer to send and to hear lets it show that it does. */
export function holdsByAnswer(before: boolean, offer: string, answer: string): boolean {
  if (!holds(answer)) return false;
  return effectiveDirection(offer) === 'sendrecv' && !holds(offer) ? true : before;
}

/** 200 to our re-INVITE. */
export function offerAnswered(draft: Draft, leg: Leg, id: string, answer: string | undefined): void {
  const offer = taken(draft, leg, id);
  if (offer === undefined) return;
  switch (offer.purpose) {
    case 'relay':
      return relayAnswered(draft, leg, offer, answer);
    case 'music':
      return musicAnswered(draft, leg, offer, answer);
    case 'silence':
      leg.connection = 'silence';
      return agree(leg, offer, answer);
    case 'direction':
      if (offer.hold !== undefined) leg.toldHold = offer.hold;
      if (offer.sdp !== undefined && answer !== undefined) leg.holds = holdsByAnswer(leg.holds, offer.sdp, answer);
      return agree(leg, offer, answer);
    case 'refresh':
      return refreshed(draft, leg, answer);
  }
}

function agree(leg: Leg, offer: OutgoingOffer, answer: string | undefined): void {
  leg.localSdp = offer.sdp ?? leg.localSdp;
  leg.remoteSdp = answer ?? leg.remoteSdp;
}

function refreshed(draft: Draft, leg: Leg, answer: string | undefined): void {
  scheduleRefresh(draft, leg);
  if (answer === undefined) return;
  const before = leg.remoteSdp;
  leg.remoteSdp = answer;
  if (before !== undefined && !unchanged(before, answer)) reconnectMusic(draft, leg, answer);
}

/** We refresh at half the interval by ourselves where the device knows no session timer (RFC 4028 §7.2). */
export function scheduleRefresh(draft: Draft, leg: Leg): void {
  leg.refreshDue = false;
  draft.setTimer(`refresh:${leg.id}`, (draft.state.facts.refreshSeconds * 1000) / 2);
}

/** Our re-INVITE was refused. */
export function offerRefused(draft: Draft, leg: Leg, id: string, status: number, reason: string): void {
  const offer = taken(draft, leg, id);
  if (offer === undefined) return;
  // RFC 3261 §14.1, RFC 5057: the dialog is gone.
  if (status === 481 || status === 408) {
    return endCall(draft, { by: leg.id === 'a' ? 'caller' : 'callee', status, reason: `${status} to re-INVITE` });
  }
  if (status === 491) block(draft, leg);
  switch (offer.purpose) {
    case 'relay':
      return relayRefused(draft, leg, status, reason);
    case 'music':
      if (status !== 491) musicRefused(draft, leg);
      return;
    case 'silence':
      // It will not be silenced; the holder hears nothing all the same.
      if (status !== 491) leg.connection = 'silence';
      return;
    case 'direction':
      if (status !== 491 && offer.hold !== undefined) leg.toldHold = offer.hold;
      return;
    case 'refresh':
      if (status !== 491) scheduleRefresh(draft, leg);
      return;
  }
}

/** The offer that has now been answered; undefined when it is none of ours. */
function taken(draft: Draft, leg: Leg, id: string): OutgoingOffer | undefined {
  const offer = leg.outgoing;
  if (offer?.id !== id) return undefined;
  leg.outgoing = undefined;
  draft.cancelTimer(`reinvite:${leg.id}`);
  return offer;
}

/** RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s after 491, the other 0 to 2 s, in steps of 10 ms. */
function block(draft: Draft, leg: Leg): void {
  const [from, to] = leg.role === 'client' ? [2100, 4000] : [0, 2000];
  leg.blocked = true;
  draft.setTimer(`retry:${leg.id}`, from + Math.round(((to - from) * draft.moment.random) / 10) * 10);
}
