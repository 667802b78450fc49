import { formatReason } from '../../sip/reason';
import type { Failure } from '../core/call-state';
import { ELSEWHERE } from '../core/draft';
import { follow, type StepTable } from '../core/steps';
import { rank } from './best-response';
import {
  type Cause,
  causeOf,
  type DeadlineId,
  type Plan,
  type PlanAction,
  type PlanEvent,
  type PlanStep,
  type RingId,
} from './plan';

/** How far a plan has come, and the one step from there. */

export type PlanPhase = 'planned' | 'ringing' | 'answered' | 'failed' | 'cancelled';

/** For each phase those that may follow it. */
export const PLAN_STEPS: StepTable<PlanPhase> = {
  planned: ['ringing', 'failed', 'cancelled'],
  ringing: ['answered', 'failed', 'cancelled'],
  answered: [],
  failed: [],
  cancelled: [],
};

export interface PlanState<Target> {
  readonly plan: Plan<Target>;
  /** Changed by `move` alone. */
  readonly phase: PlanPhase;
  /** While it rings. */
  readonly progress: Progress<Target> | undefined;
  /** Who has answered. */
  readonly answered: RingId | undefined;
  readonly next: Counters;
}

interface Counters {
  readonly ring: RingId;
  readonly deadline: DeadlineId;
  readonly failure: number;
}

/** How far a plan that still rings has come. */
type Progress<Target> =
  | { readonly type: 'ring'; readonly ring: RingId; readonly target: Target }
  | {
      readonly type: 'inOrder';
      readonly steps: readonly PlanStep<Target>[];
      readonly at: number;
      readonly current: Progress<Target>;
      readonly deadline: DeadlineId | undefined;
      readonly best: Told | undefined;
    }
  /** `undefined`: a part that has failed. */
  | {
      readonly type: 'together';
      readonly parts: readonly (Progress<Target> | undefined)[];
      readonly best: Told | undefined;
    }
  /** `instead`: undefined when that is what is tried now. */
  | {
      readonly type: 'onFailure';
      readonly current: Progress<Target>;
      readonly instead: Readonly<Partial<Record<Cause, Plan<Target>>>> | undefined;
      readonly best: Told | undefined;
    };

/** A failure, and which it was. */
interface Told {
  readonly failure: Failure;
  readonly at: number;
}

/** A part of a plan has come to its end. */
interface Failed {
  readonly type: 'failed';
  readonly best: Told | undefined;
  /** A 6xx that nothing went on from: what rings at the same time ends too. */
  readonly everywhere: boolean;
}

type Result<Target> = Progress<Target> | Failed;

const NO_ANSWER: Failure = { status: 480, reason: 'No Answer', headers: {} };

/** A plan with which nothing was done yet. */
export function planned<Target>(plan: Plan<Target>): PlanState<Target> {
  const next = { ring: 1, deadline: 1, failure: 1 };
  return { plan, phase: 'planned', progress: undefined, answered: undefined, next };
}

/**
 * What comes of an event, and what is to be done. Never throws; an event about a ringing or deadline that is over, or after the end, changes
 * nothing. Every `ring` ends in exactly one answer, failure or `cancel`, every `set-deadline` in its passing or a `cancel-deadline`.
 */
export function advance<Target>(
  state: PlanState<Target>,
  event: PlanEvent,
): { readonly state: PlanState<Target>; readonly actions: readonly PlanAction<Target>[] } {
  const work = new Work<Target>(state.next);
  const after = step(state, event, work);
  return { state: { ...after, next: work.next }, actions: work.actions };
}

/** The targets that are rung now, in order. */
export function rungNow<Target>({ progress }: PlanState<Target>): readonly { ring: RingId; target: Target }[] {
  return progress === undefined ? [] : rings(progress);
}

/** Somebody else would be rung if this one turned out to be unreachable. */
export function hasNext<Target>(state: PlanState<Target>, ring: RingId): boolean {
  const failure: Failure = { status: 480, reason: undefined, headers: {}, tryAnother: true };
  return advance(state, { type: 'failed', ring, failure }).actions.some(({ type }) => type === 'ring');
}

/** The only one who can still answer, whatever happens; undefined when there are several. */
export function onlyOneLeft<Target>({ progress }: PlanState<Target>): RingId | undefined {
  return progress === undefined ? undefined : onlyRing(progress);
}

/** What is under way in one step: the actions so far, and the names that were given out. */
class Work<Target> {
  readonly actions: PlanAction<Target>[] = [];

