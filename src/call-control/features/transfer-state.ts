import type { LegId } from '../core/leg';
import { follow, type StepTable } from '../core/steps';

/** The slot for a call, and when who has parked it is called back; ms, undefined: never. */
export interface Slot {
  readonly slot: string;
  readonly recallMs: number | undefined;
}

/** What the slot of a parked call is, wherever that is at the moment. */
export interface Parked extends Slot {
  /** The number that is called back. */
  readonly recall: string;
}

/** A leg that has asked to be replaced by somebody else (RFC 3515), and how far that is. At most one in a call. */
export interface Transfer {
  /** The transferor. */
  readonly by: LegId;
  readonly step:
    /** The target is looked up, or the call that is to be joined. */
    | 'asked'
    /** The target rings for who was talking to the transferor. */
    | 'ringing'
    /** It was in vain, and the transferor has left: its number is rung, once. */
    | 'recalling'
    /** It was to a slot: the other end waits there until somebody takes the seat, or who has parked it is called back. */
    | 'parked';
  /** Of the subscription that REFER has made; undefined: it is not to be told. */
  readonly subscription: { readonly id: string | undefined } | undefined;
  /** A node that is in the middle asks to be left out: nobody hears of it. */
  readonly shortens?: true;
  /** To a slot: `by` is its seat. */
  readonly parked?: Parked;
  /** The other end goes to a conference: nobody is to hear anything of that but the conference. `give`: the transferor has a call to go to, too. */
  readonly conference?: 'leave' | 'give';
  /** Statuses that the transferor was told. */
  readonly told: readonly number[];
}

/** Which step of a transfer may follow which; `none`: there is none. */
export const TRANSFER_STEPS: StepTable<Transfer['step'] | 'none'> = {
  none: ['asked'],
  asked: ['ringing', 'recalling', 'parked', 'none'],
  ringing: ['recalling', 'none'],
  recalling: ['parked', 'none'],
  parked: ['recalling', 'none'],
};

interface WithTransfer {
  readonly transfer: Transfer | undefined;
}

/** The one place where a transfer goes on, or ends. Throws when this step cannot follow. */
export function moveTransfer(state: WithTransfer, transfer: Transfer | undefined): void {
  follow(TRANSFER_STEPS, 'transfer', state.transfer?.step ?? 'none', transfer?.step ?? 'none');
  (state as { transfer: Transfer | undefined }).transfer = transfer;
}
