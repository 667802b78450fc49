import type { Bridge, Seat } from '../core/call-state';
import { follow, type StepTable } from '../core/steps';

/** An offer of one end (`from`) on its way to the other, below `to`, and back. At most one on a bridge. */
export interface Exchange {
  readonly from: Seat;
  /** The request of `from` that waits for the answer; undefined: its initial INVITE, or we began by ourselves. */
  readonly requestId: string | undefined;
  /** Undefined: `to` makes the offer (RFC 3261 §14.1: a re-INVITE without a description). */
  readonly offer: string | undefined;
  readonly step:
    /** `to` is busy with something else, or there is no media path yet. */
    | 'waiting'
    /** The resource in the path makes the offer for `to`. */
    | 'translating'
    /** Our re-INVITE to `to` has no final answer yet. */
    | 'offered'
    /** The resource makes the answer for `from`. */
    | 'answering'
    /** `to` has made its offer, and there is no media path yet. */
    | 'received'
    /** The resource makes the offer for `from`. */
    | 'handing'
    /** The offer of `to` was handed to `from`, whose answer is awaited. */
    | 'handed-over'
    /** The resource makes the answer for `to`. */
    | 'completing';
  /** Whether descriptions go by way of the resource in the path. */
  readonly via: 'direct' | 'resource';
  /** The other way is not to be tried again: it was refused, or there was no resource. */
  readonly forced: 'direct' | 'resource' | undefined;
  /** The offer to `to` was the resource's own: nothing waits for an answer there. */
  readonly ownOffer: boolean;
}

/** An exchange that is about to begin. */
export function newExchange(about: Pick<Exchange, 'from' | 'requestId' | 'offer'>): Exchange {
  return { ...about, step: 'waiting', via: 'direct', forced: undefined, ownOffer: false };
}

/** Which step of an exchange may follow which; `none`: nothing is under way. Whatever happens, it may be given up. */
export const EXCHANGE_STEPS: StepTable<Exchange['step'] | 'none'> = {
  none: ['waiting', 'received', 'handed-over'],
  waiting: ['translating', 'offered', 'none'],
  translating: ['offered', 'waiting', 'none'],
  offered: ['received', 'answering', 'waiting', 'none'],
  answering: ['handing', 'none'],
  received: ['handing', 'handed-over', 'none'],
  handing: ['handed-over', 'received', 'none'],
  'handed-over': ['completing', 'none'],
  completing: ['none'],
};

/** The one place where an exchange goes on, or ends. Throws when this step cannot follow. */
export function moveExchange(bridge: Bridge, exchange: Exchange | undefined): void {
  follow(EXCHANGE_STEPS, 'exchange', bridge.exchange?.step ?? 'none', exchange?.step ?? 'none');
  (bridge as { exchange: Exchange | undefined }).exchange = exchange;
}
