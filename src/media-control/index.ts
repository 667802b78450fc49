/** The media path of a call: direct, or what must stand in it. */
export { decideMediaPath } from './media-path';
export type { MediaEnd, MediaPath } from './media-path';
