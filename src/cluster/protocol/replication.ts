import { isDevice, ownerOf, type Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';
import type { Context } from './context';
import type { Grave } from './graves';
import type { Change, Chunk, DeadEntry, Deltas, Poll, Pull } from './messages';
import type { Peer } from './peer';
import { RunningPull, type Drop } from './pull';
import { AUDITED_ENTRIES, DROPPED_AT_ONCE, IN_FLIGHT_GRACE_MS, MAX_DISPUTED_ENTRIES, POLL_INTERVAL_MS } from './timing';

const CAN_COME_BACK: ReadonlySet<string> = new Set<DeletionReason>(['stopped', 'moved']);

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
    peer.comparedAt = now;
    if (peer.pull?.kind === 'changes') return this.applyKept(peer, now);
    if (peer.pull !== undefined) return;
    const impatient = peer.refuted;
    peer.refuted = false;
    // Also when it says that it has none: only the answer to our own question cannot be an old one, told again by others.
    if (!peer.synced) return this.startPull(peer, 'snapshot', now);
    if (sequence > peer.sequence) {
      peer.isBehind(now);
      if (impatient) this.startPull(peer, 'changes', now);
    } else if (sequence === peer.sequence) {
      this.compareDigests(peer, now);
    }
  }

  /** Deltas: applied in order of their sequence, each once; where some are missing they are asked for. */
  deltas(peer: Peer, message: Deltas, now: number): void {
    if (peer.pull?.kind === 'snapshot') return this.keep(peer, message);
    if (!peer.synced) return;
    if (message.first > peer.sequence + 1) {
      if (peer.pull === undefined) this.startPull(peer, 'changes', now);
      return this.keep(peer, message);
    }
    this.applyInOrder(peer, message, now);
    this.applyKept(peer, now);
  }

  /** Serves missed changes, or a chunk of a snapshot of our own entries. */
  serve(pull: Pull, now: number): void {
    const { own } = this.context;
    this.context.flush();
    const missed = pull.after === undefined ? undefined : own.recent.after(pull.after);
    if (missed !== undefined) {
      for (const batch of missed)
        this.context.publish(pull.node, { type: 'deltas', ...this.context.header(), ...batch });
      return;
    }
    const snapshot = pull.snapshot === undefined ? own.takeSnapshot(now) : own.snapshot(pull.snapshot, now);
    const part = snapshot?.part(pull.part);
    // A part beyond the end: who asks learns where the end is from the part before.
    if (snapshot !== undefined && part === undefined) return;
    this.context.publish(pull.node, {
      type: 'chunk',
      ...this.context.header(),
      id: pull.id,
      snapshot: snapshot?.sequence ?? pull.snapshot ?? 0,
      part: pull.part,
      last: part?.last ?? false,
      digest: snapshot?.digest ?? '',
      entries: part?.entries ?? [],
      gone: snapshot === undefined,
    });
  }

  chunk(peer: Peer, chunk: Chunk, now: number): void {
    const { pull } = peer;
    if (pull === undefined || chunk.id !== pull.id) return;
    const outrun = pull.snapshot === undefined && peer.synced && chunk.snapshot < peer.sequence;
    if (chunk.gone || outrun) return this.startPull(peer, 'snapshot', now);
    if (pull.snapshot !== undefined && chunk.snapshot !== pull.snapshot) return;
    if (!pull.received(chunk.part, chunk.last)) return;
    pull.kind = 'snapshot';
    pull.snapshot = chunk.snapshot;
    pull.entries += chunk.entries.length;
    for (const entry of chunk.entries) this.put(peer, entry, now, pull.id);
    if (pull.complete) return this.completed(peer, pull, chunk, now);
    this.ask(peer, pull.wanted(now));
  }

  /** What was altered unseen, and what need not be remembered any more. */
  audit(peer: Peer, now: number): void {
    peer.table.audit(AUDITED_ENTRIES);
    peer.graves.prune(now);
  }

  /** What has waited too long: an answer that does not come, deltas that a poll has counted. */
  tick(peer: Peer, now: number): void {
    const { pull } = peer;
    this.dispute(peer, now);
    if (pull?.drop !== undefined) {
      this.dropSome(peer, pull.drop, now);
    } else if (pull !== undefined) {
      this.ask(peer, pull.overdue(now));
    } else if (peer.behindSince !== undefined && now - peer.behindSince >= IN_FLIGHT_GRACE_MS) {
      this.startPull(peer, 'changes', now);
    }
  }

  /** A device has ended its registration: whatever of it is not newer is dead, whoever holds it. */
  bury(entry: Pick<Entry, 'key' | 'stamp' | 'expiresAt'>, reason: DeletionReason): void {
    this.context.graves.bury(entry, reason);
    for (const peer of this.context.peers.values()) {
      const held = peer.get(entry.key);
      if (held !== undefined && this.graveOf(peer, held) !== undefined) peer.disputed.add(entry.key);
    }
  }

  /** Why an entry of the peer is dead: its device has ended it, or the peer itself in whatever incarnation. */
  private graveOf(peer: Peer, entry: Entry): Grave | undefined {
    const grave = this.context.graves.of(entry) ?? peer.graves.of(entry);
    // Made while a clock was wrong, which has been set right since: it orders nothing.
    return grave !== undefined && this.context.believes(grave.stamp) ? grave : undefined;
  }

  /** Tells a peer which of its entries are dead, again and again until they are gone. */
  private dispute(peer: Peer, now: number): void {
    if (peer.disputed.size === 0 || Math.abs(now - peer.disputedAt) < POLL_INTERVAL_MS) return;
    peer.disputedAt = now;
    const dead = new Map<DeletionReason, DeadEntry[]>();
    for (const key of [...peer.disputed].slice(0, MAX_DISPUTED_ENTRIES)) {
      const entry = peer.get(key);
      const grave = entry && this.graveOf(peer, entry);
      // Those that are told now are told again last.
      peer.disputed.delete(key);
      if (grave === undefined) continue;
      peer.disputed.add(key);
      dead.set(grave.reason, [...(dead.get(grave.reason) ?? []), { key, stamp: grave.stamp }]);
    }
    for (const [reason, entries] of dead)
      this.context.publish(peer.node, { type: 'gone', ...this.context.header(), reason, entries });
  }

  private startPull(peer: Peer, kind: 'changes' | 'snapshot', now: number): void {
    this.pulls += 1;
    const pull = new RunningPull(this.pulls, kind);
    peer.pull = pull;
    peer.digestEqual = false;
    peer.behindSince = undefined;
    peer.lagSince ??= now;
    this.ask(peer, pull.wanted(now));
  }

  private ask(peer: Peer, parts: readonly number[]): void {
    const { pull } = peer;
    if (pull === undefined) return;
    const { id, kind, snapshot } = pull;
    const after = kind === 'changes' ? peer.sequence : undefined;
    for (const part of parts)
      this.context.publish(peer.node, { type: 'pull', ...this.context.header(), id, snapshot, part, after });
  }

  /** Entries that the snapshot does not have go. Those of a node that begins anew may be very many, and go as one. */
  private completed(peer: Peer, pull: RunningPull, last: Chunk, now: number): void {
    if (pull.entries > 0 || peer.table.count === 0) {
      pull.drop = { last, keys: peer.table.unmarked(pull.id) };
      return this.dropSome(peer, pull.drop, now);
    }
    peer.table.clear();
    peer.disbelieved.clear();
    this.context.emit({ type: 'purge', owner: peer.node, reason: 'snapshot' });
    this.context.ownership.purged();
    this.finish(peer, last, now);
  }

  /** Half a million at once would stop polls and calls for seconds; until all are gone, deltas are kept. */
  private dropSome(peer: Peer, { keys, last }: Drop, now: number): void {
    for (let dropped = 0; dropped < DROPPED_AT_ONCE; dropped++) {
      const key = keys.next();
      if (key.done === true) return this.finish(peer, last, now);
      this.delete(peer, key.value, 'snapshot');
    }
  }

  private finish(peer: Peer, last: Chunk, now: number): void {
    peer.pull = undefined;
    peer.sequence = last.snapshot;
    peer.synced = true;
    if (!peer.hasSnapshot(last.digest))
      this.context.report('digest-differs', peer.node, `after a snapshot at sequence ${last.snapshot}`);
    if (peer.announced.sequence > peer.sequence) peer.isBehind(now);
    this.applyKept(peer, now);
  }

  private applyInOrder(peer: Peer, message: Deltas, now: number): void {
    for (const change of message.changes.slice(peer.sequence + 1 - message.first)) {
      this.apply(peer, change, now);
      peer.sequence += 1;
    }
  }

  /** Applies what was kept as far as it goes, and sees whether anything is missing still. */
  private applyKept(peer: Peer, now: number): void {
    for (const kept of peer.takeKept())
      if (kept.first <= peer.sequence + 1) this.applyInOrder(peer, kept, now);
      else this.keep(peer, kept);
    if (peer.sequence < peer.announced.sequence) return;
    peer.caughtUp();
    if (peer.keepsDeltas) {
      if (peer.pull === undefined) this.startPull(peer, 'changes', now);
      return;
    }
    peer.pull = undefined;
    if (peer.sequence === peer.announced.sequence) this.compareDigests(peer, now);
  }

  private compareDigests(peer: Peer, now: number): void {
    const { sequence, count, digest } = peer.announced;
    if (digest === peer.digest && count === peer.table.count) return peer.matches();
    if (!peer.differs(now)) return;
    const detail = `at sequence ${sequence}: ${peer.table.count} entries of ${count}`;
    this.context.report('digest-differs', peer.node, detail);
    this.startPull(peer, 'snapshot', now);
  }

  private keep(peer: Peer, message: Deltas): void {
    if (!peer.keep(message))
      this.context.report('too-many-deltas', peer.node, 'while its snapshot was pulled; it is pulled again');
  }

  private apply(peer: Peer, change: Change, now: number): void {
    switch (change.op) {
      case 'put':
        return this.put(peer, change.entry, now);
      case 'delete':
        return this.delete(peer, change.key, change.reason);
      case 'stamp': {
        const entry = peer.get(change.key);
        const { stamp, expiresAt } = change;
        if (entry !== undefined) this.put(peer, { ...entry, stamp, expiresAt }, now);
      }
    }
  }

  private put(peer: Peer, entry: Entry, now: number, mark = 0): void {
    if (ownerOf(entry) !== peer.node || entry.boot !== peer.boot) {
      this.context.report('entry-refused', peer.node, `${entry.key}: of node ${ownerOf(entry)} boot ${entry.boot}`);
      return;
    }
    if (!peer.table.put(entry, mark)) return;
    this.context.emit({ type: 'put', owner: peer.node, entry });
    if (!this.context.believes(entry.stamp)) return this.disbelieve(peer, entry, now);
    peer.disbelieved.delete(entry.key);
    if (!isDevice(entry)) return;
    if (this.graveOf(peer, entry) !== undefined) {
      peer.disputed.add(entry.key);
      return;
    }
    this.context.graves.forget(entry.key);
    peer.graves.forget(entry.key);
    this.context.ownership.heard(entry, peer.node);
  }

  /**
   * The clock of its owner runs too far ahead of ours (or ours behind): the entry stands, else the tables would differ, but its
   * stamp is refused. It does not move our own clock, and no entry of ours is given up for it.
   */
  private disbelieve(peer: Peer, entry: Entry, now: number): void {
    peer.disbelieved.add(entry.key);
    this.context.report('stamp-ahead', peer.node, `${entry.key}: ${entry.stamp.ms - now} ms ahead of our time`);
  }

  private delete(peer: Peer, key: string, reason: DeletionReason | 'snapshot'): void {
    const believed = !peer.disbelieved.delete(key);
    const entry = peer.table.delete(key);
    if (entry === undefined) return;
    this.context.emit({ type: 'delete', owner: peer.node, key, reason });
    if (!isDevice(entry)) return;
    this.context.ownership.released(key, reason);
    // A stamp that is far ahead of its time would make whatever comes after it look older than its deletion.
    if (!believed) return;
    // What an incarnation has not restored it may restore yet, and what has moved may come back; the rest is over for all that follow. So
    // may what a snapshot does not have: why it does not was not heard.
    if (reason === 'snapshot') return;
    if (!CAN_COME_BACK.has(reason) && entry.boot === peer.boot) peer.graves.bury(entry, reason);
    if (reason === 'unregistered') this.bury(entry, reason);
  }
}
