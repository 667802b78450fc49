import type { CancelTimerEffect, ResponseClass, SetTimer, Setup } from './timers';
import { cancelTimer, setTimer, timeout } from './timers';

/** Non-INVITE client transaction: RFC 3261 section 17.1.2. */
export type NictTimer = 'E' | 'F' | 'K';
export type NictStateName = 'initial' | 'trying' | 'proceeding' | 'completed' | 'terminated';

export interface NictState {
  readonly name: NictStateName;
  readonly setup: Setup;
  /** Timer E: the next interval, in milliseconds. */
  readonly interval: number;
}

export type NictEvent =
  | { readonly type: 'start' }
  | { readonly type: 'response'; readonly class: ResponseClass }
  | { readonly type: 'timer'; readonly timer: NictTimer }
  | { readonly type: 'transport-error' };

export type NictAction =
  | { readonly type: 'send-request' | 'pass-response' | 'terminated' }
  | { readonly type: 'failed'; readonly cause: 'timeout' | 'transport' };

export type NictEffect = NictAction | SetTimer<NictTimer> | CancelTimerEffect<NictTimer>;

export interface NictStep {
  readonly state: NictState;
  readonly effects: readonly NictEffect[];
}

export const nictInitial = (setup: Setup): NictState => ({ name: 'initial', setup, interval: setup.timers.t1 });

const stay = (state: NictState, ...effects: NictEffect[]): NictStep => ({ state, effects });
const go = (state: NictState, name: NictStateName, ...effects: NictEffect[]): NictStep => ({
  state: { ...state, name },
  effects,
});

/** One step; total: every event in every state has an answer. */
export function nict(state: NictState, event: NictEvent): NictStep {
  switch (state.name) {
    case 'initial':
      return event.type === 'start' ? start(state) : stay(state);
    case 'trying':
    case 'proceeding':
      return waiting(state, event);
    case 'completed': {
      const over = event.type === 'transport-error' || (event.type === 'timer' && event.timer === 'K');
      return over ? go(state, 'terminated', { type: 'terminated' }) : stay(state);
    }
    case 'terminated':
      return stay(state);
  }
}

function start(state: NictState): NictStep {
  const retransmit = state.setup.reliable ? [] : [setTimer('E', state.interval)];
  return go(state, 'trying', { type: 'send-request' }, ...retransmit, setTimer('F', timeout(state.setup)));
}

function waiting(state: NictState, event: NictEvent): NictStep {
  switch (event.type) {
    case 'response':
      return answered(state, event.class);
    case 'timer':
      if (event.timer === 'E') return retransmit(state);
      return event.timer === 'F' ? fail(state, 'timeout') : stay(state);
    case 'transport-error':
      return fail(state, 'transport');
    case 'start':
      return stay(state);
  }
}

/** Doubles up to T2; once a provisional response has come, T2 at once (section 17.1.2.2). */
function retransmit(state: NictState): NictStep {
  const { t2 } = state.setup.timers;
  const interval = state.name === 'proceeding' ? t2 : Math.min(state.interval * 2, t2);
  return stay({ ...state, interval }, { type: 'send-request' }, setTimer('E', interval));
}

function answered(state: NictState, response: ResponseClass): NictStep {
  const pass: NictEffect = { type: 'pass-response' };
  if (response === 'provisional') return go(state, 'proceeding', pass);
  const wait = state.setup.reliable ? 0 : state.setup.timers.t4;
  return go(state, 'completed', cancelTimer('E'), cancelTimer('F'), setTimer('K', wait), pass);
}

function fail(state: NictState, cause: 'timeout' | 'transport'): NictStep {
  return go(state, 'terminated', { type: 'failed', cause }, { type: 'terminated' });
}
