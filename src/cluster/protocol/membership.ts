import type { Context } from './context';
import type { OfflineReason } from './effects';
import type { Goodbye, Poll, Probe, ProtocolMessage } from './messages';
import { Peer } from './peer';
import type { Replication } from './replication';
import {
  ANSWER_INTERVAL_MS,
  MAX_PEERS,
  MISSED_POLLS,
  PAUSED_AFTER_MS,
  POLL_EARLY_MS,
  POLL_INTERVAL_MS,
  PROOF_MAX_AGE_MS,
  REPORT_INTERVAL_MS,
  TICK_INTERVAL_MS,
} from './timing';

/** Clock ticks are a little uneven: two polls this far apart count as two. */
const ROUND_MS = POLL_INTERVAL_MS * 0.9;

interface PublishedPoll {
  readonly number: number;
  readonly when: number;
}

/**
 * Who is on-line. Peers are judged only in rounds, and only an own poll that was heard makes a round: so nobody is
 * declared dead because the bus is.
 */
export class Membership {
  bus: 'unknown' | 'alive' | 'lost' = 'unknown';
  private readonly published: PublishedPoll[] = [];
  private nextPollAt: number;
  private lastTick: number;
  private lastRound: number;
  private busHeardAt: number;

  constructor(
    private readonly context: Context,
    private readonly replication: Replication,
    now: number,
  ) {
    context.now = now;
    this.nextPollAt = this.lastTick = this.lastRound = this.busHeardAt = now;
  }

  get peers(): Map<number, Peer> {
    return this.context.peers;
  }

  /** Says hello: everybody answers with a poll, from which we see what we miss of them. */
  hello(): void {
    this.context.poll('cluster', true);
  }

  /** `late`: how long after its time it comes; before it when the clock was set back. `true`: it was time for a poll. */
  tick(now: number, late: number): boolean {
    if (late > PAUSED_AFTER_MS || late < -TICK_INTERVAL_MS) this.resume(now, late);
    this.lastTick = now;
    const pollDue = now >= this.nextPollAt - POLL_EARLY_MS;
    if (pollDue) this.publishPoll(now);
    if (this.bus !== 'lost' && now > this.busLostAt) {
      this.bus = 'lost';
      this.context.emit({ type: 'bus-lost' });
    }
    return pollDue;
  }

  /** When the next tick is wanted. `busy`: something is waited for that only ticks bring on. */
  dueAt(busy: boolean): number {
    const due = busy ? Math.min(this.nextPollAt, this.lastTick + TICK_INTERVAL_MS) : this.nextPollAt;
    return this.bus === 'lost' ? due : Math.min(due, this.busLostAt + 1);
  }

  private get busLostAt(): number {
    return this.busHeardAt + MISSED_POLLS * POLL_INTERVAL_MS;
  }

  /** The peer that a message comes from, if the message belongs to its present incarnation and it is on-line. */
  present(message: ProtocolMessage): Peer | undefined {
    const peer = this.peers.get(message.node);
    return peer?.live === true && peer.boot === message.boot ? peer : undefined;
  }

  poll(poll: Poll, now: number): void {
    const peer = this.peerFor(poll.node);
    if (peer === undefined) return;
    const rank = rankOf(poll);
    if (rank < peer.rank) return this.tellHighest(peer, poll, now);
    if (poll.boot !== peer.boot) this.beginIncarnation(peer, poll.boot);
    peer.rank = rank;
    if (peer.ended) return;
    if (poll.hello) this.answer(peer, now);
    if (poll.number <= peer.pollNumber) return;
    peer.pollNumber = poll.number;
    peer.heard(now);
    peer.address = poll.address;
    if (!peer.live) this.comesOnline(peer);
    if (peer.sip !== undefined && peer.sip !== poll.sip)
      this.context.emit({ type: 'peer-sip-restarted', node: peer.node });
    peer.sip = poll.sip;
    this.replication.compare(peer, poll, now);
    this.context.common.compare(peer, poll, now);
  }

  goodbye(message: Goodbye): void {
    const peer = this.peerFor(message.node);
    if (peer === undefined || (message.boot !== peer.boot && message.boot <= peer.rank)) return;
    if (message.boot !== peer.boot) this.beginIncarnation(peer, message.boot);
    peer.ended = true;
    this.goesOffline(peer, 'goodbye');
  }

  /** Tells a node that starts the highest incarnation heard of its number. */
  probe(probe: Probe): void {
    const highest = this.peers.get(probe.node)?.rank;
    if (highest !== undefined)
      this.context.publish(probe.node, { type: 'known', ...this.context.header(), to: probe.token, highest });
  }

