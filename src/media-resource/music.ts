import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { audioFileKind, encodeWav, wavBytes } from './audio-file';

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

/** Written beside and renamed, since other nodes of this machine may be reading or writing the same. */
async function writeDefaultMusic(path: string): Promise<void> {
  const existing = await readFile(path).catch(() => Buffer.alloc(0));
  if (audioFileKind(existing) === 'wav' && existing.length === wavBytes(SECONDS * RATE)) return;
  const beside = `${path}.${process.pid}.part`;
  await writeFile(beside, defaultMusic(), { mode: 0o644 });
  await rename(beside, path);
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

async function convert(source: MusicSource, bytes: Buffer, directory: string, ffmpeg: string): Promise<string> {
  const from = resolve(source.file);
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  const path = join(directory, `music-${digest}.mp3`);
  const earlier = await readFile(path).catch(() => undefined);
  if (earlier !== undefined && audioFileKind(earlier) === 'mp3') return path;
  const beside = `${path}.${process.pid}.part`;
  try {
    await runFfmpeg(ffmpeg, from, beside);
    if (audioFileKind(await readFile(beside)) !== 'mp3') throw new MusicError('ffmpeg made no music of it');
    await rename(beside, path);
    return path;
  } catch (error) {
    throw new MusicError(
      `music source ${source.name}: ${from} is neither 16-bit PCM WAV nor MP3, and cannot be converted: ${describeError(error)}`,
    );
  } finally {
    await rm(beside, { force: true });
  }
}

async function prepareSource(source: MusicSource, directory: string, ffmpeg: string): Promise<string> {
  const path = resolve(source.file);
  try {
    const { size } = await stat(path);
    if (size > LARGEST_FILE_BYTES) throw new MusicError(`larger than ${LARGEST_FILE_BYTES} bytes`);
  } catch (error) {
    throw new MusicError(`music source ${source.name}: ${describeError(error)}`);
  }
  const bytes = await readFile(path);
  return audioFileKind(bytes) === undefined ? convert(source, bytes, directory, ffmpeg) : path;
}

export interface PrepareMusicOptions {
  /** Is told of each source that is refused; its listeners hear the default. Without it the promise rejects with `MusicError`. */
  readonly refused?: (error: MusicError) => void;
  /** The program that converts; default `ffmpeg`. It may be missing. */
  readonly ffmpeg?: string;
}

/**
 * The files that engines play, by name of the music: the default, made here in `directory` (which engines must be able to read),
 * and each source that is safe, or was made safe with ffmpeg. One that is not is refused.
 */
export async function prepareMusic(
  sources: readonly MusicSource[],
  directory: string,
  options: PrepareMusicOptions = {},
): Promise<Map<string, string>> {
  const home = resolve(directory);
  await mkdir(home, { recursive: true, mode: 0o755 });
  const path = join(home, 'music-on-hold.wav');
  await writeDefaultMusic(path);
  const files = new Map([[DEFAULT_MUSIC, path]]);
  for (const source of sources) {
    try {
      files.set(source.name, await prepareSource(source, home, options.ffmpeg ?? 'ffmpeg'));
    } catch (error) {
      const problem =
        error instanceof MusicError ? error : new MusicError(`music source ${source.name}: ${describeError(error)}`);
      if (options.refused === undefined) throw problem;
      options.refused(problem);
    }
  }
  return files;
}
