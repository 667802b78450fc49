import { chmod, mkdir, mkdtemp, readdir, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DEFAULT_MUSIC, MusicError, prepareDefault, prepareSilence } from '../../../src/media-resource/music';
import { openMusicLibrary } from '../../../src/media-resource/music-library';
import { SimulatedClock } from '../../../src/process/clock';

let directory: string;
let umask: number;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'music-files-'));
  umask = process.umask(0o022);
});
afterEach(async () => {
  process.umask(umask);
  await rm(directory, { recursive: true, force: true });
});

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

/** What stands in the way of writing; a full disk gives other codes in the same places. */
async function obstructed(): Promise<string> {
  const place = join(directory, 'a-file');
  await prepareSilence(directory);
  // A folder below a file can neither be made nor written to, by no user at all.
  return join(place, '..', 'silence.wav', 'music');
}

describe('files for engines that run as other users', () => {
  test.each([0o077, 0o027, 0o022])('can be read by everybody under umask %o', async (mask) => {
    process.umask(mask);
    const home = join(directory, 'music');
    const files = [await prepareDefault(home), await prepareSilence(home)];
    expect(await modeOf(home)).toBe(0o755);
    for (const file of files) expect(await modeOf(file)).toBe(0o644);
  });

  test('of an earlier start are opened too', async () => {
    const home = join(directory, 'music');
    await mkdir(home, { mode: 0o700 });
    const file = await prepareDefault(home);
    await chmod(file, 0o600);
    await chmod(home, 0o700);
    await prepareDefault(home);
    expect([await modeOf(home), await modeOf(file)]).toEqual([0o755, 0o644]);
  });

  test('are written once: a second start changes nothing on the disk', async () => {
    const long = new Date(Date.now() - 1_000_000);
    const files = [await prepareDefault(directory), await prepareSilence(directory)];
    for (const file of files) await utimes(file, long, long);
    await prepareDefault(directory);
    await prepareSilence(directory);
    for (const file of files) expect((await stat(file)).mtimeMs).toBeCloseTo(long.getTime(), 0);
    expect((await readdir(directory)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('that cannot be written are told with a reason, and the library goes on', async () => {
    const refused: MusicError[] = [];
    const place = await obstructed();
    const library = await openMusicLibrary({
      sources: [],
      directory: place,
      clock: new SimulatedClock(),
      refused: (error) => refused.push(error),
    });
    expect(refused.map(({ message }) => message)).toEqual([expect.stringMatching(/^the default music: .*ENOTDIR/)]);
    expect(await library.choose(DEFAULT_MUSIC)).toBe(join(place, 'music-on-hold.wav'));
    await expect(prepareSilence(place)).rejects.toThrow('ENOTDIR');
  });
});
