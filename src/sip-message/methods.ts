/** The methods that are taken, outside a dialog or in one: the only list that is announced (RFC 3261 section 20.5). */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, INFO, MESSAGE, PRACK, REFER';

/** With those that there are and that are not taken. */
const KNOWN: ReadonlySet<string> = new Set([...ALLOW.split(', '), 'SUBSCRIBE', 'NOTIFY', 'PUBLISH']);

/**
 * Whether there is such a method: what is none gets 501, whoever sends it and wherever, what we only do not do 405 or an answer of its own
 * (RFC 3261 sections 8.2.1 and 21.5.2). `invite` is no method: they are case-sensitive (section 7.1).
 */
export function isKnownMethod(method: string): boolean {
  return KNOWN.has(method);
}
