import type { Pid } from '../process/pid';

/** One process that a call may be sent to. */
export interface Target {
  /** Undefined: only the node is known, which does its own digit analysis (claim R14). */
  readonly pid: Pid | undefined;
  /** Incarnation of the node that made the PID; 0 without one. */
  readonly boot: number;
  readonly node: number;
  readonly local: boolean;
  readonly device: string;
  readonly kind: 'station' | 'gateway';
  /** Digits to send to it: the dialled number, or what the pattern leaves of it; to a node what was dialled. */
  readonly digits: string;
}

/**
 * What digit analysis says of dialled digits (claim R4). `branches` ring at the same time; the targets of one branch are
 * tried one after another (entries of one binding key, newest first: R12, R13; or the gateways of a route, in order).
 */
export type Analysis =
  | { readonly type: 'targets'; readonly branches: readonly (readonly Target[])[]; readonly matched: string }
  /** The number exists and nobody is registered for it: 480. */
  | { readonly type: 'unregistered'; readonly matched: string }
  /** No number and no pattern: 404. */
  | { readonly type: 'unknown' };

export interface AnalysisOptions {
  /** For a call from another node: our own devices and gateways only. */
  readonly localOnly: boolean;
  /** For a call that came in through a gateway, here or at another node: no route, which would lead out again. */
  readonly numbersOnly?: boolean;
  /** The calling device's name. */
  readonly from: string;
}

export interface DigitAnalysis {
  analyse(dialled: string, options: AnalysisOptions): Analysis;
}
