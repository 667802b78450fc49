import { randomInt } from 'node:crypto';
import { parseRAck } from '../../sip-message/header-rules';
import { getHeader } from '../../sip-message/headers';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import type { CancelTimer } from '../../process/clock';
import { patience, type CoreContext } from './context';
import type { DialogRecord } from './dialog-table';
import type { Incoming, IncomingTable } from './incoming';

/** Reliable provisional responses as server (RFC 3262 section 3). */

/** RSeq for the next one. */
export function nextReliableSequence(incoming: Incoming): number {
  incoming.reliable ??= { sequence: randomInt(1, 2 ** 30), outstanding: undefined, waiting: [] };
  incoming.reliable.sequence += 1;
  return incoming.reliable.sequence;
}

/** Sends a response until its PRACK comes; `expired` when it never comes. */
export function sendReliably(
  context: CoreContext,
  incoming: Incoming,
  response: SipResponse,
  expired: () => void,
): void {
  const state = incoming.reliable;
  if (state === undefined) return;
  const { transaction } = incoming;
  let stopRetransmission: CancelTimer = () => undefined;
  const again = (delay: number): void => {
    stopRetransmission = context.clock.setTimer(delay, () => {
      transaction.respond(response);
      again(delay * 2);
    });
  };
  const stopDeadline = context.clock.setTimer(patience(context), () => {
    stopRetransmission();
    expired();
  });
  state.outstanding = () => {
    stopRetransmission();
    stopDeadline();
  };
  transaction.respond(response);
  again(context.timers.t1);
}

/** A PRACK in the dialog. True: it acknowledges what is outstanding, and what waited for it goes on. */
export function takePrack(incoming: IncomingTable, record: DialogRecord, prack: SipRequest): boolean {
  const asked = parseRAck(getHeader(prack, 'RAck') ?? '');
  if (asked?.method !== 'INVITE') return false;
  for (const invite of record.unanswered) {
    const state = invite.reliable;
    if (state?.outstanding === undefined || invite.head.method !== 'INVITE') continue;
    if (asked.reliable !== state.sequence || asked.sequence !== invite.head.sequence) continue;
    state.outstanding();
    state.outstanding = undefined;
    // After the PRACK itself was given to the application.
    queueMicrotask(() => {
      if (incoming.get(invite.transaction.id) !== invite || invite.answered) return;
      while (state.outstanding === undefined) {
        const next = state.waiting.shift();
        if (next === undefined) return;
        next();
      }
    });
    return true;
  }
  return false;
}
