import type { CancelTimerEffect, ResponseClass, SetTimer, Setup } from './timers';
import { cancelTimer, setTimer, timeout } from './timers';

/**
 * INVITE server transaction: RFC 3261 section 17.2.1 with the Accepted state of RFC 6026 section 7.1. Timer `trying` is ours:
 * section 17.2.1 lets the 100 wait for 200 ms, and a refusal that comes before saves it.
 */
export type IstTimer = 'G' | 'H' | 'I' | 'L' | 'trying';
export type IstStateName = 'initial' | 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

export interface IstState {
  readonly name: IstStateName;
  readonly setup: Setup;
  /** Timer G: the next interval, in milliseconds. */
  readonly interval: number;
  /** Nothing was sent yet, not even 100. */
  readonly quiet?: boolean;
}

const TRYING_AFTER_MS = 200;

export type IstEvent =
  /** `quietly`: no 100 yet, an answer may come soon. */
  | { readonly type: 'start'; readonly quietly?: boolean }
  /** The INVITE came once more. */
  | { readonly type: 'retransmission' }
  | { readonly type: 'ack' }
  /** The user answers. `once`: a refusal ends the transaction without `over`; the layer keeps it, and tells the user later. */
  | { readonly type: 'respond'; readonly class: ResponseClass; readonly once?: boolean }
  /** The user repeats its 2xx. */
  | { readonly type: 'resend' }
  | { readonly type: 'timer'; readonly timer: IstTimer }
  | { readonly type: 'transport-error' }
  /** The layer is full: a refusal is not sent again any more. */
  | { readonly type: 'room-needed' }
  /** Nobody waits for an answer any more, or there is no room for it. */
  | { readonly type: 'drop' };

export type IstAction =
  | {
      readonly type:
        | 'send-trying'
        /** The response that the user has just given; it becomes the last one. */
        | 'send-response'
        | 'resend-last'
        /** The user's response comes too late. */
        | 'reject-response'
        | 'pass-request'
        /** An ACK in Accepted is the user's business (RFC 6026 section 7.1). */
        | 'pass-ack'
        /** All timers are gone; the transaction is forgotten. */
        | 'terminated';
    }
  /** The user is told, once, how it ended. */
  | { readonly type: 'over'; readonly acked: boolean };

export type IstEffect = IstAction | SetTimer<IstTimer> | CancelTimerEffect<IstTimer>;

export interface IstStep {
  readonly state: IstState;
  readonly effects: readonly IstEffect[];
}

export const istInitial = (setup: Setup): IstState => ({ name: 'initial', setup, interval: setup.timers.t1 });

const stay = (state: IstState, ...effects: IstEffect[]): IstStep => ({ state, effects });
const go = (state: IstState, name: IstStateName, ...effects: IstEffect[]): IstStep => ({
  state: { ...state, name },
  effects,
});

/** One step; total: every event in every state has an answer. */
export function ist(state: IstState, event: IstEvent): IstStep {
  switch (state.name) {
    case 'initial':
      return event.type === 'start' ? start(state, event.quietly === true) : refuse(state, event);
    case 'proceeding':
      return proceeding(state, event);
    case 'completed':
      return completed(state, event);
    case 'confirmed':
      if (event.type === 'timer' && event.timer === 'I') return go(state, 'terminated', { type: 'terminated' });
      return refuse(state, event);
    case 'accepted':
      return accepted(state, event);
    case 'terminated':
      return refuse(state, event);
  }
}

function start(state: IstState, quiet: boolean): IstStep {
  const pass: IstEffect = { type: 'pass-request' };
  if (!quiet) return go(state, 'proceeding', { type: 'send-trying' }, pass);
  return go({ ...state, quiet }, 'proceeding', setTimer('trying', TRYING_AFTER_MS), pass);
}

function refuse(state: IstState, event: IstEvent): IstStep {
  return event.type === 'respond' ? stay(state, { type: 'reject-response' }) : stay(state);
}

/** A provisional response that could not be sent ends nothing: the final one may find another way (section 18.2.2). */
function proceeding(state: IstState, event: IstEvent): IstStep {
  switch (event.type) {
    case 'respond':
      return respond(state, event.class, event.once === true);
    case 'retransmission':
      return stay(state, { type: 'resend-last' });
    case 'timer':
      if (event.timer !== 'trying' || state.quiet !== true) return stay(state);
      return stay({ ...state, quiet: false }, { type: 'send-trying' });
    case 'drop':
      return end(state, false);
    case 'start':
    case 'ack':
    case 'resend':
    case 'room-needed':
    case 'transport-error':
      return stay(state);
  }
}

/** Only a refusal saves the 100. */
const owedTrying = ({ quiet }: IstState): readonly IstEffect[] => (quiet === true ? [{ type: 'send-trying' }] : []);

function respond(state: IstState, response: ResponseClass, once: boolean): IstStep {
  const { setup } = state;
  switch (response) {
    case 'provisional':
      return stay({ ...state, quiet: false }, ...owedTrying(state), { type: 'send-response' });
    case 'success':
      return go(state, 'accepted', ...owedTrying(state), { type: 'send-response' }, setTimer('L', timeout(setup)));
    case 'failure': {
      if (once) return go(state, 'terminated', { type: 'send-response' }, { type: 'terminated' });
      const retransmit = setup.reliable ? [] : [setTimer('G', state.interval)];
      return go(state, 'completed', { type: 'send-response' }, ...retransmit, setTimer('H', timeout(setup)));
    }
  }
}

function completed(state: IstState, event: IstEvent): IstStep {
  switch (event.type) {
    case 'ack':
      return acknowledged(state);
    case 'retransmission':
      return stay(state, { type: 'resend-last' });
    case 'timer':
      return event.timer === 'G' ? retransmit(state) : event.timer === 'H' ? end(state, false) : stay(state);
    case 'transport-error':
    case 'room-needed':
    case 'drop':
      return end(state, false);
    case 'respond':
      return refuse(state, event);
    case 'start':
    case 'resend':
      return stay(state);
  }
}

function acknowledged(state: IstState): IstStep {
  const wait = state.setup.reliable ? 0 : state.setup.timers.t4;
  return go(state, 'confirmed', cancelTimer('G'), cancelTimer('H'), setTimer('I', wait), { type: 'over', acked: true });
}

function retransmit(state: IstState): IstStep {
  const interval = Math.min(state.interval * 2, state.setup.timers.t2);
  return stay({ ...state, interval }, { type: 'resend-last' }, setTimer('G', interval));
}

/** Further 2xx are sent (a proxy forwards those of other forks); nothing else is answered any more. */
function accepted(state: IstState, event: IstEvent): IstStep {
  switch (event.type) {
    case 'ack':
      return stay(state, { type: 'pass-ack' });
    case 'respond':
      return event.class === 'success' ? stay(state, { type: 'send-response' }) : refuse(state, event);
    case 'resend':
      return stay(state, { type: 'resend-last' });
    case 'timer':
      return event.timer === 'L' ? end(state, true) : stay(state);
    case 'start':
    case 'retransmission':
    case 'transport-error':
    case 'room-needed':
    case 'drop':
      return stay(state);
  }
}

function end(state: IstState, acked: boolean): IstStep {
  return go(state, 'terminated', { type: 'over', acked }, { type: 'terminated' });
}
