import { audioCodecs } from './codecs';
import { canonicalCodec, isSpeechCodec, sameCodec } from './codec-equality';
import {
  ended,
  formatMediaLine,
  isActive,
  isAudio,
  joinSdp,
  mediaLineOf,
  type Section,
  splitSdp,
  textOf,
} from './lines';

const ATTRIBUTE = /^a=(rtpmap|fmtp|rtcp-fb):(\d{1,3})(?=\s)/;

function renumbered(section: Section, numbers: ReadonlyMap<number, number>): Section {
  const media = mediaLineOf(section);
  if (media === undefined) return section;
  const numberFor = (payload: string): string => String(numbers.get(Number(payload)) ?? payload);
  const lines = section.lines
    .slice(1)
    .map((line) => line.replace(ATTRIBUTE, (_, name: string, payload: string) => `a=${name}:${numberFor(payload)}`));
  return { lines: [formatMediaLine({ ...media, formats: media.formats.map(numberFor) }), ...lines] };
}

/**
 * Other payload types for the first audio stream that is not removed. Nothing is changed where two formats would come to
 * have one number.
 */
export function withPayloadTypes(sdp: string, numbers: ReadonlyMap<number, number>): string {
  const parts = splitSdp(sdp);
  const index = parts.media.findIndex((section) => isAudio(section) && isActive(section));
  const section = parts.media[index];
  if (section === undefined || numbers.size === 0) return sdp;
  const formats = mediaLineOf(section)?.formats ?? [];
  if (new Set(formats.map((format) => numbers.get(Number(format)) ?? Number(format))).size < formats.length) return sdp;
  return joinSdp({ session: parts.session, media: parts.media.with(index, renumbered(section, numbers)) });
}

const RTP_MAP = /^(a=rtpmap:\d{1,3}) ([^/\s]+)\/(\d{1,6})(?:\/(\d))?(?=\s*$)/;

function canonicalLine(line: string): string {
  return line.replace(RTP_MAP, (whole, start: string, name: string, rate: string, channels: string | undefined) => {
    const codec = canonicalCodec(name, Number(rate), Number(channels ?? 1));
    const same = codec.name.toUpperCase() === name.toUpperCase() && codec.rate === Number(rate);
    if (same && codec.channels === Number(channels ?? 1)) return whole;
    return `${start} ${codec.name}/${codec.rate}${codec.channels > 1 ? `/${codec.channels}` : ''}`;
  });
}

/** Audio codecs under their registered names and clock rates: for media servers, which compare them as text. Byte for byte where they are. */
export function withCanonicalCodecs(sdp: string): string {
  const { session, media } = splitSdp(sdp);
  const sections = media.map((section) => (isAudio(section) ? { lines: section.lines.map(canonicalLine) } : section));
  return joinSdp({ session, media: sections });
}

/**
 * The answer for the maker of `offer` that a media server has made of `answer`, with the formats that it has lost since the answerer numbers
 * them in its own way (RFC 3264 §6.1 allows that): digits always, codecs for speech where none is left. What the offerer sends under these
 * numbers, media servers pass on as it comes.
 */
export function withOwnNumbers(made: string, answer: string, offer: string): string {
  const parts = splitSdp(made);
  const index = parts.media.findIndex((section) => isAudio(section) && isActive(section));
  const section = parts.media[index];
  const line = section === undefined ? undefined : mediaLineOf(section);
  if (section === undefined || line === undefined) return made;
  const present = audioCodecs(made);
  const offered = audioCodecs(offer);
  const silent = !present.some(isSpeechCodec);
  const lost = audioCodecs(answer).filter(
    (codec) =>
      (silent || !isSpeechCodec(codec)) &&
      offered.some((one) => sameCodec(one, codec)) &&
      !present.some((one) => sameCodec(one, codec) || one.payload === codec.payload) &&
      // Under this number the offerer would take it for something else.
      !offered.some((one) => one.payload === codec.payload && !sameCodec(one, codec)),
  );
  if (lost.length === 0) return made;
  const numbers = new Set(lost.map(({ payload }) => String(payload)));
  const known = new Set(present.map(({ payload }) => String(payload)));
  const formats = [...line.formats.filter((format) => known.has(format) || !numbers.has(format)), ...numbers];
  const described = splitSdp(answer)
    .media.filter((one) => isAudio(one) && isActive(one))
    .slice(0, 1)
    .flatMap(({ lines }) => lines.map(textOf).filter((text) => numbers.has(ATTRIBUTE.exec(text)?.[2] ?? '')));
  const [, ...others] = section.lines;
  const kept = others.filter((text) => !described.includes(textOf(text))).map(ended);
  const lines = [formatMediaLine({ ...line, formats }), ...kept, ...described.map((text) => `${text}\r\n`)];
  return joinSdp({ session: parts.session, media: parts.media.with(index, { lines }) });
}
