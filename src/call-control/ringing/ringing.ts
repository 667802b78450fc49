import { deltaSeconds } from '../../sip-message/final-meaning';
import type { DeviceProfile } from '../../device/device-process';
import type { SessionSignal } from '../../sip/user-agent';
import { failureOf, TEMPORARILY_UNAVAILABLE } from './best-response';
import {
  branchFailed,
  goOn,
  hasNext,
  mayBeTold,
  NOT_MINE,
  noteOutcome,
  onlyTargetLeft,
  relayEarly,
  relayProgress,
  planOf,
  ring,
  ringingFailed,
  ringOf,
  routedAgain,
  sendInvite,
} from './branches';
import { answeredLeg } from '../core/call-state';
import { caresForItself, type Leg, moveLeg } from '../core/leg';
import { focusIn } from '../conference/focus';
import { type Draft, ELSEWHERE } from '../core/draft';
import { formatReason } from '../../sip/reason';
import { endCall } from '../core/ending';
import { bridgeTaken } from '../join/connect';
import { decidePath, withinPolicy } from '../bridge/path-need';
import { bridgeWith } from '../bridge/path-resource';
import { answerEarlyRequest, earlyRequestAnswered } from '../dialog/requests';
import { agreedTimer, allowsInterval } from '../dialog/session-timer';
import { answeredThrough, finishAnswer, retryThroughResource, setupPathSignal } from './setup-path';
import type { CallSignal, Route } from '../core/signals';

/**
 * A node must show within this time that it is there, if there is somebody else to try; drachtio passes no 100 up, so it sends 183.
 */
export const SIGN_OF_LIFE_MS = 1000;
/** The last one to try has longer: a node that was started a moment ago, or has much to do, is slow; and there is nothing to gain by haste. */
export const LAST_SIGN_OF_LIFE_MS = 5000;

/** Whether a signal is about who is rung while two others talk: it is none of the bridge of the call, nor of a leg on it. */
export function isAboutRinging(draft: Draft, signal: CallSignal): boolean {
  const { ringing, bridge } = draft.state;
  if (ringing === undefined) return false;
  switch (signal.type) {
    case 'routed':
    case 'branch-started':
    case 'branch-unreachable':
      return true;
    case 'session':
      return draft.leg(signal.leg)?.phase === 'calling';
    case 'timer':
      return isTimerOfRinging(draft, signal.timer);
    case 'path-allocated':
    case 'path-replied':
      return signal.bridge !== bridge;
    case 'resource-lost': {
      const of = bridgeWith(draft, signal.token);
      return of !== undefined && of.id !== bridge;
    }
    case 'resource-replied':
    case 'explained':
    case 'allocated':
    case 'join-answered':
    case 'taken':
    case 'to-conference':
    case 'leg-lost':
    case 'leg-back':
    case 'phone-back':
    case 'end':
      return false;
  }
}

function isTimerOfRinging(draft: Draft, timer: string): boolean {
  const [kind, id = ''] = timer.split(':');
  if (kind === 'no-answer' || kind === 'route-again' || kind === 'life') return true;
  return kind === 'path' && id !== draft.state.bridge;
}

/** Who is rung, and what the waiter hears of it. */
export function ringingSignal(draft: Draft, signal: CallSignal): void {
  switch (signal.type) {
    case 'routed':
      return signal.route.type === 'park' ? undefined : route(draft, signal.route);
    case 'branch-started':
      return branchStarted(draft, signal);
    case 'branch-unreachable':
      return unreachable(draft, signal);
    case 'session':
      return fromCallee(draft, signal);
    case 'timer':
      return timerFired(draft, signal.timer);
    case 'path-allocated':
    case 'path-replied':
    case 'resource-lost':
      return setupPathSignal(draft, signal);
    case 'resource-replied':
    case 'explained':
    case 'allocated':
    case 'join-answered':
    case 'taken':
    case 'to-conference':
    case 'leg-lost':
    case 'leg-back':
    case 'phone-back':
    case 'end':
      return;
  }
}

