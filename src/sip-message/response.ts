import { headerKey } from './headers';
import type { HeaderField, SipRequest, SipResponse } from './message';
import { parseNameAddr } from './name-addr';

const REASONS: Readonly<Record<number, string>> = {
  100: 'Trying',
  180: 'Ringing',
  181: 'Call Is Being Forwarded',
  182: 'Queued',
  183: 'Session Progress',
  199: 'Early Dialog Terminated',
  200: 'OK',
  202: 'Accepted',
  204: 'No Notification',
  300: 'Multiple Choices',
  301: 'Moved Permanently',
  302: 'Moved Temporarily',
  305: 'Use Proxy',
  380: 'Alternative Service',
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  406: 'Not Acceptable',
  407: 'Proxy Authentication Required',
  408: 'Request Timeout',
  410: 'Gone',
  412: 'Conditional Request Failed',
  413: 'Request Entity Too Large',
  414: 'Request-URI Too Long',
  415: 'Unsupported Media Type',
  416: 'Unsupported URI Scheme',
  417: 'Unknown Resource-Priority',
  420: 'Bad Extension',
  421: 'Extension Required',
  422: 'Session Interval Too Small',
  423: 'Interval Too Brief',
  428: 'Use Identity Header',
  429: 'Provide Referrer Identity',
  430: 'Flow Failed',
  433: 'Anonymity Disallowed',
  436: 'Bad Identity-Info',
  437: 'Unsupported Certificate',
  438: 'Invalid Identity Header',
  439: 'First Hop Lacks Outbound Support',
  440: 'Max-Breadth Exceeded',
  469: 'Bad Info Package',
  470: 'Consent Needed',
  480: 'Temporarily Unavailable',
  481: 'Call/Transaction Does Not Exist',
  482: 'Loop Detected',
  483: 'Too Many Hops',
  484: 'Address Incomplete',
  485: 'Ambiguous',
  486: 'Busy Here',
  487: 'Request Terminated',
  488: 'Not Acceptable Here',
  489: 'Bad Event',
  491: 'Request Pending',
  493: 'Undecipherable',
  494: 'Security Agreement Required',
  500: 'Server Internal Error',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Server Time-out',
  505: 'Version Not Supported',
  513: 'Message Too Large',
  555: 'Push Notification Service Not Supported',
  580: 'Precondition Failure',
  600: 'Busy Everywhere',
  603: 'Decline',
  604: 'Does Not Exist Anywhere',
  606: 'Not Acceptable',
  607: 'Unwanted',
  608: 'Rejected',
};

const CLASS_REASONS = [
  '',
  'Trying',
  'OK',
  'Multiple Choices',
  'Bad Request',
  'Server Internal Error',
  'Busy Everywhere',
];

/** The standard reason phrase; for an unknown status that of its class (RFC 3261 section 8.1.3.2). */
export function reasonPhrase(status: number): string {
  return REASONS[status] ?? CLASS_REASONS[Math.floor(status / 100)] ?? '';
}

const COPIED = new Map([
  ['via', 'Via'],
  ['from', 'From'],
  ['to', 'To'],
  ['call-id', 'Call-ID'],
  ['cseq', 'CSeq'],
]);

function withToTag(value: string, toTag: string | undefined): string {
  if (toTag === undefined || parseNameAddr(value)?.params.has('tag') !== false) return value;
  return `${value};tag=${toTag}`;
}

/**
 * A response to the request (RFC 3261 section 8.2.6): all Via in order, From, To, Call-ID, CSeq; Timestamp on 100.
 * `toTag` is added when To has no tag. Body empty.
 */
export function createResponse(
  request: SipRequest,
  status: number,
  options: { readonly reason?: string; readonly toTag?: string } = {},
): SipResponse {
  const headers: HeaderField[] = [];
  for (const header of request.headers) {
    const key = headerKey(header.name);
    const name = COPIED.get(key) ?? (key === 'timestamp' && status === 100 ? 'Timestamp' : undefined);
    if (name === undefined) continue;
    headers.push({ name, value: key === 'to' ? withToTag(header.value, options.toTag) : header.value });
  }
  return { kind: 'response', status, reason: options.reason ?? reasonPhrase(status), headers, body: Buffer.alloc(0) };
}
