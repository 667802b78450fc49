import type { NotMine } from '../sip/node-signature';
import type { SessionSignal } from '../sip/user-agent';
import { decideMediaPath } from '../media-control';
import { holds } from '../sdp';
import { failureOf, bestFailure, TEMPORARILY_UNAVAILABLE } from './best-response';
import { type Branch, type Failure, type Leg, type LegId, newLeg } from './call-state';
import { type Draft, ELSEWHERE, reasonHeader } from './draft';
import { endCall } from './ending';
import { enterEstablished } from './established';
import { answerEarlyRequest } from './requests';
import { hasAgreedTimer, requestTimer } from './session-timer';
import type { CallSignal, Route } from './signals';

/** A node must show within this time that it is there; drachtio passes no 100 up, so it sends 183. */
export const SIGN_OF_LIFE_MS = 1000;
/** After this time without an answer the caller is told 480. */
export const NO_ANSWER_MS = 180_000;

/** A call that nobody has answered: who is rung, and what the caller hears of it. */
export function setup(draft: Draft, signal: CallSignal): void {
  switch (signal.type) {
    case 'routed':
      return route(draft, signal.route);
    case 'branch-started':
      return branchStarted(draft, signal);
    case 'branch-unreachable':
      return branchFailed(draft, signal.leg, TEMPORARILY_UNAVAILABLE, 'gone', true);
    case 'session':
      return signal.leg === 'a'
        ? fromCaller(draft, signal.signal)
        : fromCallee(draft, signal.leg, signal.signal, signal.notMine);
    case 'timer':
      return timerFired(draft, signal.timer);
    case 'end':
      return endCall(draft, { by: 'system', status: 503, reason: signal.reason });
    case 'allocated':
      // Nothing is allocated before the call is answered.
      if (signal.leaseMs !== undefined) draft.emit({ type: 'release-resource', token: signal.token });
      return;
    case 'resource-replied':
      return;
  }
}

function route(draft: Draft, to: Route): void {
  const { state } = draft;
  state.matched = to.matched;
  if (state.facts.maxForwards <= 0) return refuseCaller(draft, { status: 483, reason: undefined, headers: {} });
  if (to.type === 'refused')
    return refuseCaller(draft, { status: to.status, reason: to.reason, headers: to.headers ?? {} });
  for (const targets of to.branches) state.branches.push({ targets, next: 0, leg: undefined, done: false });
  draft.setTimer('no-answer', NO_ANSWER_MS);
  for (const branch of state.branches) tryNext(draft, branch);
  settle(draft);
}

function refuseCaller(draft: Draft, failure: Failure): void {
  const { status, reason, headers } = failure;
  endCall(draft, { by: 'callee', status, reason, headers });
}

/** Starts the next target of a branch, or ends the branch. */
function tryNext(draft: Draft, branch: Branch): void {
  const { state } = draft;
  const destination = branch.targets[branch.next];
  branch.leg = undefined;
  if (destination === undefined) {
    branch.done = true;
    return;
  }
  const id: LegId = `b${state.nextLeg}`;
  state.nextLeg += 1;
  branch.next += 1;
  branch.leg = id;
  const { pid, device } = destination;
  // Until the device process says otherwise; a call without a leg could not be cancelled.
  const profile = { ...UNKNOWN_PROFILE, name: device, kind: destination.local ? destination.kind : ('node' as const) };
  const about = { id, role: 'client' as const, profile, pid, callId: '', device };
  const leg = newLeg(about, state.facts.startedAt, undefined);
  state.legs.set(id, leg);
  leg.localSdp = state.facts.offer === undefined ? undefined : draft.offerFor(leg, state.facts.offer);
  state.trials = [...state.trials, { leg: id, device, pid, node: destination.node, outcome: 'trying' }];
  draft.emit({
    type: 'start-branch',
    leg: id,
    destination,
    sdp: leg.localSdp,
    maxForwards: state.facts.maxForwards - 1,
    headers: requestTimer(state.facts.refreshSeconds),
  });
}

const UNKNOWN_PROFILE = { site: undefined, mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };

function branchStarted(draft: Draft, signal: Extract<CallSignal, { type: 'branch-started' }>): void {
  const leg = draft.leg(signal.leg);
  if (leg === undefined) return;
  leg.profile = signal.profile;
  leg.callId = signal.callId;
  if (leg.profile.kind === 'node') draft.setTimer(`life:${leg.id}`, SIGN_OF_LIFE_MS);
}

function branchOf(draft: Draft, leg: LegId): Branch | undefined {
  return draft.state.branches.find((branch) => branch.leg === leg);
}

