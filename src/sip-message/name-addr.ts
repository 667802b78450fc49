import { isToken } from './characters';
import { endOfQuoted, formatParams, parseParams, quote, splitCommas, unquote } from './params';

/** An address in a header: `"Alice" <sip:alice@example.com>;tag=x` (RFC 3261 section 20.10). */
export interface NameAddr {
  displayName?: string;
  /** As text, without the angle brackets. */
  uri: string;
  /** Header parameters (tag, q, expires ...): names in lower case, values without quotes. */
  params: Map<string, string | undefined>;
}

/** `scheme:` and something after it, with no white space, quote or angle bracket in it. */
function isAbsoluteUri(text: string): boolean {
  const colon = text.indexOf(':');
  if (colon < 1 || colon === text.length - 1 || !isToken(text.slice(0, colon))) return false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x22 || code === 0x3c || code === 0x3e) return false;
  }
  return true;
}

function parseBracketed(text: string, open: number, displayName: string | undefined): NameAddr | undefined {
  const close = text.indexOf('>', open);
  if (close < 0) return undefined;
  const uri = text.slice(open + 1, close).trim();
  const params = isAbsoluteUri(uri) ? parseParams(text, close + 1) : undefined;
  if (params === undefined) return undefined;
  return displayName === undefined ? { uri, params } : { displayName, uri, params };
}

/** Without angle brackets everything after the first semicolon is a header parameter (RFC 3261 section 20). */
function parseBare(text: string): NameAddr | undefined {
  const semicolon = text.indexOf(';');
  const uri = (semicolon < 0 ? text : text.slice(0, semicolon)).trim();
  const allowed = uri === '*' || (isAbsoluteUri(uri) && !uri.includes('?') && !uri.includes(','));
  const params = allowed ? parseParams(text, semicolon < 0 ? text.length : semicolon) : undefined;
  return params === undefined ? undefined : { uri, params };
}

/** Display names without quotes are tokens; anything without a quote or a backslash is tolerated. */
function parseDisplayName(text: string): string | undefined {
  return /["\\]/.test(text) ? undefined : text;
}

/** One address with its header parameters; `*` (Contact) is one too. Undefined when the grammar is broken. Linear. */
export function parseNameAddr(input: string): NameAddr | undefined {
  const text = input.trim();
  if (text.startsWith('"')) {
    const end = endOfQuoted(text, 0);
    if (end < 0) return undefined;
    const open = text.indexOf('<', end);
    if (open < 0 || text.slice(end, open).trim() !== '') return undefined;
    return parseBracketed(text, open, unquote(text.slice(0, end)));
  }
  const open = text.indexOf('<');
  if (open < 0) return parseBare(text);
  const before = text.slice(0, open).trim();
  // `sip:a@b;x="<"`: the bracket belongs to a quoted parameter.
  if (before.includes('"')) return parseBare(text);
  const displayName = before === '' ? undefined : parseDisplayName(before);
  if (before !== '' && displayName === undefined) return undefined;
  return parseBracketed(text, open, displayName);
}

/** All addresses of a header that is a list; undefined when one of them is broken. */
export function parseNameAddrList(values: readonly string[]): NameAddr[] | undefined {
  const out: NameAddr[] = [];
  for (const element of values.flatMap(splitCommas)) {
    const address = parseNameAddr(element);
    if (address === undefined) return undefined;
    out.push(address);
  }
  return out;
}

/** The inverse of `parseNameAddr`; always with angle brackets, so that URI and header parameters stay apart. */
export function formatNameAddr(address: NameAddr): string {
  if (address.uri === '*') return `*${formatParams(address.params)}`;
  const displayName = address.displayName === undefined ? '' : `${quote(address.displayName)} `;
  return `${displayName}<${address.uri}>${formatParams(address.params)}`;
}
