import { isToken, parseHostPort } from './characters';
import { formatParams, parseParams } from './params';

/** One Via value: `SIP/2.0/UDP host:port;branch=...` (RFC 3261 section 20.42). */
export interface Via {
  /** Upper case: UDP, TCP, TLS, WS, WSS. */
  protocol: string;
  host: string;
  port?: number;
  params: Map<string, string | undefined>;
}

/** Branches that begin so are unique and identify the transaction (RFC 3261 section 8.1.1.7). */
export const MAGIC_COOKIE = 'z9hG4bK';

const USUAL_START = 'SIP/2.0/';

function parseProtocol(text: string): string | undefined {
  if (text.startsWith(USUAL_START)) {
    const usual = text.slice(USUAL_START.length);
    if (isToken(usual)) return usual.toUpperCase();
  }
  const parts = text.split('/', 4);
  const [name, version, transport] = parts.map((part) => part.trim());
  if (parts.length !== 3 || name?.toUpperCase() !== 'SIP' || version !== '2.0') return undefined;
  return transport !== undefined && isToken(transport) ? transport.toUpperCase() : undefined;
}

/** Index of the first character of the sent-by: after the protocol, whose slashes may have white space around them. */
function startOfSentBy(text: string): number {
  const slash = text.indexOf('/', text.indexOf('/') + 1);
  let i = slash + 1;
  while (i < text.length && /\s/.test(text.charAt(i))) i++;
  while (i < text.length && !/\s/.test(text.charAt(i))) i++;
  return i;
}

/** One Via value; undefined when the grammar is broken. */
export function parseVia(input: string): Via | undefined {
  const text = input.trim();
  const sentBy = startOfSentBy(text);
  const protocol = parseProtocol(text.slice(0, sentBy));
  const semicolon = text.indexOf(';', sentBy);
  const hostPort = parseHostPort((semicolon < 0 ? text.slice(sentBy) : text.slice(sentBy, semicolon)).trim());
  if (protocol === undefined || hostPort === undefined) return undefined;
  const params = parseParams(text, semicolon < 0 ? text.length : semicolon);
  return params === undefined ? undefined : { protocol, ...hostPort, params };
}

/** The inverse of `parseVia`. */
export function formatVia(via: Via): string {
  const port = via.port === undefined ? '' : `:${via.port}`;
  return `SIP/2.0/${via.protocol} ${via.host}${port}${formatParams(via.params)}`;
}