  /** One of our own polls came back: the bus lives, and whoever was not heard meanwhile has missed a poll. */
  ownPoll(poll: Poll, now: number): void {
    const index = this.published.findIndex((published) => published.number === poll.number);
    const published = this.published[index];
    if (published === undefined) return;
    this.published.splice(0, index + 1);
    if (now - published.when > PROOF_MAX_AGE_MS) return;
    this.busHeardAt = now;
    if (this.bus !== 'alive') this.busIsBack(now);
    else if (now - this.lastRound >= ROUND_MS) this.judge(now);
  }

  /** Asks one node for its digest at once (R13); rarely enough that a storm of calls does not become one of polls. */
  refute(node: number, now: number): void {
    const peer = this.peers.get(node);
    if (peer?.live !== true || tooSoon(peer.refutedAt, now, ANSWER_INTERVAL_MS)) return;
    peer.refutedAt = now;
    peer.refuted = true;
    this.context.poll(node, true);
  }

  /** Its clock runs too far ahead of ours; said once in a while. */
  clockAhead(message: ProtocolMessage, now: number): void {
    const peer = this.peers.get(message.node);
    if (peer === undefined || tooSoon(peer.reportedAt, now, REPORT_INTERVAL_MS)) return;
    peer.reportedAt = now;
    this.context.report(
      'clock-ahead',
      peer.node,
      `${message.at.ms - now} ms ahead of our time; its stamps are refused`,
    );
  }

  private publishPoll(now: number): void {
    const poll = this.context.poll('poll', false);
    this.published.push({ number: poll.number, when: now });
    if (this.published.length > 2 * MISSED_POLLS) this.published.shift();
    const late = now - this.nextPollAt > POLL_INTERVAL_MS / 2;
    this.nextPollAt = now + (late ? POLL_INTERVAL_MS / 2 : POLL_INTERVAL_MS);
  }

  private judge(now: number): void {
    for (const peer of this.peers.values()) {
      if (!peer.live || peer.heardAt > this.lastRound) continue;
      peer.misses += 1;
      const silence = now - peer.heardAt;
      if (peer.misses >= MISSED_POLLS && silence >= MISSED_POLLS * ROUND_MS) this.goesOffline(peer, 'silent');
    }
    this.lastRound = now;
  }

  private busIsBack(now: number): void {
    const wasLost = this.bus === 'lost';
    this.bus = 'alive';
    this.context.emit({ type: 'bus-back' });
    this.forgive(now);
    if (wasLost) this.hello();
  }

  /** The silence of the last while was ours, not theirs. */
  resume(now: number, late: number): void {
    if (late < 0) this.context.emit({ type: 'clock-set-back' });
    this.context.report('paused', this.context.self.node, `the time is ${late} ms after that which was expected`);
    this.nextPollAt = this.lastTick = now;
    this.busHeardAt = now;
    this.forgive(now);
    this.hello();
  }

  private forgive(now: number): void {
    this.lastRound = now;
    for (const peer of this.peers.values()) peer.forgive(now);
    this.context.ownership.forgive(now);
  }

  private peerFor(node: number): Peer | undefined {
    const present = this.peers.get(node);
    if (present !== undefined) return present;
    if (this.peers.size >= MAX_PEERS) {
      this.context.report('too-many-peers', node, `more than ${MAX_PEERS} node numbers`);
      return undefined;
    }
    const peer = new Peer(node, this.context.self.longestLifeMs);
    this.peers.set(node, peer);
    return peer;
  }

  private beginIncarnation(peer: Peer, boot: number): void {
    if (peer.live) this.context.emit({ type: 'peer-offline', node: peer.node, boot: peer.boot, reason: 'restarted' });
    peer.beginIncarnation(boot);
  }

  private comesOnline(peer: Peer): void {
    peer.live = true;
    this.context.emit({ type: 'peer-online', node: peer.node, boot: peer.boot, address: peer.address });
  }

  private goesOffline(peer: Peer, reason: OfflineReason): void {
    const wasLive = peer.live;
    if (peer.table.count > 0) this.context.emit({ type: 'purge', owner: peer.node, reason: 'node-offline' });
    peer.goOffline();
    this.context.ownership.purged();
    if (wasLive) this.context.emit({ type: 'peer-offline', node: peer.node, boot: peer.boot, reason });
  }

  private answer(peer: Peer, now: number): void {
    peer.answeredAt = now;
    this.context.poll(peer.node, false);
  }

  /** Somebody runs with an incarnation that is not the newest of its number (its clock went back): it must not go on. */
  private tellHighest(peer: Peer, poll: Poll, now: number): void {
    if (tooSoon(peer.answeredAt, now, ANSWER_INTERVAL_MS)) return;
    peer.answeredAt = now;
    const known = { to: poll.token, highest: peer.rank };
    this.context.publish(peer.node, { type: 'known', ...this.context.header(), ...known });
  }
}

/** The newest incarnation that the sender stands for. */
export function rankOf({ boot, over }: Poll): number {
  return Math.max(boot, over);
}

function tooSoon(last: number, now: number, interval: number): boolean {
  return now >= last && now - last < interval;
}
