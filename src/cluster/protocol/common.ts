import { compareStamps } from '../../process/hlc';
import { textsHash } from '../../registration/digest';
import { isDevice, NOBODY, type Entry, type TextEntry } from '../../registration/entry';
import { entryBytes } from '../../registration/entry-size';
import { isTextEntry } from '../../registration/validate';
import type { Context } from './context';
import type { Common, Poll, Reconcile } from './messages';
import type { Peer } from './peer';
import { Replica } from './replica';
import { CHUNK_TIMEOUT_MS, COMMON_BUCKETS, MAX_COMMON_ENTRIES, MAX_PART_BYTES } from './timing';

/** A question for what another node has and we have not. */
interface Asked {
  readonly id: number;
  readonly node: number;
  readonly at: number;
}

/**
 * The entries that are nobody's: every node has all of them, and whoever writes tells everybody. The newest of a key counts, whatever way and in whichever
 * order it comes, so that no node must live for it, and two halves of a cluster that did not hear each other have one truth afterwards. By a
 * digest in each poll a node sees that another has something else; it asks for what lies in those buckets of keys whose digests differ.
 */
export class CommonEntries {
  private readonly buckets = Array.from({ length: COMMON_BUCKETS }, () => new Replica());
  private news: TextEntry[] = [];
  private newsBytes = 0;
  private count = 0;
  private asked: Asked | undefined;
  /** Number of the last question. It begins at the incarnation: no answer to an earlier process of ours fits. */
  private questions: number;
  private sum: string | undefined;

  constructor(private readonly context: Context) {
    this.questions = context.self.boot;
  }

  /** Over all buckets. */
  get digest(): string {
    return (this.sum ??= textsHash(this.digests));
  }

  get waiting(): number {
    return this.news.length;
  }

  /** The batch is as large as a message may be. */
  get full(): boolean {
    return this.newsBytes >= MAX_PART_BYTES / 2;
  }

  /** What stands on our disk: no news for anybody. */
  restore(entry: TextEntry): void {
    this.merge(entry, this.context.self.node);
  }

  /** Somebody of this node has written it. It goes out with the next batch. */
  write(entry: TextEntry): void {
    if (entry.owner !== NOBODY || !isTextEntry(entry))
      return this.context.report('own-entry-refused', this.context.self.node, `${entry.key}: it is malformed`);
    if (!this.merge(entry, this.context.self.node)) return;
    this.news.push(entry);
    this.newsBytes += entryBytes(entry);
  }

  flush(): void {
    if (this.news.length === 0) return;
    this.publish('cluster', this.news, 0, undefined);
    this.news = [];
    this.newsBytes = 0;
  }

  /** A peer says what it has. One question at a time: what one peer answers is mostly what the others have too. */
  compare(peer: Peer, poll: Poll, now: number): void {
    peer.commonEqual = poll.common === this.digest;
    if (peer.commonEqual || (this.asked !== undefined && Math.abs(now - this.asked.at) < CHUNK_TIMEOUT_MS)) return;
    this.questions += 1;
    this.ask({ id: this.questions, node: peer.node, at: now }, undefined);
  }

  /** News, or a part of an answer to our question. */
  receive({ node, id, entries, next }: Common, now: number): void {
    for (const entry of entries)
      if (isCommon(entry)) this.merge(entry, node);
      else this.context.report('entry-refused', node, `${entry.key}: it is not nobody's`);
    if (id === 0 || this.asked?.id !== id || this.asked.node !== node) return;
    if (next === undefined) this.asked = undefined;
    else this.ask({ id, node, at: now }, next);
  }

  /** Answers with what we have where the digests of the node that asks differ from ours, one part of it. */
  serve({ node, id, digests, from }: Reconcile): void {
    this.context.flush();
    const part: Entry[] = [];
    let bytes = 0;
    for (let bucket = from?.bucket ?? 0; bucket < COMMON_BUCKETS; bucket++) {
      const own = this.buckets[bucket];
      if (own === undefined || own.digest === digests[bucket]) continue;
      let after = bucket === from?.bucket ? from.after : '';
      for (const entry of own.all().sort(byKey)) {
        if (entry.key <= after) continue;
        bytes += entryBytes(entry);
        if (part.length > 0 && bytes > MAX_PART_BYTES) return this.publish(node, part, id, { bucket, after });
        part.push(entry);
        after = entry.key;
      }
    }
    this.publish(node, part, id, undefined);
  }

  private get digests(): string[] {
    return this.buckets.map(({ digest }) => digest);
  }

  /** `false`: what we have is as new. */
  private merge(entry: TextEntry, from: number): boolean {
    const bucket = this.buckets[bucketOf(entry.key)];
    const present = bucket?.get(entry.key);
    if (bucket === undefined || (present !== undefined && !isNewer(entry, present))) return false;
    if (present === undefined && this.count >= MAX_COMMON_ENTRIES) {
      this.context.report(
        'too-many-common',
        from,
        `more than ${MAX_COMMON_ENTRIES} settings; ${entry.key} is not kept`,
      );
      return false;
    }
    if (present === undefined) this.count += 1;
    bucket.put(entry);
    this.sum = undefined;
    this.context.emit({ type: 'put', owner: NOBODY, entry });
    // A clock that is wrong disturbs who is the last, not that all agree on it.
    if (!this.context.believes(entry.stamp))
      this.context.report(
        'stamp-ahead',
        from,
        `${entry.key}: ${entry.stamp.ms - this.context.now} ms ahead of our time`,
      );
    return true;
  }

  private ask(asked: Asked, from: Reconcile['from']): void {
    this.asked = asked;
    const question = { id: asked.id, digests: this.digests, ...(from === undefined ? {} : { from }) };
    this.context.publish(asked.node, { type: 'reconcile', ...this.context.header(), ...question });
  }

  private publish(to: 'cluster' | number, entries: readonly Entry[], id: number, next: Common['next']): void {
    const more = next === undefined ? {} : { next };
    this.context.publish(to, { type: 'common', ...this.context.header(), id, entries, ...more });
  }
}

/** Of two with one stamp, which no clock should give twice, all nodes take the same. */
function isNewer(a: TextEntry, b: Entry): boolean {
  const order = compareStamps(a.stamp, b.stamp);
  return order > 0 || (order === 0 && !isDevice(b) && a.body > b.body);
}

function isCommon(entry: Entry): entry is TextEntry {
  return !isDevice(entry) && entry.owner === NOBODY && entry.boot === 0;
}

function bucketOf(key: string): number {
  return parseInt(textsHash([key]).slice(-4), 16) % COMMON_BUCKETS;
}

function byKey(a: Entry, b: Entry): number {
  return a.key < b.key ? -1 : 1;
}
