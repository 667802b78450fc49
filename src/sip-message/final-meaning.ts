/**
 * What a final response to a request of ours inside a dialog means for the dialog: RFC 3261 §12.2.1.2 and §14.1, RFC 4028
 * §7.4 and §10, and RFC 5057 §5.2 for what those leave open. Where RFC 5057, which is no standard, ends a session that RFC 3261
 * §14.1 says "must remain unchanged" (403, 405, 480), RFC 3261 holds.
 */
export type FinalMeaning =
  | { readonly type: 'accepted' }
  /** The peer, or what leads to it, has no such dialog any more: it is to be ended, with BYE. */
  | { readonly type: 'dialog-over' }
  /** What was asked for is over whatever is answered: a BYE. */
  | { readonly type: 'done' }
  /** It wants credentials, and has not been given any that it takes. Dialog and session are as they were. */
  | { readonly type: 'challenged' }
  /** The peer has a request of its own under way: again after the pause of RFC 3261 §14.1. */
  | { readonly type: 'glare' }
  /** Again with this Session-Expires, in seconds. */
  | { readonly type: 'longer-interval'; readonly minimum: number }
  /** Dialog and session are as they were; `afterSeconds`: it may be asked again then. */
  | { readonly type: 'refused'; readonly afterSeconds: number | undefined };

/** Something is fundamentally wrong with the dialog, its target or its route (RFC 5057 §5.2). */
const DIALOG_OVER: ReadonlySet<number> = new Set([404, 408, 410, 416, 481, 482, 484, 485, 502, 604]);
/** What they ask for may be unknown to the peer while the dialog is as it should be (a REFER to a number that is none). */
const ABOUT_SOMETHING_ELSE: ReadonlyMap<string, ReadonlySet<number>> = new Map([
  ['REFER', new Set([404, 410, 416, 484, 485, 604])],
  // RFC 3262 §3: no provisional response of that number. The INVITE says what becomes of the dialog.
  ['PRACK', DIALOG_OVER],
]);
const REFRESHES: ReadonlySet<string> = new Set(['INVITE', 'UPDATE']);
const MAX_SECONDS = 0xffffffff;

/** `status` 200 to 699; one that is not known counts as the x00 of its class (RFC 3261 §8.1.3.2). */
export function finalMeaning(
  method: string,
  status: number,
  header: (name: string) => string | undefined = () => undefined,
): FinalMeaning {
  if (status === 401 || status === 407) return { type: 'challenged' };
  if (method === 'BYE' || method === 'CANCEL') return { type: 'done' };
  if (status < 300) return { type: 'accepted' };
  if (DIALOG_OVER.has(status) && ABOUT_SOMETHING_ELSE.get(method)?.has(status) !== true) return { type: 'dialog-over' };
  if (status === 491) return { type: 'glare' };
  const minimum = status === 422 && REFRESHES.has(method) ? deltaSeconds(header('Min-SE')) : undefined;
  if (minimum !== undefined) return { type: 'longer-interval', minimum };
  return { type: 'refused', afterSeconds: deltaSeconds(header('Retry-After')) };
}

/** RFC 3261 §14.1, for the owner of the Call-ID: the offer goes again within 2.1 to 4 s. */
const OFFER_AGAIN_MS = 2500;
const LATEST_OFFER_MS = 30_000;

/**
 * When a refused offer of ours, without which there is no sound, is made again, in ms: the peer has an offer of its own under way
 * (491, 500: RFC 3261 §14.2), or says when. Undefined: it will not be taken.
 */
export function offerAgainMs(
  status: number,
  header: (name: string) => string | undefined = () => undefined,
): number | undefined {
  const meaning = finalMeaning('INVITE', status, header);
  if (meaning.type === 'glare') return OFFER_AGAIN_MS;
  if (meaning.type !== 'refused') return undefined;
  const asked = meaning.afterSeconds ?? (status === 500 ? 0 : undefined);
  return asked === undefined ? undefined : Math.min(Math.max(OFFER_AGAIN_MS, asked * 1000), LATEST_OFFER_MS);
}

/** The number that a Retry-After, Min-SE or Expires begins with: seconds, before comments and parameters (RFC 3261 §20.33). */
export function deltaSeconds(value: string | undefined): number | undefined {
  const digits = /^\s*(\d{1,15})\s*(?:[;(,]|$)/.exec(value ?? '')?.[1];
  return digits === undefined ? undefined : Math.min(Number(digits), MAX_SECONDS);
}