  constructor(public next: Counters) {}

  ring(target: Target): Progress<Target> {
    const { ring } = this.next;
    this.next = { ...this.next, ring: ring + 1 };
    this.actions.push({ type: 'ring', ring, target });
    return { type: 'ring', ring, target };
  }

  setDeadline(ms: number | undefined): DeadlineId | undefined {
    if (ms === undefined) return undefined;
    const { deadline } = this.next;
    this.next = { ...this.next, deadline: deadline + 1 };
    this.actions.push({ type: 'set-deadline', deadline, ms });
    return deadline;
  }

  cancelDeadline(deadline: DeadlineId | undefined): void {
    if (deadline !== undefined) this.actions.push({ type: 'cancel-deadline', deadline });
  }

  told(failure: Failure): Told {
    const { failure: at } = this.next;
    this.next = { ...this.next, failure: at + 1 };
    return { failure, at };
  }

  /** Everything that rings or waits in there is over. */
  cancel(progress: Progress<Target>, reason: string, except?: RingId): void {
    if (progress.type === 'ring') {
      if (progress.ring !== except) this.actions.push({ type: 'cancel', ring: progress.ring, reason });
      return;
    }
    if (progress.type === 'inOrder') this.cancelDeadline(progress.deadline);
    for (const part of partsOf(progress)) this.cancel(part, reason, except);
  }
}

function step<Target>(state: PlanState<Target>, event: PlanEvent, work: Work<Target>): PlanState<Target> {
  const { phase, progress } = state;
  if (event.type === 'started') return phase === 'planned' ? settled(state, start(state.plan, work), work) : state;
  if (event.type === 'cancelled' && PLAN_STEPS[phase].includes('cancelled')) {
    if (progress !== undefined) work.cancel(progress, event.reason);
    return { ...move(state, 'cancelled'), progress: undefined };
  }
  if (progress === undefined) return state;
  switch (event.type) {
    case 'answered':
      if (!rings(progress).some(({ ring }) => ring === event.ring)) return state;
      work.cancel(progress, formatReason(200, ELSEWHERE), event.ring);
      return { ...move(state, 'answered'), progress: undefined, answered: event.ring };
    case 'failed':
    case 'deadline-passed':
      return settled(state, after(progress, event, work), work);
    case 'cancelled':
      return state;
  }
}

function move<Target>(state: PlanState<Target>, phase: PlanPhase): PlanState<Target> {
  follow(PLAN_STEPS, 'plan', state.phase, phase);
  return { ...state, phase };
}

function settled<Target>(state: PlanState<Target>, result: Result<Target>, work: Work<Target>): PlanState<Target> {
  if (result.type !== 'failed') return { ...move(state, 'ringing'), progress: result };
  work.actions.push({ type: 'give-up', failure: result.best?.failure });
  return { ...move(state, 'failed'), progress: undefined };
}

function start<Target>(plan: Plan<Target>, work: Work<Target>): Result<Target> {
  switch (plan.type) {
    case 'ring':
      return work.ring(plan.target);
    case 'inOrder':
      return startStep(plan.steps, 0, undefined, false, work);
    case 'together': {
      const parts: (Progress<Target> | undefined)[] = [];
      for (const each of plan.plans) {
        const result = start(each, work);
        // Who cannot even be rung refuses nothing for the others.
        parts.push(result.type === 'failed' ? undefined : result);
      }
      return together(parts, undefined);
    }
    case 'onFailure': {
      const result = start(plan.plan, work);
      if (result.type === 'failed') return tryInstead(result, plan.instead, work);
      return { type: 'onFailure', current: result, instead: plan.instead, best: undefined };
    }
  }
}

/** `everywhere`: of the step before, for the case that there is no other. */
function startStep<Target>(
  steps: readonly PlanStep<Target>[],
  at: number,
  best: Told | undefined,
  everywhere: boolean,
  work: Work<Target>,
): Result<Target> {
  const next = steps[at];
  if (next === undefined) return { type: 'failed', best, everywhere };
  const result = start(next.plan, work);
  if (result.type === 'failed') return stepFailed(steps, at, best, result, work);
  return { type: 'inOrder', steps, at, current: result, deadline: work.setDeadline(next.forMs), best };
}

