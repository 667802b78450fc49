import type { Clock } from '../process/clock';
import { parsePid } from '../process/pid';
import { type BuriedName, type Departed, type GraveStore, GraveTable } from './grave';
import { JournalFile, type JournalContent, type JournalLog, type Loaded } from './journal-file';
import {
  buryLine,
  deleteLine,
  exhumeLine,
  parseJournal,
  putLine,
  staleLines,
  type JournaledBinding,
} from './journal-format';
import { identityLine, type JournalIdentity } from './journal-line';

export type { JournaledBinding } from './journal-format';

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

/**
 * The local bindings of a node, on disk (`JournalFile`), so that phones can be called again right after a restart; and what has left, whichever node
 * had it, so that none of these comes back after a restart of all. What a power failure loses the phones repeat by themselves; no REGISTER waits for
 * the disk, and a disk that fails costs the journal, never the registrations.
 */
export class RegistrationJournal implements GraveStore {
  private live = new Map<string, JournaledBinding>();
  private graves = new GraveTable();
  private readonly file: JournalFile;

  private constructor(private readonly options: JournalOptions) {
    const content: JournalContent = {
      lines: () => this.lines(),
      size: () => this.live.size + this.graves.size,
      stale: (bytes) => staleLines(bytes, (binding) => this.isCurrent(binding)),
      load: (bytes) => this.load(bytes),
    };
    const words = {
      name: 'registrations.journal',
      what: 'registration journal',
      cost: 'registrations go on, but a restart will not restore them',
    };
    this.file = new JournalFile({ ...options, ...words }, content);
  }

  /**
   * Reads what is there, and writes it anew when it is damaged or much longer than it need be. Never rejects: a file or a
   * disk that is broken is reported.
   */
  static async open(options: JournalOptions): Promise<RegistrationJournal> {
    const journal = new RegistrationJournal(options);
    await journal.file.open();
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
    this.file.append(putLine(binding));
  }

  delete(key: string): void {
    if (this.live.delete(key)) this.file.append(deleteLine(key));
  }

  /** What has left, and could come back. */
  buried(): readonly Departed[] {
    return this.graves.all();
  }

  bury(departed: Departed): void {
    if (this.graves.add(departed)) this.file.append(buryLine(departed));
  }

  exhume(name: BuriedName): void {
    if (this.graves.delete(name)) this.file.append(exhumeLine(name));
  }

  /** Writes and synchronises what is pending, and closes the file. */
  close(): Promise<void> {
    return this.file.close();
  }

  private *lines(): IterableIterator<string> {
    const { identity, clock } = this.options;
    this.graves.prune(clock.now());
    if (identity !== undefined) yield identityLine(identity);
    for (const grave of this.buried()) yield buryLine(grave);
    for (const binding of this.live.values()) yield putLine(binding);
  }

  private isCurrent({ record }: JournaledBinding): boolean {
    const held = this.live.get(record.key)?.record;
    return held !== undefined && held.contact === record.contact && held.address === record.address;
  }

  private async load(bytes: Buffer): Promise<Loaded> {
    const { log, identity } = this.options;
    const { bindings, graves, corruptLines, tornTail, lines, ...contents } = await parseJournal(bytes);
    const { path } = this.file;
    const whose = contents.identity;
    if (identity !== undefined && whose !== undefined && !isSame(whose, identity)) {
      log.warn(
        { path, cluster: whose.cluster, node: whose.node, kept: `${path}.foreign` },
        'the registration journal is that of another node and is not used: give each node a stateDir of its own',
      );
      return { lines, then: 'set-aside' };
    }
    // Older files do not say whose they are; their records do.
    for (const [key, { record }] of bindings)
      if (identity !== undefined && parsePid(record.pid)?.node !== identity.node) bindings.delete(key);
    this.live = bindings;
    this.graves = graves;
    if (corruptLines === 0 && !tornTail)
      return { lines, then: identity === undefined || whose !== undefined ? 'append' : 'rewrite' };
    log.warn(
      { path, corruptLines, tornTail, restored: bindings.size },
      'registration journal was damaged; damaged lines are skipped, their phones must register again',
    );
    return { lines, then: 'rewrite' };
  }
}

function isSame(one: JournalIdentity, other: JournalIdentity): boolean {
  return one.cluster === other.cluster && one.node === other.node;
}
