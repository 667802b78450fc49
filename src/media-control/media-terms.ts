import type { MediaTerms } from '../media-resource/ports';
import { audioCodecs, audioTransport, codecName, codecText, codecTextOf, isEvents, isSpeechCodec } from '../sdp';
import { isAllowed } from './codec-policy';
import type { JoiningType, MediaEnd } from './media-path';

/** What nearly every device speaks one of, best known first. */
const USUAL_CODECS = ['PCMU', 'PCMA', 'G722', 'opus/48000/2'];
/** What transcoders can be expected to make into each other. */
const TRANSCODED = new Set([...USUAL_CODECS, 'G729'].map(codecName));

function spoken(sdp: string): readonly string[] {
  const codecs = audioCodecs(sdp);
  if (!codecs.some(isSpeechCodec)) return [];
  return [
    ...new Set(
      codecs
        .filter((codec) => isSpeechCodec(codec) || isEvents(codec))
        // One name for the events of all clock rates.
        .map((codec) => (isEvents(codec) ? codec.name : codecText(codec))),
    ),
  ];
}

/** Codecs that an end is to be offered: what it has said, what is configured, or what is usual. `refused`: it said no to what we knew. */
function codecsFor(end: MediaEnd, refused: boolean): readonly string[] {
  const { policy } = end;
  const known = knownCodecs(end, refused);
  if (policy === undefined) return known;
  if (end.sdp === undefined && end.codecs === undefined)
    return [...policy.codecs.filter((name) => !isEvents(name)).map(codecTextOf), 'telephone-event'];
  const allowed = known.filter((name) => isEvents(name) || isAllowed(policy, name));
  // It may speak nothing of that.
  return allowed.every(isEvents) ? known : allowed;
}

function knownCodecs(end: MediaEnd, refused: boolean): readonly string[] {
  const told = end.sdp === undefined ? [] : spoken(end.sdp);
  if (told.length > 0) return told;
  const configured = (end.codecs ?? []).map(codecTextOf);
  if (configured.length > 0 && !refused) return configured;
  return [...new Set([...configured, ...USUAL_CODECS, 'telephone-event'])];
}

/**
 * How an end is to be spoken to through a resource of this type. What is left out is as the other end has it: a media
 * termination point changes no codecs.
 */
export function termsFor(
  type: JoiningType,
  end: MediaEnd,
  options: { readonly refused?: boolean; readonly security?: MediaEnd['security']; readonly own?: boolean } = {},
): MediaTerms {
  const told = end.sdp === undefined ? undefined : audioTransport(end.sdp);
  const security = told?.security ?? options.security ?? end.security ?? end.presumedSecurity;
  const family = told?.family ?? end.presumedFamily;
  const changes = type === 'transcoder' || options.own === true;
  return {
    ...(changes ? { codecs: codecsFor(end, options.refused === true) } : {}),
    ...(security === undefined ? {} : { security }),
    ...(family === undefined ? {} : { family }),
  };
}

/** One codec of each end that a transcoder for them must speak; an end that may speak anything asks for nothing. */
export function codecsToJoin(ends: readonly MediaEnd[]): readonly string[] {
  const wanted = ends.flatMap((end) => {
    const codecs = codecsFor(end, false).filter((name) => !isEvents(name));
    const best = codecs.find((name) => TRANSCODED.has(codecName(name))) ?? codecs[0];
    const open = end.sdp === undefined && end.codecs === undefined && end.policy === undefined;
    return best === undefined || open ? [] : [best];
  });
  return [...new Set(wanted)];
}
