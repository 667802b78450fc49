import { formatReason } from '../../sip/reason';
import type { SessionSignal } from '../../sip/user-agent';
import { holds } from '../../sdp';
import { spokenBy } from '../core/agreed';
import { bridgeOf, type Bridge, type CallState, type Destination, newRinging } from '../core/call-state';
import type { Draft } from '../core/draft';
import { endCall } from '../core/ending';
import type { Leg, LegId } from '../core/leg';
import { holdsByAnswer } from '../dialog/outgoing-offer';
import { forget, isLeaving, keepSeat, leave } from '../join/leaving';
import { cancelBranches, ring } from '../ringing/branches';
import type { Plan } from '../ringing/plan';
import { isWithout, moveSurvival, SURVIVAL_ANSWERS, type Survival, type SurvivalEvent } from './survival-state';

/**
 * A call between two nodes survives the death of one. The half that is left keeps its leg as it is, waits until the phone behind the dead node is registered
 * elsewhere, and asks it to go on: by an INVITE in the place of the dialog that it had with that node (RFC 3891). Phones talk to each
 * other directly, or through a relay that is still there, so nobody hears anything of it.
 */

/** A phone takes such an INVITE without asking anybody; who is silent for so long does not. */
const ASKED_FOR_MS = 10_000;
const MAX_FORWARDS = 70;
const TAKEN_UP = formatReason(200, 'Replaced');

/** The leg of a node that is lost, when the phone behind it can be asked to go on. Else the call is what it was. */
export function canSurvive(state: CallState, id: LegId): boolean {
  const [leg, bridge] = [state.legs.get(id), bridgeOf(state)];
  if (state.kind !== 'established' || leg === undefined || bridge === undefined) return false;
  if ((state.facts.surviveMs ?? 0) === 0 || leg.far?.dialog === undefined || isLeaving(leg)) return false;
  const { a, b } = bridge.seats;
  const other = a === id ? state.legs.get(b) : b === id ? state.legs.get(a) : undefined;
  const talks = other?.phase === 'confirmed' && (other.profile.kind === 'station' || other.profile.kind === 'gateway');
  if (isWithout(state)) return talks && state.survival?.leg === id;
  return talks && state.transfer === undefined && state.ringing === undefined;
}

function go(draft: Draft, event: SurvivalEvent, about: Omit<Survival, 'step'>): Survival['step'] | undefined {
  const before = draft.state.survival?.step;
  // What became of another leg is no matter of this one.
  const from = draft.state.survival?.leg === about.leg ? (before ?? 'none') : before === undefined ? 'none' : before;
  const step = SURVIVAL_ANSWERS[from][event];
  if (step === 'none' || step === from) return undefined;
  moveSurvival(draft.state, { ...about, step });
  return step;
}

/** The node behind a leg is gone. True: the call goes on without it. `sure`: its dialog is over, whatever becomes of the node. */
export function legLost(draft: Draft, leg: Leg, sure: boolean): boolean {
  const { state } = draft;
  if (!canSurvive(state, leg.id)) return false;
  const { survival } = state;
  if (survival?.step === 'given up' && survival.leg === leg.id) return false;
  if (go(draft, 'lost', { leg: leg.id, asked: [] }) === 'waiting') {
    draft.setTimer('survival', state.facts.surviveMs ?? 0);
    awaitPhone(draft, leg);
  }
  if (sure && leg.phase === 'confirmed') {
    draft.emit({ type: 'bye', leg: leg.id });
    keepSeat(draft, leg, leg.holds);
  }
  return true;
}

function awaitPhone(draft: Draft, { device, party, far }: Leg): void {
  if (far !== undefined) draft.emit({ type: 'await-phone', device, number: party.number, lost: far.process });
}

/** The node was only cut off. What it had is there, when nobody has found that it is not. */
export function legBack(draft: Draft, leg: Leg): void {
  const { survival } = draft.state;
  if (survival?.leg !== leg.id || leg.phase !== 'confirmed') return;
  if (go(draft, 'node-back', survival) !== undefined) draft.cancelTimer('survival');
}

