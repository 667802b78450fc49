import type { MediaResourceType } from '../media-resource/ports';
import { audioCodecs, audioTransport, hasCommonAudioCodec, isSpeechCodec } from '../sdp';

/** One end of a call, as far as media is concerned. */
export interface MediaEnd {
  /** What the device has said that it can do, once it has. */
  readonly sdp: string | undefined;
  /** Codec names as configured for the device or its site; undefined: anything. */
  readonly codecs: readonly string[] | undefined;
  /** What is known without a description; undefined: nothing. */
  readonly security?: 'none' | 'sdes' | 'dtls' | undefined;
  /** What is likely, and no more. */
  readonly presumedSecurity?: 'none' | 'sdes' | 'dtls' | undefined;
  /** Name of the device, when a media termination point is to stand in each of its calls. */
  readonly mtpRequiredBy?: string | undefined;
}

/** What joins two ends that cannot talk to each other. */
export type JoiningType = Extract<MediaResourceType, 'transcoder' | 'mtp'>;

/** Phones talk straight to each other, or something must stand between them, and why. */
export type MediaPath =
  | { readonly path: 'direct' }
  | {
      readonly path: 'through';
      readonly needs: JoiningType;
      readonly reason: string;
      /** The call can do without. */
      readonly optional: boolean;
    };

function speech(sdp: string): readonly ReturnType<typeof audioCodecs>[number][] {
  return audioCodecs(sdp).filter(isSpeechCodec);
}

/** Names of codecs that carry speech, upper case; undefined: anything. */
export function speechCodecs(end: MediaEnd): readonly string[] | undefined {
  const spoken = end.sdp === undefined ? [] : speech(end.sdp);
  // A description says what the device can do now; the configuration what it may do at all.
  if (spoken.length > 0) return [...new Set(spoken.map((codec) => codec.name.toUpperCase()))];
  return end.codecs?.map((name) => name.toUpperCase()).filter((name) => name !== 'TELEPHONE-EVENT');
}

function shareCodec(a: MediaEnd, b: MediaEnd): boolean {
  const [namesA, namesB] = [speechCodecs(a), speechCodecs(b)];
  if (namesA === undefined || namesB === undefined) return true;
  if (a.sdp !== undefined && b.sdp !== undefined && speech(a.sdp).length > 0 && speech(b.sdp).length > 0)
    return hasCommonAudioCodec(a.sdp, b.sdp);
  return namesA.some((name) => namesB.includes(name));
}

function list(names: readonly string[] | undefined): string {
  return names === undefined || names.length === 0 ? 'none' : names.join(', ');
}

function transportMismatch(a: MediaEnd, b: MediaEnd): { readonly reason: string; readonly sure: boolean } | undefined {
  const [one, other] = [transportOf(a), transportOf(b)];
  const reason = securityMismatch(one.security, other.security);
  if (reason !== undefined) return { reason, sure: true };
  if (one.family !== undefined && other.family !== undefined && one.family !== other.family)
    return { reason: `IPv${one.family} and IPv${other.family}`, sure: true };
  const presumed = securityMismatch(one.security ?? a.presumedSecurity, other.security ?? b.presumedSecurity);
  return presumed === undefined ? undefined : { reason: presumed, sure: false };
}

function transportOf({ sdp, security }: MediaEnd): {
  readonly security: MediaEnd['security'];
  readonly family: 4 | 6 | undefined;
} {
  const told = sdp === undefined ? undefined : audioTransport(sdp);
  return { security: told?.security ?? security, family: told?.family };
}

function securityMismatch(one: MediaEnd['security'], other: MediaEnd['security']): string | undefined {
  if (one === undefined || other === undefined || one === other) return undefined;
  return `encryption differs: ${one} and ${other}`;
}

/**
 * What the media path between two ends must be (claims M2, M4). No codec in common comes first: a transcoder also
 * joins different transports. An end without description or configured codecs is taken to be able to do anything.
 */
export function decideMediaPath(a: MediaEnd, b: MediaEnd): MediaPath {
  if (!shareCodec(a, b)) {
    const reason = `no common codec: ${list(speechCodecs(a))} and ${list(speechCodecs(b))}`;
    return { path: 'through', needs: 'transcoder', reason, optional: false };
  }
  const mismatch = transportMismatch(a, b);
  if (mismatch !== undefined)
    return { path: 'through', needs: 'mtp', reason: mismatch.reason, optional: !mismatch.sure };
  const requiring = a.mtpRequiredBy ?? b.mtpRequiredBy;
  if (requiring === undefined) return { path: 'direct' };
  return { path: 'through', needs: 'mtp', reason: `${requiring} requires a media termination point`, optional: true };
}