function route(draft: Draft, to: Route): void {
  const { state, ringing } = draft;
  if (ringing.routedAgain > 0) return routedAgain(draft, to);
  state.matched = to.matched;
  if (ringing.maxForwards <= 0) return ringingFailed(draft, { status: 483, reason: undefined, headers: {} });
  if (to.type === 'refused')
    return ringingFailed(draft, { status: to.status, reason: to.reason, headers: to.headers ?? {} });
  state.routes = to.branches;
  ring(draft, planOf(to.branches, to.noAnswerMs));
}

function branchStarted(draft: Draft, signal: Extract<CallSignal, { type: 'branch-started' }>): void {
  const leg = draft.leg(signal.leg);
  if (leg === undefined) return;
  leg.profile = signal.profile;
  leg.callId = signal.callId;
  if (leg.profile.kind !== 'node') return;
  draft.setTimer(`life:${leg.id}`, hasNext(draft, leg) ? SIGN_OF_LIFE_MS : LAST_SIGN_OF_LIFE_MS);
}

/** What has been sent there is called back: who is only cut off from us may be reached by that. */
function unreachable(draft: Draft, signal: Extract<CallSignal, { type: 'branch-unreachable' }>): void {
  const leg = draft.leg(signal.leg);
  if (leg === undefined) return;
  if (leg.callId !== '') draft.emit({ type: 'cancel', leg: leg.id, reason: formatReason(503, 'Unreachable') });
  branchFailed(draft, leg.id, { ...TEMPORARILY_UNAVAILABLE, headers: signal.headers ?? {} }, 'gone', true);
}

type FromCallee = Extract<CallSignal, { type: 'session' }>;

function fromCallee(draft: Draft, { leg: id, signal, ...told }: FromCallee): void {
  const leg = draft.leg(id);
  if (leg === undefined) {
    // A 200 that crossed our CANCEL.
    if (signal.type === 'answered') draft.emit({ type: 'bye', leg: id, reason: formatReason(200, ELSEWHERE) });
    return;
  }
  switch (signal.type) {
    case 'provisional':
      return provisional(draft, leg, signal);
    case 'answered':
      return answered(draft, leg, signal);
    case 'rejected':
      return rejected(draft, leg, signal, told);
    case 'ended':
      if (answeredLeg(draft.state)?.id === id)
        return endCall(draft, {
          by: 'callee',
          status: 480,
          reason: signal.reason,
          reasons: signal.reasons,
          except: id,
        });
      return branchFailed(draft, id, TEMPORARILY_UNAVAILABLE, 'lost', true);
    case 'requested':
      return answerEarlyRequest(draft, id, signal);
    case 'reinvited':
      return draft.emit({ type: 'respond', leg: id, id: signal.id, status: 491 });
    case 'request-answered':
      return earlyRequestAnswered(draft, leg, signal);
    case 'cancelled':
    case 'acknowledged':
    case 'reinvite-answered':
    case 'reinvite-rejected':
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
    leg.early ??= { status, sdp };
    // An answer to an early offer only; a reliable offer in an 18x would need PRACK, which we do not announce.
    const bridge = draft.bridgeTo(leg);
    if (mayBeTold(draft, bridge) && onlyTargetLeft(draft) === leg)
      return relayEarly(draft, bridge, status, leg.early.sdp);
  }
  // From a node it is only its sign of life.
  if (status === 183 && leg.profile.kind === 'node') return;
  relayProgress(draft, status, undefined);
}

