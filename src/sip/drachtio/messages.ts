import { compactForm } from '../../sip-message/headers';
import { parseNameAddr } from '../../sip-message/name-addr';
import { type Body, entityOf, readBody } from '../body';
import { parseReasons, type Reason, textOfReasons } from '../reason';
import type { HeaderReader, Headers, ListenAddress, ReceivedRequest, ResponseOptions } from '../user-agent';
import type { SrfMessage, SrfRequest } from './srf';

/** drachtio-srf knows few of the compact forms, and some by names of its own; a drachtio-server hands them on as they came. */
export function headerReader(message: SrfMessage): HeaderReader {
  return (name) => message.get(name) ?? message.get(compactForm(name) ?? name);
}

export const noHeaders: HeaderReader = () => undefined;

/**
 * What a message says of the session. drachtio-srf hands bodies over as text: bytes that are no UTF-8 are replaced in there, which
 * concerns neither boundaries nor descriptions.
 */
export function bodyOf(message: SrfMessage, role: 'request' | 'response'): Body {
  return readBody(entityOf(headerReader(message), message.body ?? ''), role);
}

/** The tag in From or To of a message; empty for a peer of RFC 2543, and in a request outside a dialog. */
export function tagIn(message: SrfMessage, name: 'From' | 'To'): string {
  return parseNameAddr(message.get(name) ?? '')?.params.get('tag') ?? '';
}

/** Names the dialog that a response to an INVITE of ours belongs to. */
export const toTagOf = (response: SrfMessage): string => tagIn(response, 'To');

/**
 * In a REGISTER or an INVITE: the next hop that leads to its sender. In our responses to an INVITE: its dialog keeps to the flow. Only
 * the embedded server knows it; from another one it would be what the sender has written.
 */
export const FLOW_HEADER = 'X-Tandem-Flow';

/** In our INVITE or 2xx: the embedded SIP server tells us when it wants the dialog ended, and leaves the BYE to us. It never writes it. */
export const BYE_HEADER = 'X-Tandem-Bye';

const DAY_MS = 86_400_000;

/** The moment next to `now` at which a clock of UTC shows this time of day; undefined: it is none. */
export function momentOf(stackTime: string | undefined, now: number): number | undefined {
  const match = /^(\d\d):(\d\d):(\d\d)\.(\d{3})/.exec(stackTime ?? '');
  if (match === null) return undefined;
  const [hours = 0, minutes = 0, seconds = 0, ms = 0] = match.slice(1).map(Number);
  const ago = (now % DAY_MS) - (((hours * 60 + minutes) * 60 + seconds) * 1000 + ms);
  return now - (ago - DAY_MS * Math.round(ago / DAY_MS));
}

/** The server that a request came from. */
export interface RequestOrigin {
  /** The embedded SIP server. */
  readonly namesFlows: boolean;
  /** Its clock is ours. */
  readonly sharesClock: boolean;
}

const NAMES_FLOW: ReadonlySet<string> = new Set(['REGISTER', 'INVITE']);

/** `now`: ms since the epoch. */
export function receivedRequest(
  request: SrfRequest,
  { namesFlows, sharesClock }: RequestOrigin,
  now: number,
): ReceivedRequest {
  const flow = namesFlows && NAMES_FLOW.has(request.method) ? request.get(FLOW_HEADER) : undefined;
  return {
    method: request.method,
    uri: request.uri,
    callId: request.get('Call-ID') ?? '',
    header: headerReader(request),
    body: request.body ?? '',
    contentType: request.get('Content-Type'),
    source: {
      protocol: request.protocol,
      address: request.source_address,
      port: request.source_port,
      ...(flow === undefined ? {} : { flow }),
    },
    receivedAt: now - waitedFor(request, { sharesClock }, now),
  };
}

/** How long ago the SIP server had the request, in ms; 0 when its clock is not ours. */
export function waitedFor(
  request: SrfRequest,
  { sharesClock }: Pick<RequestOrigin, 'sharesClock'>,
  now: number,
): number {
  return now - ((sharesClock ? momentOf(request.stackTime, now) : undefined) ?? now);
}

/** Headers with the content type of the body; SDP bodies get theirs when none is given. */
export function headersFor(options: {
  headers?: Headers;
  body?: string;
  contentType?: string;
  sdp?: string;
}): Record<string, string> {
  const headers: Record<string, string> = { ...options.headers };
  if (options.sdp !== undefined) headers['Content-Type'] = 'application/sdp';
  else if (options.contentType !== undefined && options.body !== undefined)
    headers['Content-Type'] = options.contentType;
  return headers;
}

/** drachtio-srf refuses to send a status that it has no text for; such a one becomes the x00 of its class (RFC 3261 section 8.1.3.2). */
export function sendableStatus(status: number): number {
  return SENDABLE.has(status) ? status : Math.max(1, Math.min(6, Math.floor(status / 100))) * 100;
}

const SENDABLE = new Set([
  100, 180, 181, 182, 183, 199, 200, 202, 204, 300, 301, 302, 305, 380, 400, 401, 402, 403, 404, 405, 406, 407, 408,
  409, 410, 411, 412, 413, 414, 415, 416, 417, 420, 421, 422, 423, 424, 428, 429, 430, 433, 436, 437, 438, 439, 470,
  480, 481, 482, 483, 484, 485, 486, 487, 488, 489, 491, 493, 494, 500, 501, 502, 503, 504, 505, 513, 580, 600, 603,
  604, 606,
]);

/**
 * drachtio-srf joins what has one name with commas, which is wrong for challenges, and writes a value as it stands: each further line is
 * written behind the first. In the values themselves nothing can end a line.
 */
function inLines({ headers = {}, moreLines = {} }: ResponseOptions): Record<string, string> {
  return Object.fromEntries(
    Object.entries(moreLines).map(([name, values]) => {
      const lines = [...(headers[name] === undefined ? [] : [headers[name]]), ...values];
      return [name, lines.map((value) => value.replace(/[\r\n]+/g, ' ')).join(`\r\n${name}: `)];
    }),
  );
}

export function responseParts(options: ResponseOptions & { sdp?: string } = {}): {
  headers: Record<string, string>;
  body?: string;
} {
  const body = options.sdp ?? options.body;
  return { headers: { ...headersFor(options), ...inLines(options) }, ...(body === undefined ? {} : { body }) };
}

/** `udp/127.0.0.1:5060,tcp/127.0.0.1:5060` as the server announces itself. */
export function parseHostports(text: string): ListenAddress[] {
  return text.split(',').flatMap((part) => {
    const match = /^(\w+)\/\[?(.+?)\]?:(\d+)$/.exec(part.trim());
    return match === null ? [] : [{ protocol: match[1] ?? '', address: match[2] ?? '', port: Number(match[3]) }];
  });
}

/** drachtio-srf gives errors as Error, as text, or as nothing. */
export function errorText(error: unknown): string {
  if (error instanceof Error) return error.message;
  return typeof error === 'string' ? error : 'unknown error';
}

/** What a message tells of its reason, and the same for people. */
export function reasonsOf(message: SrfMessage): {
  readonly reason: string | undefined;
  readonly reasons: readonly Reason[];
} {
  const reasons = parseReasons(message.get('Reason'));
  return { reason: textOfReasons(reasons), reasons };
}
