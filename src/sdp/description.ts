import { parse } from 'sdp-transform';
import { MAX_SDP_BYTES, splitSdp } from './lines';

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

/** Far more than any phone has. */
const MAX_STREAMS = 64;

/** True for text that is a session description with at least one stream (RFC 4566 §5), removed ones included. */
export function isSdp(text: string): boolean {
  if (text.length > MAX_SDP_BYTES || !/^v=0\s*[\r\n]/.test(text)) return false;
  const { session, media } = splitSdp(text);
  const lines = [...session, ...media.flatMap((section) => section.lines)];
  return (
    media.length > 0 &&
    media.length <= MAX_STREAMS &&
    lines.every((line) => /^[a-z]=/.test(line)) &&
    session.some((line) => /^o=\S+ \S+ \S+ IN IP[46] \S+/.test(line))
  );
}
