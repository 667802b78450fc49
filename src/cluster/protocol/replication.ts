import { compareStamps, MAX_AHEAD_MS, type Stamp } from '../../process/hlc';
import { ownerOf, type RegistrationRecord } from '../../registration/record';
import type { Context } from './context';
import type { Change, Chunk, Deltas, Poll, Pull } from './messages';
import { chunkOf } from './own-log';
import type { Peer } from './peer';
import { CHUNK_ATTEMPTS, CHUNK_TIMEOUT_MS, IN_FLIGHT_GRACE_MS } from './timing';

/** Keeps for each peer a copy of its local entries, from deltas, and from snapshots where deltas do not suffice (R18). */
export class Replication {
  /** Number of the last pull. It begins at the incarnation: no answer to an earlier process of ours fits. */
  private pulls: number;

  constructor(private readonly context: Context) {
    this.pulls = context.self.boot;
  }

  /** Compares what a peer says of its entries with what we hold of them, and mends what differs. */
  compare(peer: Peer, poll: Poll, now: number): void {
    const { sequence, count, digest } = poll;
    peer.announced = { sequence, count, digest };
    if (peer.pull !== undefined) return;
    const impatient = peer.refuted;
    peer.refuted = false;
    if (!peer.synced) return count === 0 ? this.adoptEmpty(peer, sequence) : this.startPull(peer, now);
    if (sequence < peer.sequence) return;
    if (sequence > peer.sequence) {
      peer.isBehind(now);
      if (impatient) this.startPull(peer, now);
      return;
    }
    if (digest === peer.digest && count === peer.table.count) return peer.matches();
    if (peer.differs(now)) {
      this.context.report(
        'digest-differs',
        peer.node,
        `at sequence ${sequence}: ${peer.table.count} entries of ${count}`,
      );
      this.startPull(peer, now);
    }
  }

  /** Deltas: applied in order of their sequence, each once; a gap leads to a pull. */
  deltas(peer: Peer, message: Deltas, now: number): void {
    if (peer.pull !== undefined) return this.keep(peer, message);
    if (!peer.synced) return;
    if (message.first > peer.sequence + 1) {
      this.startPull(peer, now);
      return this.keep(peer, message);
    }
    for (const change of message.changes.slice(peer.sequence + 1 - message.first)) {
      this.apply(peer, change, now);
      peer.sequence += 1;
    }
    if (peer.sequence >= peer.announced.sequence) peer.caughtUp();
  }

  /** Serves a chunk of a snapshot of our own entries. */
  serve(pull: Pull, now: number): void {
    const { own } = this.context;
    this.context.flush();
    const snapshot = pull.snapshot === undefined ? own.takeSnapshot(now) : own.snapshot(pull.snapshot, now);
    const records = snapshot === undefined ? [] : chunkOf(snapshot.records, pull.offset);
    this.context.publish(pull.node, {
      type: 'chunk',
      ...this.context.header(),
      id: pull.id,
      snapshot: snapshot?.sequence ?? pull.snapshot ?? 0,
      offset: pull.offset,
      total: snapshot?.records.length ?? 0,
      digest: snapshot?.digest ?? '',
      records,
      gone: snapshot === undefined,
    });
  }

  chunk(peer: Peer, chunk: Chunk, now: number): void {
    const { pull } = peer;
    if (pull === undefined || chunk.id !== pull.id) return;
    if (chunk.gone) return this.startPull(peer, now);
    if (chunk.offset !== pull.offset || (pull.snapshot !== undefined && chunk.snapshot !== pull.snapshot)) return;
    pull.snapshot = chunk.snapshot;
    for (const record of chunk.records) this.put(peer, record, now, pull.id);
    pull.offset += chunk.records.length;
    if (pull.offset >= chunk.total) return this.finish(peer, chunk, now);
    if (chunk.records.length > 0) this.ask(peer, now);
  }

