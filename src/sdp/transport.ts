import { readDescription } from './description';
import { isDtls, isSdes } from './blackhole';
import { hasName, isActive, isAudio, mediaLineOf, splitSdp } from './lines';

/** How the first audio stream that is not removed travels. */
export interface AudioTransport {
  readonly security: 'none' | 'sdes' | 'dtls';
  /** RTCP feedback (RFC 4585): a profile that ends in F. */
  readonly feedback: boolean;
  readonly family: 4 | 6;
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
    family: address.includes(':') ? 6 : 4,
    ice: [...session, ...section.lines].some((line) => hasName(line, 'a=ice-ufrag')),
  };
}
