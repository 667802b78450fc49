import { readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../process/clock';
import {
  DEFAULT_MUSIC,
  defaultIn,
  fileVersion,
  MusicError,
  type MusicSource,
  prepareDefault,
  prepareSource,
} from './music';

/** How long an allocation waits for a file that has changed. What takes longer is heard at the hold after. */
export const CHANGE_WAIT_MS = 250;

export interface MusicLibraryOptions {
  readonly sources: readonly MusicSource[];
  /** Where the files that engines play are kept; engines must be able to read it. Nothing else may be in it. */
  readonly directory: string;
  readonly clock: Clock;
  /** Is told of each source that cannot be used, at the start or after a change. Listeners hear what there was before, or the default. */
  readonly refused: (error: MusicError) => void;
  /** The program that converts; default `ffmpeg`. It may be missing. */
  readonly ffmpeg?: string;
}

/** Names of music, and the file that is played for each now. */
export interface MusicLibrary {
  /** The file of this music, or of the default where there is none. Sees whether the source has changed. Never rejects. */
  choose(name: string | undefined): Promise<string>;
}

interface Shelf {
  readonly source: MusicSource;
  /** Undefined: there is none that can be played. */
  file: string | undefined;
  /** Of the source, when it was looked at; undefined: it is to be looked at. */
  version: string | undefined;
  /** A change that is being prepared. */
  work: Promise<void> | undefined;
}

class Library implements MusicLibrary {
  private readonly shelves: ReadonlyMap<string, Shelf>;

  constructor(
    private readonly options: MusicLibraryOptions,
    private readonly directory: string,
    private readonly byDefault: string,
  ) {
    this.shelves = new Map(
      options.sources.map((source) => [source.name, { source, file: undefined, version: undefined, work: undefined }]),
    );
  }

  async prepare(): Promise<void> {
    for (const shelf of this.shelves.values()) await this.update(shelf);
    const wanted = new Set([this.byDefault, ...[...this.shelves.values()].flatMap(({ file }) => file ?? [])]);
    for (const name of await readdir(this.directory).catch(() => [])) {
      const path = join(this.directory, name);
      if (/^music-[0-9a-f]{16}\.(mp3|wav)$/.test(name) && !wanted.has(path)) await rm(path, { force: true });
    }
  }

  async choose(name: string | undefined): Promise<string> {
    const shelf = this.shelves.get(name ?? DEFAULT_MUSIC);
    if (shelf === undefined) return this.byDefault;
    await this.withinTime(this.update(shelf));
    return shelf.file ?? this.byDefault;
  }

  /** One at a time for each source. Never rejects. */
  private update(shelf: Shelf): Promise<void> {
    shelf.work ??= this.follow(shelf).finally(() => (shelf.work = undefined));
    return shelf.work;
  }

  private async follow(shelf: Shelf): Promise<void> {
    const { source } = shelf;
    const version = await fileVersion(source.file);
    if (version === shelf.version) return;
    try {
      const file = await prepareSource(source, this.directory, this.options.ffmpeg ?? 'ffmpeg');
      // One that is being written to is looked at again at the next hold.
      shelf.version = (await fileVersion(source.file)) === version ? version : undefined;
      shelf.file = file;
    } catch (error) {
      shelf.version = version;
      this.options.refused(error instanceof MusicError ? error : new MusicError(String(error)));
    }
  }

  private withinTime(work: Promise<void>): Promise<void> {
    return new Promise((done) => {
      const cancel = this.options.clock.setTimer(CHANGE_WAIT_MS, done);
      void work.then(() => {
        cancel();
        done();
      });
    });
  }
}

/** Prepares every source, and tells which cannot be used; also the default, when it cannot be written. Never rejects. */
export async function openMusicLibrary(options: MusicLibraryOptions): Promise<MusicLibrary> {
  const directory = resolve(options.directory);
  const byDefault = await prepareDefault(directory).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    options.refused(new MusicError(`the default music: ${reason}`));
    // What is there of an earlier start serves as well.
    return defaultIn(directory);
  });
  const library = new Library(options, directory, byDefault);
  await library.prepare();
  return library;
}
