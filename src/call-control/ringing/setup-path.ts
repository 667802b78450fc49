import { formatReason } from '../../sip/reason';
import { alignAnswer, holds, unchanged } from '../../sdp';
import {
  addLeg,
  branchFailed,
  destinationOf,
  invite,
  inviteDirectly,
  noteOutcome,
  relayProgress,
  removeLeg,
  ringOf,
} from './branches';
import type { Bridge } from '../core/call-state';
import type { Leg } from '../core/leg';
import { focusHeaders } from '../conference/focus';
import type { Draft } from '../core/draft';
import { endCall } from '../core/ending';
import { enterEstablished } from '../bridge/established';
import { DIRECT, movePath, type MediaTried, type PathNeed, type Question } from '../bridge/path';
import { needAfterRefusal, needForCaller, offerThrough, withinPolicy, termsOf, triedFor } from '../bridge/path-need';
import {
  askPath,
  bridgeWith,
  fromResource,
  losePath,
  pathAllocated,
  pathReplied,
  requirePath,
} from '../bridge/path-resource';
import type { CallSignal } from '../core/signals';
import type { ResourceReply } from '../../media-resource/ports';

/** Resources of one callee that may die before the call is answered. */
const MAX_LOSSES = 3;

/** The path to a callee that has not answered: its resource is found, and makes the offers and answers. */
export function setupPathSignal(
  draft: Draft,
  signal: Extract<CallSignal, { type: 'path-allocated' | 'path-replied' | 'resource-lost' }>,
): void {
  switch (signal.type) {
    case 'path-allocated': {
      const outcome = pathAllocated(draft, signal);
      if (outcome === undefined) return;
      if (outcome.available) return pathReady(draft, outcome.bridge, outcome.need);
      return pathUnavailable(draft, outcome.bridge, outcome.need);
    }
    case 'path-replied': {
      const replied = pathReplied(draft, signal);
      return replied === undefined ? undefined : questionAnswered(draft, replied.bridge, replied.about, replied.reply);
    }
    case 'resource-lost': {
      const bridge = bridgeWith(draft, signal.token);
      return bridge === undefined ? undefined : pathLost(draft, bridge, { ok: false, reason: signal.reason });
    }
  }
}

/** The resource is there: it makes the offer for the callee, or is needed when the callee has made its own. */
function pathReady(draft: Draft, bridge: Bridge, need: PathNeed): void {
  const { offer } = draft.ringing;
  const way = draft.wayFrom(bridge, 'a');
  if (draft.bridge === bridge) return offerToCaller(draft, bridge, way.to.remoteSdp, false);
  if (offer === undefined && need.ownOffer !== true) return invite(draft, way.to, undefined);
  const terms = termsOf(way, need);
  const sdp = offer === undefined ? {} : { sdp: offerThrough(way, offer, need) };
  askPath(draft, bridge, { type: 'invite' }, { op: 'offer', to: 'b', terms, ...sdp });
}

function pathUnavailable(draft: Draft, bridge: Bridge, need: PathNeed): void {
  if (draft.bridge === bridge) {
    // The caller may know more codecs than we do: it decides by itself.
    const way = draft.wayFrom(bridge, 'b');
    const { remoteSdp } = way.from;
    movePath(bridge, DIRECT);
    if (remoteSdp !== undefined) finishAnswer(draft, bridge, withinPolicy(way, remoteSdp));
    return;
  }
  if (need.optional) {
    movePath(bridge, DIRECT);
    return inviteDirectly(draft, bridge);
  }
  const tried = triedFor(draft, bridge, need);
  const headers = { Reason: unavailableReason(need) };
  branchFailed(
    draft,
    bridge.seats.b,
    { status: 488, reason: undefined, headers, tried },
    `no ${need.type}: ${need.why}`,
    true,
  );
}

