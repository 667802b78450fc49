import { isDigits, isToken } from './characters';
import { parseCSeq } from './cseq';
import { HeaderRules } from './header-rules';
import { canonicalName, headerKey, rawHeaders } from './headers';
import type { HeaderField, ParseFailure, ParseResult, SipMessage } from './message';
import { parseNameAddr } from './name-addr';
import { splitCommas } from './params';
import { parseVia } from './via';

/** What a message may be at most; in bytes, except `headerCount`. */
export interface ParseLimits {
  readonly message: number;
  readonly headerLine: number;
  readonly headerCount: number;
}

export const DATAGRAM_LIMITS: ParseLimits = { message: 64 * 1024, headerLine: 8 * 1024, headerCount: 256 };
export const STREAM_LIMITS: ParseLimits = { message: 256 * 1024, headerLine: 8 * 1024, headerCount: 256 };

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const SPACE = 0x20;
const TAB = 0x09;

interface Trouble {
  readonly status: number;
  readonly reason: string;
}

const bad = (reason: string, status = 400): Trouble => ({ status, reason });

/**
 * Looks for the empty line that ends the head, from the start of a line on. `end` is the index after it. When it is not
 * there yet, `resume` is the start of the last, unfinished line: where to go on when more bytes have come.
 */
export function findHeadEnd(bytes: Buffer, lineStart: number): { end: number } | { resume: number } {
  let start = lineStart;
  for (;;) {
    const feed = bytes.indexOf(LINE_FEED, start);
    if (feed < 0) return { resume: start };
    if (feed === start || (feed === start + 1 && bytes[start] === CARRIAGE_RETURN)) return { end: feed + 1 };
    start = feed + 1;
  }
}

/** RFC 3261 section 7.5: empty lines before the start line are ignored. */
function skipEmptyLines(bytes: Buffer): number {
  let i = 0;
  while (i < bytes.length && (bytes[i] === CARRIAGE_RETURN || bytes[i] === LINE_FEED)) i++;
  return i;
}

interface StartLine {
  readonly message: SipMessage | undefined;
  readonly trouble?: Trouble;
}

function emptyRequest(method: string, uri: string): SipMessage {
  return { kind: 'request', method, uri, headers: [], body: Buffer.alloc(0) };
}

function hasWhiteSpaceOrBrackets(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= SPACE || code === 0x7f || code === 0x3c || code === 0x3e || code === 0x22) return true;
  }
  return false;
}

/** Also of a response that is damaged itself: nobody answers responses. */
const LIKE_A_RESPONSE = /^\W*SIP\s*\//i;

function parseStatusLine(line: string): StartLine {
  const code = line.slice(8, 11);
  const status = Number(code);
  const separated = line.length === 11 || line.charCodeAt(11) === SPACE;
  if (!isDigits(code) || code.length !== 3 || !separated || status < 100 || status > 699) {
    return { message: undefined, trouble: bad('Bad Status Line') };
  }
  return { message: { kind: 'response', status, reason: line.slice(12), headers: [], body: Buffer.alloc(0) } };
}

function parseRequestLine(line: string): StartLine {
  const first = line.indexOf(' ');
  const last = line.lastIndexOf(' ');
  const version = line.slice(last + 1);
  const method = line.slice(0, Math.max(0, first));
  if (first < 0 || !isToken(method)) return { message: undefined, trouble: bad('Bad Request Line') };
  const uri = line.slice(first + 1, Math.max(first + 1, last));
  const message = emptyRequest(method, uri);
  if (!/^SIP\/\d{1,9}\.\d{1,9}$/i.test(version)) return { message, trouble: bad('Bad Request Line') };
  if (version.toUpperCase() !== 'SIP/2.0') return { message, trouble: bad('Version Not Supported', 505) };
  const colon = uri.indexOf(':');
  if (hasWhiteSpaceOrBrackets(uri) || colon < 1 || !isToken(uri.slice(0, colon))) {
    return { message, trouble: bad('Bad Request-URI') };
  }
  return { message };
}

function parseStartLine(line: string): StartLine {
  if (line.slice(0, 8).toUpperCase() === 'SIP/2.0 ') return parseStatusLine(line);
  if (LIKE_A_RESPONSE.test(line)) return { message: undefined, trouble: bad('Bad Status Line') };
  return parseRequestLine(line);
}

/**
 * What a message says whose start line cannot be read, so that it can be answered if it is a request: of what method, its CSeq tells. A
 * start line that is missing is a header line. Undefined: it is no request.
 */
