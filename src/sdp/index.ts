/** Session descriptions (RFC 4566) in the offer/answer model (RFC 3264). Pure; text from the network goes in, nothing is thrown. */
export { descriptionFault, isSdp } from './description';
export { effectiveDirection, holds, mirrored, narrowed, receives, sends, withDirection } from './direction';
export type { Direction } from './direction';
export { audioCodecs, hasCommonAudioCodec, restrictCodecs } from './codecs';
export {
  codecName,
  codecText,
  codecTextOf,
  isEvents,
  isSpeechCodec,
  namesCodec,
  namesSameCodec,
  sameCodec,
} from './codec-equality';
export type { Codec } from './codec-equality';
export type { AudioCodec } from './codecs';
export { withCanonicalCodecs, withOwnNumbers, withPayloadTypes } from './payload-types';
export { isSourceLearned, withoutSource, withPlainAddresses, withSourceLearned } from './media-source';
export { sameSession, unchanged, withOrigin, withOriginOf } from './origin';
export type { Origin } from './origin';
export { agreedPart, audioStreams, offeredAgain, withOneAudioStream, withoutFurtherAudio } from './agreed';
export { withBundleOfOne } from './bundle';
export { withUnknownAddressExplained } from './unknown-address';
export { alignAnswer, alignMediaLines, audioOnly, inactiveAnswer, inactiveOffer, mediaLineCount } from './offer-answer';
export type { InactiveAnswerOptions } from './offer-answer';
export { addressPair, mainFamily } from './address';
export type { AddressPair } from './address';
export { audioTransport, hasSameTransport, isBehindNat } from './transport';
export type { AudioTransport } from './transport';
