import { isSdp, unchanged } from '../../sdp';
import { finalMeaning } from '../../sip-message/final-meaning';
import type { SessionSignal } from '../../sip/user-agent';
import { spokenBy } from '../core/agreed';
import { keptHeaders } from '../core/passed-on';
import type { Leg, OutgoingOffer } from '../core/leg';
import type { Draft } from '../core/draft';
import { dialogOver, endCall } from '../core/ending';
import { legLost } from '../survival/survive';
import { relayAnswered, relayRefused } from '../bridge/exchange';
import { musicAnswered, musicRefused, reconnectMusic } from '../bridge/music';
import { followTheirs, holdsByAnswer, pauseOffers, sendOffer, takeOffer } from './outgoing-offer';
import { allowsInterval, refreshAgainMs } from './session-timer';

/** A node that could not be told of a direction is told again after this. */
const TOLD_AGAIN_MS = 2000;

type Answered = Extract<SessionSignal, { type: 'reinvite-answered' }>;
type Rejected = Omit<Extract<SessionSignal, { type: 'reinvite-rejected' }>, 'type'>;

const nothing = (): undefined => undefined;

/** 200 to our re-INVITE. */
export function offerAnswered(draft: Draft, leg: Leg, { id, sdp: answer, header = nothing }: Answered): void {
  const offer = takeOffer(draft, leg, id);
  if (offer === undefined) return;
  followTheirs(draft, leg, header);
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
    case 'abandoned':
      return abandonedAnswered(draft, leg, offer, answer);
  }
}

function agree(leg: Leg, offer: OutgoingOffer, answer: string | undefined): void {
  leg.localSdp = offer.sdp ?? leg.localSdp;
  leg.remoteSdp = answer ?? leg.remoteSdp;
}

/** An offer of the peer must be answered, whoever it was meant for (RFC 3261 §13.2.2.4). */
function abandonedAnswered(draft: Draft, leg: Leg, offer: OutgoingOffer, sdp: string | undefined): void {
  leg.connection = 'silence';
  if (offer.sdp !== undefined || sdp === undefined || !isSdp(sdp)) return agree(leg, offer, sdp);
  leg.remoteSdp = sdp;
  leg.localSdp = draft.silentAnswer(leg, sdp);
  draft.emit({ type: 'acknowledge', leg: leg.id, sdp: leg.localSdp });
}

function refreshed(draft: Draft, leg: Leg, answer: string | undefined): void {
  if (answer === undefined) return;
  const before = leg.remoteSdp;
  leg.remoteSdp = answer;
  if (before !== undefined && !unchanged(before, answer)) reconnectMusic(draft, leg, spokenBy(leg) ?? answer);
}

/** Our re-INVITE was refused: what that means is `finalMeaning`; unless the dialog is over the session stays as it was. */
export function offerRefused(draft: Draft, leg: Leg, { id, status, reason, header = nothing }: Rejected): void {
  const offer = takeOffer(draft, leg, id);
  if (offer === undefined) return;
  const meaning = finalMeaning('INVITE', status, header);
  if (meaning.type === 'dialog-over')
    return legLost(draft, leg, true) ? undefined : dialogOver(draft, leg, 'INVITE', status);
  if (meaning.type === 'longer-interval' && allowsInterval(leg, meaning.minimum)) {
    return sendOffer(draft, leg, offer.purpose, offer.sdp, offer.hold);
  }
  if (meaning.type === 'glare') pauseOffers(draft, leg);
  if (offer.purpose === 'relay') return relayRefused(draft, leg, { status, reason, headers: keptHeaders(header) });
  if (meaning.type === 'glare') return;
  abandoned(draft, leg, offer, meaning.type === 'refused' ? meaning.afterSeconds : undefined);
}

/** An offer that concerns this leg alone will not be made again. */
function abandoned(draft: Draft, leg: Leg, offer: OutgoingOffer, afterSeconds: number | undefined): void {
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
      leg.refreshDue = false;
      return draft.setTimer(`refresh:${leg.id}`, refreshAgainMs(afterSeconds));
    case 'relay':
    case 'abandoned':
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
