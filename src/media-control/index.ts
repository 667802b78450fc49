/** The media path of a call: direct, or what must stand in it; and music for held parties. */
export { createMediaControl } from './media-control';
export type { HeldMusic, HoldMusicResult, MediaControl } from './media-control';
export { decideMediaPath } from './media-path';
export type { MediaEnd, MediaPath } from './media-path';
