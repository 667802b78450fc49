import { formatReason } from '../../sip/reason';
import { alignAnswer, holds, unchanged } from '../../sdp';
import {
  addLeg,
  branchFailed,
  branchOf,
  destinationOf,
  invite,
  inviteDirectly,
  noteOutcome,
  relayProgress,
  removeLeg,
} from './branches';
import type { Leg } from '../core/call-state';
import { focusHeaders } from '../conference/focus';
import type { Draft } from '../core/draft';
import { endCall } from '../core/ending';
import { enterEstablished } from '../bridge/established';
import { DIRECT, type MediaTried, type PathNeed, type Question } from '../bridge/path';
import { needAfterRefusal, needForCaller, offerThrough, withinPolicy, termsOf, triedFor } from '../bridge/path-need';
import {
  askPath,
  calleeWith,
  fromResource,
  leaseReplied,
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
  signal: Extract<CallSignal, { type: 'path-allocated' | 'path-replied' | 'resource-lost' | 'resource-replied' }>,
): void {
  switch (signal.type) {
    case 'path-allocated': {
      const outcome = pathAllocated(draft, signal);
      if (outcome === undefined) return;
      if (outcome.available) return pathReady(draft, outcome.callee, outcome.need);
      return pathUnavailable(draft, outcome.callee, outcome.need);
    }
    case 'path-replied': {
      const replied = pathReplied(draft, signal);
      return replied === undefined ? undefined : questionAnswered(draft, replied.callee, replied.about, replied.reply);
    }
    case 'resource-lost': {
      const callee = calleeWith(draft, signal.token);
      return callee === undefined ? undefined : pathLost(draft, callee, { ok: false, reason: 'down' });
    }
    case 'resource-replied': {
      const callee = calleeWith(draft, signal.token);
      const lost = callee !== undefined && leaseReplied(draft, callee, signal.reply);
      return lost ? pathLost(draft, callee, signal.reply) : undefined;
    }
  }
}

/** The resource is there: it makes the offer for the callee, or is needed when the callee has made its own. */
function pathReady(draft: Draft, callee: Leg, need: PathNeed): void {
  const { offer } = draft.state.facts;
  if (draft.state.answered === callee.id) return offerToCaller(draft, callee, callee.remoteSdp, false);
  if (offer === undefined && need.ownOffer !== true) return invite(draft, callee, undefined);
  const terms = termsOf(callee, draft.caller, need);
  const sdp = offer === undefined ? {} : { sdp: offerThrough(draft.caller, callee, offer, need) };
  askPath(draft, callee, { type: 'invite' }, { op: 'offer', to: 'b', terms, ...sdp });
}

function pathUnavailable(draft: Draft, callee: Leg, need: PathNeed): void {
  if (draft.state.answered === callee.id) {
    // The caller may know more codecs than we do: it decides by itself.
    const { remoteSdp } = callee;
    callee.path = DIRECT;
    if (remoteSdp !== undefined) finishAnswer(draft, callee, withinPolicy(callee, draft.caller, remoteSdp));
    return;
  }
  if (need.optional) {
    callee.path = DIRECT;
    return inviteDirectly(draft, callee);
  }
  const tried = triedFor(callee, need);
  const headers = { Reason: unavailableReason(need) };
  branchFailed(
    draft,
    callee.id,
    { status: 488, reason: undefined, headers, tried },
    `no ${need.type}: ${need.why}`,
    true,
  );
}

/** For the refusal of a call (RFC 3326): what was missing. */
export function unavailableReason({ type, why }: PathNeed): string {
  return formatReason(488, `No ${type === 'mtp' ? 'media termination point' : type} available: ${why}`);
}

function questionAnswered(draft: Draft, callee: Leg, about: Question['about'], reply: ResourceReply): void {
  if (!reply.ok) return questionFailed(draft, callee, about, reply);
  const { sdp } = reply;
  if (about.type === 'own-answer') return offerToCaller(draft, callee, callee.remoteSdp, true);
  if (sdp === undefined) return questionFailed(draft, callee, about, { ok: false, reason: 'error' });
  switch (about.type) {
    case 'invite':
      return invite(draft, callee, sdp);
    case 'early':
      return relayProgress(draft, about.status, forCaller(draft, sdp));
    case 'answer':
      return finishAnswer(draft, callee, forCaller(draft, sdp));
    case 'caller-offer':
      return finishAnswer(draft, callee, sdp, { ownOffer: about.ownOffer });
    case 'exchange':
      return;
  }
}

function forCaller({ caller, state }: Draft, made: string): string {
  const { offer } = state.facts;
  return offer === undefined ? made : fromResource(caller, offer, made);
}

function questionFailed(draft: Draft, callee: Leg, about: Question['about'], reply: ResourceReply): void {
  // Without early media the call goes on.
  if (about.type === 'early' && callee.path.step === 'joined') {
    callee.path = { ...callee.path, answered: undefined };
    return;
  }
  pathLost(draft, callee, reply, about);
}

/** The resource died, or does not do what it was taken for. */
function pathLost(draft: Draft, callee: Leg, reply: ResourceReply, asked = callee.question?.about): void {
  const { path } = callee;
  if (path.step !== 'joined') return;
  losePath(draft, callee, reply.ok ? 'error' : reply.reason);
  // A callee that rings goes on ringing; when it answers, another one is asked for.
  if (asked === undefined || asked.type === 'early') return;
  if (draft.state.answered === callee.id) return answerWithoutPath(draft, callee);
  if (callee.losses < MAX_LOSSES) return requirePath(draft, callee, path.need, 'nothing');
  pathUnavailable(draft, callee, path.need);
}