function readDamaged(text: string, firstHeader: number, limits: ParseLimits): SipMessage | undefined {
  if (LIKE_A_RESPONSE.test(text.slice(0, Math.max(0, firstHeader)))) return undefined;
  const headers: HeaderField[] = [];
  parseHeaderLines(text, 0, limits, headers);
  const cseq = headers.find(({ name }) => headerKey(name) === 'cseq');
  const message = emptyRequest(parseCSeq(cseq?.value ?? '')?.method ?? '', '');
  message.headers.push(...headers);
  return message;
}

function isFolded(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === SPACE || code === TAB;
}

function lineEnd(text: string, feed: number): number {
  return feed > 0 && text.charCodeAt(feed - 1) === CARRIAGE_RETURN ? feed - 1 : feed;
}

/** Reads the header lines from `start` to the end of the head; folded lines are joined by one space. */
function parseHeaderLines(
  text: string,
  start: number,
  limits: ParseLimits,
  headers: HeaderField[],
): Trouble | undefined {
  let trouble: Trouble | undefined;
  let at = start;
  while (at < text.length) {
    let feed = text.indexOf('\n', at);
    if (feed < 0) feed = text.length;
    const lineStart = at;
    const end = lineEnd(text, feed);
    if (end <= at) return trouble;
    let line = text.slice(at, end);
    at = feed + 1;
    if (at < text.length && isFolded(text, at)) {
      const parts = [line];
      while (at < text.length && isFolded(text, at)) {
        feed = text.indexOf('\n', at);
        if (feed < 0) feed = text.length;
        parts.push(text.slice(at, lineEnd(text, feed)).trim());
        at = feed + 1;
      }
      line = parts.join(' ');
    }
    if (at - lineStart > limits.headerLine + 2) trouble ??= bad('Header Line Too Long', 400);
    else if (headers.length >= limits.headerCount) return bad('Too Many Headers', 400);
    else if (!addLine(line, headers)) trouble ??= bad('Bad Header Line');
  }
  return trouble;
}

function addLine(line: string, headers: HeaderField[]): boolean {
  const colon = line.indexOf(':');
  if (colon < 1) return false;
  let name = line.slice(0, colon);
  if (isFolded(name, colon - 1)) name = name.trimEnd();
  // A lone carriage return could begin a new header for a lenient receiver after us.
  if (!isToken(name) || line.includes('\r')) return false;
  headers.push({ name, value: line.slice(colon + 1).trim() });
  return true;
}

/** The headers that every message has exactly once, and Via at least once (RFC 3261 section 8.1.1). */
interface Mandatory {
  via?: string;
  from?: string;
  to?: string;
  callId?: string;
  cseq?: string;
  contentLength?: string;
  repeated?: string;
  /** Another header of a request that is wrong. */
  bad?: string | undefined;
}

function collectMandatory(headers: readonly HeaderField[], method?: string): Mandatory {
  const found: Mandatory = {};
  const rules = method === undefined ? undefined : new HeaderRules(method);
  const once = (name: 'from' | 'to' | 'callId' | 'cseq', shown: string, value: string): void => {
    if (found[name] === undefined) found[name] = value;
    else found.repeated ??= shown;
  };
  for (const { name, value } of headers) {
    const key = headerKey(name);
    rules?.see(key, value);
    switch (key) {
      case 'via':
        found.via ??= value;
        break;
      case 'from':
        once('from', 'From', value);
        break;
      case 'to':
        once('to', 'To', value);
        break;
      case 'call-id':
        once('callId', 'Call-ID', value);
        break;
      case 'cseq':
        once('cseq', 'CSeq', value);
        break;
      case 'content-length':
        // Two of them, even equal ones: no receiver after us must have to choose where the message ends.
        if (found.contentLength !== undefined) found.repeated ??= 'Content-Length';
        found.contentLength = found.contentLength === undefined ? value : '';
        break;
    }
  }
  found.bad = rules?.bad;
  return found;
}

function checkAddress(value: string | undefined, name: string): Trouble | undefined {
  if (value === undefined) return bad(`Missing ${name} Header`);
  const address = parseNameAddr(value);
  return address === undefined || address.uri === '*' ? bad(`Bad ${name} Header`) : undefined;
}

function isCallId(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) <= SPACE) return false;
  return text.length > 0;
}

function checkVia(value: string | undefined): Trouble | undefined {
  if (value === undefined) return bad('Missing Via Header');
  // All of the line, though only the first one matters here: garbage behind it makes the message invalid (RFC 4475 §3.1.2.1).
  const all = splitCommas(value);
  return all.length === 0 || all.some((via) => parseVia(via) === undefined) ? bad('Bad Via Header') : undefined;
}

