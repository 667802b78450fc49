/**
 * Frames of the drachtio control protocol: `<length>#<payload>`, length in bytes as decimal text. The payload is a
 * line of tokens separated by `|`; when a SIP message follows, the line ends with CRLF and the message is the rest.
 */

/** A frame longer than this is refused: larger than any SIP message that makes sense. */
export const MAX_FRAME_BYTES = 4 * 1024 * 1024;
/** Before the application has proved its secret it may not make us keep more than this. */
export const MAX_UNAUTHENTICATED_FRAME_BYTES = 4096;

const MAX_LENGTH_DIGITS = 8;
const HASH = 0x23;
const ZERO = 0x30;
const CRLF = '\r\n';
const CRLF_BYTES = Buffer.from(CRLF);

/** One frame; `message` is a SIP message as bytes. */
export function encodeFrame(tokens: string, message?: Buffer): Buffer {
  const tokenBytes = Buffer.byteLength(tokens);
  const length = tokenBytes + (message === undefined ? 0 : CRLF.length + message.length);
  const prefix = `${length}#`;
  const frame = Buffer.allocUnsafe(prefix.length + length);
  frame.write(prefix, 0, 'latin1');
  frame.write(tokens, prefix.length, 'utf8');
  if (message !== undefined) {
    frame.write(CRLF, prefix.length + tokenBytes, 'latin1');
    message.copy(frame, prefix.length + tokenBytes + CRLF.length);
  }
  return frame;
}

/** The token line and what follows it. */
export interface Payload {
  readonly tokens: readonly string[];
  /** Undefined: no CRLF, so no SIP message. */
  readonly message: Buffer | undefined;
}

export function splitPayload(payload: Buffer): Payload {
  const end = payload.indexOf(CRLF_BYTES);
  const line = payload.toString('utf8', 0, end < 0 ? payload.length : end);
  return { tokens: line.split('|'), message: end < 0 ? undefined : payload.subarray(end + CRLF.length) };
}

/**
 * Takes the bytes of a connection in pieces of any size and gives whole payloads. After the first error it gives
 * nothing any more: the place of the next frame is not known, so the connection has to be closed.
 */
export class FrameDecoder {
  private chunks: Buffer[] = [];
  private buffered = 0;
  private failed = false;
  /** Bytes needed before it is worth looking again. */
  private wanted = 0;

  constructor(private limit: number) {}

  setLimit(limit: number): void {
    this.limit = limit;
  }

  /** Calls `frame` for each whole payload. The text of the error when the bytes are not frames. */
  push(chunk: Buffer, frame: (payload: Buffer) => void): string | undefined {
    if (this.failed) return 'broken connection';
    this.chunks.push(chunk);
    this.buffered += chunk.length;
    if (this.buffered < this.wanted) return undefined;
    let data = this.chunks.length === 1 ? chunk : Buffer.concat(this.chunks, this.buffered);
    this.wanted = 0;
    while (data.length > 0) {
      const header = readLength(data);
      if (header === 'incomplete') break;
      if (header === 'invalid' || header.length > this.limit) return this.fail(header === 'invalid');
      const end = header.start + header.length;
      if (data.length < end) {
        this.wanted = end;
        break;
      }
      frame(data.subarray(header.start, end));
      data = data.subarray(end);
    }
    this.chunks = data.length === 0 ? [] : [data];
    this.buffered = data.length;
    return undefined;
  }

  private fail(invalid: boolean): string {
    this.failed = true;
    this.chunks = [];
    this.buffered = 0;
    return invalid ? 'invalid length' : 'frame too large';
  }
}

function readLength(data: Buffer): { readonly start: number; readonly length: number } | 'incomplete' | 'invalid' {
  let length = 0;
  for (let at = 0; at < data.length; at += 1) {
    const byte = data[at] ?? 0;
    if (byte === HASH) return at === 0 ? 'invalid' : { start: at + 1, length };
    const digit = byte - ZERO;
    if (digit < 0 || digit > 9 || at >= MAX_LENGTH_DIGITS) return 'invalid';
    length = length * 10 + digit;
  }
  return 'incomplete';
}
