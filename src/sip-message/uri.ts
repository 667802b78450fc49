import { hostInUri, sameHost } from '../process/address';
import { parseHostPort } from './characters';

export interface SipUri {
  readonly scheme: 'sip' | 'sips' | 'tel';
  /** Unescaped. For `tel` the number with its visual separators. */
  user?: string;
  password?: string;
  /** As written; IPv6 in brackets. Empty for `tel`. */
  host: string;
  port?: number;
  /** Names in lower case, both sides unescaped. */
  params: Map<string, string | undefined>;
  /** Names in lower case, both sides unescaped; several of one name are joined with a comma. */
  headers: Map<string, string>;
}

function unescape(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Characters that need no escape: unreserved and the extra ones of each part (RFC 3261 section 25.1). */
const USER_PLAIN = /[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/gu;
const PASSWORD_PLAIN = /[^A-Za-z0-9\-_.!~*'()&=+$,]/gu;
const PARAM_PLAIN = /[^A-Za-z0-9\-_.!~*'()[\]/:&+$]/gu;
const HEADER_PLAIN = /[^A-Za-z0-9\-_.!~*'()[\]/?:+$]/gu;

function escapeCharacter(character: string): string {
  let out = '';
  for (const byte of Buffer.from(character)) out += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  return out;
}

const escape = (text: string, escaped: RegExp): string => text.replace(escaped, escapeCharacter);

function parseUriParams(text: string): Map<string, string | undefined> | undefined {
  const params = new Map<string, string | undefined>();
  for (const part of text.split(';')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = unescape(equals < 0 ? part : part.slice(0, equals))?.toLowerCase();
    const value = equals < 0 ? undefined : unescape(part.slice(equals + 1));
    if (name === undefined || name === '' || (equals >= 0 && value === undefined)) return undefined;
    if (!params.has(name)) params.set(name, value);
  }
  return params;
}

function parseUriHeaders(text: string): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const part of text.split('&')) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    const name = unescape(equals < 0 ? part : part.slice(0, equals))?.toLowerCase();
    const value = equals < 0 ? '' : unescape(part.slice(equals + 1));
    if (name === undefined || name === '' || value === undefined) return undefined;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return headers;
}

function parseTel(text: string): SipUri | undefined {
  const semicolon = text.indexOf(';');
  const user = semicolon < 0 ? text : text.slice(0, semicolon);
  const params = semicolon < 0 ? new Map<string, string | undefined>() : parseUriParams(text.slice(semicolon));
  if (params === undefined || !/^\+?[0-9A-Fa-f*#().-]+$/.test(user)) return undefined;
  return { scheme: 'tel', user, host: '', params, headers: new Map() };
}

function parseUserInfo(text: string): { user: string; password?: string } | undefined {
  const colon = text.indexOf(':');
  const user = unescape(colon < 0 ? text : text.slice(0, colon));
  if (user === undefined || user === '') return undefined;
  if (colon < 0) return { user };
  const password = unescape(text.slice(colon + 1));
  return password === undefined ? undefined : { user, password };
}

function parseSip(scheme: 'sip' | 'sips', text: string): SipUri | undefined {
  const at = text.indexOf('@');
  const userInfo = at < 0 ? {} : parseUserInfo(text.slice(0, at));
  let rest = text.slice(at + 1);
  const question = rest.indexOf('?');
  // Phones leave the @ of a Call-ID in there as it is.
  const headers = question < 0 ? new Map<string, string>() : parseUriHeaders(rest.slice(question + 1));
  if (question >= 0) rest = rest.slice(0, question);
  if (userInfo === undefined || rest.includes('@')) return undefined;
  const semicolon = rest.indexOf(';');
  const params = semicolon < 0 ? new Map<string, string | undefined>() : parseUriParams(rest.slice(semicolon));
  const hostPort = parseHostPort(semicolon < 0 ? rest : rest.slice(0, semicolon));
  if (headers === undefined || params === undefined || hostPort === undefined) return undefined;
  return { scheme, ...userInfo, ...hostPort, params, headers };
}

/** A `sip:`, `sips:` or `tel:` URI; undefined for anything else. No angle brackets. Linear in the text's length. */
export function parseUri(text: string): SipUri | undefined {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x3c || code === 0x3e || code === 0x22) return undefined;
  }
  const colon = text.indexOf(':');
  const scheme = text.slice(0, Math.max(0, colon)).toLowerCase();
  const rest = text.slice(colon + 1);
  if (scheme === 'sip' || scheme === 'sips') return parseSip(scheme, rest);
  return scheme === 'tel' ? parseTel(rest) : undefined;
}

/** The inverse of `parseUri`: escapes what must be escaped. */
export function formatUri(uri: SipUri): string {
  let out = `${uri.scheme}:`;
  if (uri.user !== undefined) out += uri.scheme === 'tel' ? uri.user : escape(uri.user, USER_PLAIN);
  if (uri.scheme !== 'tel') {
    if (uri.password !== undefined) out += `:${escape(uri.password, PASSWORD_PLAIN)}`;
    if (uri.user !== undefined) out += '@';
    out += uri.host;
    if (uri.port !== undefined) out += `:${uri.port}`;
  }
  for (const [name, value] of uri.params) {
    out += `;${escape(name, PARAM_PLAIN)}${value === undefined ? '' : `=${escape(value, PARAM_PLAIN)}`}`;
  }
  let separator = '?';
  for (const [name, value] of uri.headers) {
    out += `${separator}${escape(name, HEADER_PLAIN)}=${escape(value, HEADER_PLAIN)}`;
    separator = '&';
  }
  return out;
}

/** Parameters that must be in both URIs or in none (RFC 3261 section 19.1.4 and its examples). */
const NEVER_IGNORED = ['user', 'ttl', 'method', 'maddr', 'transport'];

function sameValue(a: string | undefined, b: string | undefined): boolean {
  return a?.toLowerCase() === b?.toLowerCase();
}

function sameParams(a: SipUri, b: SipUri): boolean {
  if (NEVER_IGNORED.some((name) => a.params.has(name) !== b.params.has(name))) return false;
  for (const [name, value] of a.params) {
    if (b.params.has(name) && !sameValue(value, b.params.get(name))) return false;
  }
  return true;
}

/** Header components are never ignored: both URIs have the same ones with the same values. */
function sameHeaders(a: SipUri, b: SipUri): boolean {
  if (a.headers.size !== b.headers.size) return false;
  for (const [name, value] of a.headers) if (b.headers.get(name) !== value) return false;
  return true;
}

const telNumber = (user: string | undefined): string => (user ?? '').replace(/[().-]/g, '').toLowerCase();

/** RFC 3966 section 4: same number without visual separators, same parameters. */
function telEquals(a: SipUri, b: SipUri): boolean {
  if (telNumber(a.user) !== telNumber(b.user) || a.params.size !== b.params.size) return false;
  for (const [name, value] of a.params) if (!b.params.has(name) || !sameValue(value, b.params.get(name))) return false;
  return true;
}

/** RFC 3261 section 19.1.4. Not transitive, as the RFC says: parameters that only one side has are ignored. */
export function uriEquals(a: SipUri, b: SipUri): boolean {
  if (a.scheme !== b.scheme) return false;
  if (a.scheme === 'tel') return telEquals(a, b);
  return (
    a.user === b.user &&
    a.password === b.password &&
    sameHost(a.host, b.host) &&
    a.port === b.port &&
    sameParams(a, b) &&
    sameHeaders(a, b)
  );
}

/**
 * A stable key for a URI: same key means equal by RFC 3261 section 19.1.4. It is finer than `uriEquals`: a parameter
 * that only one of the two has makes another key (a relation that is not transitive has no key).
 */
export function canonicalUri(text: string): string | undefined {
  const uri = parseUri(text);
  if (uri === undefined) return undefined;
  const byName = <V>([a]: [string, V], [b]: [string, V]): number => (a < b ? -1 : a > b ? 1 : 0);
  const params = [...uri.params].map(([name, value]): [string, string | undefined] => [name, value?.toLowerCase()]);
  return formatUri({
    ...uri,
    user: uri.scheme === 'tel' ? telNumber(uri.user) : uri.user,
    host: uri.host === '' ? '' : hostInUri(uri.host),
    params: new Map(params.sort(byName)),
    headers: new Map([...uri.headers].sort(byName)),
  });
}
