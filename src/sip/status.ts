/** Answers to a request of ours in a dialog that speak of our own leg alone. */
const OF_OUR_LEG: ReadonlySet<number> = new Set([401, 407, 420, 421, 422, 494]);

/**
 * The status with which to refuse a request in a dialog when the other leg refused what was made of it: a challenge, an
 * extension and a session interval are for us, and a redirection cannot be followed there. `offers`: it has a session description.
 */
export function statusAcross(status: number, offers: boolean): number {
  if (status >= 400 && status <= 699 && !OF_OUR_LEG.has(status)) return status;
  return offers ? 488 : 500;
}

/** Answers that speak of our own leg, and what the caller is told instead (RFC 3261 sections 8.1.3 and 16.7). */
const TOWARDS_CALLER: ReadonlyMap<number, number> = new Map([
  // Our credentials for a gateway are wrong: no fault of the caller's.
  [401, 503],
  [407, 503],
  // Our request was not understood.
  [400, 500],
  [405, 500],
  [415, 488],
  [420, 500],
  [421, 500],
  [422, 500],
  [481, 500],
  [491, 500],
  // The binding is gone, which is not the number being gone.
  [410, 480],
]);

/** The status with which to refuse the caller when the callee was refused with `status`. */
export function statusTowardsCaller(status: number): number {
  if (status < 300 || status > 699) return 500;
  // We do not follow redirections, and the caller cannot use the contacts of our domain.
  if (status < 400) return 480;
  return TOWARDS_CALLER.get(status) ?? status;
}
