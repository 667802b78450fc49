import type { AllocationExplanation, ResourceReply, UnavailableReason } from '../../media-resource/ports';
import { alignAnswer, withOneAudioStream, withoutFurtherAudio } from '../../sdp';
import { toldTo } from '../core/agreed';
import type { Bridge, Seat } from '../core/call-state';
import type { Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { keepExplanation } from './music';
import { DIRECT, movePath, type PathNeed, type Question } from './path';
import { choiceOf } from './path-need';
import type { CallSignal, PathRequest } from '../core/signals';

/** The resource in the path of a bridge: asked for, renewed, lost, given back. */

/** What the ends are connected by while a resource is asked for. */
type Before = 'direct' | 'nothing';

/**
 * Whose lists are walked: those of `b`, then those of `a`; for a device that requires the resource, or that is why it is needed, its own first.
 * The devices of other nodes are theirs to care for.
 */
function listsFor(draft: Draft, bridge: Bridge, { near }: PathNeed): readonly [Seat, ...Seat[]] {
  const [{ profile: a }, { profile: b }] = draft.ends(bridge);
  if (b.kind === 'node') return ['a'];
  if (a.kind === 'node') return ['b'];
  return near === 'a' || (near === undefined && a.mtpRequired === true) ? ['a', 'b'] : ['b', 'a'];
}

/** Asks for a resource; whatever was in the path must have been dropped. */
export function requirePath(draft: Draft, bridge: Bridge, need: PathNeed, before: Before): void {
  draft.cancelTimer(`path:${bridge.id}`);
  const [owner, ...others] = listsFor(draft, bridge, need);
  walkList(draft, bridge, need, before, owner, others);
}

function walkList(
  draft: Draft,
  bridge: Bridge,
  need: PathNeed,
  before: Before,
  owner: Seat,
  lists: readonly Seat[],
): void {
  const token = draft.state.nextToken;
  draft.state.nextToken += 1;
  movePath(bridge, { step: 'allocating', need, token, lists, before });
  bridge.question = undefined;
  const { type: kind, why } = need;
  draft.emit({
    type: 'allocate-path',
    bridge: bridge.id,
    owner: bridge.seats[owner],
    token,
    kind,
    why,
    exclude: bridge.failedResources,
    ...choiceOf(draft, bridge, need),
  });
}

/** What became of it, as far as the call must do something now. */
export interface PathOutcome {
  readonly bridge: Bridge;
  readonly need: PathNeed;
  readonly before: Before;
  readonly available: boolean;
}

export function pathAllocated(
  draft: Draft,
  { bridge: id, token, resource, explanation }: Extract<CallSignal, { type: 'path-allocated' }>,
): PathOutcome | undefined {
  const { state } = draft;
  if (state.tokens.includes(token)) return undefined;
  keepExplanation(draft, explanation);
  const bridge = state.bridges.get(id);
  const path = bridge?.path;
  if (bridge === undefined || path?.step !== 'allocating' || path.token !== token) {
    if (resource !== undefined) draft.emit({ type: 'release-resource', token });
    return undefined;
  }
  const { need, before, lists } = path;
  if (resource === undefined) {
    bridge.failedResources = [...new Set([...bridge.failedResources, ...askedIn(explanation)])];
    const [owner, ...others] = lists;
    if (owner === undefined) return { bridge, need, before, available: false };
    walkList(draft, bridge, need, before, owner, others);
    return undefined;
  }
  state.tokens = [...state.tokens, token];
  movePath(bridge, { step: 'joined', need, token, resource, used: false });
  return { bridge, need, before, available: true };
}

function askedIn({ trials }: AllocationExplanation): readonly string[] {
  return trials.filter(({ outcome }) => outcome !== 'skipped').map(({ device }) => device);
}

/**
 * Puts a question to the resource in the path; false: there is none (any more). It is given one audio stream: `fromResource` brings its reply back
 * to the place of that one.
 */
export function askPath(draft: Draft, bridge: Bridge, about: Question['about'], asked: PathRequest): boolean {
  const { path } = bridge;
  if (path.step !== 'joined') return false;
  const request = withOneStream(draft, bridge, asked);
  const number = draft.state.nextQuestion;
  draft.state.nextQuestion += 1;
  bridge.question = { number, about };
  draft.emit({ type: 'ask-path', bridge: bridge.id, token: path.token, number, request });
  return true;
}

function withOneStream(draft: Draft, bridge: Bridge, asked: PathRequest): PathRequest {
  if (asked.op === 'connect') {
    const { localSdp } = draft.seated(bridge, asked.from);
    return { ...asked, answer: withoutFurtherAudio(asked.answer, localSdp) };
  }
  const offerer = draft.seated(bridge, asked.to === 'a' ? 'b' : 'a');
  return asked.sdp === undefined ? asked : { ...asked, sdp: withoutFurtherAudio(asked.sdp, toldTo(offerer)) };
}

/** The answer that a resource has made for a leg, in the form that the offer of the leg demands. */
export function fromResource(leg: Leg, offer: string, made: string): string {
  return alignAnswer(made, withOneAudioStream(offer, toldTo(leg)));
}

/** The question that a reply belongs to; undefined: it comes too late. */
export function pathReplied(
  draft: Draft,
  { bridge: id, number, reply }: Extract<CallSignal, { type: 'path-replied' }>,
): { readonly bridge: Bridge; readonly about: Question['about']; readonly reply: ResourceReply } | undefined {
  const bridge = draft.state.bridges.get(id);
  const question = bridge?.question;
  if (bridge === undefined || question?.number !== number) return undefined;
  bridge.question = undefined;
  return { bridge, about: question.about, reply };
}

/** The bridge whose path has the resource with this token. */
export function bridgeWith(draft: Draft, token: number): Bridge | undefined {
  return [...draft.state.bridges.values()].find(({ path }) => path.step === 'joined' && path.token === token);
}

/** The resource serves no more: what is left of it is given back, and it is not asked again. */
export function losePath(draft: Draft, bridge: Bridge, reason: UnavailableReason): void {
  const { path } = bridge;
  if (path.step !== 'joined') return;
  const { need, resource, used } = path;
  giveBack(draft, bridge);
  bridge.losses += 1;
  // One that only lost our lease (its engine was started again) may serve us once more.
  if (reason !== 'unknown-allocation') bridge.failedResources = [...bridge.failedResources, resource];
  movePath(bridge, { step: 'lost', need, paused: false });
  if (!used) return;
  for (const leg of draft.ends(bridge)) if (leg.connection === 'peer') leg.connection = 'silence';
}

/** Nothing stands between the ends any more, and nothing is to. */
export function dropPath(draft: Draft, bridge: Bridge): void {
  giveBack(draft, bridge);
  if (bridge.path.step === 'lost') draft.cancelTimer(`path:${bridge.id}`);
  movePath(bridge, DIRECT);
  bridge.failedResources = [];
  bridge.losses = 0;
}

function giveBack(draft: Draft, bridge: Bridge): void {
  const { path } = bridge;
  bridge.question = undefined;
  if (path.step !== 'joined') return;
  draft.state.tokens = draft.state.tokens.filter((token) => token !== path.token);
  draft.emit({ type: 'release-resource', token: path.token });
}
