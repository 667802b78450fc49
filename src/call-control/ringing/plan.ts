import type { Failure } from '../core/call-state';

/**
 * Who is rung, in which order, and what comes when that fails. A plan is a value, and `advance` the one function that goes on with it:
 * forwarding, hunt groups, route lists and gateways differ in their plans only.
 */

/** Why somebody did not answer, as far as a plan may tell the difference. */
export type Cause =
  /** Nobody was there to be asked, or nobody has decided anything: another target may do better. */
  | 'unreachable'
  /** 486, 600. */
  | 'busy'
  /** The time of the step is over, or the device says that nobody has answered: 408, 480, 487. */
  | 'no-answer'
  /** Any other 6xx: a person (or who speaks for them) wants no such call, wherever it rings. */
  | 'declined'
  /** Any other refusal. */
  | 'refused';

export type Plan<Target> =
  | { readonly type: 'ring'; readonly target: Target }
  /** One after another. Fails with the best failure of all that were tried. */
  | { readonly type: 'inOrder'; readonly steps: readonly PlanStep<Target>[] }
  /** At the same time. Fails when all have failed, or one with a 6xx that nothing inside it went on from (RFC 3261 §16.7). */
  | { readonly type: 'together'; readonly plans: readonly Plan<Target>[] }
  /** The plan, and when it fails what is tried `instead`, by the cause; what that fails with is not looked up again. */
  | {
      readonly type: 'onFailure';
      readonly plan: Plan<Target>;
      readonly instead: Readonly<Partial<Record<Cause, Plan<Target>>>>;
    };

export interface PlanStep<Target> {
  readonly plan: Plan<Target>;
  /** In ms; then it has failed with `no-answer`, whatever its parts have said. Undefined: as long as it rings. */
  readonly forMs?: number;
  /** The causes from which the next step is tried. */
  readonly goOn: readonly Cause[];
}

/** Names one ringing of one target; never used twice in a plan. */
export type RingId = number;
export type DeadlineId = number;

export type PlanEvent =
  | { readonly type: 'started' }
  | { readonly type: 'answered'; readonly ring: RingId }
  | { readonly type: 'failed'; readonly ring: RingId; readonly failure: Failure }
  | { readonly type: 'deadline-passed'; readonly deadline: DeadlineId }
  /** `reason`: value of a Reason header, for those who are rung. */
  | { readonly type: 'cancelled'; readonly reason: string };

export type PlanAction<Target> =
  | { readonly type: 'ring'; readonly ring: RingId; readonly target: Target }
  /** `reason`: value of a Reason header. */
  | { readonly type: 'cancel'; readonly ring: RingId; readonly reason: string }
  | { readonly type: 'set-deadline'; readonly deadline: DeadlineId; readonly ms: number }
  | { readonly type: 'cancel-deadline'; readonly deadline: DeadlineId }
  /** Nobody is left. Undefined: nobody was there to be rung. */
  | { readonly type: 'give-up'; readonly failure: Failure | undefined };

/** How a failure is looked at by `goOn` and `instead`. Undefined: nobody was there. */
export function causeOf(failure: Failure | undefined): Cause {
  if (failure === undefined) return 'unreachable';
  const { status, tryAnother } = failure;
  if (status === 600) return 'busy';
  if (status > 600) return 'declined';
  if (tryAnother === true) return 'unreachable';
  if (status === 486) return 'busy';
  return status === 408 || status === 480 || status === 487 ? 'no-answer' : 'refused';
}
