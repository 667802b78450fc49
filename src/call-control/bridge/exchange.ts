import { alignAnswer, hasSameTransport, holds, isSdp, offeredAgain } from '../../sdp';
import { formatReason } from '../../sip/reason';
import { statusAcross } from '../../sip/status';
import type { Headers } from '../../sip/user-agent';
import type { ResourceReply } from '../../media-resource/ports';
import { caresForItself, type Exchange, type Leg, type OutgoingOffer } from '../core/call-state';
import { toldTo } from '../core/agreed';
import { type Draft, reasonPhrase } from '../core/draft';
import { awaitAck, followOurs, holdsByAnswer, isFree, noteToldByAnswer, sendOffer } from '../dialog/outgoing-offer';
import type { PathNeed } from './path';
import { needAfterRefusedOffer, needOfOffer, offerThrough, withinPolicy, termsOf } from './path-need';
import { askPath, dropPath, fromResource, losePath, requirePath, sideOf } from './path-resource';

const ABOUT = { type: 'exchange' } as const;

/** The legs of an exchange, while they are there. */
function legsOf(draft: Draft, { from, to }: Exchange): { from: Leg; to: Leg; callee: Leg } | undefined {
  const legs = { from: draft.leg(from), to: draft.leg(to), callee: draft.callee };
  if (legs.from === undefined || legs.to === undefined || legs.callee === undefined) return undefined;
  return { from: legs.from, to: legs.to, callee: legs.callee };
}

function step(draft: Draft, exchange: Exchange, change: Partial<Exchange>): void {
  draft.state.exchange = { ...exchange, ...change };
}

/** Takes the next step of an exchange that waits for a leg or for the media path. */
export function continueExchange(draft: Draft): void {
  const { exchange } = draft.state;
  if (exchange?.step === 'waiting') begin(draft, exchange);
  else if (exchange?.step === 'received') passBack(draft, exchange);
}

/** Sends the offer of one leg to the other, once that is free. */
function begin(draft: Draft, exchange: Exchange): void {
  const legs = legsOf(draft, exchange);
  if (legs === undefined || !isFree(legs.to)) return;
  const { from, to, callee } = legs;
  const { offer } = exchange;
  if (offer === undefined) return beginWithoutOffer(draft, exchange, from, to, callee);
  const need = exchange.forced === 'direct' ? undefined : neededFor(draft, exchange, from, to, offer);
  if (need === undefined) {
    step(draft, exchange, { step: 'offered', via: 'direct' });
    return sendOffer(draft, to, 'relay', draft.offerFor(to, withinPolicy(from, to, offer)));
  }
  if (!isJoined(draft, callee, need)) return;
  step(draft, exchange, { step: 'translating', via: 'resource' });
  askForOffer(draft, callee, from, to, offer, currentNeed(callee) ?? need);
}

/** The resource in the path makes an offer for one leg, of the other's. */
function askForOffer(draft: Draft, callee: Leg, from: Leg, to: Leg, offer: string, need: PathNeed): void {
  const sdp = offerThrough(from, to, offer, need);
  askPath(draft, callee, ABOUT, { op: 'offer', to: sideOf(to), sdp, terms: termsOf(to, from, need) });
}

function neededFor(draft: Draft, exchange: Exchange, from: Leg, to: Leg, offer: string): PathNeed | undefined {
  const need = needOfOffer(draft, from, to, offer);
  if (exchange.forced !== 'resource' || draft.callee === undefined) return need;
  return currentNeed(draft.callee) ?? need;
}

function currentNeed({ path }: Leg): PathNeed | undefined {
  return path.step === 'direct' ? undefined : path.need;
}

/** `to` is to make the offer; for one that cannot, the resource in the path makes it. */
function beginWithoutOffer(draft: Draft, exchange: Exchange, from: Leg, to: Leg, callee: Leg): void {
  const cannot = to.profile.delayedOffer === false;
  const why = `${to.device} takes no call without an offer`;
  const need =
    currentNeed(callee) ?? (cannot ? { type: 'mtp' as const, why, optional: false, refusals: 0 } : undefined);
  if (need !== undefined && !isJoined(draft, callee, need)) return;
  if (!cannot || need === undefined) {
    step(draft, exchange, { step: 'offered' });
    return sendOffer(draft, to, 'relay', undefined);
  }
  const terms = termsOf(to, from, { ...need, ownOffer: true });
  step(draft, exchange, { step: 'translating', via: 'resource', ownOffer: true });
  askPath(draft, callee, ABOUT, { op: 'offer', to: sideOf(to), terms });
}

