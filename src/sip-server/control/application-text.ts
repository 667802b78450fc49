import type { HeaderField } from '../../sip-message/message';
import { canonicalName } from '../../sip-message/headers';

/**
 * SIP text from an application. It is not a complete message: no Via, often no Call-ID, CSeq or To, and its
 * Content-Length counts UTF-16 units. The body is everything after the first empty line.
 */
export type ApplicationText = ApplicationRequestText | ApplicationResponseText;

interface TextParts {
  readonly startLine: string;
  /** With canonical names, without those that an application cannot set. */
  readonly headers: readonly HeaderField[];
  readonly body: Buffer;
}

export interface ApplicationRequestText extends TextParts {
  readonly kind: 'request';
  readonly method: string;
  readonly uri: string;
}

export interface ApplicationResponseText extends TextParts {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string;
  /** The method of its CSeq, when that was the last header: how a reply to a CANCEL or an early UPDATE is recognised. */
  readonly cseqMethod: string | undefined;
  readonly lastHeaderIsCSeq: boolean;
}

const EMPTY_LINE = Buffer.from('\r\n\r\n');
const TOKEN = /^[A-Za-z0-9\-.!%*_+`'~]+$/;
/** A line break that is none: on the wire it could begin a header of somebody else's making. */
const STRAY = /[\r\n\0]/;
/** The server owns these. */
const DISCARDED = new Set(['Via', 'Route', 'Record-Route', 'RSeq', 'Content-Length']);

/** Undefined: there is no start line that could be SIP. */
export function parseApplicationText(bytes: Buffer): ApplicationText | undefined {
  const end = bytes.indexOf(EMPTY_LINE);
  const head = bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
  const body = end < 0 ? Buffer.alloc(0) : bytes.subarray(end + EMPTY_LINE.length);
  const lines = unfold(head.split('\r\n'));
  const startLine = lines[0] ?? '';
  const headers: HeaderField[] = [];
  let last: string | undefined;
  for (let index = 1; index < lines.length; index += 1) {
    const field = parseField(lines[index] ?? '');
    if (field === undefined) continue;
    last = field.name;
    if (!DISCARDED.has(field.name)) headers.push(field);
  }
  const parts: TextParts = { startLine, headers, body };
  return startLine.startsWith('SIP/') ? responseText(parts, last) : requestText(parts);
}

function responseText(parts: TextParts, last: string | undefined): ApplicationResponseText | undefined {
  const { startLine } = parts;
  const space = startLine.indexOf(' ');
  const status = statusAt(startLine, space + 1);
  if (space < 0 || status === undefined) return undefined;
  const cseq = valueOf(parts.headers, 'CSeq')?.trim();
  return {
    ...parts,
    kind: 'response',
    status,
    reason: startLine.slice(space + 5),
    cseqMethod: cseq === undefined ? undefined : methodOfCSeq(cseq),
    lastHeaderIsCSeq: last === 'CSeq',
  };
}

/** Three digits that end a word; undefined: no status. */
function statusAt(line: string, at: number): number | undefined {
  const after = line.charAt(at + 3);
  const digits = line.slice(at, at + 3);
  return /^[1-6]\d\d$/.test(digits) && (after === '' || after === ' ') ? Number(digits) : undefined;
}

function methodOfCSeq(cseq: string): string | undefined {
  const last = Math.max(cseq.lastIndexOf(' '), cseq.lastIndexOf('\t'));
  return last < 0 ? undefined : cseq.slice(last + 1);
}

function requestText(parts: TextParts): ApplicationRequestText {
  const [method = '', uri = ''] = parts.startLine.split(' ');
  return { ...parts, kind: 'request', method, uri };
}

function unfold(lines: readonly string[]): string[] {
  const result: string[] = [];
  for (const given of lines) {
    const line = STRAY.test(given) ? given.split(STRAY).join(' ') : given;
    const folded = (line.startsWith(' ') || line.startsWith('\t')) && result.length > 1;
    if (folded) result[result.length - 1] = `${result[result.length - 1] ?? ''} ${line.trim()}`;
    else result.push(line);
  }
  return result;
}

function parseField(line: string): HeaderField | undefined {
  const colon = line.indexOf(':');
  if (colon <= 0) return undefined;
  const given = line.slice(0, colon).trim();
  if (!TOKEN.test(given)) return undefined;
  // A private header keeps the spelling that the application chose.
  const name = given.startsWith('X-') || given.startsWith('x-') ? given : canonicalName(given);
  return { name, value: line.slice(colon + 1).trim() };
}

/** The first value of a header with this canonical name. */
export function valueOf(headers: readonly HeaderField[], name: string): string | undefined {
  for (const field of headers) if (field.name === name) return field.value;
  return undefined;
}
