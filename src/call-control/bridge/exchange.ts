import { hasSameTransport, holds, isSdp, offeredAgain } from '../../sdp';
import { formatReason } from '../../sip/reason';
import { statusAcross } from '../../sip/status';
import type { Headers } from '../../sip/user-agent';
import type { ResourceReply } from '../../media-resource/ports';
import { seatOf, type Way } from '../core/call-state';
import type { Leg, OutgoingOffer } from '../core/leg';
import { toldTo } from '../core/agreed';
import type { Draft } from '../core/draft';
import { reasonPhrase } from '../core/passed-on';
import { answerIncoming, answerOffer } from '../dialog/answers';
import { holdsByAnswer, isFree, noteToldByAnswer, sendOffer } from '../dialog/outgoing-offer';
import { type Exchange, moveExchange } from './exchange-state';
import { movePath, type PathNeed } from './path';
import { needAfterRefusedOffer, needOfOffer, termsOf, withinPolicy } from './path-need';
import { askPath, losePath, requirePath } from './path-resource';
import {
  ABOUT,
  askForOffer,
  currentNeed,
  inPlaces,
  isJoined,
  isUnsettled,
  joined,
  leaveApart,
  step,
  type UnderWay,
  underWay,
} from './under-way';

/** Takes the next step of an exchange that waits for a leg or for the media path. */
export function continueExchange(draft: Draft): void {
  const current = underWay(draft);
  if (current?.exchange.step === 'waiting') begin(draft, current);
  else if (current?.exchange.step === 'received') passBack(draft, current);
}

/** Sends the offer of one leg to the other, once that is free. */
function begin(draft: Draft, current: UnderWay): void {
  const { exchange, way } = current;
  const { bridge, to } = way;
  if (!isFree(to)) return;
  const { offer } = exchange;
  if (offer === undefined) return beginWithoutOffer(draft, current);
  const need = exchange.forced === 'direct' ? undefined : neededFor(exchange, way, offer);
  if (need === undefined) {
    step(current, { step: 'offered', via: 'direct' });
    return sendOffer(draft, to, 'relay', draft.offerFor(to, withinPolicy(way, offer)));
  }
  if (!isJoined(draft, bridge, need)) return;
  step(current, { step: 'translating', via: 'resource' });
  askForOffer(draft, way, offer, currentNeed(bridge) ?? need);
}

function neededFor(exchange: Exchange, way: Way, offer: string): PathNeed | undefined {
  const need = needOfOffer(way, offer);
  return exchange.forced === 'resource' ? (currentNeed(way.bridge) ?? need) : need;
}

/** `to` is to make the offer; for one that cannot, the resource in the path makes it. */
function beginWithoutOffer(draft: Draft, current: UnderWay): void {
  const { bridge, to } = current.way;
  const cannot = to.profile.delayedOffer === false;
  const why = `${to.device} takes no call without an offer`;
  const need =
    currentNeed(bridge) ?? (cannot ? { type: 'mtp' as const, why, optional: false, refusals: 0 } : undefined);
  if (need !== undefined && !isJoined(draft, bridge, need)) return;
  if (!cannot || need === undefined) {
    step(current, { step: 'offered' });
    return sendOffer(draft, to, 'relay', undefined);
  }
  const terms = termsOf(current.way, { ...need, ownOffer: true });
  step(current, { step: 'translating', via: 'resource', ownOffer: true });
  askPath(draft, bridge, ABOUT, { op: 'offer', to: seatOf(bridge, to), terms });
}

