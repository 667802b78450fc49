/** The methods that are taken, outside a dialog or in one: the only list that is announced (RFC 3261 section 20.5). */
export const ALLOW = 'INVITE, ACK, CANCEL, BYE, OPTIONS, REGISTER, UPDATE, INFO, MESSAGE, PRACK';
