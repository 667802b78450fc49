import {
  type AudioCodec,
  audioCodecs,
  audioTransport,
  isEvents,
  isSourceLearned,
  isSpeechCodec,
  namesCodec,
  withCanonicalCodecs,
  withUnknownAddressExplained,
  withoutSource,
} from '../../sdp';
import type { MediaTerms } from '../ports';

/** Parameters of the ng protocol, beside those that name the session and its ends. */
export type Parameters = Readonly<Record<string, unknown>>;

/**
 * Suites that rtpengine would offer and nobody should want: without encryption, without use, or so many that the offer
 * outgrows a datagram of SIP. What is left are AES-GCM and AES in counter mode with 128 and 256 bits (RFC 4568, 6188, 7714).
 */
export const UNWANTED_SUITES: readonly string[] = [
  'F8_128_HMAC_SHA1_80',
  'F8_128_HMAC_SHA1_32',
  'NULL_HMAC_SHA1_80',
  'NULL_HMAC_SHA1_32',
  'AES_192_CM_HMAC_SHA1_80',
  'AES_192_CM_HMAC_SHA1_32',
].map((suite) => `no-${suite}`);

/** Nothing is taken from, and nothing sent to, any other address than the description has. */
const AS_DESCRIBED: readonly string[] = ['endpoint-learning-off', 'strict-source'];
/**
 * Learned from the first packet that comes in, and from then on as strict. The other ways of rtpengine 10.5 learn for 3 s, in which the last packet
 * counts ("heuristic" too, since it forgets the better match with the next packet).
 */
const LEARNED_ONCE: readonly string[] = ['endpoint-learning-immediate', 'strict-source'];
/**
 * With ICE the address is what its checks found, for which the peer showed its password. The peer may send from any valid pair, and go over to another
 * one whenever it likes (RFC 8445 §12.2), which rtpengine does not follow. What tells its packets from others are then its keys.
 */
const BY_ICE: readonly string[] = ['endpoint-learning-off'];

/**
 * Whose packets count as those of the sender of `sdp`. Without these flags rtpengine sends to, and relays, whoever speaks at the port: for as long as
 * the device itself is silent, strangers take what it should hear.
 */
export function sourceFlags(sdp: string): readonly string[] {
  if (isSourceLearned(sdp)) return LEARNED_ONCE;
  const transport = audioTransport(sdp);
  return transport?.ice === true && transport.security !== 'none' ? BY_ICE : AS_DESCRIBED;
}

/**
 * Of an offer to an end that has not spoken yet: until its answer everybody's packets count as its own, so none are let through. Of an answer: all
 * may flow.
 */
export const CLOSED: Parameters = { 'drop-traffic': 'start' };
export const OPEN: Parameters = { 'drop-traffic': 'stop' };

/**
 * A description as rtpengine is given it: without what is said to it in flags, with codecs under the names that it knows, and so that it takes
 * 0.0.0.0 for a hold only where that is one (RFC 8839 §4.3.1).
 */
export function forRtpengine(sdp: string): string {
  return withUnknownAddressExplained(withCanonicalCodecs(withoutSource(sdp)));
}

const KEEP_PORTS = 'port-latching';
/** `full-rtcp-attribute`: an `a=rtcp` without an address breaks some parsers of WebRTC; BUNDLE needs `a=mid`. */
const WEB_FLAGS = [KEEP_PORTS, 'generate-mid', 'full-rtcp-attribute'];

/** As `MediaTerms`; codecs left out: as they come. */
export type OfferTerms = { readonly [Key in keyof MediaTerms]: MediaTerms[Key] | undefined };

type Security = NonNullable<MediaTerms['security']>;

function profileFor(security: Security, feedback: boolean): string {
  if (security === 'dtls') return 'UDP/TLS/RTP/SAVPF';
  return `RTP/${security === 'sdes' ? 'S' : ''}AVP${feedback ? 'F' : ''}`;
}

/** How the offer `sdp` is made for an end that is spoken to like this. */
export function transportParameters(sdp: string, security: Security, feedback: boolean, family: 4 | 6): Parameters {
  const source = sourceFlags(sdp);
  const common = {
    'transport-protocol': profileFor(security, feedback),
    'address-family': family === 6 ? 'IP6' : 'IP4',
  };
  if (security === 'dtls')
    return { ...common, ICE: 'force', 'rtcp-mux': ['require'], SDES: ['off'], flags: [...WEB_FLAGS, ...source] };
  return {
    ...common,
    ICE: 'remove',
    DTLS: 'off',
    'rtcp-mux': ['demux'],
    flags: [KEEP_PORTS, 'strip-extmap', 'trust-address', ...source],
    // Some phones do not take keys without the padding of their base64 (RFC 4568 §6.1 leaves it open).
    ...(security === 'sdes' ? { SDES: [...UNWANTED_SUITES, 'pad'] } : {}),
  };
}

/**
 * Which codecs the other end is offered. Those that both ends have are passed on, and the others made into each other. Digits
 * (RFC 4733) of an end whose partner has none become tones, and its tones become events.
 */
function codecParameters(wanted: readonly string[] | undefined, offered: readonly AudioCodec[]): Parameters {
  if (wanted === undefined) return {};
  const speech = wanted.filter((name) => !isEvents(name));
  const events = wanted.some(isEvents);
  const tonesOnly = !events && offered.some(isEvents);
  return {
    codec: {
      mask: ['all'],
      // One name for all clock rates: there is one event format for each rate of the codecs.
      transcode: [...speech, ...(events ? ['telephone-event'] : [])],
      ...(tonesOnly ? { accept: ['telephone-event'] } : {}),
    },
  };
}

/** Parameters of an offer made of `sdp` for an end with these terms; what the terms leave open is as in `sdp`. */
export function offerParameters(sdp: string, terms: OfferTerms): Parameters {
  const transport = audioTransport(sdp);
  const security = terms.security ?? transport?.security ?? 'none';
  const feedback =
    (terms.security === undefined || terms.security === transport?.security) && transport?.feedback === true;
  const family = terms.family ?? transport?.family ?? 4;
  return {
    ...transportParameters(sdp, security, feedback, family),
    ...codecParameters(terms.codecs, audioCodecs(sdp)),
  };
}

/** Parameters of the answer `sdp` for an end that offered `offer`: rtpengine answers with the transport that it was offered. */
export function answerParameters(sdp: string, offer: string | undefined): Parameters {
  const security = offer === undefined ? undefined : audioTransport(offer)?.security;
  return { flags: [...(security === 'dtls' ? WEB_FLAGS : [KEEP_PORTS]), ...sourceFlags(sdp)], ...OPEN };
}

/** Undefined: at least one of the wanted codecs for speech is offered. Otherwise their names. */
export function missingCodecs(wanted: readonly string[] | undefined, offer: string): readonly string[] | undefined {
  const speech = (wanted ?? []).filter((name) => !isEvents(name));
  if (speech.length === 0) return undefined;
  const offered = audioCodecs(offer).filter(isSpeechCodec);
  return speech.some((name) => offered.some((codec) => namesCodec(name, codec))) ? undefined : speech;
}
