import {
  type Disposition,
  type Entity,
  parseDisposition,
  parseMediaType,
  parseMultipart,
  transferDecoded,
} from '../sip-message/mime';
import { descriptionFault } from '../sdp';
import type { HeaderReader, Headers } from './user-agent';

/** What a message says of the session. That nothing is said and that it cannot be read are two different things. */
export type Body =
  /** No body, or nothing in it that concerns the session and must be understood. */
  { readonly type: 'none' } | { readonly type: 'description'; readonly sdp: string } | Unreadable;

export interface Unreadable {
  readonly type: 'unreadable';
  /** Of the response, when it was in a request. */
  readonly status: 400 | 415 | 488;
  /** For people. */
  readonly why: string;
  readonly headers: Headers;
}

/** Body types that a session may be described in. */
export const ACCEPT = 'application/sdp, multipart/mixed, multipart/alternative, multipart/related';

const NONE: Body = { type: 'none' };
const MAX_DEPTH = 4;

const notUnderstood = (what: string): Unreadable => ({
  type: 'unreadable',
  status: 415,
  why: `${printable(what)} is not understood`,
  headers: { Accept: ACCEPT },
});

const encoded = (encoding: string): Unreadable => ({
  type: 'unreadable',
  status: 415,
  why: `Content-Encoding ${printable(encoding)} is not understood`,
  headers: { 'Accept-Encoding': 'identity' },
});

const malformed = (why: string): Unreadable => ({ type: 'unreadable', status: 400, why, headers: {} });

const unusable = (why: string): Unreadable => ({
  type: 'unreadable',
  status: 488,
  why,
  headers: { Warning: `399 tandem "${why}"` },
});

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 80);
}

/** A message's body with the headers that say what it is. */
export function entityOf(header: HeaderReader, content: string): Entity {
  return {
    contentType: header('Content-Type'),
    disposition: header('Content-Disposition'),
    encoding: header('Content-Encoding'),
    transferEncoding: header('Content-Transfer-Encoding'),
    id: undefined,
    content,
  };
}

/**
 * Reads the body of an INVITE, ACK, PRACK or UPDATE, or of a response to one (RFC 3261 section 8.2.3, RFC 5621). In a response, and in an ACK, nothing
 * can be refused: there a description counts, whatever else cannot be understood.
 */
export function readBody(entity: Entity, role: 'request' | 'response'): Body {
  if (entity.content.trim() === '') return NONE;
  if (entity.contentType === undefined && !entity.content.startsWith('v=')) return malformed('no Content-Type');
  return read(entity, role, 0);
}

function read(entity: Entity, role: 'request' | 'response', depth: number): Body {
  const { contentType, content } = entity;
  // RFC 3261 section 20.15 wants a type; a description shows what it is, and text is what MIME takes the rest for.
  const media = parseMediaType(contentType ?? (content.startsWith('v=') ? 'application/sdp' : 'text/plain'));
  if (media === undefined) return malformed('malformed Content-Type');
  const disposition = entity.disposition === undefined ? undefined : parseDisposition(entity.disposition);
  if (entity.disposition !== undefined && disposition === undefined) return malformed('malformed Content-Disposition');
  const optional = disposition?.handling === 'optional';
  const encoding = entity.encoding?.trim().toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== '') return optional ? NONE : encoded(encoding);
  if (media.type.startsWith('multipart/')) {
    const parts = depth >= MAX_DEPTH ? undefined : parseMultipart(content, media.params.get('boundary'));
    if (parts === undefined) return malformed('malformed multipart body');
    return readParts(parts, media.type, media.params.get('start'), role, depth + 1);
  }
  if (media.type === 'application/sdp') return readDescription(entity, disposition);
  return optional || isReference(entity, media.type, disposition) ? NONE : notUnderstood(media.type);
}

function readDescription(entity: Entity, disposition: Disposition | undefined): Body {
  const { type = 'session', handling } = disposition ?? {};
  // RFC 3959: early media of a session of its own. Who cannot do without requires the extension, which is refused.
  if (type === 'early-session' && handling !== 'required') return NONE;
  if (type !== 'session') return handling === 'optional' ? NONE : notUnderstood(`disposition ${type}`);
  const text = transferDecoded(entity);
  if (text === undefined) return encoded(entity.transferEncoding ?? '');
  const sdp = /[\r\n]$/.test(text) ? text : `${text}\r\n`;
  const fault = descriptionFault(sdp);
  return fault === undefined ? { type: 'description', sdp } : unusable(`session description: ${fault}`);
}

/**
 * A part that only a header field refers to (`cid:`) concerns those who follow that (RFC 5621 section 7.2); so does a location (RFC 6442), which
 * is sent without saying so.
 */
function isReference({ id }: Entity, type: string, disposition: Disposition | undefined): boolean {
  if (disposition !== undefined) return disposition.type === 'by-reference';
  return id !== undefined || type === 'application/pidf+xml';
}

function readParts(
  parts: readonly Entity[],
  type: string,
  start: string | undefined,
  role: 'request' | 'response',
  depth: number,
): Body {
  if (type === 'multipart/related') {
    // The other parts are the root's (RFC 2387 section 3.2).
    const id = start?.replace(/^<|>$/g, '');
    const root = (id === undefined ? undefined : parts.find((part) => part.id === id)) ?? parts[0];
    return root === undefined ? NONE : read(root, role, depth);
  }
  const bodies = parts.map((part) => read(part, role, depth));
  const descriptions = bodies.filter((body) => body.type === 'description');
  const faults = bodies.filter((body) => body.type === 'unreadable');
  if (type === 'multipart/alternative') {
    // The last one that is understood is the best (RFC 2046 section 5.1.4).
    return descriptions.at(-1) ?? faults.at(-1) ?? NONE;
  }
  // RFC 2046 section 5.1.3: every other kind of multipart is taken for a mixed one.
  const [description, second] = descriptions;
  if (second !== undefined) return malformed('two session descriptions');
  if (description !== undefined && role === 'response') return description;
  return faults[0] ?? description ?? NONE;
}
