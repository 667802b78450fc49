/** The few SIP messages that a phone of the fleet writes; they are read with the grammar of the product. */

import { getHeader, getHeaders } from '../../../src/sip-message/headers';
import type { SipMessage, SipRequest } from '../../../src/sip-message/message';
import { parseVia } from '../../../src/sip-message/via';
import { domain } from '../cluster-config';

/** Where a phone is: its number, and its port on 127.0.0.1. */
export interface PhoneAddress {
  readonly dn: string;
  readonly port: number;
}

let branches = 0;
const run = Math.random().toString(36).slice(2, 8);

/** A branch of RFC 3261 §8.1.1.7, unique in this process and unlikely to be anybody else's. */
export function newBranch(): string {
  branches += 1;
  return `z9hG4bK${run}${branches.toString(36)}`;
}

/** A tag, Call-ID or the like; unique as a branch is. */
export function newToken(): string {
  return newBranch().slice(7);
}

export function contactOf({ dn, port }: PhoneAddress): string {
  return `sip:${dn}@127.0.0.1:${port}`;
}

export function identityOf(dn: string): string {
  return `<sip:${dn}@${domain}>`;
}

export interface RequestParts {
  readonly method: string;
  readonly uri: string;
  readonly branch: string;
  readonly from: string;
  readonly to: string;
  readonly callId: string;
  readonly cseq: number;
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** The text of a request of this phone. */
export function requestText(phone: PhoneAddress, parts: RequestParts): string {
  const { method, uri, branch, from, to, callId, cseq, headers = [], body = '' } = parts;
  return [
    `${method} ${uri} SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${phone.port};branch=${branch};rport`,
    'Max-Forwards: 70',
    `From: ${from}`,
    `To: ${to}`,
    `Call-ID: ${callId}`,
    `CSeq: ${cseq} ${method}`,
    ...headers,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** The text of a response: what RFC 3261 §8.2.6.2 says to copy, and a tag in To. */
export function responseText(
  request: SipRequest,
  status: string,
  more: { readonly tag: string; readonly headers?: readonly string[]; readonly body?: string },
): string {
  const { tag, headers = [], body = '' } = more;
  const to = getHeader(request, 'To') ?? '';
  return [
    `SIP/2.0 ${status}`,
    ...getHeaders(request, 'Via').map((value) => `Via: ${value}`),
    ...getHeaders(request, 'Record-Route').map((value) => `Record-Route: ${value}`),
    `From: ${getHeader(request, 'From') ?? ''}`,
    `To: ${to}${/;\s*tag=/i.test(to) ? '' : `;tag=${tag}`}`,
    `Call-ID: ${getHeader(request, 'Call-ID') ?? ''}`,
    `CSeq: ${getHeader(request, 'CSeq') ?? ''}`,
    ...headers,
    ...(body === '' ? [] : ['Content-Type: application/sdp']),
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** Audio that nobody sends; two phones of the fleet agree at once. */
export function quietAudio(port: number): string {
  const lines = ['v=0', `o=- ${port} 1 IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
  return `${[...lines, `m=audio ${port} RTP/AVP 0 8`, 'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000'].join('\r\n')}\r\n`;
}

/** Branch of the topmost Via. */
export function branchOf(message: SipMessage): string {
  return parseVia(getHeader(message, 'Via') ?? '')?.params.get('branch') ?? '';
}

/** The URI of the first contact. */
export function contactUriOf(message: SipMessage): string | undefined {
  return /<([^>]+)>/.exec(getHeader(message, 'Contact') ?? '')?.[1];
}