function answered(draft: Draft, leg: Leg, signal: Extract<SessionSignal, { type: 'answered' }>): void {
  if (signal.sdp === undefined) {
    draft.emit({ type: 'bye', leg: leg.id, reason: formatReason(488, 'No session description') });
    return branchFailed(draft, leg.id, { status: 500, reason: undefined, headers: {} }, 'no description', false);
  }
  draft.cancelTimer(`life:${leg.id}`);
  const rung = ringOf(draft, leg.id);
  if (rung !== undefined) goOn(draft, { type: 'answered', ring: rung });
  noteOutcome(draft, leg.id, 'answered');
  moveLeg(leg, 'confirmed');
  leg.remoteSdp = signal.sdp;
  leg.early = undefined;
  if (caresForItself(leg)) leg.focus = focusIn(signal.header('contact'));
  leg.timer = agreedTimer(signal.header);
  const bridge = draft.bridgeTo(leg);
  if (draft.waiter.phase !== 'offered') return bridgeTaken(draft, bridge);
  draft.state.bridge = bridge.id;
  if (answeredThrough(draft, bridge, signal.sdp)) return;
  finishAnswer(draft, bridge, withinPolicy(draft.wayFrom(bridge, 'b'), signal.sdp));
}

function rejected(
  draft: Draft,
  leg: Leg,
  signal: Extract<SessionSignal, { type: 'rejected' }>,
  { notMine, tried, judged }: Pick<FromCallee, 'notMine' | 'tried' | 'judged'>,
): void {
  const { status, reason, header } = signal;
  const node = draft.state.trials.find((trial) => trial.leg === leg.id)?.node;
  if (notMine !== undefined && node !== undefined) {
    draft.emit({ type: 'refute-entry', node, ...notMine });
    return branchFailed(draft, leg.id, TEMPORARILY_UNAVAILABLE, NOT_MINE, true);
  }
  // RFC 4028 §7.4: again with the interval that it wants.
  if (status === 422 && allowsInterval(leg, deltaSeconds(header('Min-SE')) ?? 0)) return sendInvite(draft, leg);
  const refused = status === 488 || status === 606;
  if (refused && retryThroughResource(draft, leg, outcomeOf(draft, leg, status), tried)) return;
  const { kind } = leg.profile;
  const unreachable = isUnreachable(kind, status);
  const failure = failureOf(status, reason, header, unreachable && kind === 'node' && judged === undefined);
  const tryAnother = judged === undefined ? unreachable : judged === 'try-another';
  branchFailed(draft, leg.id, failure, outcomeOf(draft, leg, status), tryAnother);
}

/** A phone that cannot be reached may have moved; its 500 is its own answer. Behind nodes and gateways another may do better. */
function isUnreachable(kind: DeviceProfile['kind'], status: number): boolean {
  return status === 408 || status === 503 || status === 430 || (kind !== 'station' && status >= 500 && status < 600);
}

/** For the explanation of the route; a refused description is explained by the codecs of both ends, where they are known. */
function outcomeOf(draft: Draft, leg: Leg, status: number): string {
  if (status !== 488 && status !== 606) return `${status}`;
  const { offer } = draft.ringing;
  const path = decidePath(draft.wayFrom(draft.bridgeTo(leg), 'a'), offer, undefined);
  return path.path === 'direct' ? `${status}` : `${status}: ${path.reason}`;
}

function lookUpAgain(draft: Draft): void {
  const { number, by, waiter } = draft.ringing;
  draft.emit({ type: 'look-up', number, by, waiter });
}

function timerFired(draft: Draft, timer: string): void {
  const [kind, id] = timer.split(':');
  if (kind === 'no-answer') return goOn(draft, { type: 'deadline-passed', deadline: Number(id) });
  if (timer === 'route-again') return lookUpAgain(draft);
  const leg = [...draft.state.legs.values()].find(({ id }) => timer === `life:${id}`);
  if (leg === undefined) return;
  draft.emit({ type: 'cancel', leg: leg.id, reason: formatReason(408, 'No sign of life') });
  branchFailed(draft, leg.id, TEMPORARILY_UNAVAILABLE, 'no sign of life', true);
}