/** 200 to a re-INVITE that was sent for an exchange. */
export function relayAnswered(draft: Draft, leg: Leg, sent: OutgoingOffer, sdp: string | undefined): void {
  const current = underWay(draft);
  if (current === undefined) return;
  const { exchange, back } = current;
  // We had offered to both ends by ourselves; this is the second answer.
  if (exchange.step === 'handed-over') {
    leg.localSdp = sent.sdp;
    return completeHandOver(draft, sdp);
  }
  if (sdp === undefined || !isSdp(sdp)) return giveUp(draft, current, 488);
  if (sent.sdp === undefined) {
    leg.remoteSdp = sdp;
    leg.ability = sdp;
    step(current, { step: 'received' });
    return continueExchange(draft);
  }
  leg.localSdp = sent.sdp;
  leg.remoteSdp = sdp;
  leg.holds = holdsByAnswer(leg.holds, sent.sdp, sdp);
  if (exchange.via === 'direct') return answerFrom(draft, current, withinPolicy(back, sdp));
  step(current, { step: 'answering' });
  const asked = askPath(draft, back.bridge, ABOUT, { op: 'connect', from: seatOf(back.bridge, leg), answer: sdp });
  if (!asked) resourceFailed(draft, { ok: false, reason: 'down' });
}

/** The answer of `to`, or what the resource made of it, goes to `from`. */
function answerFrom(draft: Draft, current: UnderWay, sdp: string): void {
  const { exchange, way } = current;
  const { bridge, from } = way;
  const { offer } = exchange;
  if (offer === undefined) return;
  if (from.incoming === undefined && isUnsettled(bridge, from)) return settled(draft, current, sdp);
  const answer = draft.stamped(from, inPlaces(exchange, from, offer, sdp));
  from.remoteSdp = offer;
  from.localSdp = answer;
  from.holds = false;
  answerIncoming(draft, from, answer, 'plain');
  joined(draft, current);
}

/** `a` has taken what `b` had answered. If it speaks from another place now, `b` must hear of it after all. */
function settled(draft: Draft, current: UnderWay, sdp: string): void {
  const { bridge, from } = current.way;
  const known = toldTo(from);
  joined(draft, current);
  if (known === undefined || !hasSameTransport(known, sdp)) leaveApart(draft, bridge);
}

/** The offer of `to` is on its way to `from`, directly or through a resource. */
function passBack(draft: Draft, current: UnderWay): void {
  const { exchange, back } = current;
  const { bridge } = back;
  const offer = back.from.remoteSdp;
  if (offer === undefined) return;
  // Its answer goes into a 200 that is waited for; else into a re-INVITE.
  if (exchange.requestId === undefined && !isFree(back.to)) return;
  const need = exchange.forced === 'direct' ? undefined : needOfOffer(back, offer);
  if (need === undefined) {
    step(current, { via: 'direct' });
    return handOver(draft, withinPolicy(back, offer));
  }
  if (!isJoined(draft, bridge, need)) return;
  step(current, { step: 'handing', via: 'resource' });
  askForOffer(draft, back, offer, currentNeed(bridge) ?? need);
}

/** In our 200, or in a re-INVITE when nobody asked for it. */
function handOver(draft: Draft, sdp: string): void {
  const current = underWay(draft);
  if (current === undefined) return;
  const { from } = current.way;
  const offer = draft.offerFor(from, sdp);
  step(current, { step: 'handed-over' });
  if (current.exchange.requestId === undefined) return sendOffer(draft, from, 'relay', offer);
  from.localSdp = offer;
  answerIncoming(draft, from, offer, 'answer');
}

/** The answer of `from` goes to `to` in our ACK. Without one `to` is silenced: its offer must be answered (RFC 3261 §13.2.2.4). */
export function completeHandOver(draft: Draft, sdp: string | undefined): void {
  const current = underWay(draft);
  const offer = current?.way.to.remoteSdp;
  if (current === undefined || offer === undefined) return;
  const { exchange, way } = current;
  const { bridge, from, to } = way;
  if (!exchange.ownOffer) to.holds = holds(offeredAgain(offer, toldTo(to)));
  if (sdp === undefined || !isSdp(sdp)) return refuseHandOver(draft, current);
  from.remoteSdp = sdp;
  from.holds = holdsByAnswer(from.holds, offer, sdp);
  if (exchange.via === 'direct') return acknowledgeTo(draft, current, withinPolicy(way, sdp));
  step(current, { step: 'completing' });
  const asked = askPath(draft, bridge, ABOUT, { op: 'connect', from: seatOf(bridge, from), answer: sdp });
  if (!asked) resourceFailed(draft, { ok: false, reason: 'down' });
}

