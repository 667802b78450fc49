import { canonicalCodec, type Codec, isSpeechCodec, namesCodec, sameCodec } from './codec-equality';
import { readDescription, type StreamView } from './description';
import { formatMediaLine, isActive, isAudio, isRtp, joinSdp, mediaLineOf, type Section, splitSdp } from './lines';

export interface AudioCodec extends Codec {
  readonly payload: number;
}

/** RFC 3551 §6, the audio part: payload types that need no `a=rtpmap`. */
const STATIC_PAYLOADS: ReadonlyMap<number, readonly [name: string, rate: number, channels: number]> = new Map([
  [0, ['PCMU', 8000, 1]],
  // Reserved now; in RFC 1890 it was G.721, and devices still use it for that.
  [2, ['G726-32', 8000, 1]],
  [3, ['GSM', 8000, 1]],
  [4, ['G723', 8000, 1]],
  [5, ['DVI4', 8000, 1]],
  [6, ['DVI4', 16000, 1]],
  [7, ['LPC', 8000, 1]],
  [8, ['PCMA', 8000, 1]],
  [9, ['G722', 8000, 1]],
  [10, ['L16', 44100, 2]],
  [11, ['L16', 44100, 1]],
  [12, ['QCELP', 8000, 1]],
  [13, ['CN', 8000, 1]],
  [15, ['G728', 8000, 1]],
  [16, ['DVI4', 11025, 1]],
  [17, ['DVI4', 22050, 1]],
  [18, ['G729', 8000, 1]],
]);

function codecsOf(section: Section, stream: StreamView | undefined): readonly AudioCodec[] {
  const maps = new Map((stream?.rtpMaps ?? []).map((map) => [map.payload, map]));
  const formats = new Set(mediaLineOf(section)?.formats ?? []);
  return [...formats].flatMap((format) => {
    if (!/^\d{1,3}$/.test(format) || Number(format) > 127) return [];
    const payload = Number(format);
    const map = maps.get(payload);
    const known = map === undefined ? STATIC_PAYLOADS.get(payload) : ([map.codec, map.rate, map.channels] as const);
    if (known === undefined) return [];
    const parameters = stream?.parameters.get(payload);
    return [{ payload, ...canonicalCodec(...known), ...(parameters === undefined ? {} : { parameters }) }];
  });
}

/** Codecs of the first audio stream that is not removed, in the sender's order of preference, telephone-event and the like included. */
export function audioCodecs(sdp: string): readonly AudioCodec[] {
  const view = readDescription(sdp);
  const { media } = splitSdp(sdp);
  const index = media.findIndex((section) => isAudio(section) && isActive(section));
  const section = media[index];
  return section === undefined ? [] : codecsOf(section, view.streams[index]);
}

/** True when both ends could talk without a transcoder: one codec that carries speech in both, at the same clock rate. */
export function hasCommonAudioCodec(a: string, b: string): boolean {
  const others = audioCodecs(b).filter(isSpeechCodec);
  return audioCodecs(a)
    .filter(isSpeechCodec)
    .some((codec) => others.some((other) => sameCodec(codec, other)));
}

/** `a=rtpmap:96 ...`, `a=fmtp:96 ...`, `a=rtcp-fb:96 ...`: the payload type that the line is about. */
function payloadOfLine(line: string): number | undefined {
  const match = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d{1,3})(?:\s|$)/.exec(line);
  return match === null ? undefined : Number(match[1]);
}

function restrictSection(section: Section, keep: ReadonlySet<number>): Section {
  const media = mediaLineOf(section);
  if (media === undefined) return section;
  const lines = section.lines.slice(1).filter((line) => {
    const payload = payloadOfLine(line);
    return payload === undefined || keep.has(payload);
  });
  const formats = media.formats.filter((format) => keep.has(Number(format)));
  return { lines: [formatMediaLine({ ...media, formats }), ...lines] };
}

/** Digits and pauses go with every codec. */
const ALWAYS_ALLOWED = ['telephone-event', 'CN'];

/**
 * Leaves only the audio codecs with these names, telephone-event and comfort noise, in the sender's order. Of several, an audio stream
 * without one of them is switched off (port 0, RFC 3264 §6). Undefined: none would have a codec for speech left. What is
 * allowed already is returned byte for byte.
 */
export function restrictCodecs(sdp: string, names: readonly string[]): string | undefined {
  const allowed = [...names, ...ALWAYS_ALLOWED];
  const view = readDescription(sdp);
  const parts = splitSdp(sdp);
  let [streams, silent] = [0, 0];
  const media = parts.media.map((section, index) => {
    const line = mediaLineOf(section);
    if (line === undefined || !isAudio(section) || !isActive(section) || !isRtp(section)) return section;
    streams += 1;
    const kept = codecsOf(section, view.streams[index]).filter((codec) =>
      allowed.some((name) => namesCodec(name, codec)),
    );
    if (!kept.some(isSpeechCodec)) {
      silent += 1;
      return { lines: [formatMediaLine({ ...line, port: 0 }), ...section.lines.slice(1)] };
    }
    if (kept.length === line.formats.length) return section;
    return restrictSection(section, new Set(kept.map((codec) => codec.payload)));
  });
  return streams > 0 && silent === streams ? undefined : joinSdp({ session: parts.session, media });
}
