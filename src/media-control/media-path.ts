import { audioCodecs, audioTransport, hasCommonAudioCodec, isSpeechCodec } from '../sdp';

/** One end of a call, as far as media is concerned. */
export interface MediaEnd {
  /** The device's last description, once there is one. */
  readonly sdp: string | undefined;
  /** Codec names as configured for the device or its site; undefined: anything. */
  readonly codecs: readonly string[] | undefined;
}

/** Phones talk straight to each other, or something must stand between them, and why. */
export type MediaPath =
  | { readonly path: 'direct' }
  | { readonly path: 'impossible'; readonly needs: 'transcoder' | 'mtp'; readonly reason: string };

/** Names of codecs that carry speech, upper case; undefined: anything. */
function codecNames(end: MediaEnd): readonly string[] | undefined {
  const spoken = end.sdp === undefined ? [] : audioCodecs(end.sdp).filter(isSpeechCodec);
  // A description says what the device can do now; the configuration what it may do at all.
  if (spoken.length > 0) return spoken.map((codec) => codec.name.toUpperCase());
  return end.codecs?.map((name) => name.toUpperCase()).filter((name) => name !== 'TELEPHONE-EVENT');
}

function shareCodec(a: MediaEnd, b: MediaEnd): boolean {
  const [namesA, namesB] = [codecNames(a), codecNames(b)];
  if (namesA === undefined || namesB === undefined) return true;
  if (a.sdp !== undefined && b.sdp !== undefined && audioCodecs(a.sdp).length > 0 && audioCodecs(b.sdp).length > 0)
    return hasCommonAudioCodec(a.sdp, b.sdp);
  return namesA.some((name) => namesB.includes(name));
}

function list(names: readonly string[] | undefined): string {
  return names === undefined || names.length === 0 ? 'none' : [...new Set(names)].join(', ');
}

function transportMismatch(a: MediaEnd, b: MediaEnd): string | undefined {
  if (a.sdp === undefined || b.sdp === undefined) return undefined;
  const [one, other] = [audioTransport(a.sdp), audioTransport(b.sdp)];
  if (one === undefined || other === undefined) return undefined;
  if (one.security !== other.security) return `encryption differs: ${one.security} and ${other.security}`;
  if (one.family !== other.family) return `IPv${one.family} and IPv${other.family}`;
  return undefined;
}

/**
 * What the media path between two ends must be (claims M2, M4). No codec in common comes first: a transcoder also
 * joins different transports. An end without description or configured codecs is taken to be able to do anything.
 */
export function decideMediaPath(a: MediaEnd, b: MediaEnd): MediaPath {
  if (!shareCodec(a, b)) {
    const reason = `no common codec: ${list(codecNames(a))} and ${list(codecNames(b))}`;
    return { path: 'impossible', needs: 'transcoder', reason };
  }
  const mismatch = transportMismatch(a, b);
  return mismatch === undefined ? { path: 'direct' } : { path: 'impossible', needs: 'mtp', reason: mismatch };
}
