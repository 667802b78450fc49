import { partyAt } from '../../device/party';
import { alignAnswer } from '../../sdp';
import { advance, hasNext as leadsOn, onlyOneLeft, planned, rungNow } from './advance';
import { bestFailure } from './best-response';
import type { Plan, PlanAction, PlanEvent, PlanStep, RingId } from './plan';
import { type Bridge, type Destination, type Failure, newBridge, sessionIdOf } from '../core/call-state';
import { type Leg, type LegId, newLeg } from '../core/leg';
import type { Draft } from '../core/draft';
import { endCall } from '../core/ending';
import { needAtSetup, withinPolicy } from '../bridge/path-need';
import { movePath } from '../bridge/path';
import { askPath, dropPath, requirePath } from '../bridge/path-resource';
import { requestTimer } from '../dialog/session-timer';
import { formatReplaces } from '../../sip/replaces';
import type { Route } from '../core/signals';

/** Who is rung, as the plan says, and what the waiter hears of it. */

/** Nobody answers: the call of a waiter without an answer is over. */
export function ringingFailed(draft: Draft, failure: Failure): void {
  if (draft.waiter.phase === 'offered') return endCall(draft, { by: 'callee', ...failure });
  draft.ringing.failed = failure;
}

/** After this time without an answer the caller is told 480, unless the line has a time of its own. */
export const NO_ANSWER_MS = 180_000;

/** Branches ring together; the targets of one are tried in order while nobody decides; and all of it for so long. */
export function planOf(branches: readonly (readonly Destination[])[], noAnswerMs = NO_ANSWER_MS): Plan<Destination> {
  const plans = branches.map((targets): Plan<Destination> => {
    const steps = targets.map((target): PlanStep<Destination> => ({
      plan: { type: 'ring', target },
      goOn: ['unreachable'],
    }));
    return { type: 'inOrder', steps };
  });
  return { type: 'inOrder', steps: [{ plan: { type: 'together', plans }, forMs: noAnswerMs, goOn: [] }] };
}

/** Rings as a plan says, instead of whoever was rung before. */
export function ring(draft: Draft, plan: Plan<Destination>): void {
  draft.ringing.plan = planned(plan);
  goOn(draft, { type: 'started' });
}

/** What an event means for who is rung. */
export function goOn(draft: Draft, event: PlanEvent): void {
  const { ringing } = draft;
  if (ringing.plan === undefined) return;
  const { state, actions } = advance(ringing.plan, event);
  ringing.plan = state;
  if (event.type === 'answered' || event.type === 'failed') noLongerRung(draft, event.ring);
  for (const action of actions) perform(draft, action);
}

function perform(draft: Draft, action: PlanAction<Destination>): void {
  switch (action.type) {
    case 'ring':
      return start(draft, action.ring, action.target);
    case 'cancel':
      return cancel(draft, action.ring, action.reason);
    case 'set-deadline':
      return draft.setTimer(`no-answer:${action.deadline}`, action.ms);
    case 'cancel-deadline':
      return draft.cancelTimer(`no-answer:${action.deadline}`);
    case 'give-up':
      return giveUp(draft, action.failure);
  }
}

function start(draft: Draft, ringId: RingId, destination: Destination): void {
  const bridge = addLeg(draft, ringId, destination);
  const need = needAtSetup(draft, bridge, destination);
  if (need === undefined) inviteDirectly(draft, bridge);
  else requirePath(draft, bridge, need, 'nothing');
}

function cancel(draft: Draft, ringId: RingId, reason: string): void {
  const leg = draft.ringing.legs.get(ringId);
  if (leg === undefined) return;
  noLongerRung(draft, ringId);
  removeLeg(draft, leg);
  draft.emit({ type: 'cancel', leg, reason });
  noteOutcome(draft, leg, 'cancelled');
}

function giveUp(draft: Draft, failure: Failure | undefined): void {
  const { ringing } = draft;
  if (failure !== undefined) ringing.failures = [failure, ...ringing.failures];
  if (!looksAgain(draft)) ringingFailed(draft, bestFailure(ringing.failures));
}

/** It is no ringing any more: what happens now happens to the call. */
function noLongerRung(draft: Draft, ringId: RingId): void {
  draft.ringing.legs = new Map([...draft.ringing.legs].filter(([other]) => other !== ringId));
}

