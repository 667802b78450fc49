import { mkdir, open, readFile, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../process/clock';
import { parsePid } from '../process/pid';
import { type BuriedName, type Departed, type GraveStore, GraveTable } from './grave';
import {
  buryLine,
  deleteLine,
  exhumeLine,
  identityLine,
  parseJournal,
  putLine,
  staleLines,
  STRUCK,
  type JournaledBinding,
  type JournalIdentity,
} from './journal-format';

export type { JournaledBinding } from './journal-format';

/** Where the journal says what went wrong with it. */
export interface JournalLog {
  warn(details: object, message: string): void;
}

export interface JournalOptions {
  /** The node's state directory; made when it is not there. */
  readonly directory: string;
  /** Whose it is: nothing of another node's or another cluster's journal is believed. */
  readonly identity?: JournalIdentity;
  readonly clock: Clock;
  readonly log: JournalLog;
  /** Called when it cannot be written, with the reason, and with undefined when it can be again. */
  readonly onTrouble?: (reason: string | undefined) => void;
}

const FILE_NAME = 'registrations.journal';
const PRIVATE = 0o600;
const SYNC_INTERVAL_MS = 1000;
/** How often it is looked whether the file is still there, and after a failure whether it can be written again. */
const WATCH_INTERVAL_MS = 5000;
/** The file is written anew when it has more than twice the lines that are needed, and this many more. */
const COMPACTION_SLACK = 1000;

/**
 * The local bindings of a node, on disk, so that phones can be called again right after a restart; and what has left, whichever node
 * had it, so that none of these comes back after a restart of all.
 *
 * Fsync policy: a line is handed to the operating system as soon as the one before it is written, and the file is
 * synchronised at most once a second. A crash of the process loses next to nothing, a power failure at most about a
 * second of registrations, which the phones repeat by themselves; no REGISTER waits for the disk. A compacted file is
 * synchronised before it takes the place of the old one.
 *
 * A disk that fails is reported and costs the journal, never the registrations. It is tried again, and then everything is
 * written. Meanwhile what stands in the file and is not so any more is struck out in place, for which a full disk has
 * room: a restart may know less, never what was.
 */
export class RegistrationJournal implements GraveStore {
  private readonly path: string;
  private live = new Map<string, JournaledBinding>();
  private graves = new GraveTable();
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

  private constructor(private readonly options: JournalOptions) {
    this.path = join(options.directory, FILE_NAME);
  }

  /**
   * Reads what is there, and writes it anew when it is damaged or much longer than it need be. Never rejects: a file or a
   * disk that is broken is reported.
   */
  static async open(options: JournalOptions): Promise<RegistrationJournal> {
    const journal = new RegistrationJournal(options);
    if (!(await journal.read())) await journal.guard('write', () => journal.compact());
    journal.watch();
    return journal;
  }

  /** What the journal holds. */
  bindings(): readonly JournaledBinding[] {
    return [...this.live.values()];
  }

  /** Whether this is still what it holds of that key. */
  holds(binding: JournaledBinding): boolean {
    return this.live.get(binding.record.key) === binding;
  }

  put(binding: JournaledBinding): void {
    this.live.set(binding.record.key, binding);
    this.append(putLine(binding));
  }

  delete(key: string): void {
    if (this.live.delete(key)) this.append(deleteLine(key));
  }

  /** What has left, and could come back. */
  buried(): readonly Departed[] {
    return this.graves.all();
  }

  bury(departed: Departed): void {
    if (this.graves.add(departed)) this.append(buryLine(departed));
  }

  exhume(name: BuriedName): void {
    if (this.graves.delete(name)) this.append(exhumeLine(name));
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

  private append(line: string): void {
    if (this.closed) return;
    if (!this.failed || this.mending) this.pending.push(line);
    else if (this.due === 'nothing') this.due = 'strike';
    this.wake();
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
      this.options.log.warn({ path: this.path, bindings: this.live.size }, 'registration journal is written again');
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
      const stale = staleLines(await readFile(this.path), ({ record }) => {
        const held = this.live.get(record.key)?.record;
        return held !== undefined && held.contact === record.contact && held.address === record.address;
      });
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

  /** `live` already has everything that was pending when this was called, and perhaps more: applying a line twice does no harm. */
  private async compact(): Promise<void> {
    const temporary = `${this.path}.new`;
    const { directory, identity, clock } = this.options;
    this.graves.prune(clock.now());
    const [bindings, graves] = [this.bindings(), this.buried()];
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = await open(temporary, 'w', PRIVATE);
    try {
      if (identity !== undefined) await file.appendFile(identityLine(identity));
      await appendLines(file, graves, buryLine);
      await appendLines(file, bindings, putLine);
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
    this.lines = graves.length + bindings.length + (identity === undefined ? 0 : 1);
    await old?.close();
  }

  /** `true`: the file may be written on as it is. */
  private async read(): Promise<boolean> {
    const { log, directory, identity } = this.options;
    let bytes: Buffer;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      bytes = await readFile(this.path);
      this.place = await placeOf(this.path);
    } catch (error) {
      if (!isMissing(error)) log.warn({ path: this.path, error: String(error) }, 'registration journal not readable');
      return false;
    }
    const contents = await parseJournal(bytes);
    const { bindings, graves, corruptLines, tornTail, lines } = contents;
    const whose = contents.identity;
    if (identity !== undefined && whose !== undefined && !isSame(whose, identity)) {
      await this.setAside(whose);
      return false;
    }
    // Older files do not say whose they are; their records do.
    for (const [key, { record }] of bindings)
      if (identity !== undefined && parsePid(record.pid)?.node !== identity.node) bindings.delete(key);
    this.live = bindings;
    this.graves = graves;
    this.lines = lines;
    if (corruptLines === 0 && !tornTail) return !this.tooLong(0) && (identity === undefined || whose !== undefined);
    log.warn(
      { path: this.path, corruptLines, tornTail, restored: bindings.size },
      'registration journal was damaged; damaged lines are skipped, their phones must register again',
    );
    return false;
  }

  /** Phones of another node are none of ours; that node may want its file back. */
  private async setAside(whose: JournalIdentity): Promise<void> {
    const aside = `${this.path}.foreign`;
    await rename(this.path, aside).catch(() => undefined);
    this.options.log.warn(
      { path: this.path, cluster: whose.cluster, node: whose.node, kept: aside },
      'the registration journal is that of another node and is not used: give each node a stateDir of its own',
    );
  }

  private tooLong(more: number): boolean {
    return this.lines + more > 2 * (this.live.size + this.graves.size) + COMPACTION_SLACK;
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
      'registration journal cannot be written; registrations go on, but a restart will not restore them; it is tried again',
    );
    this.options.onTrouble?.(this.trouble(error));
    // A full disk is tried again later; what must be struck out is at once.
    if (!this.closed) this.wake();
  }

  private trouble(error: unknown): string {
    const reason = error instanceof Error ? error.message : String(error);
    return `the registration journal cannot be written: ${reason}`;
  }
}

/** Some at a time: a disk that fails fails in between, and not after everything was held in one piece of text. */
async function appendLines<A>(file: FileHandle, values: readonly A[], lineOf: (value: A) => string): Promise<void> {
  for (let at = 0; at < values.length; at += COMPACTION_SLACK)
    await file.appendFile(
      values
        .slice(at, at + COMPACTION_SLACK)
        .map(lineOf)
        .join(''),
    );
}

async function placeOf(file: FileHandle | string): Promise<string> {
  const { dev, ino } = typeof file === 'string' ? await stat(file) : await file.stat();
  return `${dev}:${ino}`;
}

function isSame(one: JournalIdentity, other: JournalIdentity): boolean {
  return one.cluster === other.cluster && one.node === other.node;
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
