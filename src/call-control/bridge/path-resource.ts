import type { AllocationExplanation, ResourceReply, UnavailableReason } from '../../media-resource/ports';
import { alignAnswer, withOneAudioStream, withoutFurtherAudio } from '../../sdp';
import { toldTo } from '../core/agreed';
import type { Leg, LegId } from '../core/call-state';
import type { Draft } from '../core/draft';
import { keepExplanation } from './music';
import { DIRECT, type PathNeed, type Question } from './path';
import { choiceOf } from './path-need';
import type { CallSignal, PathRequest } from '../core/signals';

/** The resource in the path between the caller and a callee: asked for, renewed, lost, given back. */

/** What the ends are connected by while a resource is asked for. */
type Before = 'direct' | 'nothing';

export function sideOf(leg: Leg): 'a' | 'b' {
  return leg.id === 'a' ? 'a' : 'b';
}

/**
 * Whose lists are walked: the callee's, then the caller's; for a device that requires the resource, or that is why it is needed, its own first.
 * The devices of other nodes are theirs to care for.
 */
function listsFor(draft: Draft, callee: Leg, { near }: PathNeed): readonly [LegId, ...LegId[]] {
  const { caller } = draft;
  if (callee.profile.kind === 'node') return ['a'];
  if (caller.profile.kind === 'node') return [callee.id];
  return near === 'a' || (near === undefined && caller.profile.mtpRequired === true)
    ? ['a', callee.id]
    : [callee.id, 'a'];
}

/** Asks for a resource; whatever was in the path must have been dropped. */
export function requirePath(draft: Draft, callee: Leg, need: PathNeed, before: Before): void {
  draft.cancelTimer(`path:${callee.id}`);
  const [owner, ...others] = listsFor(draft, callee, need);
  walkList(draft, callee, need, before, owner, others);
}

function walkList(
  draft: Draft,
  callee: Leg,
  need: PathNeed,
  before: Before,
  owner: LegId,
  lists: readonly LegId[],
): void {
  const token = draft.state.nextToken;
  draft.state.nextToken += 1;
  callee.path = { step: 'allocating', need, token, lists, before };
  callee.question = undefined;
  const { type: kind, why } = need;
  const exclude = callee.failedResources;
  draft.emit({
    type: 'allocate-path',
    leg: callee.id,
    owner,
    token,
    kind,
    why,
    exclude,
    ...choiceOf(draft, callee, need),
  });
}

/** What became of it, as far as the call must do something now. */
export interface PathOutcome {
  readonly callee: Leg;
  readonly need: PathNeed;
  readonly before: Before;
  readonly available: boolean;
}

export function pathAllocated(
  draft: Draft,
  { leg: id, token, resource, explanation }: Extract<CallSignal, { type: 'path-allocated' }>,
): PathOutcome | undefined {
  const { state } = draft;
  if (state.tokens.includes(token)) return undefined;
  keepExplanation(draft, explanation);
  const callee = draft.leg(id);
  const path = callee?.path;
  if (callee === undefined || path?.step !== 'allocating' || path.token !== token) {
    if (resource !== undefined) draft.emit({ type: 'release-resource', token });
    return undefined;
  }
  const { need, before, lists } = path;
  if (resource === undefined) {
    callee.failedResources = [...new Set([...callee.failedResources, ...askedIn(explanation)])];
    const [owner, ...others] = lists;
    if (owner === undefined) return { callee, need, before, available: false };
    walkList(draft, callee, need, before, owner, others);
    return undefined;
  }
  const { name, leaseMs } = resource;
  state.tokens = [...state.tokens, token];
  callee.path = { step: 'joined', need, token, leaseMs, resource: name, used: false };
  draft.setTimer(`lease:${callee.id}`, leaseMs / 3);
  return { callee, need, before, available: true };
}

function askedIn({ trials }: AllocationExplanation): readonly string[] {
  return trials.filter(({ outcome }) => outcome !== 'skipped').map(({ device }) => device);
}

