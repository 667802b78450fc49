import { formatReason } from '../../sip/reason';
import { type Leg, moveLeg, newLeg } from '../core/leg';
import { connect } from '../join/connect';
import { forget, leave } from '../join/leaving';
import { anotherBridge } from '../join/another-bridge';
import { type Draft, ELSEWHERE } from '../core/draft';
import { cancelBranches } from '../ringing/branches';
import { notify, ringFor } from './transfer-notify';
import { moveTransfer, type Slot, type Transfer } from './transfer-state';

/**
 * Park: a transfer to nobody. Who is parked is held, and hears the music of who has parked it, until somebody dials the slot and takes the
 * seat. From time to time who has parked it is called back.
 */

/** Who has asked for a transfer wants the other end parked, and there is a slot for it. */
export function park(draft: Draft, { slot, recallMs }: Slot): void {
  const { state } = draft;
  const { transfer } = state;
  const by = transfer === undefined ? undefined : draft.leg(transfer.by);
  const other = by === undefined ? undefined : draft.other(by);
  if (transfer?.step !== 'asked' || by === undefined || other === undefined) return;
  const said = `Parked At ${slot}`;
  state.ringing = undefined;
  const seat = emptySeat(draft, by);
  connect(draft, anotherBridge(draft, { a: seat.id, b: other.id }, undefined));
  const lastWord = notify(draft, 200, said);
  const parked = { slot, recallMs, recall: by.party.number };
  moveTransfer(state, { by: seat.id, step: 'parked', subscription: undefined, told: [], parked });
  if (by.phase === 'over') forget(draft, by);
  else leave(draft, by, formatReason(200, said), lastWord);
  awaitRecall(draft, parked);
}

/** A seat on which nobody sits, kept for whoever retrieves the call. It holds, as who has left it would. */
function emptySeat(draft: Draft, { profile, pid, device, party, sessionId, localSdp, remoteSdp }: Leg): Leg {
  const ordinal = draft.state.nextLeg;
  draft.state.nextLeg += 1;
  const about = { role: 'client', profile, pid, device, party, sessionId, callId: '' } as const;
  const seat = newLeg({ id: `parked${ordinal}`, ...about }, undefined);
  moveLeg(seat, 'over');
  seat.holds = true;
  // A node is told of the hold in the words of who was there.
  seat.localSdp = localSdp;
  seat.remoteSdp = remoteSdp;
  draft.state.legs.set(seat.id, seat);
  return seat;
}

function awaitRecall(draft: Draft, { recallMs }: Slot): void {
  if (recallMs !== undefined) draft.setTimer('recall', recallMs);
}

/** It has been parked for long: who has parked it is called. */
export function recall(draft: Draft): void {
  const { transfer } = draft.state;
  const seat = transfer === undefined ? undefined : draft.leg(transfer.by);
  const waiter = seat === undefined ? undefined : draft.other(seat);
  if (transfer?.step !== 'parked' || seat === undefined || waiter === undefined) return;
  moveTransfer(draft.state, { ...transfer, step: 'recalling' });
  ringFor(draft, waiter, seat, transfer.parked?.recall ?? seat.party.number);
}

/** Nobody has answered that: it stays parked. True: it was parked. */
export function staysParked(draft: Draft, transfer: Transfer): boolean {
  if (transfer.parked === undefined) return false;
  moveTransfer(draft.state, { ...transfer, step: 'parked' });
  awaitRecall(draft, transfer.parked);
  return true;
}

/** Whether the leg is the empty seat of a parked call. */
export function isParkingSeat(state: { readonly transfer: Transfer | undefined }, id: string): boolean {
  return state.transfer?.parked !== undefined && state.transfer.by === id;
}

/** Somebody takes the seat: whoever is called back is called no more. */
export function unpark(draft: Draft): void {
  const { state } = draft;
  if (state.ringing?.plan !== undefined) cancelBranches(draft, formatReason(200, ELSEWHERE));
  state.ringing = undefined;
  draft.cancelTimer('route-again');
  draft.cancelTimer('recall');
  moveTransfer(state, undefined);
}
