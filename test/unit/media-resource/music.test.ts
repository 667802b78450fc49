import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceConfig } from '../../../src/config/types';
import { audioFileKind } from '../../../src/media-resource/audio-file';
import { DEFAULT_MUSIC_TONES, defaultMusic, type MusicSource } from '../../../src/media-resource/music';
import { chooseMusicSource } from '../../../src/media-resource/music-choice';
import { type MusicLibrary, openMusicLibrary } from '../../../src/media-resource/music-library';
import { systemClock } from '../../../src/process/clock';
import { eventually } from '../../support/eventually';
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

const refused: string[] = [];
beforeEach(() => refused.splice(0));

function open(sources: readonly MusicSource[], place: string, program = 'ffmpeg'): Promise<MusicLibrary> {
  return openMusicLibrary({
    sources,
    directory: join(directory, place),
    clock: systemClock,
    refused: (error) => refused.push(error.message),
    ffmpeg: program,
  });
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
    const path = await (await open([], 'made')).choose(undefined);
    expect(readFileSync(path).equals(defaultMusic())).toBe(true);
    const { mtimeMs } = statSync(path);
    expect(await (await open([], 'made')).choose('unheard-of')).toBe(path);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
  });
});

describe('which files an engine may be given', () => {
  test('MP3 is taken as it is, and WAV made MP3, since rtpengine plays that in an even stream', async () => {
    const wav = join(directory, 'fine.wav');
    writeFileSync(wav, encodeWav(makeTones([440], 1, 16_000)));
    const mp3 = ffmpeg('fine.mp3');
    const library = await open(
      [
        { name: 'a', file: wav },
        { name: 'b', file: mp3 },
      ],
      'plain',
    );
    const [a, b] = [await library.choose('a'), await library.choose('b')];
    expect([audioFileKind(readFileSync(a)), readFileSync(b).equals(readFileSync(mp3))]).toEqual(['mp3', true]);
    expect(refused).toEqual([]);
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
    const library = await open(sources, 'converted');
    for (const { name } of sources) {
      const file = await library.choose(name);
      expect(file).not.toBe(await library.choose(undefined));
      expect(audioFileKind(readFileSync(file))).toBe('mp3');
    }
  });

  test('a file that is no music, or is not there, is refused by name; its listeners hear the default', async () => {
    const junk = join(directory, 'junk.mp3');
    writeFileSync(junk, Buffer.alloc(50_000, 'no music at all '));
    const sources = [
      { name: 'junk', file: junk },
      { name: 'gone', file: '/nowhere/at/all.wav' },
    ];
    const library = await open(sources, 'refused');
    expect(refused).toEqual([expect.stringContaining('junk'), expect.stringContaining('gone')]);
    const byDefault = await library.choose(undefined);
    expect([await library.choose('junk'), await library.choose('gone')]).toEqual([byDefault, byDefault]);
    // Told once, not at every hold.
    expect(refused).toHaveLength(2);
  });

  test('without ffmpeg WAV is played as it is, and a file that needs ffmpeg is refused and says so', async () => {
    const vorbis = ffmpeg('again.ogg', '-c:a', 'libvorbis');
    const wav = join(directory, 'plain.wav');
    writeFileSync(wav, encodeWav(makeTones([440], 1, 8000)));
    const sources = [
      { name: 'x', file: vorbis },
      { name: 'y', file: wav },
    ];
    const library = await open(sources, 'without', join(directory, 'nothing'));
    expect(refused).toEqual([expect.stringContaining('ffmpeg, which could convert it, is not installed')]);
    expect(readFileSync(await library.choose('y')).equals(readFileSync(wav))).toBe(true);
  });

  test.each(['', 'RIFF', 'RIFF\0\0\0\0WAVEfmt ', 'ID3', '\xff\xfb', 'OggS'])('bytes that are nothing: %j', (text) => {
    expect(audioFileKind(Buffer.from(text, 'latin1'))).toBeUndefined();
    expect(audioFileKind(Buffer.concat([Buffer.from(text, 'latin1'), Buffer.alloc(4000)]))).toBeUndefined();
  });
});

