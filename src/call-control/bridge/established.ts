import { type Direction, holds, withDirection } from '../../sdp';
import type { Reason } from '../../sip/reason';
import { spokenBy, toldTo } from '../core/agreed';
import type { Bridge, Way } from '../core/call-state';
import { caresForItself, type Leg, moveLeg } from '../core/leg';
import type { Draft } from '../core/draft';
import { endCall, partyOf } from '../core/ending';
import { establishedPathSignal, pathResourceLost, pauseOver, reconcilePath } from './established-path';
import { continueExchange } from './exchange';
import { moveExchange, newExchange } from './exchange-state';
import { acknowledged, receiveOffer } from '../dialog/incoming-offer';
import { allocated, keepExplanation, musicLost, musicPauseOver, reconcileMusic, resourceReplied } from './music';
import { ackMissing, offerAnswered, offerRefused } from '../dialog/offer-replies';
import { withinPolicy } from './path-need';
import { awaitAck, followOurs, holdsByAnswer, isFree, scheduleRefresh, sendOffer } from '../dialog/outgoing-offer';
import { receiveRequest, requestAnswered } from '../dialog/requests';
import type { CallSignal } from '../core/signals';
import { park, recall } from '../features/park';
import { endTransfer, followTransfer, joinAnswered, receiveRefer, transferorLeft } from '../features/transfer';
import { toConference } from '../features/to-conference';
import { take } from '../join/replace';
import { shortenDue } from '../join/shorten';
import { fromLeaving, isLeaving, lastWordMissing } from '../join/leaving';
import { isAboutRinging, ringingSignal } from '../ringing/ringing';
import { followSurvival, legBack, legLost, phoneBack, postponed, waitedLongEnough } from '../survival/survive';

/** Attempts to bring two ends together again that do not hold and yet do not talk. */
const MAX_RECONNECTIONS = 6;
/** Between them, growing: what is missing, a resource or a node, may come back. With six of them half a minute in all. */
const RECONNECTION_PAUSE_MS = 2000;

/**
 * The callee has answered and the caller has its 200. `ownOffer`: the callee has answered an offer of the resource in the path.
 */
export function enterEstablished(draft: Draft, bridge: Bridge, { ownOffer }: { readonly ownOffer: boolean }): void {
  const { state } = draft;
  const { offer } = draft.ringing;
  const [caller, callee] = draft.ends(bridge);
  state.kind = 'established';
  state.ringing = undefined;
  moveLeg(caller, 'confirmed');
  state.answeredAt = draft.moment.now;
  if (offer === undefined) {
    const via = bridge.path.step === 'joined' ? ('resource' as const) : ('direct' as const);
    const begun = newExchange({ from: 'a', requestId: undefined, offer: undefined });
    moveExchange(bridge, { ...begun, step: 'handed-over', via, ownOffer });
  } else {
    caller.holds = holds(spokenBy(caller) ?? offer);
    callee.holds = callee.remoteSdp !== undefined && holdsByAnswer(false, callee.localSdp ?? offer, callee.remoteSdp);
    if (caresForItself(callee)) callee.toldHold = caller.holds;
    if (caller.profile.kind === 'node') caller.toldHold = callee.holds;
  }
  awaitAck(draft, caller, offer === undefined ? 'answer' : 'plain');
  followOurs(draft, caller, state.facts.timerHeaders);
  scheduleRefresh(draft, callee, 'uac');
  reconcile(draft);
}