/** The phone is registered elsewhere: it is asked, each of its bindings at the same time, since one of them has the call. */
export function phoneBack(draft: Draft, targets: readonly Destination[]): void {
  const { state, bridge } = draft;
  const { survival } = state;
  const lost = draft.leg(survival?.leg ?? '');
  const dialog = lost?.far?.dialog;
  if (survival?.step !== 'waiting' || lost === undefined || dialog === undefined || bridge === undefined) return;
  const other = draft.other(lost);
  const fresh = targets.filter((target) => !survival.asked.includes(nameOf(target)));
  if (other === undefined || fresh.length === 0 || state.ringing !== undefined) return;
  go(draft, 'registered', { ...survival, asked: [...survival.asked, ...fresh.map(nameOf)] });
  state.ringing = newRinging({
    ...{ waiter: other.id, offer: offerOf(draft, bridge), maxForwards: MAX_FORWARDS },
    ...{ number: lost.party.number, by: lost.id, firstTrial: state.trials.length },
  });
  const inPlaceOf = { replaces: dialog, why: 'survive' } as const;
  const plans = fresh.map((target): Plan<Destination> => ({ type: 'ring', target: { ...target, inPlaceOf } }));
  ring(draft, { type: 'inOrder', steps: [{ plan: { type: 'together', plans }, forMs: ASKED_FOR_MS, goOn: [] }] });
}

function nameOf({ pid, boot }: Destination): string {
  return `${pid ?? ''}-${boot}`;
}

/**
 * What the phone is offered: what the other end speaks now, so that it goes on to send there. Undefined: they do not talk to each other
 * directly, and the phone makes the offer.
 */
function offerOf(draft: Draft, bridge: Bridge): string | undefined {
  const ends = draft.ends(bridge);
  const talk = ends.every(({ connection, holds: held }) => connection === 'peer' && !held);
  const other = ends.find(({ id }) => id !== draft.state.survival?.leg);
  return talk && bridge.path.step === 'direct' && other !== undefined ? spokenBy(other) : undefined;
}

/** The phone has answered what the other end speaks: that one is offered the answer, and until then nobody is silenced. */
export function keepTalking(draft: Draft, bridge: Bridge): boolean {
  const { state } = draft;
  const [waiter, answered] = draft.ends(bridge);
  const { localSdp, remoteSdp } = answered;
  if (state.survival?.step !== 'asking' || localSdp === undefined || remoteSdp === undefined) return false;
  if (bridge.path.step !== 'direct' || holds(remoteSdp)) return false;
  for (const leg of [waiter, answered]) leg.connection = 'peer';
  answered.ability = remoteSdp;
  answered.holds = holdsByAnswer(false, localSdp, remoteSdp);
  bridge.unsettled = true;
  return true;
}

/** What has become of the question to the phone, after each of its signals. */
export function followSurvival(draft: Draft): void {
  const { state } = draft;
  const { survival, ringing } = state;
  if (survival?.step !== 'asking' || state.kind !== 'established') return;
  const lost = draft.leg(survival.leg);
  if (ringing === undefined) {
    go(draft, 'answered', survival);
    draft.cancelTimer('survival');
    if (lost === undefined) return;
    if (lost.phase === 'over') forget(draft, lost);
    else leave(draft, lost, TAKEN_UP);
    return;
  }
  if (ringing.failed === undefined) return;
  state.ringing = undefined;
  go(draft, 'refused', survival);
  if (lost !== undefined) awaitPhone(draft, lost);
}

/** The phone has not come in time. A call whose other end is known to be over is over, too. */
export function waitedLongEnough(draft: Draft): void {
  const { state } = draft;
  const { survival } = state;
  if (survival === undefined || !isWithout(state)) return;
  if (survival.step === 'asking') cancelBranches(draft, formatReason(408, 'Not Taken Up'));
  if (survival.step === 'asking') state.ringing = undefined;
  go(draft, 'time-over', survival);
  if (draft.leg(survival.leg)?.phase === 'over')
    endCall(draft, { by: 'system', status: 503, reason: 'The node of the other end is gone' });
}

/** Without its other end there is nobody who could answer: what a phone wants has to wait (RFC 3261 §14.2). True: it was told so. */
export function postponed(draft: Draft, leg: Leg, signal: SessionSignal): boolean {
  const { survival } = draft.state;
  if (!isWithout(draft.state) || leg.id === survival?.leg) return false;
  if (signal.type !== 'reinvited' && signal.type !== 'requested') return false;
  const isOver = draft.leg(survival?.leg ?? '')?.phase === 'over';
  if (signal.type === 'requested' && signal.method === 'REFER') return refused(draft, leg, signal.id);
  if (!isOver || (signal.type === 'requested' && (signal.method === 'OPTIONS' || isRefresh(signal)))) return false;
  return refused(draft, leg, signal.id);
}

function isRefresh({ method, body }: Extract<SessionSignal, { type: 'requested' }>): boolean {
  return method === 'UPDATE' && body === '';
}

function refused(draft: Draft, leg: Leg, id: string): true {
  draft.emit({ type: 'respond', leg: leg.id, id, status: 491 });
  return true;
}
