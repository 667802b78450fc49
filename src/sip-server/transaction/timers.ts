/** Base values of RFC 3261 table 4, in milliseconds. */
export interface TimerValues {
  readonly t1: number;
  readonly t2: number;
  readonly t4: number;
}

export const RFC_TIMERS: TimerValues = { t1: 500, t2: 4_000, t4: 5_000 };

/** What a machine needs to know of its surroundings: table 4, and whether the transport is reliable. */
export interface Setup {
  readonly timers: TimerValues;
  readonly reliable: boolean;
}

/** The time-out of a transaction: Timers B, D (at least 32 s), F, H, J, L, M. */
export const timeout = (setup: Setup): number => 64 * setup.timers.t1;

/** Response classes as the machines see them. */
export type ResponseClass = 'provisional' | 'success' | 'failure';

export function responseClass(status: number): ResponseClass {
  return status < 200 ? 'provisional' : status < 300 ? 'success' : 'failure';
}

export interface SetTimer<Name extends string> {
  readonly type: 'set-timer';
  readonly timer: Name;
  readonly ms: number;
}

export interface CancelTimerEffect<Name extends string> {
  readonly type: 'cancel-timer';
  readonly timer: Name;
}

export const setTimer = <Name extends string>(timer: Name, ms: number): SetTimer<Name> => ({
  type: 'set-timer',
  timer,
  ms,
});

export const cancelTimer = <Name extends string>(timer: Name): CancelTimerEffect<Name> => ({
  type: 'cancel-timer',
  timer,
});
