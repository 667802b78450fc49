import type { MediaResourceType } from '../media-resource/ports';
import {
  audioCodecs,
  audioStreams,
  audioTransport,
  codecName,
  hasCommonAudioCodec,
  isSpeechCodec,
  withOneAudioStream,
} from '../sdp';
import { type CodecPolicy, isAllowed, narrowed, policyText } from './codec-policy';

/** One end of a call, as far as media is concerned. */
export interface MediaEnd {
  /** For explanations. */
  readonly name?: string | undefined;
  /** What the device has said that it can do, once it has. */
  readonly sdp: string | undefined;
  /** Codec names as configured for the device or its site; undefined: anything. */
  readonly codecs: readonly string[] | undefined;
  /** What is known without a description; undefined: nothing. */
  readonly security?: 'none' | 'sdes' | 'dtls' | undefined;
  /** What is likely, and no more. */
  readonly presumedSecurity?: 'none' | 'sdes' | 'dtls' | undefined;
  readonly presumedFamily?: 4 | 6 | undefined;
  /** Name of the device, when a media termination point is to stand in each of its calls. */
  readonly mtpRequiredBy?: string | undefined;
  /** What it may be offered, when a codec policy narrows that. */
  readonly policy?: CodecPolicy | undefined;
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
      /** The end that speaks nothing of what a codec policy allows: the resource should be near it. */
      readonly outside?: 'a' | 'b';
    };

function speech(sdp: string): readonly ReturnType<typeof audioCodecs>[number][] {
  return audioCodecs(sdp).filter(isSpeechCodec);
}

/** Names of codecs that carry speech, upper case; undefined: anything. */
export function speechCodecs(end: MediaEnd): readonly string[] | undefined {
  const spoken = end.sdp === undefined ? [] : speech(end.sdp);
  // A description says what the device can do now; the configuration what it may do at all.
  if (spoken.length > 0) return [...new Set(spoken.map(({ name }) => codecName(name)))];
  return end.codecs === undefined ? undefined : [...new Set(end.codecs.filter(isSpeechCodec).map(codecName))];
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
  const families = [one.family ?? a.presumedFamily, other.family ?? b.presumedFamily];
  if (families[0] !== undefined && families[1] !== undefined && families[0] !== families[1])
    return {
      reason: `IPv${families[0]} and IPv${families[1]}`,
      sure: one.family !== undefined && other.family !== undefined,
    };
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

/** The end as the policy lets the other one know it. */
function within(end: MediaEnd, policy: CodecPolicy): MediaEnd {
  const codecs = (end.codecs ?? policy.codecs).filter((name) => isAllowed(policy, name));
  return { ...end, sdp: end.sdp === undefined ? undefined : narrowed(end.sdp, policy), codecs };
}

function throughPolicy(a: MediaEnd, b: MediaEnd, policy: CodecPolicy): MediaPath | undefined {
  const outside = ([a, b] as const).findIndex(
    (end) => speechCodecs(end)?.every((name) => !isAllowed(policy, name)) === true,
  );
  const end = [a, b][outside];
  // Without a codec in common the policy is not what parts them.
  if (end === undefined && (!shareCodec(a, b) || shareCodec(within(a, policy), within(b, policy)))) return undefined;
  const spoken = (which: MediaEnd): string => `${which.name ?? 'one end'} speaks ${list(speechCodecs(which))}`;
  const lacking = end === undefined ? [a, b].map(spoken).join(', ') : spoken(end);
  const reason = `${policyText(policy)}; ${lacking}`;
  const near = end === undefined ? {} : { outside: outside === 0 ? ('a' as const) : ('b' as const) };
  return { path: 'through', needs: 'transcoder', reason, optional: false, ...near };
}

/** The end as each of the audio streams that it describes makes it. */
function choicesOf(end: MediaEnd): readonly MediaEnd[] {
  const streams = end.sdp === undefined ? [] : audioStreams(end.sdp);
  return streams.length < 2 ? [end] : streams.map((sdp) => ({ ...end, sdp }));
}

function withOneStream(end: MediaEnd): MediaEnd {
  return end.sdp === undefined ? end : { ...end, sdp: withOneAudioStream(end.sdp) };
}

/**
 * What the media path between two ends must be (claims M2, M4). No codec in common comes first: a transcoder also
 * joins different transports. An end without description or configured codecs is taken to be able to do anything, or
 * anything that the codec policy between the ends allows. Of several audio streams one that needs nothing will do; else one is joined.
 */
export function decideMediaPath(a: MediaEnd, b: MediaEnd, policy?: CodecPolicy): MediaPath {
  const others = choicesOf(b);
  const direct = choicesOf(a)
    .flatMap((one) => others.map((other) => pathBetween(one, other, policy)))
    .find(({ path }) => path === 'direct');
  return direct ?? pathBetween(withOneStream(a), withOneStream(b), policy);
}

function pathBetween(a: MediaEnd, b: MediaEnd, policy: CodecPolicy | undefined): MediaPath {
  const transcoded = policy === undefined ? undefined : throughPolicy(a, b, policy);
  if (transcoded !== undefined) return transcoded;
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
