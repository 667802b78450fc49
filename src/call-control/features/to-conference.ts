import type { Draft } from '../core/draft';
import type { CallSignal } from '../core/signals';
import { isLeaving } from '../join/leaving';
import { ringFor } from './transfer-notify';
import { moveTransfer } from './transfer-state';

/**
 * Who talks to a leg goes to a conference: a transfer that nobody has asked for by REFER. Until the conference has it the two talk as before, and when it does not
 * come about nothing has changed.
 */
export function toConference(
  draft: Draft,
  { by: id, to, stays }: Extract<CallSignal, { type: 'to-conference' }>,
): void {
  const { state } = draft;
  const by = draft.leg(id);
  const waiter = by && draft.other(by);
  if (by?.phase !== 'confirmed' || waiter?.phase !== 'confirmed' || isLeaving(by)) return;
  if (state.transfer !== undefined || state.ringing !== undefined) return;
  moveTransfer(state, {
    by: id,
    step: 'asked',
    subscription: undefined,
    told: [],
    conference: stays ? 'give' : 'leave',
  });
  ringFor(draft, waiter, by, to.digits, to);
}
