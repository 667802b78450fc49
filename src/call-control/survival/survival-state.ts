import type { LegId } from '../core/leg';
import { follow, type StepTable } from '../core/steps';

/** A half of a call whose other node has died, and how far it is. */
export type SurvivalStep =
  /** The phone behind that node is not registered elsewhere yet; the seat of the leg is kept, and nobody hears anything of it. */
  | 'waiting'
  /** It is asked to take the call up again, by an INVITE in the place of its lost dialog (RFC 3891). */
  | 'asking'
  /** It has; or the node was only cut off. The call is one as any other. */
  | 'again in service'
  /** It has not, in time: the ends talk as long as they like, and nothing can be done with the call. */
  | 'given up';

export interface Survival {
  readonly step: SurvivalStep;
  /** The leg whose node was lost. */
  readonly leg: LegId;
  /** The processes of the phone that were asked, as `pid-boot`: none is asked twice. */
  readonly asked: readonly string[];
}

/** Which step of a surviving half may follow which; `none`: no node was lost. */
export const SURVIVAL_STEPS: StepTable<SurvivalStep | 'none'> = {
  none: ['waiting'],
  waiting: ['asking', 'again in service', 'given up'],
  asking: ['waiting', 'again in service', 'given up'],
  'again in service': ['waiting'],
  'given up': [],
};

/** What a surviving half may hear. */
export type SurvivalEvent =
  /** The node behind a leg is lost. */
  | 'lost'
  /** The phone is registered at another node, or in another incarnation of its own. */
  | 'registered'
  | 'answered'
  /** Nobody of those who were asked goes on. */
  | 'refused'
  /** The lost node is there, and has never been away. */
  | 'node-back'
  | 'time-over';

/** What a surviving half does when it hears something; the same step: nothing. */
export const SURVIVAL_ANSWERS: Readonly<
  Record<SurvivalStep | 'none', Readonly<Record<SurvivalEvent, SurvivalStep | 'none'>>>
> = {
  none: {
    lost: 'waiting',
    registered: 'none',
    answered: 'none',
    refused: 'none',
    'node-back': 'none',
    'time-over': 'none',
  },
  waiting: {
    lost: 'waiting',
    registered: 'asking',
    answered: 'waiting',
    refused: 'waiting',
    'node-back': 'again in service',
    'time-over': 'given up',
  },
  asking: {
    lost: 'asking',
    registered: 'asking',
    answered: 'again in service',
    // A binding of the device that has never had the call says so; the right one may come yet.
    refused: 'waiting',
    // The phone has left that node.
    'node-back': 'asking',
    'time-over': 'given up',
  },
  'again in service': {
    lost: 'waiting',
    registered: 'again in service',
    answered: 'again in service',
    refused: 'again in service',
    'node-back': 'again in service',
    'time-over': 'again in service',
  },
  'given up': {
    lost: 'given up',
    registered: 'given up',
    answered: 'given up',
    refused: 'given up',
    'node-back': 'given up',
    'time-over': 'given up',
  },
};

interface WithSurvival {
  readonly survival: Survival | undefined;
}

/** The one place where a surviving half goes on. Throws when this step cannot follow. */
export function moveSurvival(state: WithSurvival, survival: Survival): void {
  follow(SURVIVAL_STEPS, 'survival', state.survival?.step ?? 'none', survival.step);
  (state as { survival: Survival | undefined }).survival = survival;
}

/** Whether the half is without its other end. */
export function isWithout({ survival }: WithSurvival): boolean {
  return survival?.step === 'waiting' || survival?.step === 'asking';
}