/** For the refusal of a call (RFC 3326): what was missing. */
export function unavailableReason({ type, why }: PathNeed): string {
  return formatReason(488, `No ${type === 'mtp' ? 'media termination point' : type} available: ${why}`);
}

function questionAnswered(draft: Draft, bridge: Bridge, about: Question['about'], reply: ResourceReply): void {
  if (!reply.ok) return questionFailed(draft, bridge, about, reply);
  const { sdp } = reply;
  const callee = draft.seated(bridge, 'b');
  if (about.type === 'own-answer') return offerToCaller(draft, bridge, callee.remoteSdp, true);
  if (sdp === undefined) return questionFailed(draft, bridge, about, { ok: false, reason: 'error' });
  switch (about.type) {
    case 'invite':
      return invite(draft, callee, sdp);
    case 'early':
      return relayProgress(draft, about.status, forCaller(draft, sdp));
    case 'answer':
      return finishAnswer(draft, bridge, forCaller(draft, sdp));
    case 'caller-offer':
      return finishAnswer(draft, bridge, sdp, { ownOffer: about.ownOffer });
    case 'exchange':
      return;
  }
}

function forCaller({ waiter, ringing: { offer } }: Draft, made: string): string {
  return offer === undefined ? made : fromResource(waiter, offer, made);
}

function questionFailed(draft: Draft, bridge: Bridge, about: Question['about'], reply: ResourceReply): void {
  // Without early media the call goes on.
  if (about.type === 'early' && bridge.path.step === 'joined') {
    movePath(bridge, { ...bridge.path, answered: undefined });
    return;
  }
  pathLost(draft, bridge, reply, about);
}

/** The resource died, or does not do what it was taken for. */
function pathLost(draft: Draft, bridge: Bridge, reply: ResourceReply, asked = bridge.question?.about): void {
  const { path } = bridge;
  if (path.step !== 'joined') return;
  losePath(draft, bridge, reply.ok ? 'error' : reply.reason);
  // A callee that rings goes on ringing; when it answers, another one is asked for.
  if (asked === undefined || asked.type === 'early') return;
  if (draft.bridge === bridge) return answerWithoutPath(draft, bridge);
  if (bridge.losses < MAX_LOSSES) return requirePath(draft, bridge, path.need, 'nothing');
  pathUnavailable(draft, bridge, path.need);
}

/** The callee has answered and its answer cannot reach the caller: they are joined when both have been asked anew. */
function answerWithoutPath(draft: Draft, bridge: Bridge): void {
  const { offer } = draft.ringing;
  if (offer === undefined) {
    return endCall(draft, { by: 'system', status: 503, reason: 'The media resource of the call was lost' });
  }
  for (const leg of draft.ends(bridge)) leg.connection = 'silence';
  finishAnswer(draft, bridge, draft.silentAnswer(draft.waiter, offer));
}

/** A 200 whose description must go by way of a resource; false: it may go as it is. */
export function answeredThrough(draft: Draft, bridge: Bridge, sdp: string): boolean {
  const { offer } = draft.ringing;
  const { path } = bridge;
  if (path.step === 'direct') {
    const need = offer === undefined ? needForCaller(draft, bridge, sdp) : undefined;
    if (need === undefined) return false;
    requirePath(draft, bridge, need, 'nothing');
    return true;
  }
  const from = { op: 'connect', from: 'b', answer: sdp } as const;
  if (path.step !== 'joined') answerWithoutPath(draft, bridge);
  else if (offer !== undefined) answerThrough(draft, bridge, sdp);
  else if (draft.seated(bridge, 'b').localSdp !== undefined) askPath(draft, bridge, { type: 'own-answer' }, from);
  else offerToCaller(draft, bridge, sdp, false);
  return true;
}

/**
 * A resource is given one answer to its offer, as a phone would be: what it makes of a second one is anybody's guess, up to a description without
 * a codec. A callee that has answered something else than it had told makes an offer for the caller afterwards.
 */
