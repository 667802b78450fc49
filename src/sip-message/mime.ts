import { isToken } from './characters';
import { parseParams, type Params } from './params';

/** The body of a message, or one part of it, with the header fields that say what it is (RFC 2045, RFC 5621). */
export interface Entity {
  readonly contentType: string | undefined;
  readonly disposition: string | undefined;
  readonly encoding: string | undefined;
  readonly transferEncoding: string | undefined;
  /** Content-ID, without its brackets. */
  readonly id: string | undefined;
  readonly content: string;
}

export interface MediaType {
  /** In lower case: `application/sdp`. */
  readonly type: string;
  readonly params: Params;
}

export interface Disposition {
  /** In lower case: `session`. */
  readonly type: string;
  /** Undefined: not said, which means `required` (RFC 3261 section 20.11). */
  readonly handling: string | undefined;
}

/** Longest boundary (RFC 2046 section 5.1.1). */
const MAX_BOUNDARY = 70;
const MAX_PARTS = 32;
const MAX_PART_HEADERS = 32;

/** Value of a Content-Type header; undefined when it follows no grammar. */
export function parseMediaType(value: string): MediaType | undefined {
  const semicolon = value.indexOf(';');
  const name = (semicolon < 0 ? value : value.slice(0, semicolon)).trim();
  const [type = '', subtype = '', ...more] = name.split('/').map((half) => half.trim());
  const params = semicolon < 0 ? new Map<string, string | undefined>() : parseParams(value, semicolon);
  if (!isToken(type) || !isToken(subtype) || more.length > 0 || params === undefined) return undefined;
  return { type: `${type}/${subtype}`.toLowerCase(), params };
}

/** Value of a Content-Disposition header; undefined when it follows no grammar. */
export function parseDisposition(value: string): Disposition | undefined {
  const semicolon = value.indexOf(';');
  const type = (semicolon < 0 ? value : value.slice(0, semicolon)).trim();
  const params = semicolon < 0 ? new Map<string, string | undefined>() : parseParams(value, semicolon);
  if (!isToken(type) || params === undefined) return undefined;
  return { type: type.toLowerCase(), handling: params.get('handling')?.toLowerCase() };
}

/** Where the line of a delimiter begins and ends; `close`: no part follows. */
interface Delimiter {
  readonly start: number;
  readonly end: number;
  readonly close: boolean;
}

function nextDelimiter(text: string, dashed: string, from: number): Delimiter | undefined {
  for (let at = text.indexOf(dashed, from); at >= 0; at = text.indexOf(dashed, at + 1)) {
    if (at > 0 && text.charCodeAt(at - 1) !== 0x0a) continue;
    let end = at + dashed.length;
    const close = text.startsWith('--', end);
    if (close) end += 2;
    while (text.charCodeAt(end) === 0x20 || text.charCodeAt(end) === 0x09) end++;
    if (text.startsWith('\r\n', end)) return { start: at, end: end + 2, close };
    if (text.charCodeAt(end) === 0x0a) return { start: at, end: end + 1, close };
    if (end === text.length && close) return { start: at, end, close };
  }
  return undefined;
}

/** The line end before a delimiter belongs to the delimiter (RFC 2046 section 5.1.1). */
function withoutLineEnd(text: string): string {
  return text.endsWith('\r\n') ? text.slice(0, -2) : text.endsWith('\n') ? text.slice(0, -1) : text;
}

/**
 * The parts of a multipart body (RFC 2046 section 5.1); preamble and epilogue are left out. Undefined when it is malformed: no boundary,
 * no part, no closing delimiter, a header of a part that is none.
 */
export function parseMultipart(content: string, boundary: string | undefined): Entity[] | undefined {
  if (boundary === undefined || !/^[^\p{Cc}]*[^\p{Cc} ]$/u.test(boundary) || boundary.length > MAX_BOUNDARY)
    return undefined;
  const parts: Entity[] = [];
  let open = nextDelimiter(content, `--${boundary}`, 0);
  while (open !== undefined && !open.close) {
    // The delimiter's own line end may be the one before the next delimiter: an empty part.
    const next = nextDelimiter(content, `--${boundary}`, open.end);
    if (next === undefined || parts.length >= MAX_PARTS) return undefined;
    const part = parsePart(withoutLineEnd(content.slice(open.end, next.start)));
    if (part === undefined) return undefined;
    parts.push(part);
    open = next;
  }
  return open === undefined || parts.length === 0 ? undefined : parts;
}

function parsePart(text: string): Entity | undefined {
  const [head, content] = splitHead(text);
  const lines = head.replace(/\r?\n[ \t]+/g, ' ').split(/\r?\n/);
  const headers = new Map<string, string>();
  for (const line of lines) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim().toLowerCase();
    if (!isToken(name) || headers.size >= MAX_PART_HEADERS) return undefined;
    if (!headers.has(name)) headers.set(name, line.slice(colon + 1).trim());
  }
  return {
    contentType: headers.get('content-type') ?? headers.get('c'),
    disposition: headers.get('content-disposition'),
    encoding: headers.get('content-encoding') ?? headers.get('e'),
    transferEncoding: headers.get('content-transfer-encoding'),
    id: headers.get('content-id')?.replace(/^<|>$/g, ''),
    content,
  };
}

/** Header fields of a part and what follows their empty line. */
function splitHead(text: string): [head: string, content: string] {
  const own = /^\r?\n/.exec(text);
  if (own !== null) return ['', text.slice(own[0].length)];
  const empty = /\r?\n\r?\n/.exec(text);
  if (empty === null) return [text, ''];
  return [text.slice(0, empty.index), text.slice(empty.index + empty[0].length)];
}

/** The content without its Content-Transfer-Encoding (RFC 2045 section 6); undefined: it has one that is not known. */
export function transferDecoded({ content, transferEncoding }: Entity): string | undefined {
  switch (transferEncoding?.trim().toLowerCase() ?? 'binary') {
    case '7bit':
    case '8bit':
    case 'binary':
      return content;
    case 'base64':
      return Buffer.from(content, 'base64').toString('utf8');
    case 'quoted-printable':
      return unquoted(content);
    default:
      return undefined;
  }
}

function unquoted(content: string): string {
  const bytes = Buffer.from(content.replace(/=[ \t]*\r?\n/g, ''), 'utf8').toString('latin1');
  const decoded = bytes.replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(decoded, 'latin1').toString('utf8');
}