/** A call in which two have talked: offers of either end, hold, music, refreshes. */
export function established(draft: Draft, signal: CallSignal): void {
  if (signal.type === 'routed' && signal.route.type === 'park') {
    park(draft, signal.route);
    return reconcile(draft);
  }
  if (isAboutRinging(draft, signal)) {
    ringingSignal(draft, signal);
    followTransfer(draft);
    followSurvival(draft);
    return reconcile(draft);
  }
  switch (signal.type) {
    case 'session': {
      const leg = draft.leg(signal.leg);
      if (leg !== undefined && isLeaving(leg)) fromLeaving(draft, leg, signal.signal);
      else if (leg !== undefined) fromLeg(draft, leg, signal);
      // A 200 that crossed our CANCEL.
      else if (signal.signal.type === 'answered') draft.emit({ type: 'bye', leg: signal.leg });
      break;
    }
    case 'timer':
      timerFired(draft, signal.timer);
      break;
    case 'allocated':
      allocated(draft, signal);
      break;
    case 'resource-replied':
      resourceReplied(draft, signal);
      break;
    case 'path-allocated':
    case 'path-replied':
      establishedPathSignal(draft, signal);
      break;
    case 'explained':
      keepExplanation(draft, signal.explanation);
      break;
    case 'resource-lost':
      musicLost(draft, signal.token, signal.reason);
      pathResourceLost(draft, signal.token, signal.reason);
      break;
    case 'taken':
      take(draft, signal);
      break;
    case 'join-answered':
      joinAnswered(draft, signal);
      break;
    case 'to-conference':
      toConference(draft, signal);
      break;
    case 'leg-lost':
    case 'leg-back':
    case 'phone-back':
      survivalSignal(draft, signal);
      break;
    case 'end':
      endTransfer(draft);
      return endCall(draft, { by: 'system', status: 503, reason: signal.reason });
    case 'routed':
    case 'branch-started':
    case 'branch-unreachable':
      return;
  }
  reconcile(draft);
}

function survivalSignal(
  draft: Draft,
  signal: Extract<CallSignal, { type: 'leg-lost' | 'leg-back' | 'phone-back' }>,
): void {
  if (signal.type === 'phone-back') return phoneBack(draft, signal.targets);
  const leg = draft.leg(signal.leg);
  if (leg === undefined) return;
  if (signal.type === 'leg-lost') legLost(draft, leg, signal.sure);
  else legBack(draft, leg);
}

function fromLeg(draft: Draft, leg: Leg, { signal, refer }: Extract<CallSignal, { type: 'session' }>): void {
  if (postponed(draft, leg, signal)) return;
  switch (signal.type) {
    case 'ended':
      return legEnded(draft, leg, signal.by === 'server', signal);
    case 'cancelled':
      // The caller's CANCEL was faster than our 200.
      endTransfer(draft);
      return endCall(draft, {
        by: 'caller',
        status: 487,
        reason: signal.reason,
        reasons: signal.reasons ?? [],
        except: leg.id,
      });
    case 'acknowledged':
      return acknowledged(draft, leg, signal.sdp);
    case 'reinvited':
      return receiveOffer(draft, leg, { ...signal, method: 'INVITE' });
    case 'requested':
      if (signal.method === 'REFER') return receiveRefer(draft, leg, signal, refer);
      return receiveRequest(draft, leg, signal);
    case 'reinvite-answered':
      return offerAnswered(draft, leg, signal);
    case 'reinvite-rejected':
      return offerRefused(draft, leg, signal);
    case 'request-answered':
      return requestAnswered(draft, leg, signal);
    case 'rejected':
      // Not after a 200; whatever it means, there is no dialog any more.
      return legEnded(draft, leg, true, { reason: signal.reason });
    case 'provisional':
    case 'answered':
      return;
  }
}

function legEnded(
  draft: Draft,
  leg: Leg,
  byServer: boolean,
  { reason, reasons = [] }: { readonly reason: string | undefined; readonly reasons?: readonly Reason[] },
): void {
  if (transferorLeft(draft, leg)) return;
  if (byServer && legLost(draft, leg, true)) return;
  endTransfer(draft);
  const told = byServer ? {} : { reasons };
  endCall(draft, { by: byServer ? 'system' : partyOf(draft, leg), status: 200, reason, ...told, except: leg.id });
}

function timerFired(draft: Draft, timer: string): void {
  const { bridge } = draft;
  if (timer === 'recall') return recall(draft);
  const [kind, id = ''] = timer.split(':');
  if (kind === 'shorten') return shortenDue(draft);
  if (kind === 'survival') return waitedLongEnough(draft);
  if (bridge !== undefined) {
    if (kind === 'reconnect') bridge.reconnectionPaused = false;
    if (id === bridge.id && kind === 'path') pauseOver(bridge);
  }
  const leg = draft.leg(id);
  if (leg === undefined) return;
  switch (kind) {
    case 'ack':
      return ackMissing(draft, leg);
    case 'reinvite':
      if (leg.outgoing !== undefined)
        offerRefused(draft, leg, { id: leg.outgoing.id, status: 408, reason: 'No answer' });
      return;
    case 'retry':
      leg.blocked = false;
      return;
    case 'refresh':
      leg.refreshDue = true;
      return;
    case 'music':
      return musicPauseOver(leg);
    case 'leave':
      return lastWordMissing(draft, leg);
    default:
      return;
  }
}

