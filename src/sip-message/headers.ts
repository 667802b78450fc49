import type { HeaderField, SipMessage } from './message';
import { splitCommas } from './params';

/** Compact forms: RFC 3261 section 7.3.3 and the IANA registry of SIP header fields. */
const COMPACT_FORMS: Readonly<Record<string, string>> = {
  a: 'Accept-Contact',
  b: 'Referred-By',
  c: 'Content-Type',
  d: 'Request-Disposition',
  e: 'Content-Encoding',
  f: 'From',
  i: 'Call-ID',
  j: 'Reject-Contact',
  k: 'Supported',
  l: 'Content-Length',
  m: 'Contact',
  n: 'Identity-Info',
  o: 'Event',
  r: 'Refer-To',
  s: 'Subject',
  t: 'To',
  u: 'Allow-Events',
  v: 'Via',
  x: 'Session-Expires',
  y: 'Identity',
};

/** Lists whose elements are addresses: each element stands for itself. */
const ADDRESS_LISTS = [
  'Via',
  'Route',
  'Record-Route',
  'Contact',
  'Path',
  'Service-Route',
  'P-Asserted-Identity',
  'P-Preferred-Identity',
  'Diversion',
  'History-Info',
  'Alert-Info',
  'Call-Info',
  'Error-Info',
];

/** Lists of tokens: all lines together are one value (RFC 3261 section 7.3.1). */
const TOKEN_LISTS = [
  'Accept',
  'Accept-Encoding',
  'Accept-Language',
  'Allow',
  'Allow-Events',
  'Content-Encoding',
  'Content-Language',
  'In-Reply-To',
  'Proxy-Require',
  'Require',
  'Supported',
  'Unsupported',
  'Privacy',
  'Reason',
  'Warning',
];

/** Spellings that are not "each word capitalised". */
const SPELLINGS = [
  'Call-ID',
  'CSeq',
  'WWW-Authenticate',
  'MIME-Version',
  'RAck',
  'RSeq',
  'SIP-ETag',
  'SIP-If-Match',
  'P-Charging-Vector',
];

const OTHER_KNOWN = [
  'From',
  'To',
  'Max-Forwards',
  'Content-Length',
  'Content-Type',
  'Content-Disposition',
  'User-Agent',
  'Server',
  'Expires',
  'Min-Expires',
  'Authorization',
  'Proxy-Authorization',
  'Proxy-Authenticate',
  'Session-Expires',
  'Min-SE',
  'Date',
  'Event',
  'Subscription-State',
  'Refer-To',
  'Referred-By',
  'Replaces',
  'Retry-After',
  'Timestamp',
  'Subject',
  'Organization',
  'Priority',
  'Reply-To',
];

/** Key of a header (canonical name in lower case) by each spelling that is met often; the look-up is the hot path. */
const keyBySpelling = new Map<string, string>();
const nameByKey = new Map<string, string>();
for (const name of [...SPELLINGS, ...ADDRESS_LISTS, ...TOKEN_LISTS, ...OTHER_KNOWN, ...Object.values(COMPACT_FORMS)]) {
  const key = name.toLowerCase();
  keyBySpelling.set(name, key).set(key, key).set(name.toUpperCase(), key);
  nameByKey.set(key, name);
}
for (const [compact, name] of Object.entries(COMPACT_FORMS)) {
  keyBySpelling.set(compact, name.toLowerCase()).set(compact.toUpperCase(), name.toLowerCase());
}

const addressListKeys = new Set(ADDRESS_LISTS.map((name) => name.toLowerCase()));
const tokenListKeys = new Set(TOKEN_LISTS.map((name) => name.toLowerCase()));

/** The key under which every spelling of a header name is the same: lower case, compact form expanded. */
export function headerKey(name: string): string {
  return keyBySpelling.get(name) ?? keyBySpelling.get(name.toLowerCase()) ?? name.toLowerCase();
}

const compactByKey = new Map(Object.entries(COMPACT_FORMS).map(([compact, name]) => [name.toLowerCase(), compact]));

/** The compact form of a header name (RFC 3261 section 7.3.3); undefined: it has none. */
export function compactForm(name: string): string | undefined {
  return compactByKey.get(name.toLowerCase());
}

/** Canonical spelling of a header name: `v` -> `Via`, `CALL-ID` -> `Call-ID`, `x-foo` -> `X-Foo`. */
export function canonicalName(name: string): string {
  const key = headerKey(name);
  return nameByKey.get(key) ?? key.replace(/(^|-)[a-z]/g, (initial) => initial.toUpperCase());
}

/**
 * First value of the header. Of an address list (Via, Route, Contact ...) the first element; a token list (Allow,
 * Supported ...) as a whole, its lines joined by commas (RFC 3261 section 7.3.1).
 */
export function getHeader(message: SipMessage, name: string): string | undefined {
  const key = headerKey(name);
  if (tokenListKeys.has(key)) {
    const lines = rawHeaders(message, name);
    return lines.length === 0 ? undefined : lines.join(', ');
  }
  const field = message.headers.find((header) => headerKey(header.name) === key);
  if (field === undefined) return undefined;
  if (!addressListKeys.has(key)) return field.value;
  return splitCommas(field.value)[0] ?? field.value;
}

/** The header's lines as they stand, commas not split. */
export function rawHeaders(message: SipMessage, name: string): string[] {
  const key = headerKey(name);
  const out: string[] = [];
  for (const header of message.headers) if (headerKey(header.name) === key) out.push(header.value);
  return out;
}

/** Every value of the header in order; comma lists are split for headers that are lists. */
export function getHeaders(message: SipMessage, name: string): string[] {
  const key = headerKey(name);
  const lines = rawHeaders(message, name);
  return addressListKeys.has(key) || tokenListKeys.has(key) ? lines.flatMap(splitCommas) : lines;
}

/** One line never becomes two: line breaks in a value are spaces. */
function field(name: string, value: string): HeaderField {
  return { name, value: /[\r\n]/.test(value) ? value.replace(/[\r\n]+/g, ' ') : value };
}

/** Replaces the first line of that header, drops its other lines; appends it when there was none. */
export function setHeader(message: SipMessage, name: string, value: string): void {
  const key = headerKey(name);
  const at = message.headers.findIndex((header) => headerKey(header.name) === key);
  if (at < 0) {
    message.headers.push(field(name, value));
    return;
  }
  message.headers = message.headers.filter((header, i) => i === at || headerKey(header.name) !== key);
  message.headers[at] = field(name, value);
}

/** Appends a line at the end. */
export function addHeader(message: SipMessage, name: string, value: string): void {
  message.headers.push(field(name, value));
}

/** Puts a line before all others: Via, Record-Route. */
export function prependHeader(message: SipMessage, name: string, value: string): void {
  message.headers.unshift(field(name, value));
}

/** Removes every line of that header. */
export function removeHeader(message: SipMessage, name: string): void {
  const key = headerKey(name);
  message.headers = message.headers.filter((header) => headerKey(header.name) !== key);
}

/** Replaces the first element of an address list (the top Via) and leaves what follows it as it was. */
export function replaceFirst(message: SipMessage, name: string, value: string): void {
  const key = headerKey(name);
  const at = message.headers.findIndex((header) => headerKey(header.name) === key);
  const old = message.headers[at];
  if (old === undefined) return;
  const rest = splitCommas(old.value).slice(1);
  message.headers[at] = field(old.name, [value, ...rest].join(', '));
}