function stepFailed<Target>(
  steps: readonly PlanStep<Target>[],
  at: number,
  before: Told | undefined,
  failed: Failed,
  work: Work<Target>,
): Result<Target> {
  const best = better(before, failed.best);
  if (steps[at]?.goOn.includes(causeOf(failed.best?.failure)) === true)
    return startStep(steps, at + 1, best, failed.everywhere, work);
  return { type: 'failed', best, everywhere: failed.everywhere };
}

function tryInstead<Target>(
  failed: Failed,
  instead: Readonly<Partial<Record<Cause, Plan<Target>>>> | undefined,
  work: Work<Target>,
): Result<Target> {
  const plan = instead?.[causeOf(failed.best?.failure)];
  if (plan === undefined) return failed;
  const result = start(plan, work);
  if (result.type === 'failed') return { ...result, best: better(failed.best, result.best) };
  return { type: 'onFailure', current: result, instead: undefined, best: failed.best };
}

function together<Target>(parts: readonly (Progress<Target> | undefined)[], best: Told | undefined): Result<Target> {
  if (parts.every((part) => part === undefined)) return { type: 'failed', best, everywhere: false };
  return { type: 'together', parts, best };
}

type Ending = Extract<PlanEvent, { type: 'failed' | 'deadline-passed' }>;

/** What is left of a part after an end in it; the part itself when that is none of its own. */
function after<Target>(progress: Progress<Target>, event: Ending, work: Work<Target>): Result<Target> {
  switch (progress.type) {
    case 'ring': {
      if (event.type !== 'failed' || event.ring !== progress.ring) return progress;
      return { type: 'failed', best: work.told(event.failure), everywhere: event.failure.status >= 600 };
    }
    case 'inOrder': {
      const { steps, at, current, deadline, best } = progress;
      if (event.type === 'deadline-passed' && event.deadline === deadline) {
        work.cancel(current, formatReason(487, 'No answer'));
        const failed = { type: 'failed', best: work.told(NO_ANSWER), everywhere: false } as const;
        return stepFailed(steps, at, best, failed, work);
      }
      const result = after(current, event, work);
      if (result.type !== 'failed') return { ...progress, current: result };
      work.cancelDeadline(deadline);
      return stepFailed(steps, at, best, result, work);
    }
    case 'together':
      return afterOneOf(progress, event, work);
    case 'onFailure': {
      const result = after(progress.current, event, work);
      if (result.type !== 'failed') return { ...progress, current: result };
      return tryInstead({ ...result, best: better(progress.best, result.best) }, progress.instead, work);
    }
  }
}

function afterOneOf<Target>(
  { parts, best }: Extract<Progress<Target>, { type: 'together' }>,
  event: Ending,
  work: Work<Target>,
): Result<Target> {
  const left: (Progress<Target> | undefined)[] = [];
  let told = best;
  let refused: Failed | undefined;
  for (const part of parts) {
    const result = part === undefined ? undefined : after(part, event, work);
    left.push(result?.type === 'failed' ? undefined : result);
    if (result?.type !== 'failed') continue;
    told = better(told, result.best);
    if (result.everywhere) refused = result;
  }
  if (refused === undefined) return together(left, told);
  for (const part of left) if (part !== undefined) work.cancel(part, formatReason(refused.best?.failure.status ?? 600));
  return { type: 'failed', best: told, everywhere: true };
}

/** What tells the caller more; of equals the first. */
function better(one: Told | undefined, other: Told | undefined): Told | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const difference = rank(one.failure.status) - rank(other.failure.status) || one.at - other.at;
  return difference <= 0 ? one : other;
}

function partsOf<Target>(progress: Progress<Target>): readonly Progress<Target>[] {
  if (progress.type === 'ring') return [];
  return progress.type === 'together' ? progress.parts.filter((part) => part !== undefined) : [progress.current];
}

function rings<Target>(progress: Progress<Target>): readonly { ring: RingId; target: Target }[] {
  return progress.type === 'ring' ? [progress] : partsOf(progress).flatMap(rings);
}

function onlyRing<Target>(progress: Progress<Target>): RingId | undefined {
  if (progress.type === 'ring') return progress.ring;
  if (progress.type === 'onFailure' && Object.keys(progress.instead ?? {}).length > 0) return undefined;
  if (progress.type === 'inOrder') {
    const { steps, at } = progress;
    if (at + 1 < steps.length && (steps[at]?.goOn.length ?? 0) > 0) return undefined;
  }
  const [part, ...others] = partsOf(progress);
  return part === undefined || others.length > 0 ? undefined : onlyRing(part);
}