/** A leg to a target that is rung now, and the bridge between it and the waiter; nothing is sent yet. */
export function addLeg(draft: Draft, ringId: RingId, destination: Destination): Bridge {
  const { state } = draft;
  const ordinal = state.nextLeg;
  state.nextLeg += 1;
  const { pid, device, digits, codecPolicy } = destination;
  const id: LegId = `b${ordinal}`;
  const profile = profileOf(destination);
  const party = { ...partyAt(profile, { number: digits, displayName: profile.displayName }), device };
  const about = { role: 'client', profile, pid, callId: '', device, party } as const;
  const leg = newLeg({ id, sessionId: sessionIdOf(state.facts, ordinal), ...about }, undefined);
  leg.ability = destination.ability;
  draft.ringing.legs = new Map([...draft.ringing.legs, [ringId, id]]);
  state.legs.set(id, leg);
  const bridge = newBridge({ id: `bridge${ordinal}`, seats: { a: draft.ringing.waiter, b: id }, codecPolicy });
  state.bridges.set(bridge.id, bridge);
  state.trials = [...state.trials, { leg: id, device, pid, node: destination.node, outcome: 'trying' }];
  return bridge;
}

/** The device's own, or what can be said of it without knowing it; a call without a leg could not be cancelled. */
function profileOf({ device, kind, local, profile }: Destination): Leg['profile'] {
  return profile ?? { ...UNKNOWN_PROFILE, name: device, kind: local ? kind : 'node' };
}

/** Sends the INVITE; without an offer the callee makes one. */
export function invite(draft: Draft, leg: Leg, offer: string | undefined): void {
  leg.localSdp = offer === undefined ? undefined : draft.offerFor(leg, offer);
  sendInvite(draft, leg);
}

/** Sends the INVITE of a leg, or sends it again with what has been learnt of the device. */
export function sendInvite(draft: Draft, leg: Leg): void {
  const destination = destinationOf(draft, leg);
  if (destination === undefined) return;
  const { inPlaceOf } = destination;
  draft.emit({
    type: 'start-branch',
    leg: leg.id,
    waiter: draft.ringing.waiter,
    destination,
    sdp: leg.localSdp,
    maxForwards: draft.ringing.maxForwards - 1,
    headers: {
      ...requestTimer(draft.state.facts.refreshSeconds, leg.minimumInterval),
      ...(inPlaceOf?.replaces === undefined ? {} : { Replaces: formatReplaces(inPlaceOf.replaces) }),
    },
  });
}

/** Sends the INVITE with what the waiter offers. */
export function inviteDirectly(draft: Draft, bridge: Bridge): void {
  const { offer } = draft.ringing;
  const way = draft.wayFrom(bridge, 'a');
  invite(draft, way.to, offer === undefined ? undefined : withinPolicy(way, offer));
}

/** The target that a leg stands for, while nobody has answered. */
export function destinationOf(draft: Draft, leg: Leg): Destination | undefined {
  const { plan } = draft.ringing;
  const ringId = ringOf(draft, leg.id);
  return plan && rungNow(plan).find((rung) => rung.ring === ringId)?.target;
}

/** Somebody else can be tried when this one does not answer. */
export function hasNext(draft: Draft, leg: Leg): boolean {
  const { plan } = draft.ringing;
  const ringId = ringOf(draft, leg.id);
  return plan !== undefined && ringId !== undefined && leadsOn(plan, ringId);
}

const UNKNOWN_PROFILE = { site: undefined, mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };

/** The ringing that a leg stands for; undefined: it is not rung (any more). */
export function ringOf(draft: Draft, leg: LegId): RingId | undefined {
  return [...(draft.state.ringing?.legs ?? [])].find(([, other]) => other === leg)?.[0];
}

export function noteOutcome(draft: Draft, leg: LegId, outcome: string): void {
  draft.state.trials = draft.state.trials.map((trial) => (trial.leg === leg ? { ...trial, outcome } : trial));
}

/** A target has failed; `tryAnother`: nobody has decided anything. */
export function branchFailed(draft: Draft, id: LegId, failure: Failure, outcome: string, tryAnother: boolean): void {
  const ringId = ringOf(draft, id);
  if (ringId === undefined) return;
  removeLeg(draft, id);
  noteOutcome(draft, id, outcome);
  goOn(draft, { type: 'failed', ring: ringId, failure: { ...failure, tryAnother } });
  lastIsHeard(draft);
}

