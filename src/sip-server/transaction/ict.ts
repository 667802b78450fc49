import type { CancelTimerEffect, ResponseClass, SetTimer, Setup } from './timers';
import { cancelTimer, setTimer, timeout } from './timers';

/**
 * INVITE client transaction: RFC 3261 section 17.1.1 with the Accepted state of RFC 6026 section 7.2.
 * Timer `cancel` is ours: what section 9.1 grants a cancelled INVITE for its final response.
 */
export type IctTimer = 'A' | 'B' | 'D' | 'M' | 'cancel';
export type IctStateName = 'initial' | 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

export interface IctState {
  readonly name: IctStateName;
  readonly setup: Setup;
  /** Timer A: the next interval, in milliseconds. */
  readonly interval: number;
}

export type IctEvent =
  | { readonly type: 'start' }
  | { readonly type: 'response'; readonly class: ResponseClass }
  | { readonly type: 'timer'; readonly timer: IctTimer }
  | { readonly type: 'cancel-sent' }
  | { readonly type: 'transport-error' };

export type IctAction =
  | { readonly type: 'send-request' | 'send-ack' | 'pass-response' | 'terminated' }
  | { readonly type: 'failed'; readonly cause: 'timeout' | 'transport' };

export type IctEffect = IctAction | SetTimer<IctTimer> | CancelTimerEffect<IctTimer>;

export interface IctStep {
  readonly state: IctState;
  readonly effects: readonly IctEffect[];
}

export const ictInitial = (setup: Setup): IctState => ({ name: 'initial', setup, interval: setup.timers.t1 });

const stay = (state: IctState, ...effects: IctEffect[]): IctStep => ({ state, effects });
const go = (state: IctState, name: IctStateName, ...effects: IctEffect[]): IctStep => ({
  state: { ...state, name },
  effects,
});

/** One step; total: every event in every state has an answer. */
export function ict(state: IctState, event: IctEvent): IctStep {
  switch (state.name) {
    case 'initial':
      return event.type === 'start' ? start(state) : stay(state);
    case 'calling':
      return calling(state, event);
    case 'proceeding':
      return proceeding(state, event);
    case 'completed':
      return completed(state, event);
    case 'accepted':
      return accepted(state, event);
    case 'terminated':
      return stay(state);
  }
}

function start(state: IctState): IctStep {
  const retransmit = state.setup.reliable ? [] : [setTimer('A', state.interval)];
  return go(state, 'calling', { type: 'send-request' }, ...retransmit, setTimer('B', timeout(state.setup)));
}

function calling(state: IctState, event: IctEvent): IctStep {
  const stop: IctEffect[] = [cancelTimer('A'), cancelTimer('B')];
  switch (event.type) {
    case 'response':
      return answered(state, event.class, stop);
    case 'timer':
      if (event.timer === 'A') {
        const interval = state.interval * 2;
        return stay({ ...state, interval }, { type: 'send-request' }, setTimer('A', interval));
      }
      return event.timer === 'B' ? fail(state, 'timeout') : stay(state);
    case 'transport-error':
      return fail(state, 'transport');
    case 'start':
    case 'cancel-sent':
      return stay(state);
  }
}

/** A connection that is lost here ends the transaction too: nobody is left who could answer on it. */
function proceeding(state: IctState, event: IctEvent): IctStep {
  switch (event.type) {
    case 'response':
      return answered(state, event.class, event.class === 'provisional' ? [] : [cancelTimer('cancel')]);
    case 'cancel-sent':
      return stay(state, setTimer('cancel', timeout(state.setup)));
    case 'timer':
      return event.timer === 'cancel' ? fail(state, 'timeout') : stay(state);
    case 'transport-error':
      return fail(state, 'transport');
    case 'start':
      return stay(state);
  }
}

function completed(state: IctState, event: IctEvent): IctStep {
  if (event.type === 'response' && event.class === 'failure') return stay(state, { type: 'send-ack' });
  const over = event.type === 'transport-error' || (event.type === 'timer' && event.timer === 'D');
  return over ? go(state, 'terminated', { type: 'terminated' }) : stay(state);
}

function accepted(state: IctState, event: IctEvent): IctStep {
  if (event.type === 'response' && event.class === 'success') return stay(state, { type: 'pass-response' });
  const over = event.type === 'timer' && event.timer === 'M';
  return over ? go(state, 'terminated', { type: 'terminated' }) : stay(state);
}

function answered(state: IctState, response: ResponseClass, stop: readonly IctEffect[]): IctStep {
  const pass: IctEffect = { type: 'pass-response' };
  switch (response) {
    case 'provisional':
      return go(state, 'proceeding', ...stop, pass);
    case 'success':
      return go(state, 'accepted', ...stop, setTimer('M', timeout(state.setup)), pass);
    case 'failure': {
      const wait = state.setup.reliable ? 0 : Math.max(32_000, timeout(state.setup));
      return go(state, 'completed', ...stop, { type: 'send-ack' }, setTimer('D', wait), pass);
    }
  }
}

function fail(state: IctState, cause: 'timeout' | 'transport'): IctStep {
  return go(state, 'terminated', { type: 'failed', cause }, { type: 'terminated' });
}
