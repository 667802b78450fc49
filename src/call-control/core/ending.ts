import type { Headers } from '../../sip/user-agent';
import type { CallDetailRecord } from '../record/call-detail-record';
import { farHalves } from '../record/call-view';
import { answeredLeg } from './call-state';
import type { Leg, LegId } from './leg';
import type { Draft } from './draft';
import { formatReason, type Reason } from '../../sip/reason';
import { passedOn } from './passed-on';
import type { MediaTried } from '../bridge/path';

/** For callers that are refused because this node is stopping: another one is ready by then. */
export const RETRY_AFTER_SECONDS = '5';

export interface Ending {
  readonly by: CallDetailRecord['endedBy'];
  /** Final status of the caller's INVITE when there was none yet. */
  readonly status: number;
  /** For people. */
  readonly reason: string | undefined;
  /** What the party that ended it has told, for the others; undefined: the end is of our making. */
  readonly reasons?: readonly Reason[] | undefined;
  readonly headers?: Headers;
  readonly tried?: MediaTried;
  readonly tryAnother?: boolean;
  /** The leg that is over already. */
  readonly except?: LegId;
}

/**
 * Ends a call whatever its state: every other leg, every resource, every timer. It does not wait for anything; what still
 * comes for the call is handled by `ended`.
 */
export function endCall(draft: Draft, ending: Ending): void {
  const { state } = draft;
  if (state.kind === 'ended') return;
  const established = state.kind === 'established';
  for (const leg of state.legs.values()) {
    if (leg.id === ending.except) continue;
    // RFC 3261 §15.1.2: what waits for an answer still gets one.
    if (leg.incoming !== undefined && leg.incoming.initial !== true)
      draft.emit({ type: 'respond', leg: leg.id, id: leg.incoming.id, status: 487 });
    if (leg.phase === 'over') continue;
    if (leg.phase === 'offered') reject(draft, leg.id, ending);
    else draft.emit({ type: 'bye', leg: leg.id, ...byeReason(ending, established) });
  }
  for (const { leg, id } of state.forwarded.values()) {
    if (leg !== ending.except) draft.emit({ type: 'respond', leg, id, status: 481 });
  }
  for (const token of state.tokens) draft.emit({ type: 'release-resource', token });
  state.kind = 'ended';
  draft.emit({ type: 'finish', record: recordOf(draft, ending, established) });
  state.tokens = [];
  state.legs.clear();
  state.bridges.clear();
  state.forwarded.clear();
}

/** Whose doing it is, for the record of the call. */
export function partyOf({ state }: Draft, { id }: Leg): 'caller' | 'callee' {
  return id === state.caller ? 'caller' : 'callee';
}

/** The peer on a leg has no such dialog any more, as its answer to a request of ours says: the call is over (RFC 3261 §12.2.1.2). */
export function dialogOver(draft: Draft, leg: Leg, method: string, status: number): void {
  endCall(draft, { by: partyOf(draft, leg), status, reason: `${status} to ${method}` });
}

/** None is made up for the party that hangs up without a word. */
function byeReason({ reason, reasons, by, status }: Ending, established: boolean): { readonly reason?: string } {
  const told = passedOn(reasons);
  if (told !== undefined) return { reason: told };
  if (reason === undefined || (established && reasons !== undefined)) return {};
  return { reason: formatReason(!established ? 487 : by === 'system' ? 503 : status, reason) };
}

/** A final answer to an INVITE; in a call that has been answered the end is none. */
function reject(draft: Draft, leg: LegId, ending: Ending): void {
  const { status, reason, headers, tried, tryAnother } = ending;
  if (ending.by !== 'system') {
    const told = tried === undefined ? {} : { tried };
    return draft.emit({
      type: 'reject',
      leg,
      status,
      reason,
      headers,
      judged: tryAnother === true ? 'try-another' : 'answer',
      ...told,
    });
  }
  const ours = { 'Retry-After': RETRY_AFTER_SECONDS, Reason: formatReason(status, reason) };
  draft.emit({ type: 'reject', leg, status: Math.max(status, 480), headers: ours });
}

function recordOf(draft: Draft, ending: Ending, established: boolean): CallDetailRecord {
  const { state, moment } = draft;
  const { facts, answeredAt } = state;
  return {
    pid: facts.pid,
    call: facts.call,
    caller: facts.caller.number,
    callerDevice: facts.caller.device,
    dialled: facts.dialled,
    matched: state.matched,
    calleeDevice: answeredLeg(state)?.device,
    startedAt: facts.startedAt,
    ringingAt: state.ringingAt,
    answeredAt,
    endedAt: moment.now,
    talkMs: answeredAt === undefined ? 0 : moment.now - answeredAt,
    status: established ? 200 : ending.status,
    endedBy: ending.by,
    reason: ending.reason,
    reasons: ending.reasons ?? [],
    callIds: [...state.legs.values()].map((leg) => leg.callId).filter((callId) => callId !== ''),
    holdCount: state.holdCount,
    trials: state.trials,
    allocations: state.explanations,
    elsewhere: farHalves(state),
  };
}
