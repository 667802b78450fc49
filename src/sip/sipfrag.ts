import { parseCSeq } from '../sip-message/cseq';
import { reasonPhrase } from '../sip-message/response';
import type { HeaderReader, Headers } from './user-agent';

/** Content type of a part of a SIP message (RFC 3420). */
export const SIPFRAG_TYPE = 'message/sipfrag;version=2.0';

/** How the call of a REFER stands, as body of its NOTIFY (RFC 3515 section 2.4.5): a status line and nothing else. */
export function sipfrag(status: number, reason = reasonPhrase(status)): string {
  return `SIP/2.0 ${status} ${reason.replace(/\p{Cc}+/gu, ' ').trim()}\r\n`;
}

/** The status line of such a body; undefined: it has none. */
export function readSipfrag(body: string): { readonly status: number; readonly reason: string } | undefined {
  const [, status, reason = ''] = /^SIP\/2\.0 ([1-6]\d\d)(?: ([^\r\n]*))?(?:\r?\n|$)/i.exec(body) ?? [];
  return status === undefined ? undefined : { status: Number(status), reason };
}

export interface ReferNotify {
  readonly status: number;
  /** The subscription ends with it; without it a final status ends it. */
  readonly final?: boolean;
  /** Of `referEventId`: needed from the second REFER in a dialog on. */
  readonly id?: string | undefined;
  /** How long the subscription has yet, in seconds. */
  readonly expiresSeconds?: number;
}

/** As long as a call may ring and be tried elsewhere; nobody has to refresh it. */
const REFER_SUBSCRIPTION_SECONDS = 600;

/** The headers of the NOTIFY that tells a transferor of its REFER (RFC 3515 sections 2.4.4 to 2.4.7). */
export function referNotifyHeaders({ status, final, id, expiresSeconds }: ReferNotify): Headers {
  const ends = final ?? status >= 200;
  return {
    Event: id === undefined ? 'refer' : `refer;id=${id}`,
    'Subscription-State': ends
      ? 'terminated;reason=noresource'
      : `active;expires=${expiresSeconds ?? REFER_SUBSCRIPTION_SECONDS}`,
  };
}

/** The `id` of a REFER's subscription: the number of its CSeq (RFC 3515 section 2.4.6). */
export function referEventId(header: HeaderReader): string | undefined {
  const number = parseCSeq(header('CSeq') ?? '')?.number;
  return number === undefined ? undefined : String(number);
}

/**
 * Whether the sender of a REFER wants to be told of its call: not after `Refer-Sub: false` (RFC 4488 section 4), which the 2xx then repeats.
 * What cannot be read asks for nothing else than the usual.
 */
export function wantsNotify(header: HeaderReader): boolean {
  return !/^\s*false\s*(;|$)/i.test(header('Refer-Sub') ?? '');
}

/** In the 2xx to a REFER that wants no NOTIFY. */
export const NO_REFER_SUB: Headers = { 'Refer-Sub': 'false' };