function answerThrough(draft: Draft, bridge: Bridge, sdp: string): void {
  const { path, question } = bridge;
  const told = draft.waiter.localSdp;
  if (path.step !== 'joined') return;
  if (path.answered === undefined) {
    movePath(bridge, { ...path, answered: sdp });
    askPath(draft, bridge, { type: 'answer' }, { op: 'connect', from: 'b', answer: sdp });
  } else if (question?.about.type === 'early') bridge.question = { ...question, about: { type: 'answer' } };
  else if (told !== undefined) finishAnswer(draft, bridge, told);
}

/** The caller made no offer: the resource makes it one of the callee's description. */
function offerToCaller(draft: Draft, bridge: Bridge, sdp: string | undefined, ownOffer: boolean): void {
  const { path } = bridge;
  if (path.step !== 'joined' || sdp === undefined) return answerWithoutPath(draft, bridge);
  const way = draft.wayFrom(bridge, 'b');
  const terms = termsOf(way, path.need);
  const offer = offerThrough(way, sdp, path.need);
  askPath(draft, bridge, { type: 'caller-offer', ownOffer }, { op: 'offer', to: 'a', sdp: offer, terms });
}

/**
 * The caller gets its 200. Its description is the callee's answer, or an offer when the caller made none. What the caller was told in an 18x is
 * repeated, whatever the callee says now: within its dialog that is the answer (RFC 3261 §13.2.1).
 */
export function finishAnswer(
  draft: Draft,
  bridge: Bridge,
  description: string,
  { ownOffer = false }: { readonly ownOffer?: boolean } = {},
): void {
  const { state } = draft;
  const [caller, callee] = draft.ends(bridge);
  const told = caller.localSdp;
  const { offer } = draft.ringing;
  const fitting = offer === undefined ? description : alignAnswer(description, offer);
  const sdp = told ?? draft.stamped(caller, fitting);
  caller.localSdp = sdp;
  bridge.unsettled = !unchanged(sdp, fitting) || !isWhatTheResourceKnows(bridge, callee);
  const headers = { ...state.facts.timerHeaders, ...focusHeaders(callee.focus) };
  draft.emit({ type: 'answer', leg: caller.id, sdp, headers });
  if (offer === undefined && callee.remoteSdp !== undefined) callee.holds = holds(callee.remoteSdp);
  if (bridge.path.step === 'joined') movePath(bridge, { ...bridge.path, used: true });
  enterEstablished(draft, bridge, { ownOffer });
}

function isWhatTheResourceKnows({ path }: Bridge, { remoteSdp }: Leg): boolean {
  if (path.step !== 'joined' || path.answered === undefined || remoteSdp === undefined) return true;
  return unchanged(path.answered, remoteSdp);
}

/**
 * The callee refused what it was offered: a new INVITE through a resource may do (claim M2). `outcome` is for the explanation. False: there is nothing to be tried.
 */
export function retryThroughResource(
  draft: Draft,
  refused: Leg,
  outcome: string,
  tried: MediaTried | undefined,
): boolean {
  const ring = ringOf(draft, refused.id);
  const destination = destinationOf(draft, refused);
  if (ring === undefined || destination === undefined) return false;
  const before = draft.bridgeTo(refused);
  const need = needAfterRefusal(draft, before, tried);
  if (need === undefined) return false;
  noteOutcome(draft, refused.id, outcome);
  const bridge = addLeg(draft, ring, destination);
  bridge.failedResources = [...before.failedResources, ...(tried?.resources ?? [])];
  const { path } = before;
  if (path.step === 'joined' && path.need.type === need.type) {
    // The same resource speaks to it in another way.
    movePath(before, DIRECT);
    movePath(bridge, { ...path, need, answered: undefined });
    removeLeg(draft, refused.id);
    pathReady(draft, bridge, need);
    return true;
  }
  removeLeg(draft, refused.id);
  requirePath(draft, bridge, need, 'nothing');
  return true;
}
