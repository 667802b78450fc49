/** After so long nobody waits for an answer to a request (Timers B and F, RFC 3261 table 4), in ms. */
export const TRANSACTION_MS = 32_000;

/**
 * What says that something is over, or is the last word of an exchange. For who sends a BYE the session has ended with the sending
 * (RFC 3261 section 15.1.1), whatever becomes of the request; who has sent a CANCEL wants no call; an ACK is no transaction, and the 2xx
 * before it stands. Acted upon late each of them does no more than in time, and not acted upon leaves a call that is dead on the other side.
 */
const ENDS: ReadonlySet<string> = new Set(['BYE', 'CANCEL', 'ACK']);

/** Whether it is to be acted upon however long it has waited. */
export function isNeverTooLate(method: string): boolean {
  return ENDS.has(method);
}

/** Whether a request has waited for so long that its sender has given it up: it is not acted upon. */
export function isDead(method: string, waitedMs: number): boolean {
  return waitedMs >= TRANSACTION_MS && !isNeverTooLate(method);
}