/**
 * Compares what each leg should be connected with and what it is connected with, and takes the next step. Called after
 * every signal, so that no order of events can leave a leg behind.
 */
export function reconcile(draft: Draft): void {
  const { state, bridge } = draft;
  if (state.kind !== 'established' || bridge === undefined) return;
  continueExchange(draft);
  if (bridge.exchange !== undefined) return;
  for (const leg of draft.ends(bridge)) if (leg.aside !== undefined) leg.holds = true;
  const connectable = reconcilePath(draft, bridge);
  if (connectable && bridge.unsettled && settle(draft, bridge)) return;
  for (const way of [draft.wayFrom(bridge, 'b'), draft.wayFrom(bridge, 'a')]) {
    const { from: other, to: leg } = way;
    if (leg.phase === 'over') continue;
    if (leg.aside !== undefined && leg.connection === 'peer' && leg.localSdp !== undefined && isFree(leg))
      sendOffer(draft, leg, 'silence', draft.silentOffer(leg, leg.localSdp));
    if (caresForItself(leg)) reconcileDirection(draft, way);
    else reconcileMusic(draft, leg, other);
    if (leg.refreshDue && leg.localSdp !== undefined && isFree(leg)) sendOffer(draft, leg, 'refresh', leg.localSdp);
  }
  if (connectable) reconnect(draft, bridge);
}

/** A node, or a conference, is told whether the other end holds; it does what is to be done by itself. Never music into a conference. */
function reconcileDirection(draft: Draft, way: Way): void {
  const { from: other, to: node } = way;
  const described = spokenBy(other);
  if (node.toldHold === other.holds || described === undefined || !isFree(node)) return;
  // Through a resource the node goes on to see that; only the direction is the other end's. Which is said in so many words: a device
  // that hears music describes that, and not whether it holds.
  const shown = way.bridge.path.step === 'joined' ? toldTo(node) : undefined;
  const sdp = withDirection(shown ?? withinPolicy(way, described), directionTold(other));
  sendOffer(draft, node, 'direction', draft.offerFor(node, sdp), other.holds);
}

function directionTold({ holds: held }: Leg): Direction {
  return held ? 'sendonly' : 'sendrecv';
}

/**
 * `a` is offered what `b` has answered, since it was told something else before (RFC 3261 §13.2.1). `b` need not hear of it: what it
 * was offered stands.
 */
function settle(draft: Draft, bridge: Bridge): boolean {
  const ends = draft.ends(bridge);
  const together = ends.every(({ connection, holds: held }) => connection === 'peer' && !held);
  const offer = spokenBy(ends[1]);
  if (!together || !ends.every(isFree) || offer === undefined) return false;
  const begun = newExchange({ from: 'b', requestId: undefined, offer });
  moveExchange(bridge, { ...begun, forced: bridge.path.step === 'joined' ? 'resource' : 'direct' });
  continueExchange(draft);
  return true;
}

/** Nobody holds, and yet an end was left in silence or with music: `b` is asked for an offer (RFC 3725 §4.1). */
function reconnect(draft: Draft, bridge: Bridge): void {
  const ends = draft.ends(bridge);
  const apart = ends.some(({ connection }) => connection !== 'peer');
  if (!apart || ends.some(({ holds: held }) => held) || !ends.every(isFree)) return;
  if (bridge.reconnectionPaused || bridge.reconnections >= MAX_RECONNECTIONS) return;
  bridge.reconnections += 1;
  bridge.reconnectionPaused = true;
  draft.setTimer('reconnect', RECONNECTION_PAUSE_MS * bridge.reconnections);
  // Who cannot be asked for an offer is offered something.
  const from = ends[1].profile.delayedOffer === false ? 'b' : 'a';
  moveExchange(bridge, newExchange({ from, requestId: undefined, offer: undefined }));
  continueExchange(draft);
}
