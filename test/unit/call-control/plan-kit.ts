import { advance, planned, type PlanState } from '../../../src/call-control/ringing/advance';
import type { DeadlineId, Plan, PlanAction, PlanEvent, PlanStep, RingId } from '../../../src/call-control/ringing/plan';

/** Plans of names, as short as they can be written. */
export type NamedPlan = Plan<string>;

export const ring = (target: string): NamedPlan => ({ type: 'ring', target });
export const together = (...plans: (string | NamedPlan)[]): NamedPlan => ({
  type: 'together',
  plans: plans.map(planOf),
});
export const inOrder = (...steps: PlanStep<string>[]): NamedPlan => ({ type: 'inOrder', steps });
export const onFailure = (
  plan: string | NamedPlan,
  instead: Extract<NamedPlan, { type: 'onFailure' }>['instead'],
): NamedPlan => ({ type: 'onFailure', plan: planOf(plan), instead });
export const stepOf = (
  plan: string | NamedPlan,
  goOn: PlanStep<string>['goOn'] = [],
  forMs?: number,
): PlanStep<string> => ({ plan: planOf(plan), goOn, ...(forMs === undefined ? {} : { forMs }) });

function planOf(plan: string | NamedPlan): NamedPlan {
  return typeof plan === 'string' ? ring(plan) : plan;
}

/** One plan in use. Each command returns what was done, in words: `ring bob`, `cancel bob SIP;cause=200`, `wait 1 for 20000`. */
export class Player {
  state: PlanState<string>;
  readonly actions: PlanAction<string>[] = [];
  readonly names = new Map<RingId, string>();

  constructor(plan: NamedPlan) {
    this.state = planned(plan);
  }

  start(): readonly string[] {
    return this.tell({ type: 'started' });
  }

  fails(name: string, status: number, tryAnother?: boolean): readonly string[] {
    const failure = { status, reason: name, headers: {}, ...(tryAnother === undefined ? {} : { tryAnother }) };
    return this.tell({ type: 'failed', ring: this.of(name), failure });
  }

  answers(name: string): readonly string[] {
    return this.tell({ type: 'answered', ring: this.of(name) });
  }

  passes(deadline: DeadlineId): readonly string[] {
    return this.tell({ type: 'deadline-passed', deadline });
  }

  tell(event: PlanEvent): readonly string[] {
    const { state, actions } = advance(this.state, event);
    this.state = state;
    this.actions.push(...actions);
    return actions.map((action) => this.inWords(action));
  }

  private of(name: string): RingId {
    const found = [...this.names].filter(([, other]) => other === name).at(-1);
    if (found === undefined) throw new Error(`${name} was never rung`);
    return found[0];
  }

  private inWords(action: PlanAction<string>): string {
    switch (action.type) {
      case 'ring':
        this.names.set(action.ring, action.target);
        return `ring ${action.target}`;
      case 'cancel':
        return `cancel ${this.names.get(action.ring) ?? ''} ${action.reason}`;
      case 'set-deadline':
        return `wait ${action.deadline} for ${action.ms}`;
      case 'cancel-deadline':
        return `wait ${action.deadline} no more`;
      case 'give-up':
        return `give up ${action.failure?.status ?? 'nobody'} ${action.failure?.reason ?? ''}`.trim();
    }
  }
}