function checkCallId(value: string | undefined): Trouble | undefined {
  if (value === undefined) return bad('Missing Call-ID Header');
  return isCallId(value) ? undefined : bad('Bad Call-ID Header');
}

function checkCSeq(message: SipMessage, value: string | undefined): Trouble | undefined {
  if (value === undefined) return bad('Missing CSeq Header');
  const cseq = parseCSeq(value);
  const mismatch = message.kind === 'request' && cseq?.method !== message.method;
  return cseq === undefined || mismatch ? bad('Bad CSeq Header') : undefined;
}

function checkMandatory(message: SipMessage, found: Mandatory): Trouble | undefined {
  return (
    checkVia(found.via) ??
    checkAddress(found.from, 'From') ??
    checkAddress(found.to, 'To') ??
    checkCallId(found.callId) ??
    checkCSeq(message, found.cseq) ??
    (found.repeated === undefined ? undefined : bad(`Bad ${found.repeated} Header`)) ??
    (found.bad === undefined ? undefined : bad(`Bad ${canonicalName(found.bad)} Header`))
  );
}

/** Content-Length as a number; NaN when it is none. Its last digits are enough to know that it is too much. */
export function parseContentLength(text: string): number {
  return isDigits(text) && text.length <= 10 ? Number(text) : NaN;
}

export interface ParsedHead {
  readonly message: SipMessage | undefined;
  readonly trouble: Trouble | undefined;
  /** Undefined: the header is absent. NaN: it is no number. */
  readonly contentLength: number | undefined;
}

/** Parses start line and headers. `bytes` from `start` to `end`, the index after the empty line. */
export function parseHead(bytes: Buffer, start: number, end: number, limits: ParseLimits): ParsedHead {
  const text = bytes.toString('utf8', start, end);
  let feed = text.indexOf('\n');
  if (feed < 0) feed = text.length;
  const { message, trouble } = parseStartLine(text.slice(0, lineEnd(text, feed)));
  if (message === undefined) {
    const damaged = readDamaged(text, feed + 1, limits);
    const { contentLength } = collectMandatory(damaged?.headers ?? []);
    const length = contentLength === undefined ? undefined : parseContentLength(contentLength);
    return { message: damaged, trouble, contentLength: length };
  }
  const lineTrouble = parseHeaderLines(text, feed + 1, limits, message.headers);
  const found = collectMandatory(message.headers, message.kind === 'request' ? message.method : undefined);
  return {
    message,
    trouble: trouble ?? checkMandatory(message, found) ?? lineTrouble,
    contentLength: found.contentLength === undefined ? undefined : parseContentLength(found.contentLength),
  };
}

/** RFC 3261 section 20.15: what the body is must be said. A description shows what it is; that nothing is said at all is looked at by who reads it. */
export function bodyTrouble(message: SipMessage): Trouble | undefined {
  if (message.kind !== 'request' || message.method === 'ACK' || message.body.length === 0) return undefined;
  return rawHeaders(message, 'Content-Type').includes('') ? bad('Bad Content-Type Header') : undefined;
}

export function failure(trouble: Trouble, partial: SipMessage | undefined): { readonly ok: false } & ParseFailure {
  return { ok: false, reason: trouble.reason, status: trouble.status, partial };
}

/**
 * Parses one whole message, for instance a datagram. Never throws; time is linear in the length. Without Content-Length
 * the body is the rest; with one that is larger than the rest the message is refused, else the surplus is cut
 * (RFC 3261 section 18.3).
 */
export function parseMessage(bytes: Buffer, limits: ParseLimits = DATAGRAM_LIMITS): ParseResult {
  const start = skipEmptyLines(bytes);
  const found = findHeadEnd(bytes, start);
  const end = 'end' in found ? found.end : bytes.length;
  const head = parseHead(bytes, start, Math.min(end, start + limits.message), limits);
  const { message } = head;
  if (bytes.length - start > limits.message) return failure(bad('Message Too Large', 513), message);
  if (head.trouble !== undefined || message === undefined) return failure(head.trouble ?? bad('Bad Request'), message);
  if (!('end' in found)) return failure(bad('Bad Message: No Empty Line After Headers'), message);
  const rest = bytes.length - end;
  const length = head.contentLength ?? rest;
  if (Number.isNaN(length) || length > rest) return failure(bad('Bad Content-Length Header'), message);
  // A copy: the message outlives the socket's receive buffer.
  message.body = Buffer.from(bytes.subarray(end, end + length));
  const trouble = bodyTrouble(message);
  return trouble === undefined ? { ok: true, message } : failure(trouble, message);
}
