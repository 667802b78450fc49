import { compareStamps, type HybridClock } from '../../process/hlc';
import { isDevice, ownerOf, type Entry, type TextEntry } from '../../registration/entry';
import { entryBytes } from '../../registration/entry-size';
import type { DeletionReason } from '../../registration/record';
import { isEntry } from '../../registration/validate';
import { Context, type Self } from './context';
import type { Effect } from './effects';
import type { Grave } from './graves';
import { Membership, rankOf } from './membership';
import type { Gone, Poll, ProtocolMessage } from './messages';
import type { Peer } from './peer';
import { Replication } from './replication';
import { MAX_ENTRY_BYTES, TICK_INTERVAL_MS } from './timing';

/**
 * The protocol between the nodes as a state machine: messages, the passing of time and changes of our own entries
 * come in with the time `now` (ms since the epoch), effects come out; it does nothing by itself and never throws for
 * what another node has sent. Membership (R8, R9), replication (R5, R6, R11, R12, R13), convergence (R18).
 */
export class NodeProtocol {
  private readonly context: Context;
  private readonly replication: Replication;
  private readonly membership: Membership;
  private ended = false;
  private wantedAt = Infinity;

  constructor(self: Self, hybridClock: HybridClock, now: number) {
    this.context = new Context(self, hybridClock);
    this.replication = new Replication(this.context);
    this.membership = new Membership(this.context, this.replication, now);
  }

  /** Comes on-line: hello (procedure C), and the first poll. */
  start(now: number): Effect[] {
    this.membership.hello();
    this.membership.tick(now, 0);
    return this.done();
  }

  receive(message: ProtocolMessage, now: number): Effect[] {
    if (this.ended) return [];
    const { now: before } = this.context;
    this.context.now = now;
    if (now < before - TICK_INTERVAL_MS) this.membership.resume(now, now - before);
    if (!this.context.hybridClock.merge(message.at)) this.membership.clockAhead(message, now);
    if (message.type === 'known' && message.to === this.context.self.token) this.learnHighest(message.highest);
    else if (message.node === this.context.self.node) this.receiveFromOwnNumber(message, now);
    else this.receiveFromPeer(message, now);
    return this.done();
  }

  /** Call at `tickAt`. Being called much later says that the process was paused, and before it that its clock was set back. */
  tick(now: number): Effect[] {
    if (this.ended) return [];
    this.context.now = now;
    const withPoll = this.membership.tick(now, now - this.wantedAt);
    this.wantedAt = Infinity;
    for (const peer of this.membership.peers.values()) {
      if (peer.live) this.replication.tick(peer, now);
      if (peer.live && withPoll) this.replication.audit(peer, now);
    }
    this.context.ownership.tick(now, this.busAlive);
    if (withPoll) this.context.graves.prune(now);
    if (withPoll) this.context.own.forgetIdleSnapshots(now);
    return this.done();
  }

  /** When `tick` is to be called next, ms since the epoch. Whatever else is called may make it earlier. */
  get tickAt(): number {
    return this.ended ? Infinity : this.wantedAt;
  }

  /** A local entry was made or refreshed. It goes out with the next batch: see `changesWaiting`. */
  localPut(entry: Entry): Effect[] {
    if (this.ended) return [];
    const refused = this.refusal(entry);
    if (refused !== undefined) {
      this.context.report('own-entry-refused', this.context.self.node, `${entry.key}: ${refused}`);
      return this.done();
    }
    this.context.hybridClock.merge(entry.stamp);
    this.context.own.put(entry);
    if (isDevice(entry)) {
      this.context.ownership.put(entry);
      this.compareWithGrave(entry);
    }
    if (this.context.own.full) this.context.flush();
    return this.done();
  }

  /** An entry that is nobody's was written here; `restored`: it stood on our disk. It goes out with the next batch. */
  commonPut(entry: TextEntry, restored = false): Effect[] {
    const { common } = this.context;
    if (this.ended) return [];
    if (restored) common.restore(entry);
    else common.write(entry);
    if (common.full) this.context.flush();
    return this.done();
  }

  /** A local entry is gone. */
  localDelete(key: string, reason: DeletionReason): Effect[] {
    if (this.ended) return [];
    const entry = this.context.own.delete(key, reason);
    if (entry !== undefined && isDevice(entry) && reason === 'unregistered') this.replication.bury(entry, reason);
    if (this.context.own.full) this.context.flush();
    return this.done();
  }

  /** What an earlier process of ours knew that devices had ended; `expiresAt`: until when it could come back. */
  restoreGraves(graves: Iterable<Pick<Entry, 'key' | 'stamp' | 'expiresAt'>>): Effect[] {
    for (const grave of graves) this.replication.bury(grave, 'unregistered');
    return this.done();
  }

  /** What is known to be ended, by key. */
  get graves(): IterableIterator<[key: string, grave: Grave]> {
    return this.context.graves.all();
  }

  /** Publishes the changes that wait for others to share their message. */
  flush(): Effect[] {
    if (!this.ended) this.context.flush();
    return this.done();
  }

  /** A call found an entry of this node stale: ask the node for its digest and mend our copy (R13). */
  refute(node: number, now: number): Effect[] {
    if (!this.ended) this.membership.refute(node, now);
    return this.done();
  }

  /** The bus was not connected for a while: what was published meanwhile is lost. */
  reconnected(): Effect[] {
    if (!this.ended) this.membership.hello();
    return this.done();
  }

  /** Leaves the cluster; nothing is published after this. */
  goodbye(): Effect[] {
    if (this.ended) return [];
    this.context.flush();
    this.context.publish('cluster', { type: 'goodbye', ...this.context.header() });
    this.ended = true;
    return this.done();
  }

