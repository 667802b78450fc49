import { parse } from 'sdp-transform';
import { isActive, MAX_SDP_BYTES, MAX_STREAMS, mediaLineOf, type Section, splitSdp } from './lines';

/**
 * What a session description says of one stream. The parser (sdp-transform) is used for reading only: it drops the order of
 * lines and rewrites what it does not know, so nothing that it writes is ever sent.
 */
export interface StreamView {
  readonly direction: string | undefined;
  readonly address: string | undefined;
  readonly rtpMaps: readonly RtpMap[];
  /** Of `a=fmtp`, by payload type. */
  readonly parameters: ReadonlyMap<number, string>;
}

export interface RtpMap {
  readonly payload: number;
  readonly codec: string;
  readonly rate: number;
  readonly channels: number;
}

export interface DescriptionView {
  readonly direction: string | undefined;
  readonly address: string | undefined;
  /** One for each `m=` line, in order. */
  readonly streams: readonly StreamView[];
}

const NOTHING: DescriptionView = { direction: undefined, address: undefined, streams: [] };

function textOrUndefined(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function numberOr(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}

/** Reads untrusted text; never throws. What cannot be read is missing. */
export function readDescription(sdp: string): DescriptionView {
  if (sdp.length > MAX_SDP_BYTES) return NOTHING;
  try {
    const parsed = parse(sdp);
    return {
      direction: textOrUndefined(parsed.direction),
      address: textOrUndefined(parsed.connection?.ip),
      streams: parsed.media.map((media) => ({
        direction: textOrUndefined(media.direction),
        address: textOrUndefined(media.connection?.ip),
        rtpMaps: media.rtp.map((map) => ({
          payload: map.payload,
          // The parser turns a codec called 1 into a number, whatever its types say.
          codec: textOf(map.codec),
          rate: numberOr(map.rate, 8000),
          channels: numberOr(map.encoding, 1),
        })),
        parameters: new Map(media.fmtp.map(({ payload, config }) => [payload, textOf(config)])),
      })),
    };
  } catch {
    return NOTHING;
  }
}

/**
 * What is missing or wrong in a text that ought to be a session description with at least one stream, removed ones included
 * (RFC 8866 section 5); undefined: nothing. What it lacks would otherwise be missing under our own `o=` line.
 */
export function descriptionFault(text: string): string | undefined {
  if (text.length > MAX_SDP_BYTES) return 'too long';
  if (!/^v=0\s*[\r\n]/.test(text)) return 'no v=0 line at the beginning';
  const { session, media } = splitSdp(text);
  const lines = [...session, ...media.flatMap((section) => section.lines)];
  if (!lines.every((line) => /^[a-z]=/.test(line))) return 'a line that is none';
  if (!session.some((line) => /^o=\S+ \S+ \S+ IN IP[46] \S+/.test(line))) return 'no o= line';
  if (!session.some((line) => line.startsWith('s='))) return 'no s= line';
  if (!session.some((line) => /^t=\d+ \d+/.test(line))) return 'no t= line';
  if (media.length === 0) return 'no m= line';
  if (media.length > MAX_STREAMS) return 'too many m= lines';
  if (media.some(isMalformed)) return 'malformed m= line';
  const unaddressed = media.some((section) => isActive(section) && !section.lines.some(isConnection));
  return unaddressed && !session.some(isConnection) ? 'no c= line' : undefined;
}

/** Of a stream that is not used no format need be named. */
function isMalformed(section: Section): boolean {
  const line = mediaLineOf(section);
  return line === undefined || (line.port !== 0 && line.formats.length === 0);
}

/** Each stream has one of its own, or the session one for all (RFC 8866 section 5.7). */
function isConnection(line: string): boolean {
  return /^c=IN IP[46] \S+/.test(line);
}

/** True for text that is a session description with at least one stream, removed ones included. */
export function isSdp(text: string): boolean {
  return descriptionFault(text) === undefined;
}