/** Whether a resource for this need is in the path; otherwise it is asked for. */
function isJoined(draft: Draft, callee: Leg, need: PathNeed): boolean {
  const { path } = callee;
  switch (path.step) {
    case 'joined':
      // A transcoder does what a media termination point does, and not the other way round.
      if (path.need.type === need.type || path.need.type === 'transcoder') return true;
      dropPath(draft, callee);
      requirePath(draft, callee, need, 'nothing');
      return false;
    case 'direct':
      requirePath(draft, callee, need, 'direct');
      return false;
    case 'lost':
      requirePath(draft, callee, need, 'nothing');
      return false;
    case 'allocating':
      return false;
  }
}

/** 200 to a re-INVITE that was sent for an exchange. */
export function relayAnswered(draft: Draft, leg: Leg, sent: OutgoingOffer, sdp: string | undefined): void {
  const { exchange } = draft.state;
  const legs = exchange === undefined ? undefined : legsOf(draft, exchange);
  if (exchange === undefined || legs === undefined) return;
  // We had offered to both ends by ourselves; this is the second answer.
  if (exchange.step === 'handed-over') {
    leg.localSdp = sent.sdp;
    return completeHandOver(draft, leg, sdp);
  }
  if (sdp === undefined || !isSdp(sdp)) return giveUp(draft, exchange, 488);
  if (sent.sdp === undefined) {
    leg.remoteSdp = sdp;
    leg.ability = sdp;
    step(draft, exchange, { step: 'received' });
    return continueExchange(draft);
  }
  leg.localSdp = sent.sdp;
  leg.remoteSdp = sdp;
  leg.holds = holdsByAnswer(leg.holds, sent.sdp, sdp);
  if (exchange.via === 'direct') return answerFrom(draft, exchange, legs.from, leg, withinPolicy(leg, legs.from, sdp));
  step(draft, exchange, { step: 'answering' });
  const asked = askPath(draft, legs.callee, ABOUT, { op: 'connect', from: sideOf(leg), answer: sdp });
  if (!asked) resourceFailed(draft, { ok: false, reason: 'down' });
}

/** The answer of `to`, or what the resource made of it, goes to `from`. */
function answerFrom(draft: Draft, exchange: Exchange, from: Leg, to: Leg, sdp: string): void {
  const { offer } = exchange;
  if (offer === undefined) return;
  if (from.incoming === undefined && from.unsettled) return settled(draft, exchange, from, to, sdp);
  const answer = draft.stamped(from, inPlaces(exchange, from, offer, sdp));
  from.remoteSdp = offer;
  from.localSdp = answer;
  from.holds = false;
  answerWaiting(draft, from, answer, 'plain');
  joined(draft, exchange, from, to);
}

/** An answer with the `m=` lines of the offer of this leg. */
function inPlaces({ via }: Exchange, offerer: Leg, offer: string, answer: string): string {
  return via === 'resource' ? fromResource(offerer, offer, answer) : alignAnswer(answer, offer);
}

/** The caller has taken what the callee had answered. If it speaks from another place now, the callee must hear of it after all. */
function settled(draft: Draft, exchange: Exchange, callee: Leg, caller: Leg, sdp: string): void {
  const known = toldTo(callee);
  joined(draft, exchange, callee, caller);
  if (known === undefined || !hasSameTransport(known, sdp)) leaveApart(draft);
}

/** They are brought together anew, by an offer of the callee. */
function leaveApart(draft: Draft): void {
  for (const leg of [draft.caller, draft.callee]) if (leg !== undefined) leg.connection = 'silence';
}

/** The legs talk to each other again. */
function joined(draft: Draft, exchange: Exchange, from: Leg, to: Leg): void {
  for (const leg of [from, to]) leg.connection = 'peer';
  if (caresForItself(to)) to.toldHold = from.holds;
  if (caresForItself(from)) from.toldHold = to.holds;
  draft.state.exchange = undefined;
  draft.state.reconnections = 0;
  if (draft.state.reconnectionPaused) draft.cancelTimer('reconnect');
  draft.state.reconnectionPaused = false;
  const { callee } = draft;
  if (callee === undefined) return;
  callee.unsettled = false;
  if (exchange.via === 'direct') {
    if (callee.path.step !== 'direct') dropPath(draft, callee);
    return;
  }
  if (callee.path.step === 'joined') callee.path = { ...callee.path, used: true };
  callee.losses = 0;
}

function answerWaiting(draft: Draft, from: Leg, sdp: string, ack: 'plain' | 'answer'): void {
  const { incoming } = from;
  if (incoming === undefined) return;
  from.incoming = undefined;
  const { id, headers, method } = incoming;
  draft.emit({ type: 'respond', leg: from.id, id, status: 200, options: { headers, sdp } });
  followOurs(draft, from, headers);
  if (method === 'INVITE') awaitAck(draft, from, ack);
}

