import type { CancelTimerEffect, ResponseClass, SetTimer, Setup } from './timers';
import { cancelTimer, setTimer, timeout } from './timers';

/**
 * Non-INVITE server transaction: RFC 3261 section 17.2.2. Timer `unanswered` is ours: when the client has given up
 * (its Timer F), no response is of use any more (RFC 4320 section 4.2), and the transaction must not stay for ever.
 */
export type NistTimer = 'J' | 'unanswered';
export type NistStateName = 'initial' | 'trying' | 'proceeding' | 'completed' | 'terminated';

export interface NistState {
  readonly name: NistStateName;
  readonly setup: Setup;
}

export type NistEvent =
  | { readonly type: 'start' }
  | { readonly type: 'retransmission' }
  /** `once`: a final response ends the transaction without `over`; the layer keeps it, and tells the user later. */
  | { readonly type: 'respond'; readonly class: ResponseClass; readonly once?: boolean }
  | { readonly type: 'timer'; readonly timer: NistTimer }
  /** The layer is full: Timer J is cut short. */
  | { readonly type: 'room-needed' }
  | { readonly type: 'transport-error' }
  /** Nobody waits for an answer any more, or there is no room for it. */
  | { readonly type: 'drop' };

export type NistAction =
  | { readonly type: 'send-response' | 'resend-last' | 'reject-response' | 'pass-request' | 'terminated' }
  | { readonly type: 'over'; readonly acked: boolean };

export type NistEffect = NistAction | SetTimer<NistTimer> | CancelTimerEffect<NistTimer>;

export interface NistStep {
  readonly state: NistState;
  readonly effects: readonly NistEffect[];
}

export const nistInitial = (setup: Setup): NistState => ({ name: 'initial', setup });

const stay = (state: NistState, ...effects: NistEffect[]): NistStep => ({ state, effects });
const go = (state: NistState, name: NistStateName, ...effects: NistEffect[]): NistStep => ({
  state: { ...state, name },
  effects,
});

/** One step; total: every event in every state has an answer. */
export function nist(state: NistState, event: NistEvent): NistStep {
  switch (state.name) {
    case 'initial':
      if (event.type !== 'start') return refuse(state, event);
      return go(state, 'trying', setTimer('unanswered', timeout(state.setup)), { type: 'pass-request' });
    case 'trying':
    case 'proceeding':
      return open(state, event);
    case 'completed':
      return completed(state, event);
    case 'terminated':
      return refuse(state, event);
  }
}

function refuse(state: NistState, event: NistEvent): NistStep {
  return event.type === 'respond' ? stay(state, { type: 'reject-response' }) : stay(state);
}

function open(state: NistState, event: NistEvent): NistStep {
  switch (event.type) {
    case 'respond': {
      const send: NistEffect = { type: 'send-response' };
      if (event.class === 'provisional') return go(state, 'proceeding', send);
      if (event.once === true) return go(state, 'terminated', send, { type: 'terminated' });
      const wait = state.setup.reliable ? 0 : timeout(state.setup);
      return go(state, 'completed', cancelTimer('unanswered'), send, setTimer('J', wait));
    }
    case 'retransmission':
      return state.name === 'proceeding' ? stay(state, { type: 'resend-last' }) : stay(state);
    case 'timer':
      return event.timer === 'unanswered' ? end(state, false) : stay(state);
    case 'transport-error':
      return state.name === 'proceeding' ? end(state, false) : stay(state);
    case 'drop':
      return end(state, false);
    case 'room-needed':
    case 'start':
      return stay(state);
  }
}

function completed(state: NistState, event: NistEvent): NistStep {
  switch (event.type) {
    case 'retransmission':
      return stay(state, { type: 'resend-last' });
    case 'timer':
      return event.timer === 'J' ? end(state, true) : stay(state);
    case 'room-needed':
      return end(state, true);
    case 'transport-error':
    case 'drop':
      return end(state, false);
    case 'respond':
      return refuse(state, event);
    case 'start':
      return stay(state);
  }
}

function end(state: NistState, acked: boolean): NistStep {
  return go(state, 'terminated', { type: 'over', acked }, { type: 'terminated' });
}
