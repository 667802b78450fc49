import { agreedPart, effectiveDirection, holds } from '../../sdp';
import { seatOf } from '../core/call-state';
import { caresForItself, type Leg, type OfferPurpose, type OutgoingOffer } from '../core/leg';
import type { Draft } from '../core/draft';
import { type AgreedTimer, agreedTimer, refreshAfterMs, requestTimer } from './session-timer';
import type { HeaderReader, Headers } from '../../sip/user-agent';

/** The SIP server gives up after 32 s; this is for the case that it does not. */
const LAST_RESORT_MS = 40_000;

/** Nothing of ours and nothing of the peer is under way on this leg (RFC 3261 §14.1). */
export function isFree(leg: Leg): boolean {
  return (
    leg.phase === 'confirmed' &&
    leg.outgoing === undefined &&
    leg.incoming === undefined &&
    leg.awaitingAck === 'no' &&
    !leg.blocked
  );
}

/** Whether the device may make an offer now; otherwise it crosses one of ours, or waits for its own: 491. */
export function isOfferPossible(draft: Draft, leg: Leg): boolean {
  const { bridge } = draft;
  const exchange = bridge?.exchange;
  // What waits for this leg has not been sent yet.
  const waits = exchange?.step === 'waiting' && bridge !== undefined && exchange.from !== seatOf(bridge, leg);
  // Who waits with its first INVITE can be asked for nothing.
  const begins =
    exchange !== undefined && bridge !== undefined && draft.seated(bridge, exchange.from).phase === 'offered';
  const crosses = exchange !== undefined && (!waits || begins);
  return leg.outgoing === undefined && leg.awaitingAck !== 'answer' && !crosses;
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
  const headers = requestTimer(draft.state.facts.refreshSeconds, leg.minimumInterval);
  draft.emit({ type: 'reinvite', leg: leg.id, id, sdp, headers });
}

/** The offer of ours that has now been answered; undefined when it is none of ours. */
export function takeOffer(draft: Draft, leg: Leg, id: string): OutgoingOffer | undefined {
  const offer = leg.outgoing;
  if (offer?.id !== id) return undefined;
  leg.outgoing = undefined;
  draft.cancelTimer(`reinvite:${leg.id}`);
  return offer;
}

/** RFC 3261 §14.1: the owner of the Call-ID waits 2.1 to 4 s after 491, the other 0 to 2 s, in steps of 10 ms. */
export function pauseOffers(draft: Draft, leg: Leg): void {
  const [from, to] = leg.role === 'client' ? [2100, 4000] : [0, 2000];
  leg.blocked = true;
  draft.setTimer(`retry:${leg.id}`, from + Math.round(((to - from) * draft.moment.random) / 10) * 10);
}

/** Our 200 is on its way; `answer`: it carries our offer. */
export function awaitAck(draft: Draft, leg: Leg, what: 'plain' | 'answer'): void {
  leg.awaitingAck = what;
  draft.setTimer(`ack:${leg.id}`, LAST_RESORT_MS);
}

/** The peer's 2xx to our INVITE or re-INVITE says who keeps the session alive from now on. */
export function followTheirs(draft: Draft, leg: Leg, header: HeaderReader): void {
  leg.timer = agreedTimer(header);
  scheduleRefresh(draft, leg, 'uac');
}

/** The same for a 2xx of ours. */
export function followOurs(draft: Draft, leg: Leg, headers: Headers): void {
  leg.timer = agreedTimer((name) => headers[name === 'session-expires' ? 'Session-Expires' : name]);
  scheduleRefresh(draft, leg, 'uas');
}

/** `role`: ours in the request that was answered last. */
export function scheduleRefresh(draft: Draft, leg: Leg, role: AgreedTimer['refresher']): void {
  leg.refreshDue = false;
  leg.refreshRole = role;
  const ms = refreshAfterMs(leg.timer, role, draft.state.facts.refreshSeconds);
  if (ms === undefined) draft.cancelTimer(`refresh:${leg.id}`);
  else draft.setTimer(`refresh:${leg.id}`, ms);
}

/** Whether the device holds, when it has answered our offer. Only an offer to send and to hear lets it show that it does. */
export function holdsByAnswer(before: boolean, offer: string, answer: string): boolean {
  if (!holds(answer)) return false;
  const accepted = agreedPart(offer, answer);
  return effectiveDirection(accepted) === 'sendrecv' && !holds(accepted) ? true : before;
}

/** The same of an answer of ours: by it a node takes the other end for one that holds, or not, as it would by an offer. */
export function noteToldByAnswer(leg: Leg, offer: string, answer: string): void {
  if (caresForItself(leg)) leg.toldHold = holdsByAnswer(leg.toldHold, offer, answer);
}
