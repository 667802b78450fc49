import { formatMediaLine, isActive, isAudio, joinSdp, mediaLineOf, type Section, splitSdp } from './lines';

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
