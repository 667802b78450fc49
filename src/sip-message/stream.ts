import type { ParseFailure, SipMessage } from './message';
import type { ParsedHead, ParseLimits } from './parse';
import { bodyTrouble, failure, findHeadEnd, parseHead, STREAM_LIMITS } from './parse';

/** What a stream carries. After `error` with `fatal` the framing is lost: answer, then close the connection. */
export type StreamItem =
  | { readonly kind: 'message'; readonly message: SipMessage; readonly bytes: number }
  | { readonly kind: 'ping' }
  | { readonly kind: 'error'; readonly failure: ParseFailure; readonly fatal: boolean; readonly bytes: number };

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = Buffer.alloc(0);
const BYTES_OF_PIECE = 200;

/**
 * Cuts a byte stream into messages by Content-Length (RFC 3261 section 18.3), one framer for each connection. Messages
 * may be split anywhere. CRLFCRLF between messages is a keep-alive `ping`, to be answered with CRLF (RFC 5626 section
 * 4.4.1). Never throws, holds at most the limit, and looks at each byte a constant number of times.
 */
export class StreamFramer {
  private chunks: Buffer[] = [];
  private held = 0;
  /** What is searched for the end of the head; joined from the chunks only while the head is incomplete. */
  private head: Buffer = NOTHING;
  private resume = 0;
  private pending: { readonly parsed: ParsedHead; readonly headBytes: number; readonly bodyBytes: number } | undefined;
  private lineBreaks = 0;
  private broken = false;

  constructor(private readonly limits: ParseLimits = STREAM_LIMITS) {}

  /** True after a fatal error: everything that comes later is ignored. */
  get isBroken(): boolean {
    return this.broken;
  }

  /** True while a message has begun and is not complete: its time should be limited. */
  get isInsideMessage(): boolean {
    return this.pending !== undefined || this.head.length > 0;
  }

  /** Memory that an unfinished message takes: each piece of a body costs more than its bytes. */
  get heldBytes(): number {
    const head = this.head.length === 0 ? 0 : this.head.buffer.byteLength;
    return head + this.held + this.chunks.length * BYTES_OF_PIECE;
  }

  push(chunk: Buffer): StreamItem[] {
    const items: StreamItem[] = [];
    let rest: Buffer | undefined = chunk;
    while (rest !== undefined && rest.length > 0 && !this.broken) {
      rest = this.pending === undefined ? this.takeHead(rest, items) : this.takeBody(rest, this.pending, items);
    }
    return items;
  }

  private takeHead(chunk: Buffer, items: StreamItem[]): Buffer | undefined {
    const bytes = this.head.length > 0 ? this.joinHead(chunk) : chunk.subarray(this.skipLineBreaks(chunk, items));
    if (bytes.length === 0) return undefined;
    const found = findHeadEnd(bytes, this.resume);
    if (!('end' in found)) {
      this.keepHead(bytes, found.resume, items);
      return undefined;
    }
    this.head = NOTHING;
    this.resume = 0;
    this.beginBody(bytes, found.end, items);
    return bytes.subarray(found.end);
  }

  /** Doubles the buffer as it fills, so that a head that comes byte by byte costs linear time all the same. */
  private joinHead(chunk: Buffer): Buffer {
    const length = this.head.length + chunk.length;
    const room = this.head.buffer.byteLength - this.head.byteOffset;
    if (this.ownsHead && length <= room) {
      const grown = Buffer.from(this.head.buffer, this.head.byteOffset, length);
      chunk.copy(grown, this.head.length);
      return grown;
    }
    const grown = Buffer.alloc(Math.max(4096, length * 2));
    this.head.copy(grown, 0);
    chunk.copy(grown, this.head.length);
    this.ownsHead = true;
    return grown.subarray(0, length);
  }

  private ownsHead = false;

  private keepHead(bytes: Buffer, resume: number, items: StreamItem[]): void {
    if (bytes.length > this.limits.message) {
      const head = parseHead(bytes, 0, this.limits.message, this.limits);
      this.fail({ status: 513, reason: 'Message Too Large' }, head.message, bytes.length, items);
      return;
    }
    if (this.head.length === 0) this.ownsHead = false;
    this.head = bytes;
    this.resume = resume;
  }

  /** Between messages: counts line breaks; two are a ping, one (a pong, or a stray one) is nothing. */
  private skipLineBreaks(chunk: Buffer, items: StreamItem[]): number {
    let i = 0;
    while (i < chunk.length && (chunk[i] === CARRIAGE_RETURN || chunk[i] === LINE_FEED)) {
      if (chunk[i] === LINE_FEED && ++this.lineBreaks === 2) {
        items.push({ kind: 'ping' });
        this.lineBreaks = 0;
      }
      i++;
    }
    if (i < chunk.length) this.lineBreaks = 0;
    return i;
  }

  private beginBody(bytes: Buffer, headBytes: number, items: StreamItem[]): void {
    const parsed = parseHead(bytes, 0, Math.min(headBytes, this.limits.message), this.limits);
    const length = parsed.contentLength;
    if (length === undefined || Number.isNaN(length)) {
      const reason = length === undefined ? 'Missing Content-Length Header' : 'Bad Content-Length Header';
      this.fail(parsed.trouble ?? { status: 400, reason }, parsed.message, headBytes, items);
    } else if (headBytes + length > this.limits.message) {
      this.fail({ status: 513, reason: 'Message Too Large' }, parsed.message, headBytes, items);
    } else if (length === 0) {
      this.finish(parsed, NOTHING, headBytes, items);
    } else {
      this.pending = { parsed, headBytes, bodyBytes: length };
    }
  }

  private takeBody(
    chunk: Buffer,
    pending: { readonly parsed: ParsedHead; readonly headBytes: number; readonly bodyBytes: number },
    items: StreamItem[],
  ): Buffer | undefined {
    const part = chunk.subarray(0, pending.bodyBytes - this.held);
    this.chunks.push(part);
    this.held += part.length;
    if (this.held < pending.bodyBytes) return undefined;
    const body = Buffer.concat(this.chunks, this.held);
    this.chunks = [];
    this.held = 0;
    this.pending = undefined;
    this.finish(pending.parsed, body, pending.headBytes + pending.bodyBytes, items);
    return chunk.subarray(part.length);
  }

  private finish(parsed: ParsedHead, body: Buffer, bytes: number, items: StreamItem[]): void {
    const { message } = parsed;
    if (message !== undefined) message.body = body;
    const trouble = parsed.trouble ?? (message && bodyTrouble(message));
    if (message === undefined || trouble !== undefined) {
      const refused = failure(trouble ?? { status: 400, reason: 'Bad Request' }, message);
      items.push({ kind: 'error', failure: refused, fatal: false, bytes });
      return;
    }
    items.push({ kind: 'message', message, bytes });
  }

  private fail(
    trouble: { readonly status: number; readonly reason: string },
    partial: SipMessage | undefined,
    bytes: number,
    items: StreamItem[],
  ): void {
    this.broken = true;
    this.head = NOTHING;
    this.chunks = [];
    this.pending = undefined;
    items.push({ kind: 'error', failure: failure(trouble, partial), fatal: true, bytes });
  }
}
