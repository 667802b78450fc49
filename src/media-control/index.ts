/** The media path of a call: direct, or what must stand in it. */
export { chooseCodecPolicy, narrowed } from './codec-policy';
export type { CodecPolicy, PolicyParty } from './codec-policy';
export { decideMediaPath, speechCodecs } from './media-path';
export type { JoiningType, MediaEnd, MediaPath } from './media-path';
export { codecsToJoin, termsFor } from './media-terms';
