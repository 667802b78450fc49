import { parseNameAddr } from '../sip-message/name-addr';
import { splitCommas } from '../sip-message/params';
import { formatUri, parseUri, type SipUri } from '../sip-message/uri';
import { type HeaderRefusal, readReplaces, type Replaces } from './replaces';
import { readRequestUri, type RequestTarget } from './request-uri';
import type { HeaderReader } from './user-agent';

/** Whom a REFER wants called. */
export interface ReferTo {
  /** As of a request URI; whether its host and context are ours is for the caller to say. `dialled` is empty where only a host is named. */
  readonly target: Pick<RequestTarget, 'dialled' | 'host' | 'context'>;
  /** The URI as a request URI: without headers, `method` and password. */
  readonly uri: string;
  /** The dialog that the call is to take the place of. */
  readonly replaces: Replaces | undefined;
}

const MAX_LENGTH = 4096;

/**
 * Reads the Refer-To of a REFER (RFC 3515 section 2.1, RFC 3261 section 19.1.5). Of the headers that its URI brings along only Replaces is
 * taken: any other one would be written by a phone into a request of ours.
 */
export function readReferTo(header: HeaderReader): ReferTo | HeaderRefusal {
  const value = header('Refer-To')?.trim() ?? '';
  if (value === '') return { status: 400, reason: 'Missing Refer-To Header' };
  const values = value.length > MAX_LENGTH ? [] : valuesOf(value);
  if (values.length > 1) return { status: 400, reason: 'Several Refer-To Headers' };
  const uri = uriOf(values[0] ?? '');
  if (uri === undefined || uri === '*') return { status: 400, reason: 'Bad Refer-To Header' };
  if (!/^(sips?|tel):/i.test(uri)) return { status: 416, reason: 'Unsupported URI Scheme' };
  const parsed = parseUri(uri);
  return parsed === undefined ? { status: 400, reason: 'Bad Refer-To Header' } : referTo(parsed);
}

function referTo(parsed: SipUri): ReferTo | HeaderRefusal {
  const method = parsed.params.get('method') ?? 'INVITE';
  if (method !== 'INVITE') return { status: 501, reason: 'Only INVITE Is Referred' };
  const replaces = readReplaces(parsed.headers.get('replaces'));
  if (replaces !== undefined && 'status' in replaces) return replaces;
  const uri = formatUri(requestUriOf(parsed));
  const target = readRequestUri(uri);
  if (target === undefined) return { status: 400, reason: 'Bad Refer-To Header' };
  const { dialled, host, context } = target;
  return { target: { dialled, host, context }, uri, replaces };
}

/** What a request URI may have of it (RFC 3261 section 19.1.1, table 1). */
function requestUriOf({ scheme, user, host, port, params }: SipUri): SipUri {
  return {
    scheme,
    ...(user === undefined ? {} : { user }),
    host,
    ...(port === undefined ? {} : { port }),
    params: new Map([...params].filter(([name]) => name !== 'method')),
    headers: new Map(),
  };
}

/** A URI and nothing around it. */
const BARE = /^[a-z][a-z0-9+.-]*:[^<>"\s]*$/i;

/** The values of the header; a comma may stand in the user part of a URI without angle brackets. */
function valuesOf(header: string): string[] {
  if (!BARE.test(header)) return splitCommas(header);
  const [, afterUser] = /^(?:[^@]*@)?([^?]*)/.exec(header) ?? [];
  return afterUser?.includes(',') === true ? header.split(',') : [header];
}

/**
 * Without angle brackets a URI ends at a semicolon (RFC 3261 section 20.10), but who leaves them out leaves them out with parameters and
 * headers of the URI, too (baresip with Replaces): all that is a URI is one.
 */
function uriOf(value: string): string | undefined {
  return BARE.test(value) ? value : parseNameAddr(value)?.uri;
}
