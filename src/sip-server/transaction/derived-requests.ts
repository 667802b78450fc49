import { parseCSeq } from '../../sip-message/cseq';
import { getHeader, headerKey, rawHeaders } from '../../sip-message/headers';
import type { HeaderField, SipRequest, SipResponse } from '../../sip-message/message';

/** What ACK and CANCEL take from the INVITE: same target, one Via (the INVITE's own), same route, Call-ID and From. */
function derived(invite: SipRequest, method: 'ACK' | 'CANCEL', to: string | undefined): SipRequest {
  const headers: HeaderField[] = [];
  const copy = (name: string, value: string | undefined): void => {
    if (value !== undefined) headers.push({ name, value });
  };
  copy('Via', getHeader(invite, 'Via'));
  for (const value of rawHeaders(invite, 'Route')) copy('Route', value);
  copy('Max-Forwards', '70');
  copy('From', getHeader(invite, 'From'));
  copy('To', to);
  copy('Call-ID', getHeader(invite, 'Call-ID'));
  copy('CSeq', `${parseCSeq(getHeader(invite, 'CSeq') ?? '')?.number ?? 1} ${method}`);
  return { kind: 'request', method, uri: invite.uri, headers, body: Buffer.alloc(0) };
}

/** ACK for a final response that is no 2xx (RFC 3261 section 17.1.1.3): To comes from the response. */
export function ackFor(invite: SipRequest, response: SipResponse): SipRequest {
  return derived(invite, 'ACK', getHeader(response, 'To'));
}

const OWN_HEADERS = new Set(['via', 'route', 'max-forwards', 'from', 'to', 'call-id', 'cseq', 'content-length']);
/** RFC 3261 section 9.1: a CANCEL has neither. */
const NEVER_IN_CANCEL = new Set(['require', 'proxy-require', 'content-type']);

/** CANCEL for an INVITE (RFC 3261 section 9.1), with the headers that the user adds (Reason). */
export function cancelFor(invite: SipRequest, extra: readonly HeaderField[]): SipRequest {
  const cancel = derived(invite, 'CANCEL', getHeader(invite, 'To'));
  for (const header of extra) {
    const key = headerKey(header.name);
    if (!OWN_HEADERS.has(key) && !NEVER_IN_CANCEL.has(key)) cancel.headers.push(header);
  }
  return cancel;
}