function noteOutcome(draft: Draft, leg: LegId, outcome: string): void {
  draft.state.trials = draft.state.trials.map((trial) => (trial.leg === leg ? { ...trial, outcome } : trial));
}

/** A target has failed; `goOn`: the next one of its branch may help. */
function branchFailed(draft: Draft, id: LegId, failure: Failure, outcome: string, goOn: boolean): void {
  const branch = branchOf(draft, id);
  if (branch === undefined) return;
  draft.cancelTimer(`life:${id}`);
  draft.state.legs.delete(id);
  draft.state.failures = [...draft.state.failures, failure];
  noteOutcome(draft, id, outcome);
  branch.leg = undefined;
  if (goOn) tryNext(draft, branch);
  else branch.done = true;
  if (failure.status >= 600) cancelBranches(draft, reasonHeader(undefined, failure.status));
  settle(draft);
}

/** Ends every branch that still rings; none of them is tried further. */
function cancelBranches(draft: Draft, reason: string, except?: LegId): void {
  for (const branch of draft.state.branches) {
    const id = branch.leg;
    branch.done = true;
    if (id === undefined || id === except) continue;
    branch.leg = undefined;
    draft.state.legs.delete(id);
    draft.cancelTimer(`life:${id}`);
    draft.emit({ type: 'cancel', leg: id, reason });
    noteOutcome(draft, id, 'cancelled');
  }
}

/** After a failure: nothing left, or one left whose early media may now be heard. */
function settle(draft: Draft): void {
  const { state } = draft;
  if (state.branches.every((branch) => branch.done)) return refuseCaller(draft, bestFailure(state.failures));
  const last = onlyTargetLeft(draft);
  if (last?.early !== undefined) relayProgress(draft, last.early.status, last.early.sdp);
}

/** The leg of the only target that can still answer; undefined when there are several. */
function onlyTargetLeft(draft: Draft): Leg | undefined {
  const open = draft.state.branches.filter((branch) => !branch.done);
  const [branch] = open;
  if (branch?.leg === undefined || open.length > 1 || branch.next < branch.targets.length) return undefined;
  return draft.leg(branch.leg);
}

function fromCaller(draft: Draft, signal: SessionSignal): void {
  switch (signal.type) {
    case 'cancelled':
      cancelBranches(draft, reasonHeader(signal.reason, 487));
      return endCall(draft, { by: 'caller', status: 487, reason: signal.reason, except: 'a' });
    case 'ended':
      cancelBranches(draft, reasonHeader(signal.reason, 487));
      return endCall(draft, {
        by: signal.by === 'peer' ? 'caller' : 'system',
        status: 487,
        reason: signal.reason,
        except: 'a',
      });
    case 'requested':
      return answerEarlyRequest(draft, 'a', signal);
    case 'reinvited':
      return draft.emit({ type: 'respond', leg: 'a', id: signal.id, status: 491 });
    case 'provisional':
    case 'answered':
    case 'rejected':
    case 'acknowledged':
    case 'reinvite-answered':
    case 'reinvite-rejected':
    case 'request-answered':
      return;
  }
}

function fromCallee(draft: Draft, id: LegId, signal: SessionSignal, notMine: NotMine | undefined): void {
  const leg = draft.leg(id);
  if (leg === undefined) {
    // A 200 that crossed our CANCEL.
    if (signal.type === 'answered') draft.emit({ type: 'bye', leg: id, reason: reasonHeader(ELSEWHERE, 200) });
    return;
  }
  switch (signal.type) {
    case 'provisional':
      return provisional(draft, leg, signal);
    case 'answered':
      return answered(draft, leg, signal);
    case 'rejected':
      return rejected(draft, leg, signal, notMine);
    case 'ended':
      return branchFailed(draft, id, TEMPORARILY_UNAVAILABLE, 'lost', true);
    case 'requested':
      return answerEarlyRequest(draft, id, signal);
    case 'reinvited':
      return draft.emit({ type: 'respond', leg: id, id: signal.id, status: 491 });
    case 'cancelled':
    case 'acknowledged':
    case 'reinvite-answered':
    case 'reinvite-rejected':
    case 'request-answered':
      return;
  }
}

