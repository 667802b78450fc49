import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { audioFileKind } from '../../../src/media-resource/audio-file';
import {
  DEFAULT_MUSIC,
  DEFAULT_MUSIC_TONES,
  defaultMusic,
  MusicError,
  prepareMusic,
} from '../../../src/media-resource/music';
import { Scope } from '../../support/scope';
import { encodeWav, hearsTones, makeTones, readWav, rms } from '../../support/sound';

const scope = new Scope();
afterAll(() => scope.close());
const directory = scope.directory('music-test');

function ffmpeg(name: string, ...codec: string[]): string {
  const input = join(directory, 'input.wav');
  writeFileSync(input, encodeWav(makeTones([440], 2)));
  const path = join(directory, name);
  execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', input, ...codec, path]);
  return path;
}

describe('the default music', () => {
  test('it is its two tones, continuous: no 50 ms of it are silent', () => {
    const path = join(directory, 'default.wav');
    writeFileSync(path, defaultMusic());
    const sound = readWav(path);
    expect(hearsTones(sound, DEFAULT_MUSIC_TONES)).toBe(true);
    const block = sound.rate * 0.05;
    let quietest = 1;
    for (let start = 0; start + block <= sound.samples.length; start += block)
      quietest = Math.min(quietest, rms(sound.samples.subarray(start, start + block)));
    expect(quietest).toBeGreaterThan(0.05);
  });

  test('the seam of its loop is no louder a step than any other', () => {
    const path = join(directory, 'default.wav');
    const { samples } = readWav(path);
    let step = 0;
    for (let i = 1; i < samples.length; i++) step = Math.max(step, Math.abs(samples[i]! - samples[i - 1]!));
    expect(Math.abs(samples[0]! - samples.at(-1)!)).toBeLessThanOrEqual(step);
  });

  test('it is made where it is wanted, and made once', async () => {
    const place = join(directory, 'made');
    const files = await prepareMusic([], place);
    expect(readFileSync(files.get(DEFAULT_MUSIC)!).equals(defaultMusic())).toBe(true);
    expect(await prepareMusic([], place)).toEqual(files);
  });
});

describe('which files an engine may be given', () => {
  test('16-bit WAV and MP3 are handed on as they are', async () => {
    const wav = join(directory, 'fine.wav');
    writeFileSync(wav, encodeWav(makeTones([440], 1, 16_000)));
    const mp3 = ffmpeg('fine.mp3');
    const sources = [
      { name: 'a', file: wav },
      { name: 'b', file: mp3 },
    ];
    const files = await prepareMusic(sources, join(directory, 'plain'));
    expect([files.get('a'), files.get('b')]).toEqual([wav, mp3]);
  });

  test('Ogg Vorbis, which kills rtpengine, and what comes out silent are converted, whatever their names', async () => {
    const sources = [
      { name: 'vorbis', file: ffmpeg('music.ogg', '-c:a', 'libvorbis') },
      { name: 'flac', file: ffmpeg('music.flac') },
      { name: 'wide', file: ffmpeg('wide.wav', '-c:a', 'pcm_s24le') },
    ];
    writeFileSync(join(directory, 'disguised.mp3'), readFileSync(sources[0]!.file));
    sources.push({ name: 'disguised', file: join(directory, 'disguised.mp3') });
    for (const { file } of sources) expect(audioFileKind(readFileSync(file))).toBeUndefined();
    const files = await prepareMusic(sources, join(directory, 'converted'));
    for (const { name, file } of sources) {
      expect(files.get(name)).not.toBe(file);
      expect(audioFileKind(readFileSync(files.get(name)!))).toBe('mp3');
    }
  });

  test('a file that is no music, or is not there, is refused by name; the others stay', async () => {
    const junk = join(directory, 'junk.mp3');
    writeFileSync(junk, Buffer.alloc(50_000, 'no music at all '));
    const refused: string[] = [];
    const sources = [
      { name: 'junk', file: junk },
      { name: 'gone', file: '/nowhere/at/all.wav' },
    ];
    const files = await prepareMusic(sources, join(directory, 'refused'), {
      refused: (error) => refused.push(error.message),
    });
    expect([...files.keys()]).toEqual([DEFAULT_MUSIC]);
    expect(refused).toEqual([expect.stringContaining('junk'), expect.stringContaining('gone')]);
    await expect(prepareMusic(sources, join(directory, 'refused'))).rejects.toThrow(MusicError);
  });

  test('without ffmpeg a file that needs it is refused and says so', async () => {
    const file = ffmpeg('again.ogg', '-c:a', 'libvorbis');
    const without = prepareMusic([{ name: 'x', file }], join(directory, 'without'), {
      ffmpeg: join(directory, 'nothing'),
    });
    await expect(without).rejects.toThrow('ffmpeg, which could convert it, is not installed');
  });

  test.each(['', 'RIFF', 'RIFF\0\0\0\0WAVEfmt ', 'ID3', '\xff\xfb', 'OggS'])('bytes that are nothing: %j', (text) => {
    expect(audioFileKind(Buffer.from(text, 'latin1'))).toBeUndefined();
    expect(audioFileKind(Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(4000)]))).toBeUndefined();
  });
});
