import { holds, isSdp, offeredAgain, unchanged } from '../../sdp';
import type { HeaderReader, ResponseOptions } from '../../sip/user-agent';
import { spokenBy, toldTo } from '../core/agreed';
import { type Exchange, moveExchange, newExchange } from '../bridge/exchange-state';
import { seatOf } from '../core/call-state';
import { caresForItself, type IncomingOffer, type Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { reconnectMusic } from '../bridge/music';
import { awaitAck, followOurs, isOfferPossible, noteToldByAnswer } from './outgoing-offer';
import { completeHandOver } from '../bridge/exchange';
import { answerTimer, isTimerTooShort, MIN_SE } from './session-timer';

export interface OfferRequest {
  readonly id: string;
  readonly method: 'INVITE' | 'UPDATE';
  /** Undefined: we are to make the offer. */
  readonly sdp: string | undefined;
  readonly header: HeaderReader;
}

/** A re-INVITE, or an UPDATE with a description, of the device on a leg (RFC 3261 §14.2, RFC 3264 §8). */
export function receiveOffer(draft: Draft, leg: Leg, request: OfferRequest): void {
  const { id, sdp, method, header } = request;
  if (leg.incoming !== undefined) return refuse(draft, leg, id, 500, retryLater(draft));
  if (!isOfferPossible(draft, leg)) return refuse(draft, leg, id, 491);
  if (isTimerTooShort(header)) return refuse(draft, leg, id, 422, { headers: { 'Min-SE': String(MIN_SE) } });
  if (sdp !== undefined && !isSdp(sdp)) return refuse(draft, leg, id, 488);
  const { bridge } = draft;
  const waiting = bridge?.exchange;
  if (bridge !== undefined) moveExchange(bridge, undefined);
  decide(draft, leg, { id, method, headers: answerTimer(header, draft.state.facts.refreshSeconds) }, sdp);
  if (waiting !== undefined) decideAgain(draft, waiting);
}

function refuse(draft: Draft, leg: Leg, id: string, status: number, options?: ResponseOptions): void {
  draft.emit({ type: 'respond', leg: leg.id, id, status, ...(options === undefined ? {} : { options }) });
}

/**
 * An offer that was to go to a leg when that leg made one of its own. If both kept waiting for each other (each at its own
 * node, after 491) neither would ever be answered: the one that is there goes first.
 */
function decideAgain(draft: Draft, waiting: Exchange): void {
  const { bridge } = draft;
  const from = bridge === undefined ? undefined : draft.seated(bridge, waiting.from);
  const incoming = from?.incoming;
  if (from === undefined || incoming === undefined) return;
  from.incoming = undefined;
  if (bridge?.exchange !== undefined) return refuse(draft, from, incoming.id, 491);
  decide(draft, from, incoming, waiting.offer);
}

/** Answers an offer by ourselves, or has it passed on. Without an offer the device wants to be made one. */
function decide(draft: Draft, leg: Leg, incoming: IncomingOffer, offer: string | undefined): void {
  if (offer === undefined) receiveWish(draft, leg, incoming);
  else receiveDescription(draft, leg, incoming, offer);
}

function receiveDescription(draft: Draft, leg: Leg, incoming: IncomingOffer, offer: string): void {
  const other = draft.other(leg);
  if (leg.localSdp !== undefined && leg.remoteSdp !== undefined && unchanged(leg.remoteSdp, offer)) {
    // A session refresh (RFC 4028 §7.4) concerns nobody else.
    return answerOurselves(draft, leg, incoming, offer, draft.toldAgain(leg, leg.localSdp));
  }
  if (leg.aside !== undefined) {
    leg.aside = { held: holds(offeredAgain(offer, toldTo(leg))) };
    leg.connection = 'silence';
    return answerOurselves(draft, leg, incoming, offer, draft.silentAnswer(leg, offer));
  }
  if (holds(offeredAgain(offer, toldTo(leg)))) {
    if (!leg.holds) draft.state.holdCount += 1;
    leg.holds = true;
    leg.connection = 'silence';
    return answerOurselves(draft, leg, incoming, offer, draft.silentAnswer(leg, offer));
  }
  if (other?.holds === true) {
    // There is nobody to talk to: silence, and music by an offer of our own.
    leg.holds = false;
    leg.connection = 'silence';
    return answerOurselves(draft, leg, incoming, offer, draft.silentAnswer(leg, offer));
  }
  passOn(draft, leg, incoming, offer);
}

/** A re-INVITE without a description: the device wants to be offered something, often because it resumes. */
function receiveWish(draft: Draft, leg: Leg, incoming: IncomingOffer): void {
  const other = draft.other(leg);
  const isAlone = other?.holds === true || leg.aside !== undefined;
  if (!isAlone || leg.localSdp === undefined) return passOn(draft, leg, incoming, undefined);
  if (leg.holds) {
    leg.holds = false;
    leg.connection = 'silence';
  }
  leg.localSdp = draft.toldAgain(leg, leg.localSdp);
  if (caresForItself(leg)) leg.toldHold = holds(leg.localSdp);
  respondWith(draft, leg, incoming, leg.localSdp);
  awaitAck(draft, leg, 'answer');
}

function passOn(draft: Draft, leg: Leg, incoming: IncomingOffer, offer: string | undefined): void {
  const { bridge } = draft;
  if (bridge === undefined) return;
  leg.incoming = incoming;
  if (offer !== undefined) leg.ability = offer;
  moveExchange(bridge, newExchange({ from: seatOf(bridge, leg), requestId: incoming.id, offer }));
}

function answerOurselves(draft: Draft, leg: Leg, incoming: IncomingOffer, offer: string, answer: string): void {
  leg.remoteSdp = offer;
  leg.localSdp = answer;
  noteToldByAnswer(leg, offer, answer);
  respondWith(draft, leg, incoming, answer);
  if (incoming.method === 'INVITE') awaitAck(draft, leg, 'plain');
}

function respondWith(draft: Draft, leg: Leg, { id, headers }: IncomingOffer, sdp: string): void {
  followOurs(draft, leg, headers);
  draft.emit({ type: 'respond', leg: leg.id, id, status: 200, options: { headers, sdp } });
}

/** ACK for a 200 of ours; it brings the answer when the 200 carried our offer. */
export function acknowledged(draft: Draft, leg: Leg, answer: string | undefined): void {
  const awaited = leg.awaitingAck;
  leg.awaitingAck = 'no';
  draft.cancelTimer(`ack:${leg.id}`);
  if (awaited !== 'answer') return;
  const { bridge } = draft;
  const exchange = bridge?.exchange;
  if (bridge !== undefined && exchange?.step === 'handed-over' && exchange.from === seatOf(bridge, leg))
    return completeHandOver(draft, answer);
  if (answer === undefined || !isSdp(answer)) return;
  const before = leg.remoteSdp;
  leg.remoteSdp = answer;
  if (before === undefined || !unchanged(before, answer)) reconnectMusic(draft, leg, spokenBy(leg) ?? answer);
}

/** RFC 3261 §14.2: between 0 and 10 s. */
export function retryLater(draft: Draft): ResponseOptions {
  return { headers: { 'Retry-After': String(Math.floor(draft.moment.random * 11)) } };
}
