import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../process/clock';
import { STRUCK } from './journal-line';

/** Where a journal says what went wrong with it. */
export interface JournalLog {
  warn(details: object, message: string): void;
}

export interface JournalFileOptions {
  /** The node's state directory; made when it is not there. */
  readonly directory: string;
  readonly name: string;
  /** What the file is, in words. */
  readonly what: string;
  /** What a file that cannot be written costs, in words. */
  readonly cost: string;
  readonly clock: Clock;
  readonly log: JournalLog;
  /** Called when it cannot be written, with the reason, and with undefined when it can be again. */
  readonly onTrouble?: (reason: string | undefined) => void;
}

/** Whose lines they are: what ought to stand in the file. */
export interface JournalContent {
  /** What the file would be if it were written anew, line by line. */
  lines(): Iterable<string>;
  /** How many lines that would be, about. */
  size(): number;
  /** Where in the file the lines begin that say what is not so any more. */
  stale(bytes: Buffer): readonly number[];
  /** Takes what stands in the file. */
  load(bytes: Buffer): Promise<Loaded>;
}

export interface Loaded {
  /** That the file has. */
  readonly lines: number;
  /** What is to become of the file: it may be written on as it is, or not, or it is somebody else's. */
  readonly then: 'append' | 'rewrite' | 'set-aside';
}

const PRIVATE = 0o600;
const SYNC_INTERVAL_MS = 1000;
/** How often it is looked whether the file is still there, and after a failure whether it can be written again. */
const WATCH_INTERVAL_MS = 5000;
/** The file is written anew when it has more than twice the lines that are needed, and this many more. */
const COMPACTION_SLACK = 1000;

/**
 * A file of lines that says what is, by what has become of it: each change is a line behind the others, and now and then the file is written anew.
 *
 * Fsync policy: a line is handed to the operating system as soon as the one before it is written, and the file is synchronised at most
 * once a second: a crash of the process loses next to nothing, a power failure at most about a second. A file that is written anew is
 * synchronised before it takes the place of the old one.
 *
 * A disk that fails is reported, and it is tried again; then everything is written. Meanwhile what stands in the file and is
 * not so any more is struck out in place, for which a full disk has room: a restart may know less, never what was.
 */
export class JournalFile {
  readonly path: string;
  private pending: string[] = [];
  private lines = 0;
  private working: Promise<void> | undefined;
  private file: FileHandle | undefined;
  /** Which file it is that we write, by device and inode; undefined: none yet. */
  private place: string | undefined;
  private failed = false;
  /** It is being written anew: what changes meanwhile comes behind that. */
  private mending = false;
  private due: 'nothing' | 'strike' | 'mend' = 'nothing';
  private closed = false;
  private lastSync = 0;
  private cancelSync: (() => void) | undefined;
  private cancelWatch: () => void = () => undefined;

  constructor(
    private readonly options: JournalFileOptions,
    private readonly content: JournalContent,
  ) {
    this.path = join(options.directory, options.name);
  }

  /** Reads what is there, and writes it anew when it is damaged or much longer than it need be. Never rejects. */
  async open(): Promise<void> {
    if (!(await this.read())) await this.guard('write', () => this.compact());
    this.watch();
  }

  append(line: string): void {
    if (this.closed) return;
    if (!this.failed || this.mending) this.pending.push(line);
    else if (this.due === 'nothing') this.due = 'strike';
    this.wake();
  }

  /** Writes and synchronises what is pending, and closes the file. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.cancelSync?.();
    this.cancelWatch();
    await this.working;
    if (this.failed) await this.mend();
    await this.guard('close', async () => {
      await this.file?.sync();
      await this.file?.close();
    });
    this.file = undefined;
  }

  private wake(): void {
    this.working ??= this.work().finally(() => (this.working = undefined));
  }

  private async work(): Promise<void> {
    // Lets the changes of one burst gather into one write.
    await Promise.resolve();
    for (;;) {
      if (this.failed) {
        const due = this.due;
        this.due = 'nothing';
        if (due === 'nothing') return;
        await (due === 'mend' ? this.mend() : this.strike());
      } else {
        const batch = this.pending;
        this.pending = [];
        if (batch.length === 0) return;
        await this.guard('write', () => this.write(batch));
      }
    }
  }

  private async write(batch: readonly string[]): Promise<void> {
    if (this.tooLong(batch.length)) {
      await this.compact();
      return;
    }
    if (this.file === undefined) {
      this.file = await open(this.path, 'a', PRIVATE);
      this.place = await placeOf(this.file);
    }
    await this.file.appendFile(batch.join(''));
    this.lines += batch.length;
    this.scheduleSync();
  }

  private scheduleSync(): void {
    if (this.cancelSync !== undefined || this.closed) return;
    const wait = Math.max(0, this.lastSync + SYNC_INTERVAL_MS - this.options.clock.now());
    this.cancelSync = this.options.clock.setTimer(wait, () => {
      this.cancelSync = undefined;
      this.lastSync = this.options.clock.now();
      const file = this.file;
      // A compaction meanwhile closes the handle, having synchronised the new file itself.
      file?.datasync().catch((error: unknown) => {
        if (file === this.file) this.fail('fsync', error);
      });
    });
  }

  /** Somebody may remove the file or the directory, or put another in its place; and a disk may have room again. */
  private watch(): void {
    const look = (): void =>
      void this.look().finally(() => {
        if (!this.closed) this.watch();
      });
    this.cancelWatch = this.options.clock.setTimer(WATCH_INTERVAL_MS, look, true);
  }