/** The offer of `to` is on its way to `from`, directly or through a resource. */
function passBack(draft: Draft, exchange: Exchange): void {
  const legs = legsOf(draft, exchange);
  const offer = legs?.to.remoteSdp;
  if (legs === undefined || offer === undefined) return;
  const { from, to, callee } = legs;
  const need = exchange.forced === 'direct' ? undefined : needOfOffer(draft, to, from, offer);
  if (need === undefined) {
    step(draft, exchange, { via: 'direct' });
    return handOver(draft, from, withinPolicy(to, from, offer));
  }
  if (!isJoined(draft, callee, need)) return;
  step(draft, exchange, { step: 'handing', via: 'resource' });
  askForOffer(draft, callee, to, from, offer, currentNeed(callee) ?? need);
}

/** In our 200, or in a re-INVITE when nobody asked for it. */
function handOver(draft: Draft, from: Leg, sdp: string): void {
  const { exchange } = draft.state;
  if (exchange === undefined) return;
  const offer = draft.offerFor(from, sdp);
  step(draft, exchange, { step: 'handed-over' });
  if (exchange.requestId === undefined) return sendOffer(draft, from, 'relay', offer);
  from.localSdp = offer;
  answerWaiting(draft, from, offer, 'answer');
}

/** The answer of `from` goes to `to` in our ACK. Without one `to` is silenced: its offer must be answered (RFC 3261 §13.2.2.4). */
export function completeHandOver(draft: Draft, from: Leg, sdp: string | undefined): void {
  const { exchange } = draft.state;
  const legs = exchange === undefined ? undefined : legsOf(draft, exchange);
  const offer = legs?.to.remoteSdp;
  if (exchange === undefined || legs === undefined || offer === undefined) return;
  const { to, callee } = legs;
  if (!exchange.ownOffer) to.holds = holds(offeredAgain(offer, toldTo(to)));
  if (sdp === undefined || !isSdp(sdp)) return refuseHandOver(draft, exchange, to);
  from.remoteSdp = sdp;
  from.holds = holdsByAnswer(from.holds, offer, sdp);
  if (exchange.via === 'direct') return acknowledgeTo(draft, exchange, from, to, withinPolicy(from, to, sdp));
  step(draft, exchange, { step: 'completing' });
  const asked = askPath(draft, callee, ABOUT, { op: 'connect', from: sideOf(from), answer: sdp });
  if (!asked) resourceFailed(draft, { ok: false, reason: 'down' });
}

function acknowledgeTo(draft: Draft, exchange: Exchange, from: Leg, to: Leg, sdp: string | undefined): void {
  if (!exchange.ownOffer && sdp !== undefined && to.remoteSdp !== undefined) {
    to.localSdp = draft.stamped(to, inPlaces(exchange, to, to.remoteSdp, sdp));
    draft.emit({ type: 'acknowledge', leg: to.id, sdp: to.localSdp });
  }
  joined(draft, exchange, from, to);
}

function refuseHandOver(draft: Draft, exchange: Exchange, to: Leg): void {
  draft.state.exchange = undefined;
  to.connection = 'silence';
  if (exchange.ownOffer || to.remoteSdp === undefined) return;
  to.localSdp = draft.silentAnswer(to, to.remoteSdp);
  noteToldByAnswer(to, to.remoteSdp, to.localSdp);
  draft.emit({ type: 'acknowledge', leg: to.id, sdp: to.localSdp });
}

/** Reply of the resource in the path to what the exchange asked it. */
export function exchangeReplied(draft: Draft, reply: ResourceReply): void {
  const { exchange } = draft.state;
  const legs = exchange === undefined ? undefined : legsOf(draft, exchange);
  if (exchange === undefined || legs === undefined) return;
  if (!reply.ok) return resourceFailed(draft, reply);
  const { from, to, callee } = legs;
  const { sdp } = reply;
  if (exchange.step === 'completing') {
    if (sdp === undefined && !exchange.ownOffer) return resourceFailed(draft, { ok: false, reason: 'error' });
    return acknowledgeTo(draft, exchange, from, to, sdp);
  }
  if (exchange.step === 'answering' && exchange.ownOffer) {
    step(draft, exchange, { step: 'handing' });
    const need = currentNeed(callee);
    if (need === undefined || to.remoteSdp === undefined) return giveUp(draft, exchange, 488);
    return askForOffer(draft, callee, to, from, to.remoteSdp, need);
  }
  if (sdp === undefined) return resourceFailed(draft, { ok: false, reason: 'error' });
  if (exchange.step === 'answering') return answerFrom(draft, exchange, from, to, sdp);
  if (exchange.step === 'handing') return handOver(draft, from, sdp);
  if (exchange.step !== 'translating') return;
  step(draft, exchange, { step: 'offered' });
  sendOffer(draft, to, 'relay', draft.offerFor(to, sdp));
}