/**
 * Puts a question to the resource in the path; false: there is none (any more). It is given one audio stream: `fromResource` brings its reply back
 * to the place of that one.
 */
export function askPath(draft: Draft, callee: Leg, about: Question['about'], asked: PathRequest): boolean {
  const { path } = callee;
  if (path.step !== 'joined') return false;
  const request = withOneStream(asked, draft.caller, callee);
  const number = draft.state.nextQuestion;
  draft.state.nextQuestion += 1;
  callee.question = { number, about };
  draft.emit({ type: 'ask-path', leg: callee.id, token: path.token, number, request });
  return true;
}

function withOneStream(asked: PathRequest, caller: Leg, callee: Leg): PathRequest {
  if (asked.op === 'connect') {
    const { localSdp } = asked.from === 'a' ? caller : callee;
    return { ...asked, answer: withoutFurtherAudio(asked.answer, localSdp) };
  }
  const offerer = asked.to === 'a' ? callee : caller;
  return asked.sdp === undefined ? asked : { ...asked, sdp: withoutFurtherAudio(asked.sdp, toldTo(offerer)) };
}

/** The answer that a resource has made for a leg, in the form that the offer of the leg demands. */
export function fromResource(leg: Leg, offer: string, made: string): string {
  return alignAnswer(made, withOneAudioStream(offer, toldTo(leg)));
}

/** The question that a reply belongs to; undefined: it comes too late. */
export function pathReplied(
  draft: Draft,
  { leg: id, number, reply }: Extract<CallSignal, { type: 'path-replied' }>,
): { readonly callee: Leg; readonly about: Question['about']; readonly reply: ResourceReply } | undefined {
  const callee = draft.leg(id);
  const question = callee?.question;
  if (callee === undefined || question?.number !== number) return undefined;
  callee.question = undefined;
  return { callee, about: question.about, reply };
}

export function leaseDue(draft: Draft, callee: Leg): void {
  const { path } = callee;
  if (path.step === 'joined') draft.emit({ type: 'renew-resource', leg: callee.id, token: path.token });
}

/** The callee whose path has the resource with this token. */
export function calleeWith(draft: Draft, token: number): Leg | undefined {
  return [...draft.state.legs.values()].find(({ path }) => path.step === 'joined' && path.token === token);
}

/** Reply to a renewal. True: the resource is lost. */
export function leaseReplied(draft: Draft, callee: Leg, reply: ResourceReply): boolean {
  const { path } = callee;
  if (path.step !== 'joined') return false;
  if (!reply.ok) return true;
  draft.setTimer(`lease:${callee.id}`, (reply.leaseMs ?? path.leaseMs) / 3);
  return false;
}

/** The resource serves no more: what is left of it is given back, and it is not asked again. */
export function losePath(draft: Draft, callee: Leg, reason: UnavailableReason): void {
  const { path } = callee;
  if (path.step !== 'joined') return;
  const { need, resource, used } = path;
  giveBack(draft, callee);
  callee.losses += 1;
  // One that only lost our lease (its engine was started again) may serve us once more.
  if (reason !== 'unknown-allocation') callee.failedResources = [...callee.failedResources, resource];
  callee.path = { step: 'lost', need, paused: false };
  if (!used) return;
  for (const leg of [draft.caller, callee]) if (leg.connection === 'peer') leg.connection = 'silence';
}

/** Nothing stands between the ends any more, and nothing is to. */
export function dropPath(draft: Draft, callee: Leg): void {
  giveBack(draft, callee);
  if (callee.path.step === 'lost') draft.cancelTimer(`path:${callee.id}`);
  callee.path = DIRECT;
  callee.failedResources = [];
  callee.losses = 0;
}

function giveBack(draft: Draft, callee: Leg): void {
  const { path } = callee;
  callee.question = undefined;
  if (path.step !== 'joined') return;
  draft.cancelTimer(`lease:${callee.id}`);
  draft.state.tokens = draft.state.tokens.filter((token) => token !== path.token);
  draft.emit({ type: 'release-resource', token: path.token });
}
