import { parseNameAddrList } from '../sip-message/name-addr';
import type { ReceivedRequest, SipSource } from '../sip/user-agent';
import type { Refusal } from './callers';

/**
 * `sips` promises that every hop is TLS (RFC 3261 section 26.2.2, RFC 5630 section 3.1). We keep it or refuse: what comes by another transport
 * is no such request, and a call goes on to a device of this node only that has a `sips` address. Between nodes SIP goes over plain TCP.
 */

/** RFC 5630 section 6.2. */
const NOT_ALLOWED = 'SIPS Not Allowed';

/** Headers of the 480 for a `sips` call that has no way of TLS (RFC 5630 section 5.3); `agent`: our domain. */
export function notAllowed(agent: string): { readonly Warning: string } {
  return { Warning: `380 ${agent} "${NOT_ALLOWED}"` };
}

export function isSips(uri: string): boolean {
  return /^sips:/i.test(uri);
}

export function isSecure({ protocol }: SipSource): boolean {
  return /^(tls|wss)$/i.test(protocol);
}

/** What speaks of `sips` and has not come by TLS. A Contact would be where later requests go. */
export function refuseInsecure({ method, uri, header, source }: ReceivedRequest, agent: string): Refusal | undefined {
  if (isSecure(source)) return undefined;
  const contacts = method === 'REGISTER' || method === 'INVITE' ? parseNameAddrList([header('Contact') ?? '']) : [];
  if (contacts?.some((contact) => isSips(contact.uri)) === true || (isSips(uri) && method === 'REGISTER'))
    return { type: 'refused', status: 400, reason: 'SIPS Without TLS', headers: {} };
  if (!isSips(uri)) return undefined;
  return { type: 'refused', status: 480, reason: NOT_ALLOWED, headers: notAllowed(agent) };
}
