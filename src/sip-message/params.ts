import { isToken, isTokenCode, isWhiteSpaceCode } from './characters';

/** Parameters of a header value: names in lower case, values without quotes; undefined for a parameter without value. */
export type Params = Map<string, string | undefined>;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const SEMICOLON = 0x3b;
const LESS = 0x3c;
const GREATER = 0x3e;
const EQUALS = 0x3d;

/** Index after the closing quote of the quoted string that opens at `start`; -1 when it does not end. */
export function endOfQuoted(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === BACKSLASH) i++;
    else if (code === QUOTE) return i + 1;
  }
  return -1;
}

/** Content of a quoted string, escapes undone. `text` includes both quotes. */
export function unquote(text: string): string {
  const inner = text.slice(1, -1);
  if (!inner.includes('\\')) return inner;
  let out = '';
  for (let i = 0; i < inner.length; i++) {
    if (inner.charCodeAt(i) === BACKSLASH && i + 1 < inner.length) i++;
    out += inner.charAt(i);
  }
  return out;
}

/** As a quoted string. Line breaks become spaces: a value can never start a new header. */
export function quote(text: string): string {
  return `"${text.replace(/[\r\n]/g, ' ').replace(/[\\"]/g, '\\$&')}"`;
}

function skipWhiteSpace(text: string, start: number): number {
  let i = start;
  while (i < text.length && isWhiteSpaceCode(text.charCodeAt(i))) i++;
  return i;
}

/** Values may be tokens, hosts (brackets, colons) or, in practice, nearly anything up to the next separator. */
function endOfValue(text: string, start: number, separator: number): number {
  let i = start;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (code === separator || code === QUOTE || isWhiteSpaceCode(code)) break;
    i++;
  }
  return i;
}

function readValue(text: string, start: number, separator: number): { value: string; next: number } | undefined {
  if (text.charCodeAt(start) === QUOTE) {
    const end = endOfQuoted(text, start);
    return end < 0 ? undefined : { value: unquote(text.slice(start, end)), next: end };
  }
  const end = endOfValue(text, start, separator);
  return end === start ? undefined : { value: text.slice(start, end), next: end };
}

function readParam(
  text: string,
  start: number,
  separator: number,
): { name: string; value: string | undefined; next: number } | undefined {
  let end = start;
  while (end < text.length && isTokenCode(text.charCodeAt(end))) end++;
  if (end === start) return undefined;
  const name = text.slice(start, end).toLowerCase();
  const afterName = skipWhiteSpace(text, end);
  if (text.charCodeAt(afterName) !== EQUALS) return { name, value: undefined, next: afterName };
  const read = readValue(text, skipWhiteSpace(text, afterName + 1), separator);
  return read === undefined ? undefined : { name, value: read.value, next: skipWhiteSpace(text, read.next) };
}

/**
 * `;name=value;name` from `start` to the end of the text. Empty parameters (`;;`) are tolerated; of a repeated name the
 * first counts. Undefined when it does not follow the grammar.
 */
export function parseParams(text: string, start = 0): Params | undefined {
  const params: Params = new Map();
  let i = skipWhiteSpace(text, start);
  while (i < text.length) {
    if (text.charCodeAt(i) !== SEMICOLON) return undefined;
    i = skipWhiteSpace(text, i + 1);
    if (i >= text.length || text.charCodeAt(i) === SEMICOLON) continue;
    const param = readParam(text, i, SEMICOLON);
    if (param === undefined) return undefined;
    if (!params.has(param.name)) params.set(param.name, param.value);
    i = param.next;
  }
  return params;
}

/** `name=value, name="value"`: the comma list of credentials and challenges (RFC 3261 section 25.1, auth-param). */
export function parseCommaParams(text: string): Map<string, string> | undefined {
  const params = new Map<string, string>();
  let i = skipWhiteSpace(text, 0);
  while (i < text.length) {
    if (text.charCodeAt(i) === COMMA) {
      i = skipWhiteSpace(text, i + 1);
      continue;
    }
    const param = readParam(text, i, COMMA);
    if (param?.value === undefined) return undefined;
    if (!params.has(param.name)) params.set(param.name, param.value);
    i = param.next;
    if (i < text.length && text.charCodeAt(i) !== COMMA) return undefined;
  }
  return params;
}

function isBareValue(value: string): boolean {
  return isToken(value) || isToken(value.replace(/[[\]:]/g, ''));
}

/** The inverse of `parseParams`. Feature tags (`+sip.instance`) are always quoted (RFC 3840 section 9). */
export function formatParams(params: ReadonlyMap<string, string | undefined>): string {
  let out = '';
  for (const [name, value] of params) {
    if (!isToken(name)) continue;
    if (value === undefined) out += `;${name}`;
    else out += `;${name}=${!name.startsWith('+') && isBareValue(value) ? value : quote(value)}`;
  }
  return out;
}

/** Splits at commas that are in neither quotes nor angle brackets. Linear; empty elements are dropped. */
export function splitCommas(text: string): string[] {
  if (!text.includes(',')) return text === '' ? [] : [text];
  const out: string[] = [];
  let start = 0;
  let inAngle = false;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : COMMA;
    if (i < text.length && code === QUOTE && !inAngle) {
      const end = endOfQuoted(text, i);
      i = (end < 0 ? text.length : end) - 1;
    } else if (code === LESS) inAngle = true;
    else if (code === GREATER) inAngle = false;
    else if (code === COMMA && (!inAngle || i === text.length)) {
      const element = text.slice(start, i).trim();
      if (element !== '') out.push(element);
      start = i + 1;
    }
  }
  return out;
}