/** The resource died, or does not do what it was taken for. The ends are asked anew through another one. */
export function resourceFailed(draft: Draft, reply: ResourceReply): void {
  const { exchange, kind } = draft.state;
  const { callee, caller } = draft;
  if (callee === undefined || kind !== 'established') return;
  losePath(draft, callee, reply.ok ? 'error' : reply.reason);
  const legs = exchange === undefined ? undefined : legsOf(draft, exchange);
  if (exchange === undefined || legs === undefined) return;
  switch (exchange.step) {
    case 'translating':
      return step(draft, exchange, { step: 'waiting', ownOffer: false });
    case 'handing':
      if (exchange.ownOffer) return giveUp(draft, exchange, 488);
      return step(draft, exchange, { step: 'received' });
    case 'answering':
      for (const leg of [caller, callee]) leg.connection = 'silence';
      return answerSilently(draft, exchange, legs.from);
    case 'completing':
      for (const leg of [caller, callee]) leg.connection = 'silence';
      return refuseHandOver(draft, exchange, legs.to);
    case 'waiting':
    case 'offered':
    case 'received':
    case 'handed-over':
      return;
  }
}

function answerSilently(draft: Draft, exchange: Exchange, from: Leg): void {
  const { offer } = exchange;
  if (offer === undefined) return giveUp(draft, exchange, 488);
  from.remoteSdp = offer;
  from.localSdp = draft.silentAnswer(from, offer);
  noteToldByAnswer(from, offer, from.localSdp);
  from.holds = false;
  answerWaiting(draft, from, from.localSdp, 'plain');
  draft.state.exchange = undefined;
}

/** A re-INVITE that was sent for an exchange was refused. After 491 it goes again; else the session stays as it was. */
export function relayRefused(
  draft: Draft,
  leg: Leg,
  { status, reason, headers }: { readonly status: number; readonly reason: string; readonly headers: Headers },
): void {
  const { exchange } = draft.state;
  const legs = exchange === undefined ? undefined : legsOf(draft, exchange);
  if (exchange === undefined || legs === undefined) return;
  const refused = status === 488 || status === 606;
  if (exchange.step === 'handed-over') {
    const offer = legs.to.remoteSdp;
    refuseHandOver(draft, exchange, legs.to);
    // The ends are asked again, then through a resource.
    if (!refused || exchange.via !== 'direct' || offer === undefined || legs.callee.path.step !== 'direct') return;
    const need = needAfterRefusedOffer(legs.to, leg, offer);
    if (need !== undefined) legs.callee.path = { step: 'lost', need, paused: false };
    return;
  }
  if (status === 491 && leg.blocked) return step(draft, exchange, { step: 'waiting', ownOffer: false });
  const retried = refused && retryOffer(draft, exchange, leg);
  if (!retried) giveUp(draft, exchange, status, reason, headers);
}

/** An offer that was refused as it was goes again through a resource, where that can help. */
function retryOffer(draft: Draft, exchange: Exchange, to: Leg): boolean {
  const { offer } = exchange;
  const legs = legsOf(draft, exchange);
  if (legs === undefined || offer === undefined || exchange.via !== 'direct' || exchange.forced !== undefined)
    return false;
  if (legs.callee.path.step === 'direct') {
    const need = needAfterRefusedOffer(legs.from, to, offer);
    if (need === undefined) return false;
    requirePath(draft, legs.callee, need, 'direct');
  }
  step(draft, exchange, { step: 'waiting', forced: 'resource' });
  return true;
}

/** There is no resource for an exchange that needs one; `reason` says which. */
export function exchangeUnavailable(draft: Draft, need: PathNeed, text: string): void {
  const { exchange } = draft.state;
  if (exchange === undefined || (exchange.step !== 'waiting' && exchange.step !== 'received')) return;
  if (need.optional) return step(draft, exchange, { forced: 'direct' });
  const to = draft.leg(exchange.to);
  if (exchange.step === 'received' && to !== undefined) refuseHandOver(draft, exchange, to);
  giveUp(draft, exchange, 488, '', { Reason: formatReason(488, text) });
}

function giveUp(draft: Draft, exchange: Exchange, status: number, reason = '', headers: Headers = {}): void {
  const from = draft.leg(exchange.from);
  draft.state.exchange = undefined;
  if (from?.incoming === undefined) {
    if (from?.unsettled === true) leaveApart(draft);
    return;
  }
  const { id } = from.incoming;
  from.incoming = undefined;
  const told = statusAcross(status, true);
  const options = { ...(told === status ? reasonPhrase(reason) : {}), headers };
  draft.emit({ type: 'respond', leg: from.id, id, status: told, options });
}