function provisional(draft: Draft, leg: Leg, signal: Extract<SessionSignal, { type: 'provisional' }>): void {
  draft.cancelTimer(`life:${leg.id}`);
  const { status, sdp } = signal;
  if (status <= 100 || status > 183) return;
  noteOutcome(draft, leg.id, status === 180 ? 'ringing' : 'trying');
  if (status === 180) draft.state.ringingAt ??= draft.moment.now;
  if (sdp !== undefined) {
    leg.early = { status, sdp };
    // An answer to an early offer only; a reliable offer in an 18x would need PRACK, which we do not announce.
    if (draft.state.facts.offer !== undefined && onlyTargetLeft(draft) === leg)
      return relayProgress(draft, status, sdp);
  }
  // From a node it is only its sign of life.
  if (status === 183 && leg.profile.kind === 'node') return;
  relayProgress(draft, status, undefined);
}

/** Each status once, and once more when a description comes with it for the first time. */
function relayProgress(draft: Draft, status: number, sdp: string | undefined): void {
  const { state, caller } = draft;
  if (sdp === undefined) {
    if (state.relayed.includes(status)) return;
    state.relayed = [...state.relayed, status];
    return draft.emit({ type: 'progress', leg: 'a', status });
  }
  if (state.facts.offer === undefined) return;
  const before = caller.localSdp;
  caller.localSdp = draft.stamped(caller, sdp);
  if (before === caller.localSdp && state.relayed.includes(status)) return;
  state.relayed = [...state.relayed, status];
  draft.emit({ type: 'progress', leg: 'a', status, sdp: caller.localSdp });
}

function answered(draft: Draft, leg: Leg, signal: Extract<SessionSignal, { type: 'answered' }>): void {
  const { state } = draft;
  if (signal.sdp === undefined) {
    draft.emit({ type: 'bye', leg: leg.id, reason: reasonHeader('No session description', 488) });
    return branchFailed(draft, leg.id, { status: 500, reason: undefined, headers: {} }, 'no description', false);
  }
  draft.cancelTimer(`life:${leg.id}`);
  draft.cancelTimer('no-answer');
  cancelBranches(draft, reasonHeader(ELSEWHERE, 200), leg.id);
  noteOutcome(draft, leg.id, 'answered');
  state.answered = leg.id;
  leg.remoteSdp = signal.sdp;
  leg.early = undefined;
  const sdp = draft.stamped(draft.caller, signal.sdp);
  draft.caller.localSdp = sdp;
  draft.emit({ type: 'answer', leg: 'a', sdp, headers: state.facts.timerHeaders });
  if (state.facts.offer === undefined) leg.holds = holds(signal.sdp);
  enterEstablished(draft, leg, hasAgreedTimer(signal.header));
}

function rejected(
  draft: Draft,
  leg: Leg,
  signal: Extract<SessionSignal, { type: 'rejected' }>,
  notMine: NotMine | undefined,
): void {
  const { status, reason, header } = signal;
  const node = draft.state.trials.find((trial) => trial.leg === leg.id)?.node;
  if (notMine !== undefined && node !== undefined) {
    draft.emit({ type: 'refute-entry', node, ...notMine });
    return branchFailed(draft, leg.id, TEMPORARILY_UNAVAILABLE, 'not mine', true);
  }
  const { kind } = leg.profile;
  // A phone that cannot be reached may have moved; its 500 is its own answer. Behind nodes and gateways another may do better.
  const unreachable =
    status === 408 || status === 503 || status === 430 || (kind !== 'station' && status >= 500 && status < 600);
  const failure = failureOf(status, reason, header, unreachable && kind === 'node');
  branchFailed(draft, leg.id, failure, outcomeOf(draft, leg, status), unreachable);
}

/** For the explanation of the route; a refused description is explained by the codecs of both ends, where they are known. */
function outcomeOf(draft: Draft, leg: Leg, status: number): string {
  if (status !== 488 && status !== 606) return `${status}`;
  const { offer } = draft.state.facts;
  const path = decideMediaPath(
    { sdp: offer, codecs: draft.caller.profile.codecs },
    { sdp: undefined, codecs: leg.profile.codecs },
  );
  return path.path === 'direct' ? `${status}` : `${status}: ${path.reason}`;
}

function timerFired(draft: Draft, timer: string): void {
  if (timer === 'no-answer') {
    cancelBranches(draft, reasonHeader('No answer', 487));
    return refuseCaller(draft, { status: 480, reason: 'No Answer', headers: {} });
  }
  const leg = [...draft.state.legs.values()].find((candidate) => timer === `life:${candidate.id}`);
  if (leg === undefined) return;
  draft.emit({ type: 'cancel', leg: leg.id, reason: reasonHeader('No sign of life', 408) });
  branchFailed(draft, leg.id, TEMPORARILY_UNAVAILABLE, 'no sign of life', true);
}