/** The leg with its timers, its bridge and the resource that was meant for it. */
export function removeLeg(draft: Draft, id: LegId): void {
  const leg = draft.leg(id);
  if (leg === undefined) return;
  const bridge = draft.bridgeTo(leg);
  dropPath(draft, bridge);
  draft.cancelTimer(`life:${id}`);
  draft.state.bridges.delete(bridge.id);
  draft.state.legs.delete(id);
}

/** Ends the ringing: nobody is tried any more. */
export function cancelBranches(draft: Draft, reason: string): void {
  goOn(draft, { type: 'cancelled', reason });
}

/** After a failure: the early media of who is left may now be heard. */
function lastIsHeard(draft: Draft): void {
  const last = onlyTargetLeft(draft);
  if (last?.early === undefined) return;
  const bridge = draft.bridgeTo(last);
  if (mayBeTold(draft, bridge)) relayEarly(draft, bridge, last.early.status, last.early.sdp);
}

/** What a node calls an entry that it does not have (any more). */
export const NOT_MINE = 'not mine';

/**
 * When the tables may have been repaired after a "not mine": soon, by the answer of the entry's owner, or with the next poll of
 * the node that the device has moved to, when its message was lost. In ms, one after the other.
 */
const LOOK_AGAIN_MS = [300, 1500] as const;

/**
 * Nothing but stale entries: the device may have moved, and we have not heard where to. The same call waits for the repair
 * (claim R13). `false`: there is no sense in waiting (any longer).
 */
function looksAgain(draft: Draft): boolean {
  const { ringing, state } = draft;
  const wait = LOOK_AGAIN_MS[ringing.routedAgain];
  const trials = state.trials.slice(ringing.firstTrial);
  const stale = trials.length > 0 && trials.every(({ outcome }) => outcome === NOT_MINE);
  if (wait === undefined || !stale) return false;
  ringing.routedAgain += 1;
  draft.setTimer('route-again', wait);
  return true;
}

/** What the second look at the tables gives, without what is known to be stale. */
export function routedAgain(draft: Draft, route: Route): void {
  const { state } = draft;
  const isStale = ({ pid, node }: Destination): boolean =>
    state.trials.some((trial) => trial.outcome === NOT_MINE && trial.pid === pid && trial.node === node);
  const branches =
    route.type === 'refused' ? [] : route.branches.map((all) => all.filter((target) => !isStale(target)));
  const left = branches.filter((targets) => targets.length > 0);
  ring(draft, planOf(left, route.type === 'refused' ? undefined : route.noAnswerMs));
}

/** The leg of the only target that can still answer; undefined when there are several. */
export function onlyTargetLeft(draft: Draft): Leg | undefined {
  const { plan, legs } = draft.ringing;
  const only = plan && onlyOneLeft(plan);
  const leg = only === undefined ? undefined : legs.get(only);
  return leg === undefined ? undefined : draft.leg(leg);
}

/**
 * The caller knows one dialog, whoever rings: the first description in it is its answer (RFC 3261 §13.2.1). It is told no other before the
 * call is answered, and is then offered what holds.
 */
export function mayBeTold(draft: Draft, { path }: Bridge): boolean {
  const isAsked = path.step === 'joined' && path.answered !== undefined;
  return draft.ringing.offer !== undefined && draft.waiter.localSdp === undefined && !isAsked;
}

/** The callee's early description, by way of the resource in the path where there is one. */
export function relayEarly(draft: Draft, bridge: Bridge, status: number, sdp: string): void {
  const { path } = bridge;
  if (path.step === 'direct') return relayProgress(draft, status, withinPolicy(draft.wayFrom(bridge, 'b'), sdp));
  if (path.step === 'joined') movePath(bridge, { ...path, answered: sdp });
  askPath(draft, bridge, { type: 'early', status }, { op: 'connect', from: 'b', answer: sdp });
}

/** Each status once, and once more with the description. */
export function relayProgress(draft: Draft, status: number, sdp: string | undefined): void {
  const { ringing, waiter } = draft;
  if (sdp === undefined) {
    if (ringing.relayed.includes(status)) return;
    ringing.relayed = [...ringing.relayed, status];
    if (waiter.phase === 'offered') draft.emit({ type: 'progress', leg: waiter.id, status });
    return;
  }
  if (waiter.phase !== 'offered') return;
  waiter.localSdp = draft.stamped(waiter, ringing.offer === undefined ? sdp : alignAnswer(sdp, ringing.offer));
  ringing.relayed = [...ringing.relayed, status];
  draft.emit({ type: 'progress', leg: waiter.id, status, sdp: waiter.localSdp });
}