  private async look(): Promise<void> {
    const { place, idle } = this;
    if (!this.failed && idle && place !== undefined) {
      const now = await placeOf(this.path).catch(() => 'nowhere');
      // A compaction that began meanwhile puts another there itself.
      if (now !== place && place === this.place && this.working === undefined)
        this.fail('watch', new Error('the file was removed, or another is in its place'));
    }
    if (!this.failed || this.closed) return;
    this.due = 'mend';
    this.wake();
  }

  /** Nothing is being written. */
  private get idle(): boolean {
    return this.working === undefined;
  }

  /** Tries to write everything; when that cannot be done, sees that the file says nothing that is not so. */
  private async mend(): Promise<void> {
    this.mending = true;
    try {
      await this.compact();
      this.failed = false;
      this.options.onTrouble?.(undefined);
      const { log, what } = this.options;
      log.warn({ path: this.path, entries: this.content.size() }, `${what} is written again`);
    } catch (error) {
      this.pending = [];
      this.options.onTrouble?.(this.trouble(error));
      await this.strike();
    } finally {
      this.mending = false;
    }
  }

  /** Needs no room on the disk. Where it fails all the same nothing is better than the past. */
  private async strike(): Promise<void> {
    try {
      const stale = this.content.stale(await readFile(this.path));
      if (stale.length === 0) return;
      const file = await open(this.path, 'r+');
      try {
        for (const at of stale) await file.write(STRUCK, at);
        await file.datasync();
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!isMissing(error)) await rm(this.path, { force: true }).catch(() => undefined);
    }
  }

  /** What is pending is among the content already; what changes meanwhile comes behind it: to apply a line twice does no harm. */
  private async compact(): Promise<void> {
    const temporary = `${this.path}.new`;
    await mkdir(this.options.directory, { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'w', PRIVATE);
    let lines: number;
    try {
      lines = await appendLines(file, this.content.lines());
      await file.sync();
    } catch (error) {
      await file.close().catch(() => undefined);
      // It would hold the room that the file itself needs.
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await rename(temporary, this.path);
    const old = this.file;
    this.file = file;
    this.place = await placeOf(file);
    this.lines = lines;
    await old?.close();
  }

  /** `true`: the file may be written on as it is. */
  private async read(): Promise<boolean> {
    const { log, directory, what } = this.options;
    let bytes: Buffer;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      bytes = await readFile(this.path);
      this.place = await placeOf(this.path);
    } catch (error) {
      if (!isMissing(error)) log.warn({ path: this.path, error: String(error) }, `${what} not readable`);
      return false;
    }
    const { lines, then } = await this.content.load(bytes);
    // Somebody may want it back.
    if (then === 'set-aside') await rename(this.path, `${this.path}.foreign`).catch(() => undefined);
    this.lines = then === 'append' ? lines : 0;
    return then === 'append' && !this.tooLong(0);
  }

  private tooLong(more: number): boolean {
    return this.lines + more > 2 * this.content.size() + COMPACTION_SLACK;
  }

  private async guard(what: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.fail(what, error);
    }
  }

  private fail(what: string, error: unknown): void {
    if (this.failed) return;
    this.failed = true;
    this.pending = [];
    this.due = 'mend';
    void this.file?.close().catch(() => undefined);
    this.file = undefined;
    this.options.log.warn(
      { path: this.path, step: what, error: String(error) },
      `${this.options.what} cannot be written; ${this.options.cost}; it is tried again`,
    );
    this.options.onTrouble?.(this.trouble(error));
    // A full disk is tried again later; what must be struck out is at once.
    if (!this.closed) this.wake();
  }

  private trouble(error: unknown): string {
    const reason = error instanceof Error ? error.message : String(error);
    return `the ${this.options.what} cannot be written: ${reason}`;
  }
}

/** Some at a time: a disk that fails fails in between, and not after everything was held in one piece of text. */
async function appendLines(file: FileHandle, lines: Iterable<string>): Promise<number> {
  let written = 0;
  let batch: string[] = [];
  for (const line of lines) {
    if (batch.push(line) < COMPACTION_SLACK) continue;
    await file.appendFile(batch.join(''));
    written += batch.length;
    batch = [];
  }
  await file.appendFile(batch.join(''));
  return written + batch.length;
}

async function placeOf(file: FileHandle | string): Promise<string> {
  const { dev, ino } = typeof file === 'string' ? await stat(file) : await file.stat();
  return `${dev}:${ino}`;
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
