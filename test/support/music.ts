import { DEFAULT_MUSIC_TONES } from '../../src/media-resource/music';

/** Hz; the two tones of the music that a held party hears. */
export const musicTones: readonly number[] = DEFAULT_MUSIC_TONES;