/** The callee has answered and its answer cannot reach the caller: they are joined when both have been asked anew. */
function answerWithoutPath(draft: Draft, callee: Leg): void {
  const { offer } = draft.state.facts;
  if (offer === undefined) {
    return endCall(draft, { by: 'system', status: 503, reason: 'The media resource of the call was lost' });
  }
  const { caller } = draft;
  for (const leg of [caller, callee]) leg.connection = 'silence';
  finishAnswer(draft, callee, draft.silentAnswer(caller, offer));
}

/** A 200 whose description must go by way of a resource; false: it may go as it is. */
export function answeredThrough(draft: Draft, callee: Leg, sdp: string): boolean {
  const { offer } = draft.state.facts;
  const { path } = callee;
  if (path.step === 'direct') {
    const need = offer === undefined ? needForCaller(draft, callee, sdp) : undefined;
    if (need === undefined) return false;
    requirePath(draft, callee, need, 'nothing');
    return true;
  }
  const from = { op: 'connect', from: 'b', answer: sdp } as const;
  if (path.step !== 'joined') answerWithoutPath(draft, callee);
  else if (offer !== undefined) answerThrough(draft, callee, sdp);
  else if (callee.localSdp !== undefined) askPath(draft, callee, { type: 'own-answer' }, from);
  else offerToCaller(draft, callee, sdp, false);
  return true;
}

/**
 * A resource is given one answer to its offer, as a phone would be: what it makes of a second one is anybody's guess, up to a description without
 * a codec. A callee that has answered something else than it had told makes an offer for the caller afterwards.
 */
function answerThrough(draft: Draft, callee: Leg, sdp: string): void {
  const { path, question } = callee;
  const told = draft.caller.localSdp;
  if (path.step !== 'joined') return;
  if (path.answered === undefined) {
    callee.path = { ...path, answered: sdp };
    askPath(draft, callee, { type: 'answer' }, { op: 'connect', from: 'b', answer: sdp });
  } else if (question?.about.type === 'early') callee.question = { ...question, about: { type: 'answer' } };
  else if (told !== undefined) finishAnswer(draft, callee, told);
}

/** The caller made no offer: the resource makes it one of the callee's description. */
function offerToCaller(draft: Draft, callee: Leg, sdp: string | undefined, ownOffer: boolean): void {
  const { path } = callee;
  if (path.step !== 'joined' || sdp === undefined) return answerWithoutPath(draft, callee);
  const { caller } = draft;
  const terms = termsOf(caller, callee, path.need);
  const offer = offerThrough(callee, caller, sdp, path.need);
  askPath(draft, callee, { type: 'caller-offer', ownOffer }, { op: 'offer', to: 'a', sdp: offer, terms });
}

/**
 * The caller gets its 200. Its description is the callee's answer, or an offer when the caller made none. What the caller was told in an 18x is
 * repeated, whatever the callee says now: within its dialog that is the answer (RFC 3261 §13.2.1).
 */
export function finishAnswer(
  draft: Draft,
  callee: Leg,
  description: string,
  { ownOffer = false }: { readonly ownOffer?: boolean } = {},
): void {
  const { state, caller } = draft;
  const told = caller.localSdp;
  const { offer } = state.facts;
  const fitting = offer === undefined ? description : alignAnswer(description, offer);
  const sdp = told ?? draft.stamped(caller, fitting);
  caller.localSdp = sdp;
  callee.unsettled = !unchanged(sdp, fitting) || !isWhatTheResourceKnows(callee);
  const headers = { ...state.facts.timerHeaders, ...focusHeaders(callee.focus) };
  draft.emit({ type: 'answer', leg: 'a', sdp, headers });
  if (offer === undefined && callee.remoteSdp !== undefined) callee.holds = holds(callee.remoteSdp);
  if (callee.path.step === 'joined') callee.path = { ...callee.path, used: true };
  enterEstablished(draft, callee, { ownOffer });
}

function isWhatTheResourceKnows({ path, remoteSdp }: Leg): boolean {
  if (path.step !== 'joined' || path.answered === undefined || remoteSdp === undefined) return true;
  return unchanged(path.answered, remoteSdp);
}

/**
 * The callee refused what it was offered: a new INVITE through a resource may do (claim M2). `outcome` is for the explanation. False: there is nothing to be tried.
 */
export function retryThroughResource(
  draft: Draft,
  callee: Leg,
  outcome: string,
  tried: MediaTried | undefined,
): boolean {
  const branch = branchOf(draft, callee.id);
  const destination = destinationOf(draft, callee);
  if (branch === undefined || destination === undefined) return false;
  const need = needAfterRefusal(draft, callee, tried);
  if (need === undefined) return false;
  noteOutcome(draft, callee.id, outcome);
  const leg = addLeg(draft, branch, destination);
  leg.failedResources = [...callee.failedResources, ...(tried?.resources ?? [])];
  const { path } = callee;
  if (path.step === 'joined' && path.need.type === need.type) {
    // The same resource speaks to it in another way.
    callee.path = DIRECT;
    draft.cancelTimer(`lease:${callee.id}`);
    leg.path = { ...path, need, answered: undefined };
    draft.setTimer(`lease:${leg.id}`, path.leaseMs / 3);
    removeLeg(draft, callee.id);
    pathReady(draft, leg, need);
    return true;
  }
  removeLeg(draft, callee.id);
  requirePath(draft, leg, need, 'nothing');
  return true;
}
