import { parseCSeq } from '../../sip-message/cseq';
import { getHeader } from '../../sip-message/headers';
import type { SipMessage, SipRequest } from '../../sip-message/message';
import { parseNameAddr } from '../../sip-message/name-addr';
import type { Via } from '../../sip-message/via';
import { formatVia, MAGIC_COOKIE, parseVia } from '../../sip-message/via';

/** The top Via; undefined when there is none that can be read. */
export function topVia(message: SipMessage): Via | undefined {
  const text = getHeader(message, 'Via');
  return text === undefined ? undefined : parseVia(text);
}

/** Tag of From or To. */
export function tagOf(message: SipMessage, header: 'From' | 'To'): string | undefined {
  return parseNameAddr(getHeader(message, header) ?? '')?.params.get('tag');
}

/** RFC 3261 section 17.1.3: the branch and the method of CSeq. */
export const clientKey = (branch: string, method: string): string => `${branch} ${method}`;

/**
 * RFC 3261 section 17.2.3: branch, sent-by and method, and because some clients use a branch twice, Call-ID and CSeq
 * number. Without the magic cookie (an RFC 2543 client): Request-URI, From tag, Call-ID, CSeq number and the whole top Via.
 * `method` is INVITE for its ACK and for the INVITE that a CANCEL means.
 */
export function serverKey(request: SipRequest, via: Via, method: string): string {
  const branch = via.params.get('branch') ?? '';
  const number = parseCSeq(getHeader(request, 'CSeq') ?? '')?.number ?? '';
  const callId = getHeader(request, 'Call-ID') ?? '';
  if (branch.startsWith(MAGIC_COOKIE) && branch.length > MAGIC_COOKIE.length) {
    return `${branch} ${via.host.toLowerCase()}:${via.port ?? ''} ${method} ${callId} ${number}`;
  }
  return [request.uri, tagOf(request, 'From') ?? '', callId, number, formatVia(via), method].join(' ');
}
