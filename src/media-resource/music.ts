import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { audioFileKind, encodeWav } from './audio-file';

/** Name of the music that is played when nobody chose another. */
export const DEFAULT_MUSIC = 'default';

/** The default music is a fifth: these two tones in Hz sound together, without a break. */
export const DEFAULT_MUSIC_TONES: readonly [number, number] = [523, 784];

/** A whole number of seconds, so that whole numbers of Hz meet themselves at the seam. */
const SECONDS = 4;
/** The rate at which rtpengine plays WAV most evenly: it sends a chunk of the file at a time, and these are the shortest. */
const RATE = 48_000;
const LEVEL = 0.4;

const LARGEST_FILE_BYTES = 200 * 1024 * 1024;
const CONVERSION_MS = 120_000;

/** The two tones, swelling gently by turns so that it is not a test signal to the ear, and never less than half as loud. */
export function defaultMusic(): Buffer {
  const samples = new Float64Array(SECONDS * RATE);
  for (let index = 0; index < samples.length; index++) {
    const turn = (2 * Math.PI * index) / RATE;
    const swell = 0.75 + 0.25 * Math.sin(turn / 4);
    const counter = 0.75 - 0.25 * Math.sin(turn / 4);
    const [low, high] = DEFAULT_MUSIC_TONES;
    samples[index] = (LEVEL / 2) * (swell * Math.sin(turn * low) + counter * Math.sin(turn * high));
  }
  return encodeWav(samples, RATE);
}

export interface MusicSource {
  readonly name: string;
  readonly file: string;
}

/** A music file that no engine may be given; the message says why and what to do. */
export class MusicError extends Error {}

function describeError(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whatever the umask of this process: engines run as other users. */
const FOR_EVERYBODY = 0o644;

/** One that is there already and may be entered is left alone. Rejects with the reason why it cannot be. */
export async function prepareDirectory(directory: string): Promise<string> {
  const home = resolve(directory);
  await mkdir(home, { recursive: true });
  const { mode } = await stat(home);
  if ((mode & 0o005) !== 0o005) await chmod(home, 0o755);
  return home;
}

/** Makes it readable for engines, which run as other users, whatever the umask of this process. */
async function letEverybodyRead(path: string): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o004) === 0) await chmod(path, FOR_EVERYBODY);
}

/**
 * A file with this content. Written only when it has another: the disk may be full, or read-only. Beside and renamed, since other nodes of this
 * machine may be reading or writing the same.
 */
async function ensureFile(path: string, content: Buffer): Promise<string> {
  const existing = await readFile(path).catch(() => undefined);
  if (existing?.equals(content) === true) {
    await letEverybodyRead(path);
    return path;
  }
  const beside = `${path}.${process.pid}.part`;
  try {
    await writeFile(beside, content);
    await chmod(beside, FOR_EVERYBODY);
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true }).catch(() => undefined);
    throw new MusicError(`${path} cannot be written: ${describeError(error)}`);
  }
  return path;
}

const SILENCE_SECONDS = 0.2;
const SILENCE_RATE = 8000;

/** A short sound file without sound, in `directory`, which engines must be able to read. Resolves with its path. */
export async function prepareSilence(directory: string): Promise<string> {
  const home = await prepareDirectory(directory);
  return ensureFile(silenceIn(home), encodeWav(new Float64Array(SILENCE_SECONDS * SILENCE_RATE), SILENCE_RATE));
}

export function silenceIn(directory: string): string {
  return join(resolve(directory), 'silence.wav');
}

function runFfmpeg(ffmpeg: string, from: string, to: string): Promise<void> {
  // 16 kHz mono MP3 is what rtpengine plays most evenly and most cheaply, and it is wideband for G.722 and opus.
  const parameters = ['-nostdin', '-v', 'error', '-y', '-protocol_whitelist', 'file', '-i', `file:${from}`];
  const output = ['-vn', '-map_metadata', '-1', '-ar', '16000', '-ac', '1', '-b:a', '48k', '-f', 'mp3', `file:${to}`];
  return new Promise((done, fail) => {
    execFile(
      ffmpeg,
      [...parameters, ...output],
      { timeout: CONVERSION_MS, killSignal: 'SIGKILL' },
      (error, _out, errors) => {
        if (error === null) return done();
        const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
        fail(
          new MusicError(
            missing ? 'ffmpeg, which could convert it, is not installed' : `ffmpeg: ${errors.trim().slice(0, 300)}`,
          ),
        );
      },
    );
  });
}

/** Makes `to` with `make`, written beside and renamed, unless it is there and sound. */
async function makeOnce(to: string, make: (beside: string) => Promise<void>): Promise<string> {
  const earlier = await readFile(to).catch(() => undefined);
  if (earlier !== undefined && audioFileKind(earlier) !== undefined) {
    await letEverybodyRead(to);
    return to;
  }
  const beside = `${to}.${process.pid}.part`;
  try {
    await make(beside);
    if (audioFileKind(await readFile(beside)) === undefined) throw new MusicError('ffmpeg made no music of it');
    await chmod(beside, FOR_EVERYBODY);
    await rename(beside, to);
    return to;
  } finally {
    await rm(beside, { force: true });
  }
}

/** A file whose content never changes: its name is made of it. Who listens to one goes on listening to that, whatever becomes of the source. */
async function ownFile(source: MusicSource, bytes: Buffer, directory: string, ffmpeg: string): Promise<string> {
  const from = resolve(source.file);
  const kind = audioFileKind(bytes);
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const copy = (extension: string): Promise<string> =>
    makeOnce(join(directory, `music-${digest}.${extension}`), (beside) => writeFile(beside, bytes));
  if (kind === 'mp3') return copy(kind);
  try {
    return await makeOnce(join(directory, `music-${digest}.mp3`), (beside) => runFfmpeg(ffmpeg, from, beside));
  } catch (error) {
    // Of WAV rtpengine plays longer or shorter bursts, according to its rate: worse than MP3, but music.
    if (kind === 'wav') return copy(kind);
    throw new MusicError(
      `music source ${source.name}: ${from} is neither 16-bit PCM WAV nor MP3, and cannot be converted: ${describeError(error)}`,
    );
  }
}

/** A text that is another one when the file has changed, or is gone. */
export async function fileVersion(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found === undefined ? 'gone' : `${found.ino} ${found.size} ${found.mtimeMs}`;
}

/** Copied or converted into `directory`, with ffmpeg where that is needed. Rejects with `MusicError`. */
export async function prepareSource(source: MusicSource, directory: string, ffmpeg: string): Promise<string> {
  const path = resolve(source.file);
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE_BYTES) throw new MusicError(`larger than ${LARGEST_FILE_BYTES} bytes`);
    return await ownFile(source, await readFile(path), directory, ffmpeg);
  } catch (error) {
    if (error instanceof MusicError && error.message.startsWith('music source')) throw error;
    throw new MusicError(`music source ${source.name}: ${describeError(error)}`);
  }
}

/** The default music in `directory`, which is made, and which engines must be able to read. */
export async function prepareDefault(directory: string): Promise<string> {
  return ensureFile(defaultIn(await prepareDirectory(directory)), defaultMusic());
}

export function defaultIn(directory: string): string {
  return join(resolve(directory), 'music-on-hold.wav');
}
