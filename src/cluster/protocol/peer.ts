import type { Entry } from '../../registration/entry';
import { Graves } from './graves';
import type { Deltas } from './messages';
import type { RunningPull } from './pull';
import { Replica } from './replica';
import { MAX_BUFFERED_CHANGES, MAX_PULL_BACKOFF_MS, POLL_INTERVAL_MS } from './timing';

export interface Announcement {
  readonly sequence: number;
  readonly count: number;
  readonly digest: string;
}

/** What this node knows of another one: its incarnation, its signs of life, and its entries. */
export class Peer {
  readonly table = new Replica();
  boot = 0;
  /** The highest incarnation that was heard of its number, or that this one says is over. */
  rank = 0;
  /** Incarnation of its SIP server, once it has said. */
  sip: number | undefined;
  address = '';
  live = false;
  /** It said goodbye: nothing of this incarnation counts any more. */
  ended = false;
  heardAt = 0;
  /** When its newest poll was compared with our copy. */
  comparedAt = 0;
  misses = 0;
  /** Number of its newest poll. */
  pollNumber = 0;
  /** Keys of its entries with a stamp too far ahead of our time: they stand, but do not count as newer than any other. */
  readonly disbelieved = new Set<string>();
  /** Entries that it has deleted itself, in whichever incarnation. */
  readonly graves: Graves;
  /** Keys of its entries that are known to be dead; it is told until they are gone. */
  readonly disputed = new Set<string>();
  disputedAt = 0;
  announced: Announcement = { sequence: 0, count: 0, digest: '' };
  /** Sequence of the last change that `table` contains. */
  sequence = 0;
  /** `table` was complete once; deltas may be applied. */
  synced = false;
  digestEqual = false;
  /** Of the entries that are nobody's it had the same as we when it was last heard. */
  commonEqual = false;
  /** Since when deltas are missing that a poll has counted. */
  behindSince: number | undefined;
  /** Since when our copy is not known to be the same as what the peer has. */
  lagSince: number | undefined;
  pull: RunningPull | undefined;
  /** A call found an entry of it stale: its next poll is compared without patience. */
  refuted = false;
  answeredAt = 0;
  refutedAt = 0;
  reportedAt = 0;
  private buffer: Deltas[] = [];
  private bufferedChanges = 0;
  /** What it had announced when a pull for its digest began. */
  private mending: Announcement | undefined;
  /** The last snapshot did not have the digest that it came with. */
  private brokenSnapshot = false;
  private failures = 0;
  private noPullBefore = 0;

  /** `longestLifeMs`: as `Self.longestLifeMs`. */
  constructor(
    readonly node: number,
    longestLifeMs: number,
  ) {
    this.graves = new Graves(longestLifeMs);
  }

  /** A new incarnation: what we know of the old one stays until it can be replaced, but nothing more is added to it. */
  beginIncarnation(boot: number): void {
    this.boot = boot;
    this.rank = Math.max(this.rank, boot);
    this.sip = undefined;
    this.ended = false;
    this.live = false;
    this.pollNumber = 0;
    this.announced = { sequence: 0, count: 0, digest: '' };
    this.forgetProgress();
  }

  /** Procedure D: off-line, its entries are gone. */
  goOffline(): void {
    this.live = false;
    this.table.clear();
    this.disbelieved.clear();
    this.disputed.clear();
    this.forgetProgress();
  }

  heard(now: number): void {
    this.heardAt = now;
    this.misses = 0;
  }

  /** Its silence until now does not count, and what is on its way gets its time: our own time or our own bus stood still. */
  forgive(now: number): void {
    this.heard(now);
    this.noPullBefore = 0;
    this.pull?.forgive(now);
    if (this.behindSince !== undefined) this.behindSince = now;
  }

  /** `false`: there is no room; the deltas are lost, and the sequence of a later poll will show it. */
  keep(deltas: Deltas): boolean {
    if (this.bufferedChanges + deltas.changes.length > MAX_BUFFERED_CHANGES) return false;
    this.buffer.push(deltas);
    this.bufferedChanges += deltas.changes.length;
    return true;
  }

  /** The deltas that were kept, in the order of their sequence. */
  takeKept(): Deltas[] {
    const kept = this.buffer.sort((a, b) => a.first - b.first);
    this.dropKept();
    return kept;
  }

  /** It is to be asked, or told, something in a while. */
  get waits(): boolean {
    return this.live && (this.pull !== undefined || this.behindSince !== undefined || this.disputed.size > 0);
  }

  get keepsDeltas(): boolean {
    return this.buffer.length > 0;
  }

  dropKept(): void {
    this.buffer = [];
    this.bufferedChanges = 0;
  }

  /** A poll has counted changes that we do not have. */
  isBehind(now: number): void {
    this.behindSince ??= now;
    this.lagSince ??= now;
  }

  /** We have every change that the last poll counted. */
  caughtUp(): void {
    this.behindSince = undefined;
    if (this.digestEqual) this.lagSince = undefined;
  }

  /** Our copy has the digest that the peer gave. */
  equals(): void {
    this.digestEqual = true;
    this.lagSince = undefined;
  }

  /** As `equals`, by a poll: no pull is needed. */
  matches(): void {
    this.equals();
    this.forgetFailures();
  }

  /** A snapshot is complete. `false`: our copy still has another digest than it. */
  hasSnapshot(digest: string): boolean {
    this.brokenSnapshot = digest !== this.digest;
    if (!this.brokenSnapshot) this.equals();
    return !this.brokenSnapshot;
  }

  /** The digest differs. `true`: a pull may try to mend it now; each one that was in vain makes the next one wait longer. */
  differs(now: number): boolean {
    this.digestEqual = false;
    this.lagSince ??= now;
    const { sequence, digest } = this.announced;
    const inVain = this.brokenSnapshot || (this.mending?.sequence === sequence && this.mending.digest === digest);
    if (inVain && now < this.noPullBefore) return false;
    if (inVain) {
      this.failures += 1;
      this.noPullBefore = now + Math.min(MAX_PULL_BACKOFF_MS, POLL_INTERVAL_MS * 2 ** Math.min(this.failures, 10));
    }
    this.mending = this.announced;
    return true;
  }

  get digest(): string {
    return this.table.digest;
  }

  get(key: string): Entry | undefined {
    return this.table.get(key);
  }

  private forgetProgress(): void {
    this.sequence = 0;
    this.synced = false;
    this.digestEqual = false;
    this.behindSince = undefined;
    this.lagSince = undefined;
    this.pull = undefined;
    this.refuted = false;
    this.misses = 0;
    this.forgetFailures();
    this.dropKept();
  }

  private forgetFailures(): void {
    this.mending = undefined;
    this.brokenSnapshot = false;
    this.failures = 0;
    this.noPullBefore = 0;
  }
}