function acknowledgeTo(draft: Draft, current: UnderWay, sdp: string | undefined): void {
  const { exchange, way } = current;
  const { to } = way;
  if (!exchange.ownOffer && sdp !== undefined && to.remoteSdp !== undefined) {
    answerOffer(draft, to, draft.stamped(to, inPlaces(exchange, to, to.remoteSdp, sdp)));
  }
  joined(draft, current);
}

function refuseHandOver(draft: Draft, { exchange, way: { bridge, to } }: UnderWay): void {
  moveExchange(bridge, undefined);
  to.connection = 'silence';
  if (exchange.ownOffer || to.remoteSdp === undefined) return;
  const silent = draft.silentAnswer(to, to.remoteSdp);
  noteToldByAnswer(to, to.remoteSdp, silent);
  answerOffer(draft, to, silent);
}

/** One of the two is not there any more. What the other one has offered is answered: it waits for that (RFC 3261 §13.2.2.4). */
export function abandonExchange(draft: Draft): void {
  const current = underWay(draft);
  if (current === undefined) return;
  switch (current.exchange.step) {
    case 'received':
    case 'handing':
    case 'handed-over':
    case 'completing':
      return refuseHandOver(draft, current);
    case 'waiting':
    case 'translating':
    case 'offered':
    case 'answering':
      return moveExchange(current.way.bridge, undefined);
  }
}

/** Reply of the resource in the path to what the exchange asked it. */
export function exchangeReplied(draft: Draft, reply: ResourceReply): void {
  const current = underWay(draft);
  if (current === undefined) return;
  if (!reply.ok) return resourceFailed(draft, reply);
  const { exchange, way, back } = current;
  const { sdp } = reply;
  if (exchange.step === 'completing') {
    if (sdp === undefined && !exchange.ownOffer) return resourceFailed(draft, { ok: false, reason: 'error' });
    return acknowledgeTo(draft, current, sdp);
  }
  if (exchange.step === 'answering' && exchange.ownOffer) {
    step(current, { step: 'handing' });
    const need = currentNeed(way.bridge);
    if (need === undefined || way.to.remoteSdp === undefined) return giveUp(draft, current, 488);
    return askForOffer(draft, back, way.to.remoteSdp, need);
  }
  if (sdp === undefined) return resourceFailed(draft, { ok: false, reason: 'error' });
  if (exchange.step === 'answering') return answerFrom(draft, current, sdp);
  if (exchange.step === 'handing') return handOver(draft, sdp);
  if (exchange.step !== 'translating') return;
  step(current, { step: 'offered' });
  sendOffer(draft, way.to, 'relay', draft.offerFor(way.to, sdp));
}

/** The resource died, or does not do what it was taken for. The ends are asked anew through another one. */
export function resourceFailed(draft: Draft, reply: ResourceReply): void {
  const { bridge } = draft;
  if (bridge === undefined || draft.state.kind !== 'established') return;
  losePath(draft, bridge, reply.ok ? 'error' : reply.reason);
  const current = underWay(draft);
  if (current === undefined) return;
  const { exchange } = current;
  switch (exchange.step) {
    case 'translating':
      return step(current, { step: 'waiting', ownOffer: false });
    case 'handing':
      if (exchange.ownOffer) return giveUp(draft, current, 488);
      return step(current, { step: 'received' });
    case 'answering':
      leaveApart(draft, bridge);
      return answerSilently(draft, current);
    case 'completing':
      leaveApart(draft, bridge);
      return refuseHandOver(draft, current);
    case 'waiting':
    case 'offered':
    case 'received':
    case 'handed-over':
      return;
  }
}

