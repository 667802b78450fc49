import { audioCodecs } from './codecs';
import { isSpeechCodec } from './codec-equality';
import { isActive, isAudio, isRtp, joinSdp, type Section, splitSdp } from './lines';
import { groupsOf, refusing, withGroups } from './refusal';

/**
 * Which streams count. A device may offer several for one purpose (SRTP and plain RTP), and what is agreed are those that neither end
 * refuses, by the place of their `m=` lines (RFC 3264 §6).
 */

const usesAudio = (section: Section | undefined): boolean =>
  section !== undefined && isAudio(section) && isActive(section);

/** One end's description, with the streams refused that the other end's description in the same dialog refuses or does not have. */
export function agreedPart(sdp: string, other: string): string {
  const { media } = splitSdp(other);
  return refusing(sdp, (_, index) => {
    const section = media[index];
    return section !== undefined && isActive(section);
  });
}

/**
 * An offer where `agreed` was agreed before: when audio streams that were in use are offered again it is about these, and further ones
 * are refused. When none is, it is about all of them.
 */
export function offeredAgain(offer: string, agreed: string | undefined): string {
  if (agreed === undefined) return offer;
  const before = splitSdp(agreed).media;
  const { media } = splitSdp(offer);
  const again = media.some((section, index) => usesAudio(section) && usesAudio(before[index]));
  return again ? refusing(offer, (section, index) => !isAudio(section) || usesAudio(before[index])) : offer;
}

/** A device with more audio streams for one purpose is not known. */
const MAX_CHOICES = 8;

/** Descriptions with one of its audio streams in use each, and no other stream; the first few. */
export function audioStreams(sdp: string): readonly string[] {
  const parts = splitSdp(sdp);
  return parts.media
    .filter(usesAudio)
    .slice(0, MAX_CHOICES)
    .map((section) => joinSdp(withGroups({ session: parts.session, media: [section] }, groupsOf(parts))));
}

/**
 * The description with one audio stream, for those who can take no more: one that was in use (`agreed`), one of RTP in which somebody can speak, or
 * just the first. The others are refused; everything else stays.
 */
export function withOneAudioStream(sdp: string, agreed?: string): string {
  const offered = offeredAgain(sdp, agreed);
  const { media } = splitSdp(offered);
  const inUse = media.flatMap((section, index) => (usesAudio(section) ? [index] : []));
  if (inUse.length < 2) return offered;
  const speaks = (index: number): boolean => {
    const section = media[index];
    if (section === undefined || !isRtp(section)) return false;
    return audioCodecs(joinSdp({ session: [], media: [section] })).some(isSpeechCodec);
  };
  const chosen = inUse.find(speaks) ?? inUse[0];
  return refusing(offered, (section, index) => !isAudio(section) || index === chosen);
}

/** The same without `m=` lines for the others, and for those that were refused before. What is made of it is brought back by `alignAnswer`. */
export function withoutFurtherAudio(sdp: string, agreed?: string): string {
  const parts = splitSdp(withOneAudioStream(sdp, agreed));
  const audio = parts.media.filter(isAudio);
  if (audio.length < 2) return joinSdp(parts);
  const kept = audio.find(isActive) ?? audio[0];
  const media = parts.media.filter((section) => !isAudio(section) || section === kept);
  return joinSdp(withGroups({ session: parts.session, media }, groupsOf(parts)));
}
