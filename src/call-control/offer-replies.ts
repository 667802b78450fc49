import { unchanged } from '../sdp';
import type { Leg, OutgoingOffer } from './call-state';
import type { Draft } from './draft';
import { endCall } from './ending';
import { relayAnswered, relayRefused } from './exchange';
import { musicAnswered, musicRefused, reconnectMusic } from './music';
import { holdsByAnswer, pauseOffers, scheduleRefresh, takeOffer } from './outgoing-offer';

/** A node that could not be told of a direction is told again after this. */
const TOLD_AGAIN_MS = 2000;

/** 200 to our re-INVITE. */
export function offerAnswered(draft: Draft, leg: Leg, id: string, answer: string | undefined): void {
  const offer = takeOffer(draft, leg, id);
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

/** Our re-INVITE was refused. After 491 it goes again; otherwise the session stays as it was (RFC 3261 §14.1). */
export function offerRefused(draft: Draft, leg: Leg, id: string, status: number, reason: string): void {
  const offer = takeOffer(draft, leg, id);
  if (offer === undefined) return;
  // The dialog is gone (RFC 3261 §14.1, RFC 5057).
  if (status === 481 || status === 408) {
    return endCall(draft, { by: leg.id === 'a' ? 'caller' : 'callee', status, reason: `${status} to re-INVITE` });
  }
  if (status === 491) pauseOffers(draft, leg);
  if (offer.purpose === 'relay') return relayRefused(draft, leg, status, reason);
  if (status !== 491) abandoned(draft, leg, offer);
}

/** An offer that concerns this leg alone will not be made again. */
function abandoned(draft: Draft, leg: Leg, offer: OutgoingOffer): void {
  switch (offer.purpose) {
    case 'music':
      return musicRefused(draft, leg);
    case 'silence':
      // It will not be silenced; the holder hears nothing all the same.
      leg.connection = 'silence';
      return;
    case 'direction':
      // It does not know yet: perhaps there was no resource for its own part of the path. It is told again.
      leg.blocked = true;
      return draft.setTimer(`retry:${leg.id}`, TOLD_AGAIN_MS);
    case 'refresh':
      return scheduleRefresh(draft, leg);
    case 'relay':
      return;
  }
}

/** No ACK: without the answer that it should have brought there is no session; else the SIP server judges (RFC 3261 §13.3.1.4). */
export function ackMissing(draft: Draft, leg: Leg): void {
  const awaited = leg.awaitingAck;
  leg.awaitingAck = 'no';
  if (awaited !== 'answer') return;
  endCall(draft, { by: 'system', status: 408, reason: 'No ACK' });
}
