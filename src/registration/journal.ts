import { mkdir, open, readFile, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../process/clock';
import { deleteLine, parseJournal, putLine, type JournaledBinding } from './journal-format';

export type { JournaledBinding } from './journal-format';

/** Where the journal says what went wrong with it. */
export interface JournalLog {
  warn(details: object, message: string): void;
}

export interface JournalOptions {
  /** The node's state directory; made when it is not there. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: JournalLog;
}

const FILE_NAME = 'registrations.journal';
const PRIVATE = 0o600;
const SYNC_INTERVAL_MS = 1000;
/** The file is written anew when it has more than twice the lines that are needed, and this many more. */
const COMPACTION_SLACK = 1000;

/**
 * The local bindings of a node, on disk, so that phones can be called again right after a restart.
 *
 * Fsync policy: a line is handed to the operating system as soon as the one before it is written, and the file is
 * synchronised at most once a second. A crash of the process loses next to nothing, a power failure at most about a
 * second of registrations, which the phones repeat by themselves; no REGISTER waits for the disk. A compacted file is
 * synchronised before it takes the place of the old one.
 *
 * A disk that fails is reported and costs the journal, never the registrations.
 */
export class RegistrationJournal {
  private readonly path: string;
  private live = new Map<string, JournaledBinding>();
  private pending: string[] = [];
  private lines = 0;
  private working: Promise<void> | undefined;
  private file: FileHandle | undefined;
  private failed = false;
  private closed = false;
  private lastSync = 0;
  private cancelSync: (() => void) | undefined;

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

  /** Writes and synchronises what is pending, and closes the file. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.cancelSync?.();
    await this.working;
    await this.guard('close', async () => {
      await this.file?.sync();
      await this.file?.close();
    });
    this.file = undefined;
  }

  private append(line: string): void {
    if (this.closed || this.failed) return;
    this.pending.push(line);
    this.working ??= this.drain().finally(() => (this.working = undefined));
  }

  private async drain(): Promise<void> {
    // Lets the changes of one burst gather into one write.
    await Promise.resolve();
    while (this.pending.length > 0 && !this.failed) {
      const batch = this.pending;
      this.pending = [];
      await this.guard('write', () => this.write(batch));
    }
  }

  private async write(batch: readonly string[]): Promise<void> {
    if (this.tooLong(batch.length)) {
      await this.compact();
      return;
    }
    this.file ??= await open(this.path, 'a', PRIVATE);
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

  /** `live` already has everything that was pending when this was called, and perhaps more: applying a line twice does no harm. */
  private async compact(): Promise<void> {
    const temporary = `${this.path}.new`;
    const bindings = this.bindings();
    const file = await open(temporary, 'w', PRIVATE);
    try {
      for (let at = 0; at < bindings.length; at += COMPACTION_SLACK)
        await file.appendFile(
          bindings
            .slice(at, at + COMPACTION_SLACK)
            .map(putLine)
            .join(''),
        );
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    await rename(temporary, this.path);
    const old = this.file;
    this.file = file;
    this.lines = bindings.length;
    await old?.close();
  }

  /** `true`: the file may be written on as it is. */
  private async read(): Promise<boolean> {
    const { log, directory } = this.options;
    let bytes: Buffer;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      bytes = await readFile(this.path);
    } catch (error) {
      if (!isMissing(error)) log.warn({ path: this.path, error: String(error) }, 'registration journal not readable');
      return false;
    }
    const { bindings, corruptLines, tornTail, lines } = await parseJournal(bytes);
    this.live = bindings;
    this.lines = lines;
    if (corruptLines === 0 && !tornTail) return !this.tooLong(0);
    log.warn(
      { path: this.path, corruptLines, tornTail, restored: bindings.size },
      'registration journal was damaged; damaged lines are skipped, their phones must register again',
    );
    return false;
  }

  private tooLong(more: number): boolean {
    return this.lines + more > 2 * this.live.size + COMPACTION_SLACK;
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
    this.options.log.warn(
      { path: this.path, step: what, error: String(error) },
      'registration journal cannot be written; registrations go on, but a restart will not restore them',
    );
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