describe('a music file that changes', () => {
  function tone(hz: number): Buffer {
    return readFileSync(ffmpegTone(hz));
  }

  function ffmpegTone(hz: number): string {
    const path = join(directory, `tone-${hz}.mp3`);
    const input = join(directory, `tone-${hz}.wav`);
    writeFileSync(input, encodeWav(makeTones([hz], 2)));
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', input, path]);
    return path;
  }

  test('is heard at the next hold; who listens goes on with the file that was', async () => {
    const file = join(directory, 'changing.mp3');
    writeFileSync(file, tone(440));
    const library = await open([{ name: 'x', file }], 'changing');
    const before = await library.choose('x');
    expect(await library.choose('x')).toBe(before);
    writeFileSync(file, tone(700));
    const after = await eventually(
      'the new file is taken',
      () => library.choose('x'),
      (path) => path !== before,
    );
    expect(readFileSync(after).equals(tone(700))).toBe(true);
    expect(readFileSync(before).equals(tone(440))).toBe(true);
    // Nobody can listen to what was there before the start.
    const again = await open([{ name: 'x', file }], 'changing');
    expect(await again.choose('x')).toBe(after);
    expect(existsSync(before)).toBe(false);
  });

  test('into something that is no music: told once, and what there was goes on', async () => {
    const file = join(directory, 'broken.mp3');
    writeFileSync(file, tone(440));
    const library = await open([{ name: 'x', file }], 'breaking');
    const before = await library.choose('x');
    writeFileSync(file, 'no music');
    await eventually(
      'it is told',
      async () => (await library.choose('x')) === before && refused.length,
      (count) => count === 1,
    );
    expect(await library.choose('x')).toBe(before);
    rmSync(file);
    await eventually(
      'it is told',
      async () => (await library.choose('x')) === before && refused.length,
      (count) => count === 2,
    );
    writeFileSync(file, tone(700));
    await eventually(
      'it is music again',
      () => library.choose('x'),
      (path) => path !== before,
    );
  });

  test('does not keep an allocation waiting while it is converted', async () => {
    const file = join(directory, 'slow.ogg');
    const slow = join(directory, 'slow-ffmpeg');
    writeFileSync(file, tone(440));
    const library = await open([{ name: 'x', file }], 'slow', slow);
    const before = await library.choose('x');
    writeFileSync(slow, '#!/bin/sh\nsleep 2\nexec ffmpeg "$@"\n', { mode: 0o755 });
    writeFileSync(file, readFileSync(ffmpeg('new.ogg', '-c:a', 'libvorbis')));
    expect(await library.choose('x')).toBe(before);
    await eventually(
      'it is converted',
      () => library.choose('x'),
      (path) => path !== before,
    );
  });
});

const deviceDefaults: Omit<DeviceConfig, 'name' | 'lines' | 'site' | 'musicSource'> = {
  username: 'x',
  password: 'x',
  displayName: undefined,
  mediaResourceGroupList: undefined,
  userClass: undefined,
  codecs: undefined,
  mtpRequired: false,
  digest: ['MD5'],
  mac: undefined,
  acceptListFromDevice: false,
};

describe('which music', () => {
  const jazz = { name: 'jazz', file: '/jazz.mp3', lines: ['1000'] };
  const of = (name: string, line: string, site: string | undefined, musicSource?: string): DeviceConfig => ({
    ...deviceDefaults,
    name,
    lines: [line],
    site,
    musicSource,
  });
  const config = {
    musicSources: [jazz],
    sites: { dallas: { mediaResourceGroupList: undefined, codecs: undefined, musicSource: 'rock', nodes: [] } },
    devices: [
      of('alice', '1000', 'dallas', 'folk'),
      of('bob', '1001', 'dallas', 'folk'),
      of('carol', '1002', 'dallas'),
      of('dave', '2000', undefined),
    ],
  };

  test.each<[title: string, device: string, number: string, music: string | undefined, site?: string]>([
    ['the line comes first', 'alice', '1000', 'jazz'],
    ['then the device', 'bob', '1001', 'folk'],
    ['then its site', 'carol', '1002', 'rock'],
    ['then the default', 'dave', '2000', undefined],
    ['a number says nothing of the device', 'dave', '1001', undefined],
    ['a stranger has that of the site of the gateway', 'pstn', '5551234', 'rock', 'dallas'],
    ['a stranger of no site has the default', 'pstn', '5551234', undefined],
  ])('%s', (_title, device, number, music, site = config.devices.find(({ name }) => name === device)?.site) => {
    expect(chooseMusicSource(config, { device, number, ...(site === undefined ? {} : { site }) })).toBe(music);
  });
});
