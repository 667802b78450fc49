import { compareStamps } from '../process/hlc';
import type { Clock } from '../process/clock';
import { NOBODY, type TextEntry } from './entry';
import type { EntrySet } from './entry-set';
import { JournalFile, type JournalLog, type Loaded } from './journal-file';
import { identityLine, line, linesOf, readIdentity, type JournalIdentity } from './journal-line';
import { isTextEntry } from './validate';

export interface CommonJournalOptions {
  /** The node's state directory; made when it is not there. */
  readonly directory: string;
  /** Which cluster's entries are believed. */
  readonly identity: JournalIdentity;
  readonly entries: EntrySet;
  readonly clock: Clock;
  readonly log: JournalLog;
  /** As `JournalFileOptions.onTrouble`. */
  readonly onTrouble?: (reason: string | undefined) => void;
}

/**
 * The entries that are nobody's, on the disk of each node, those of kinds too that it does not know: so they survive a restart of all nodes. A file of
 * another node of the same cluster is as good as our own, since the newest of a key counts wherever it comes from.
 */
export class CommonJournal {
  private readonly file: JournalFile;

  private constructor(private readonly options: CommonJournalOptions) {
    const { directory, clock, log, onTrouble } = options;
    const words = {
      name: 'settings.journal',
      what: 'journal of settings',
      cost: 'what is set counts, but a restart of all nodes may undo it',
    };
    this.file = new JournalFile(
      { ...words, directory, clock, log, ...(onTrouble && { onTrouble }) },
      {
        lines: () => this.lines(),
        size: () => options.entries.count(NOBODY) + 1,
        stale: (bytes) => this.stale(bytes),
        load: (bytes) => Promise.resolve(this.load(bytes)),
      },
    );
  }

  /** Puts what stands in the file among the entries, and follows them from then on. Never rejects: a file or a disk that is broken is reported. */
  static async open(options: CommonJournalOptions): Promise<CommonJournal> {
    const journal = new CommonJournal(options);
    await journal.file.open();
    options.entries.onChange(({ owner, entry }) => {
      if (owner === NOBODY && entry !== undefined) journal.file.append(putLine(entry));
    });
    return journal;
  }

  /** Writes and synchronises what is pending, and closes the file. */
  close(): Promise<void> {
    return this.file.close();
  }

  private *lines(): IterableIterator<string> {
    yield identityLine(this.options.identity);
    for (const entry of this.options.entries.of(NOBODY)) yield putLine(entry);
  }

  private load(bytes: Buffer): Loaded {
    const { entries, identity, log } = this.options;
    const { path } = this.file;
    const { found, whose, corruptLines, tornTail, lines } = parse(bytes);
    if (whose !== undefined && whose.cluster !== identity.cluster) {
      const kept = `${path}.foreign`;
      log.warn(
        { path, cluster: whose.cluster, kept },
        'the journal of settings is that of another cluster and is not used',
      );
      return { lines, then: 'set-aside' };
    }
    for (const entry of found.values()) entries.put(entry);
    if (corruptLines === 0 && !tornTail) return { lines, then: 'append' };
    log.warn(
      { path, corruptLines, tornTail, restored: found.size },
      'the journal of settings was damaged; damaged lines are skipped, and come back from other nodes that have them',
    );
    return { lines, then: 'rewrite' };
  }

  private stale(bytes: Buffer): readonly number[] {
    const stale: number[] = [];
    for (const { at, value } of linesOf(bytes)) {
      const entry = entryOf(value);
      if (entry !== undefined && this.options.entries.get(NOBODY, entry.key)?.body !== entry.body) stale.push(at);
    }
    return stale;
  }
}

function putLine(entry: TextEntry): string {
  return line({ put: entry });
}

function entryOf(value: unknown): TextEntry | undefined {
  const entry = typeof value === 'object' && value !== null && 'put' in value ? value.put : undefined;
  return isTextEntry(entry) && entry.owner === NOBODY && entry.boot === 0 ? entry : undefined;
}

interface Contents {
  readonly found: ReadonlyMap<string, TextEntry>;
  readonly whose: JournalIdentity | undefined;
  readonly corruptLines: number;
  readonly tornTail: boolean;
  readonly lines: number;
}

/** The newest entry of each key, in whatever order they stand. */
function parse(bytes: Buffer): Contents {
  const found = new Map<string, TextEntry>();
  let whose: JournalIdentity | undefined;
  let corruptLines = 0;
  let lines = 0;
  const reader = linesOf(bytes);
  for (;;) {
    const next = reader.next();
    if (next.done === true) return { found, whose, corruptLines, tornTail: next.value < bytes.length, lines };
    const { value } = next.value;
    lines += 1;
    if (value === 'struck') continue;
    const entry = entryOf(value);
    const identity = value === 'corrupt' ? undefined : readIdentity(value);
    if (entry !== undefined) {
      const present = found.get(entry.key);
      if (present === undefined || compareStamps(entry.stamp, present.stamp) > 0) found.set(entry.key, entry);
    } else if (identity !== undefined) whose ??= identity;
    else corruptLines += 1;
  }
}
