import { familyOf, sameHost } from '../process/address';
import { isPrivateAddress } from './address';
import { audioStreams } from './agreed';
import { readDescription } from './description';
import { isDtls, isSdes } from './blackhole';
import { hasName, isActive, isAudio, mediaLineOf, splitSdp, textOf } from './lines';

/** How the first audio stream that is not removed travels. */
export interface AudioTransport {
  readonly security: 'none' | 'sdes' | 'dtls';
  /** RTCP feedback (RFC 4585): a profile that ends in F. */
  readonly feedback: boolean;
  /** Of its address (RFC 4566 §5.7); an IPv4-mapped one counts as IPv4. */
  readonly family: 4 | 6;
  /** As it stands there; empty: there is none. */
  readonly address: string;
  readonly ice: boolean;
}

/** Undefined: there is no audio stream. A host name counts as IPv4. */
export function audioTransport(sdp: string): AudioTransport | undefined {
  const view = readDescription(sdp);
  const { session, media } = splitSdp(sdp);
  const index = media.findIndex((section) => isAudio(section) && isActive(section));
  const section = media[index];
  if (section === undefined) return undefined;
  const address = view.streams[index]?.address ?? view.address ?? '';
  const secure = isDtls(section) ? 'dtls' : isSdes(section) ? 'sdes' : 'none';
  return {
    security: secure,
    feedback: /F$/i.test(mediaLineOf(section)?.protocol ?? ''),
    family: familyOf(address),
    address,
    ice: [...session, ...section.lines].some((line) => hasName(line, 'a=ice-ufrag')),
  };
}

/**
 * True: media of who has sent this description cannot be reached at its address: it is a private one, and the signalling comes from another
 * (`source`). With ICE the peers find that out by themselves.
 */
export function isBehindNat(sdp: string, source: string): boolean {
  return audioStreams(sdp).some((stream) => {
    const { address = '', ice = false } = audioTransport(stream) ?? {};
    return !ice && isPrivateAddress(address) && !sameHost(address, source);
  });
}

const SECRETS = ['crypto', 'fingerprint', 'ice-ufrag', 'ice-pwd'];

/** Address, port and secrets of the first audio stream that is not removed; undefined: there is none. */
function audioEnd(sdp: string): { readonly place: string; readonly secrets: readonly string[] } | undefined {
  const view = readDescription(sdp);
  const { session, media } = splitSdp(sdp);
  const index = media.findIndex((section) => isAudio(section) && isActive(section));
  const section = media[index];
  if (section === undefined) return undefined;
  const secrets = [...session, ...section.lines].filter((line) => SECRETS.some((name) => hasName(line, `a=${name}`)));
  return {
    place: `${view.streams[index]?.address ?? view.address ?? ''} ${mediaLineOf(section)?.port ?? 0}`,
    // The tag of a key is that of the offer which it accepts (RFC 4568 §5.1.2).
    secrets: secrets.map((line) => textOf(line).replace(/^a=crypto:\d+ /, '')),
  };
}

/** Whether who knows the first description finds, and understands, the audio of the second one. */
export function hasSameTransport(known: string, next: string): boolean {
  const [before, after] = [audioEnd(known), audioEnd(next)];
  if (before === undefined || after === undefined) return before === after;
  return before.place === after.place && after.secrets.every((line) => before.secrets.includes(line));
}
