import { NO_REFER_SUB, referEventId, wantsNotify } from '../../sip/sipfrag';
import { formatReason } from '../../sip/reason';
import type { SessionSignal } from '../../sip/user-agent';
import type { Failure } from '../core/call-state';
import type { Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { endCall } from '../core/ending';
import { give } from '../join/give';
import { forget, keepSeat, leave } from '../join/leaving';
import type { Joined, Refer } from '../core/signals';
import { park, staysParked } from './park';
import { notify, ringFor } from './transfer-notify';
import { moveTransfer, type Transfer } from './transfer-state';

/**
 * Transfer: a leg asks that somebody else take its place (RFC 3515, 5589). Until that has come about it holds the other end, which
 * hears music by its choice. It may leave at any moment.
 */

type Requested = Extract<SessionSignal, { type: 'requested' }>;

/** In the BYE for who has transferred its call. */
const TRANSFERRED = formatReason(200, 'Transferred');

/** For a node that nobody is behind any more. */
const SHORTENED = formatReason(200, 'Shortened');

/** REFER in the dialog of a leg. `refer`: what its Refer-To says. */
export function receiveRefer(draft: Draft, leg: Leg, request: Requested, refer: Refer | undefined): void {
  const refuse = (status: number, reason?: string): void =>
    draft.emit({
      type: 'respond',
      leg: leg.id,
      id: request.id,
      status,
      ...(reason === undefined ? {} : { options: { reason } }),
    });
  const other = draft.other(leg);
  if (refer === undefined) return refuse(603);
  if (refer.type === 'refused') return refuse(refer.status, refer.reason);
  // One of the two, who was picked up or picks up, has no answer yet.
  if (leg.phase === 'offered' || other?.phase === 'offered') return refuse(491);
  if (other === undefined || other.phase !== 'confirmed') return refuse(481);
  // Nodes ask each other in words of their own; a conference is left, not transferred, and so is a slot where nobody is parked yet.
  if (
    [leg, other].some(({ profile: { kind } }) => kind === 'conference' || kind === 'park') ||
    leg.profile.kind === 'node'
  )
    return refuse(603);
  if (draft.state.transfer !== undefined || draft.state.ringing !== undefined) return refuse(491);
  accept(draft, leg, request);
  const { digits, replaces } = refer;
  if (replaces !== undefined) return draft.emit({ type: 'join-dialog', leg: other.id, by: leg.id, digits, replaces });
  ringFor(draft, other, leg, digits);
}

function accept(draft: Draft, leg: Leg, { id, header }: Requested): void {
  const subscribed = wantsNotify(header);
  leg.refers += 1;
  moveTransfer(draft.state, {
    by: leg.id,
    step: 'asked',
    subscription: subscribed ? { id: leg.refers === 1 ? undefined : referEventId(header) } : undefined,
    told: [],
  });
  const options = subscribed ? {} : { options: { headers: NO_REFER_SUB } };
  draft.emit({ type: 'respond', leg: leg.id, id, status: 202, ...options });
  leg.aside = { held: leg.holds };
  leg.holds = true;
  notify(draft, 100);
}

/** What has become of the ringing that a transfer has begun, after each of its signals. */
export function followTransfer(draft: Draft): void {
  const { state } = draft;
  const { transfer, ringing } = state;
  if (transfer === undefined || state.kind !== 'established') return;
  if (ringing === undefined) return transfer.step === 'asked' ? undefined : succeeded(draft, transfer);
  if (ringing.failed !== undefined) return failed(draft, transfer, ringing.failed);
  if (transfer.step === 'asked') moveTransfer(state, { ...transfer, step: 'ringing' });
  for (const status of ringing.relayed) if (!transfer.told.includes(status)) notify(draft, status);
}

/** Somebody else has taken the transferor's seat. */
export function succeeded(draft: Draft, { by, shortens, conference }: Transfer): void {
  const leg = draft.leg(by);
  const lastWord = notify(draft, 200);
  moveTransfer(draft.state, undefined);
  if (leg === undefined) return;
  if (leg.phase === 'over') forget(draft, leg);
  else if (conference === 'give') give(draft, leg);
  else leave(draft, leg, shortens === true ? SHORTENED : TRANSFERRED, lastWord);
}

/** Nobody has. A transferor that is still there has its call again; one that has left is called back, once. */
export function failed(draft: Draft, transfer: Transfer, failure: Failure): void {
  const { state } = draft;
  const leg = draft.leg(transfer.by);
  const waiter = draft.leg(state.ringing?.waiter ?? '') ?? (leg === undefined ? undefined : draft.other(leg));
  state.ringing = undefined;
  draft.cancelTimer('route-again');
  if (leg?.phase === 'confirmed') {
    notify(draft, failure.status);
    leg.holds = leg.aside?.held ?? leg.holds;
    leg.aside = undefined;
    return moveTransfer(state, undefined);
  }
  if (transfer.step === 'recalling' && staysParked(draft, transfer)) return;
  if (transfer.shortens === true || transfer.conference !== undefined)
    return endCall(draft, { by: 'callee', status: 200, reason: 'The other end has left' });
  if (transfer.step === 'recalling' || leg === undefined || waiter === undefined) {
    const reason = `Transfer failed: ${failure.status}${failure.reason === undefined ? '' : ` ${failure.reason}`}`;
    return endCall(draft, { by: 'callee', status: failure.status, reason });
  }
  moveTransfer(state, { ...transfer, step: 'recalling' });
  ringFor(draft, waiter, leg, leg.party.number);
}

/** True: the leg was a transferor, and its call goes on without it. */
export function transferorLeft(draft: Draft, leg: Leg): boolean {
  const { transfer } = draft.state;
  if (transfer?.by !== leg.id) return false;
  keepSeat(draft, leg);
  // The two go on to talk meanwhile.
  if (transfer.shortens === true) leg.holds = false;
  return true;
}

/** Before the call ends for another reason: the transferor learns that nothing has come of it. */
export function endTransfer(draft: Draft): void {
  if (draft.state.transfer === undefined) return;
  notify(draft, 487);
  moveTransfer(draft.state, undefined);
}

/** The call to be joined was found, and the leg that is to go there may; or not. */
export function joinAnswered(draft: Draft, { status, slot }: Joined): void {
  const { transfer } = draft.state;
  const by = transfer === undefined ? undefined : draft.leg(transfer.by);
  if (transfer === undefined || by === undefined) return;
  if (status >= 300) return failed(draft, transfer, { status, reason: undefined, headers: {} });
  if (slot !== undefined) return park(draft, slot);
  const other = draft.other(by);
  if (other === undefined) return;
  give(draft, other);
  succeeded(draft, transfer);
}