  /** What has waited too long: a chunk that does not come, deltas that a poll has counted. */
  tick(peer: Peer, now: number): void {
    const { pull } = peer;
    if (pull !== undefined) {
      if (now - pull.askedAt < CHUNK_TIMEOUT_MS) return;
      pull.attempts += 1;
      if (pull.attempts < CHUNK_ATTEMPTS) return this.ask(peer, now);
      peer.pull = undefined;
      peer.synced = false;
      peer.dropKept();
    } else if (peer.behindSince !== undefined && now - peer.behindSince >= IN_FLIGHT_GRACE_MS) {
      this.startPull(peer, now);
    }
  }

  private startPull(peer: Peer, now: number): void {
    if (peer.pull === undefined) peer.dropKept();
    this.pulls += 1;
    peer.pull = { id: this.pulls, snapshot: undefined, offset: 0, askedAt: now, attempts: 0 };
    peer.digestEqual = false;
    peer.behindSince = undefined;
    peer.lagSince ??= now;
    this.ask(peer, now);
  }

  private ask(peer: Peer, now: number): void {
    const { pull } = peer;
    if (pull === undefined) return;
    pull.askedAt = now;
    const { id, snapshot, offset } = pull;
    this.context.publish(peer.node, { type: 'pull', ...this.context.header(), id, snapshot, offset });
  }

  private finish(peer: Peer, last: Chunk, now: number): void {
    for (const key of peer.table.unmarked(last.id)) this.delete(peer, key, 'snapshot');
    peer.pull = undefined;
    peer.sequence = last.snapshot;
    peer.synced = true;
    if (peer.digest === last.digest) peer.equals();
    else this.context.report('digest-differs', peer.node, `after a snapshot at sequence ${last.snapshot}`);
    if (peer.announced.sequence > peer.sequence) peer.isBehind(now);
    for (const kept of peer.takeKept()) this.deltas(peer, kept, now);
  }

  private adoptEmpty(peer: Peer, sequence: number): void {
    for (const key of peer.table.unmarked(-1)) this.delete(peer, key, 'snapshot');
    peer.sequence = sequence;
    peer.synced = true;
    peer.matches();
  }

  private keep(peer: Peer, message: Deltas): void {
    if (!peer.keep(message))
      this.context.report('too-many-deltas', peer.node, 'while its snapshot was pulled; it is pulled again');
  }

  private apply(peer: Peer, change: Change, now: number): void {
    switch (change.op) {
      case 'put':
        return this.put(peer, change.record, now);
      case 'delete':
        return this.delete(peer, change.key, change.reason);
      case 'stamp': {
        const record = peer.get(change.key);
        const { stamp, expiresAt } = change;
        if (record !== undefined) this.put(peer, { ...record, stamp, expiresAt }, now);
      }
    }
  }

  private put(peer: Peer, record: RegistrationRecord, now: number, mark = 0): void {
    if (ownerOf(record) !== peer.node || record.boot !== peer.boot) {
      this.context.report('record-refused', peer.node, `${record.key}: ${record.pid} boot ${record.boot}`);
      return;
    }
    if (this.ahead(record.stamp, now)) {
      this.context.report('stamp-ahead', peer.node, `${record.key}: ${record.stamp.ms - now} ms ahead of our time`);
      return;
    }
    this.context.hybridClock.merge(record.stamp);
    if (!peer.table.put(record, mark)) return;
    this.context.emit({ type: 'put', owner: peer.node, record });
    const own = this.context.own.table.get(record.key);
    if (own !== undefined && compareStamps(record.stamp, own.stamp) > 0)
      this.context.emit({ type: 'own-moved', key: record.key, to: peer.node });
  }

  private delete(peer: Peer, key: string, reason: string): void {
    if (peer.table.delete(key) !== undefined) this.context.emit({ type: 'delete', owner: peer.node, key, reason });
  }

  private ahead(stamp: Stamp, now: number): boolean {
    return stamp.ms > now + MAX_AHEAD_MS;
  }
}