  get changesWaiting(): number {
    return this.context.own.waiting + this.context.common.waiting;
  }

  /** Of the entries that are nobody's, as our polls say it. */
  get commonDigest(): string {
    return this.context.common.digest;
  }

  get busAlive(): boolean {
    return this.membership.bus === 'alive';
  }

  get peers(): IterableIterator<Peer> {
    return this.membership.peers.values();
  }

  get peersByNumber(): ReadonlyMap<number, Peer> {
    return this.membership.peers;
  }

  peer(node: number): Peer | undefined {
    return this.membership.peers.get(node);
  }

  /** Nothing is known to be missing: the bus lives and every live peer's digest is ours. */
  get converged(): boolean {
    if (!this.busAlive) return false;
    for (const peer of this.membership.peers.values())
      if (peer.live && !(peer.digestEqual && peer.commonEqual)) return false;
    return true;
  }

  /** What is to be done. */
  private done(): Effect[] {
    this.wantedAt = Math.min(this.wantedAt, Math.max(this.context.now, this.membership.dueAt(this.busy)));
    return this.context.take();
  }

  private get busy(): boolean {
    if (this.context.ownership.waits) return true;
    for (const peer of this.membership.peers.values()) if (peer.waits) return true;
    return false;
  }

  private receiveFromPeer(message: ProtocolMessage, now: number): void {
    switch (message.type) {
      case 'poll':
        return this.membership.poll(message, now);
      case 'goodbye':
        return this.membership.goodbye(message);
      case 'probe':
        return this.membership.probe(message);
      case 'deltas': {
        const peer = this.membership.present(message);
        if (peer !== undefined) this.replication.deltas(peer, message, now);
        return;
      }
      case 'gone':
        return this.gone(message);
      case 'pull':
        return this.replication.serve(message, now);
      case 'chunk': {
        const peer = this.membership.present(message);
        if (peer !== undefined) this.replication.chunk(peer, message, now);
        return;
      }
      case 'common':
        return this.context.common.receive(message, now);
      case 'reconcile':
        return this.context.common.serve(message);
      case 'taken':
      case 'known':
        return;
    }
  }

  private receiveFromOwnNumber(message: ProtocolMessage, now: number): void {
    const { node, token, address } = this.context.self;
    if (message.token === token) {
      if (message.type === 'poll' && !message.hello) this.membership.ownPoll(message, now);
      return;
    }
    if (message.type === 'probe') {
      this.context.publish(node, { type: 'taken', ...this.context.header(), to: message.token, address });
      return;
    }
    if (message.type === 'poll') this.meetTwin(message);
  }

  /**
   * Two processes run with our number, which the start's probe could not find out because the bus was out. Both apply the same rule to
   * what they say of themselves: that with more calls goes on, of equal ones that with more phones, else the newer.
   */
  private meetTwin(twin: Poll): void {
    const { node, boot, token } = this.context.self;
    const rank = rankOf(twin);
    if (rank < this.context.rank || (rank === this.context.rank && twin.token > token)) return;
    const { calls, phones } = this.context.vitals;
    if (calls > twin.calls || (calls === twin.calls && phones > twin.phones)) return this.outlive(rank);
    this.fatal(rank, `another process runs as node ${node}, with a newer incarnation (${twin.boot} after ${boot})`);
  }

  private outlive(rank: number): void {
    this.context.outlive(rank);
    this.context.report('outlived', this.context.self.node, `another process with our number (${rank}) is to end`);
  }

  /** One that was restored and is known to be dead goes; else the device has come again since. */
  private compareWithGrave(entry: Entry): void {
    const { graves } = this.context;
    const grave = graves.of(entry);
    if (grave !== undefined && this.context.believes(grave.stamp))
      this.context.emit({ type: 'own-gone', key: entry.key, reason: grave.reason });
    else graves.forget(entry.key);
  }

  /** What we hold that is known to be dead: unless we have it newer, or the stamp is one that we do not believe. */
  private gone({ reason, entries }: Gone): void {
    for (const { key, stamp } of entries) {
      const own = this.context.own.table.get(key);
      if (own !== undefined && compareStamps(own.stamp, stamp) <= 0 && this.context.believes(stamp))
        this.context.emit({ type: 'own-gone', key, reason });
    }
  }

  /** Whoever has calls or phones does not end on hearsay: if the other process lives, the two will hear each other. */
  private learnHighest(highest: number): void {
    const { node, boot } = this.context.self;
    const { calls, phones } = this.context.vitals;
    if (highest <= this.context.rank) return;
    if (calls > 0 || phones > 0) return this.outlive(highest);
    this.fatal(highest, `node ${node} was heard with a newer incarnation (${highest}) than this one (${boot})`);
  }

  /** Ends; the entries of an incarnation that is not the newest of its number are purged at once wherever they are. */
  private fatal(newest: number, message: string): void {
    if (newest > this.context.rank) this.context.publish('cluster', { type: 'goodbye', ...this.context.header() });
    this.context.emit({ type: 'fatal', message });
    this.ended = true;
  }

  /** Why an own entry cannot be told to others: they would refuse it and pull for ever. */
  private refusal(entry: Entry): string | undefined {
    const { node, boot } = this.context.self;
    if (ownerOf(entry) !== node || entry.boot !== boot)
      return `an entry of node ${ownerOf(entry)} boot ${entry.boot} is not ours`;
    if (!isEntry(entry)) return 'it is malformed';
    if (entryBytes(entry) > MAX_ENTRY_BYTES) return 'it is too large';
    return undefined;
  }
}