function answerSilently(draft: Draft, current: UnderWay): void {
  const { offer } = current.exchange;
  const { bridge, from } = current.way;
  if (offer === undefined) return giveUp(draft, current, 488);
  from.remoteSdp = offer;
  from.localSdp = draft.silentAnswer(from, offer);
  noteToldByAnswer(from, offer, from.localSdp);
  from.holds = false;
  answerIncoming(draft, from, from.localSdp, 'plain');
  moveExchange(bridge, undefined);
}

/** A re-INVITE that was sent for an exchange was refused. After 491 it goes again; else the session stays as it was. */
export function relayRefused(
  draft: Draft,
  leg: Leg,
  { status, reason, headers }: { readonly status: number; readonly reason: string; readonly headers: Headers },
): void {
  const current = underWay(draft);
  if (current === undefined) return;
  const { exchange, way, back } = current;
  const { bridge } = way;
  const refused = status === 488 || status === 606;
  if (exchange.step === 'handed-over') {
    const offer = way.to.remoteSdp;
    refuseHandOver(draft, current);
    // The ends are asked again, then through a resource.
    if (!refused || exchange.via !== 'direct' || offer === undefined || bridge.path.step !== 'direct') return;
    const need = needAfterRefusedOffer(back, offer);
    if (need !== undefined) movePath(bridge, { step: 'lost', need, paused: false });
    return;
  }
  if (status === 491 && leg.blocked) return step(current, { step: 'waiting', ownOffer: false });
  const retried = refused && retryOffer(draft, current);
  if (!retried) giveUp(draft, current, status, reason, headers);
}

/** An offer that was refused as it was goes again through a resource, where that can help. */
function retryOffer(draft: Draft, current: UnderWay): boolean {
  const { exchange, way } = current;
  const { offer } = exchange;
  if (offer === undefined || exchange.via !== 'direct' || exchange.forced !== undefined) return false;
  if (way.bridge.path.step === 'direct') {
    const need = needAfterRefusedOffer(way, offer);
    if (need === undefined) return false;
    requirePath(draft, way.bridge, need, 'direct');
  }
  step(current, { step: 'waiting', forced: 'resource' });
  return true;
}

/** There is no resource for an exchange that needs one; `reason` says which. */
export function exchangeUnavailable(draft: Draft, need: PathNeed, text: string): void {
  const current = underWay(draft);
  if (current === undefined || (current.exchange.step !== 'waiting' && current.exchange.step !== 'received')) return;
  if (need.optional) return step(current, { forced: 'direct' });
  if (current.exchange.step === 'received') refuseHandOver(draft, current);
  giveUp(draft, current, 488, '', { Reason: formatReason(488, text) });
}

/** A leg that has taken another's place with its INVITE is not refused any more: it is answered without sound, and asked again later. */
function answerSilentlyAtFirst(draft: Draft, from: Leg, to: Leg): void {
  const { remoteSdp } = from;
  const told = to.localSdp ?? to.remoteSdp;
  from.connection = 'silence';
  if (remoteSdp !== undefined) from.localSdp = draft.silentAnswer(from, remoteSdp);
  else if (told !== undefined) from.localSdp = draft.silentOffer(from, told);
  if (from.localSdp !== undefined)
    answerIncoming(draft, from, from.localSdp, remoteSdp === undefined ? 'answer' : 'plain');
}

function giveUp(
  draft: Draft,
  { way: { bridge, from, to } }: UnderWay,
  status: number,
  reason = '',
  headers: Headers = {},
): void {
  moveExchange(bridge, undefined);
  if (from.incoming === undefined) {
    if (isUnsettled(bridge, from)) leaveApart(draft, bridge);
    return;
  }
  if (from.incoming.initial === true) return answerSilentlyAtFirst(draft, from, to);
  const { id } = from.incoming;
  from.incoming = undefined;
  const told = statusAcross(status, true);
  const options = { ...(told === status ? reasonPhrase(reason) : {}), headers };
  draft.emit({ type: 'respond', leg: from.id, id, status: told, options });
}
