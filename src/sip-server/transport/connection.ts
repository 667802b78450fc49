import type { StreamItem } from '../../sip-message/stream';
import type { Flow, ListenPoint, TransportFailure } from '../layers';
import { failureOf } from './addresses';
import type { ByteBudget, Holder } from './byte-budget';
import type { Receiver, SendDone, TurnedAwayBecause } from './protocol-transport';
import type { Room } from './room';
import type { Backlogged, Turns } from './turns';
import type { Wire } from './wire';

const PONG = Buffer.from('\r\n');

/** Makes messages of what a wire receives. */
export interface Framing {
  push(bytes: Buffer): StreamItem[];
  /** True while a message has begun and is not complete. */
  readonly isInsideMessage: boolean;
  /** Memory that this takes, in bytes. */
  readonly heldBytes: number;
}

/** In ms. */
export interface StreamTimes {
  /** Nothing read or written for so long: closed. */
  readonly idleMs: number;
  /** So long a peer of whom nothing was ever accepted may go without a message; keep-alives are none. */
  readonly strangerMs: number;
  /** A message that has begun must be complete in this time; a client must send its first one in it. */
  readonly messageMs: number;
  /** Bytes that the peer does not take for so long: closed. */
  readonly stallMs: number;
}

/** Bytes that may wait for a stranger who does not read. */
const STRANGER_QUEUE_BYTES = 64 * 1024;

/** What all connections have together. */
export interface Shared {
  readonly budget: ByteBudget;
  readonly turns: Turns;
}

/** One connection: TCP, TLS or WebSocket. */
export class Connection implements Holder, Backlogged {
  readonly flow: Flow;
  /** Names of the table under which requests to the peer find this connection. */
  readonly keys = new Set<string>();
  private readonly outstanding = new Set<SendDone>();
  private failure: TransportFailure | undefined;
  private settled: (() => void) | undefined;
  private established: boolean;
  private finishing = false;
  /** What it has sent last has come: nothing more does. */
  private peerFinished = false;
  private peerIsDone = false;
  private lastActivity: number;
  private waitingSince: number | undefined;
  /** Of a message that is none of the framing's yet (WebSocket). */
  private partialBytes = 0;
  private lastMessage: number;
  private lastHeard: number;
  private known: boolean;
  /** Gives up the place among those of whom nothing was accepted yet. */
  private leaveRoom: (() => void) | undefined;
  private stalledSince: number | undefined;
  private flushed = 0;
  private flushedAtStall = 0;
  /** What was received and not handled yet. Nothing more is read meanwhile. */
  private readonly backlog: Buffer[] = [];
  private backlogBytes = 0;

  constructor(
    readonly id: number,
    private readonly wire: Wire,
    local: ListenPoint,
    private readonly queueLimit: number,
    private readonly framing: Framing,
    private readonly now: () => number,
    private readonly receiver: Receiver,
    private readonly onClosed: (connection: Connection) => void,
    private readonly shared: Shared,
  ) {
    this.flow = {
      protocol: local.protocol,
      remoteAddress: wire.remote.address,
      remotePort: wire.remote.port,
      local,
      connection: id,
    };
    this.established = wire.isOpen;
    this.lastActivity = now();
    this.lastMessage = this.lastActivity;
    this.lastHeard = this.lastActivity;
    this.known = !this.established;
    // Whoever connects to us has something to say; a peer that we connected to may stay silent.
    this.waitingSince = this.established ? this.lastActivity : undefined;
    wire.attach({
      opened: () => this.opened(),
      received: (bytes) => this.received(bytes),
      partial: (bytes) => this.partial(bytes),
      alive: () => this.alive(),
      finished: () => this.heardAll(),
      failed: (error) => this.failed(error),
      closed: () => this.ended(),
    });
  }

  /** As `Wire.isPeer`. */
  isPeer(address: string, name?: string): boolean {
    return this.wire.isPeer(address, name);
  }

  /** Calls back once, when the connection is established or has failed. */
  onceSettled(callback: () => void): void {
    this.settled = callback;
  }

  /** Somebody has accepted what came over it, or we have opened it: from now on keep-alives keep it. */
  keep(): void {
    this.known = true;
    this.leaveRoom?.();
  }

  /** It takes a place among strangers until it is kept or ends. */
  inRoom(room: Room): void {
    if (!this.known) this.leaveRoom = room.enter(this.flow.remoteAddress, () => this.giveWay());
  }

  get isKnown(): boolean {
    return this.known;
  }

  giveWay(): void {
    this.turnedAway('gave-way');
    this.leaveRoom?.();
    this.abort('closed');
  }

  /** Usable for requests: connecting or open. */
  get isUsable(): boolean {
    return this.isWritable && !this.peerIsDone;
  }

  /** Usable for answers: the peer reads, as far as we know. */
  get isWritable(): boolean {
    return !this.finishing && this.wire.isWritable;
  }

  send(bytes: Buffer, done: SendDone): void {
    if (!this.isWritable) return done({ failure: 'closed' });
    const limit = this.known ? this.queueLimit : Math.min(this.queueLimit, STRANGER_QUEUE_BYTES);
    if (this.wire.queued + bytes.length > Math.max(limit, bytes.length)) {
      done({ failure: 'timeout' });
      this.abort('timeout');
      return;
    }
    this.lastActivity = this.now();
    this.outstanding.add(done);
    this.wire.write(bytes, (error) => {
      // After an error comes `close`, which knows the cause and tells everybody who waits.
      if (error !== null && error !== undefined) return;
      this.flushed++;
      if (this.outstanding.delete(done)) done({ flow: this.flow });
    });
  }

  /** Ends at once, for a reason that those who wait for their sends are told. */
  abort(failure: TransportFailure): void {
    this.failure ??= failure;
    this.wire.destroy();
  }

  /** When nothing came for so long: as `abort`, and what the kernel has not sent yet is thrown away too. */
  cutOff(silentMs: number): void {
    if (this.now() - this.lastHeard < silentMs) return;
    this.failure ??= 'timeout';
    this.wire.reset();
  }

  /** Sends what is queued, then closes; nothing more is read. */
  finish(): void {
    if (this.finishing) return;
    this.finishing = true;
    this.stalledSince = this.now();
    this.wire.end();
  }

  /** Called every few seconds: closes a connection that is idle, stuck, or feeds a message byte by byte. */
  check(times: StreamTimes): void {
    const now = this.now();
    if (!this.established) return;
    this.noteStall(now);
    const since = (from: number | undefined): number => (from === undefined ? 0 : now - from);
    if (this.stalledSince !== undefined && since(this.stalledSince) >= times.stallMs) this.abort('timeout');
    else if (since(this.waitingSince) >= times.messageMs) this.endSlow();
    else if (since(this.lastActivity) >= times.idleMs) this.finish();
    else if (!this.known && since(this.lastMessage) >= times.strangerMs) this.endSlow();
  }

  private endSlow(): void {
    this.turnedAway('too-slow');
    this.abort('timeout');
  }

  private turnedAway(why: TurnedAwayBecause): void {
    const { protocol, remoteAddress: address, remotePort: port } = this.flow;
    this.receiver.turnedAway(protocol, { address, port }, why);
  }

  private noteStall(now: number): void {
    if (this.finishing) return;
    if (this.wire.queued === 0) this.stalledSince = undefined;
    else if (this.stalledSince === undefined || this.flushed !== this.flushedAtStall) {
      this.stalledSince = now;
      this.flushedAtStall = this.flushed;
    }
  }

  private received(bytes: Buffer): void {
    if (this.finishing) return;
    const now = this.now();
    this.lastActivity = now;
    this.lastHeard = now;
    this.partialBytes = 0;
    const isBehind = this.backlog.length > 0;
    this.backlog.push(bytes);
    this.backlogBytes += bytes.length;
    if (isBehind) return this.noteHeld();
    while (this.backlog.length > 0 && this.shared.turns.hasTime) this.handleFirst();
    if (this.backlog.length === 0) return;
    this.wire.pause();
    this.shared.turns.wait(this);
    this.noteHeld();
  }

  workOff(): boolean {
    this.handleFirst();
    if (this.backlog.length > 0) return true;
    this.wire.resume();
    if (this.peerFinished) this.heardAll();
    return false;
  }

  private handleFirst(): void {
    const bytes = this.backlog.shift();
    if (bytes === undefined) return;
    this.backlogBytes -= bytes.length;
    this.handle(bytes);
  }

  private handle(bytes: Buffer): void {
    if (this.finishing) return;
    const now = this.now();
    for (const item of this.framing.push(bytes)) {
      this.waitingSince = undefined;
      if (item.kind === 'message') {
        this.lastMessage = now;
        this.receiver.message(item.message, this.flow, item.bytes);
      } else if (item.kind === 'ping') this.send(PONG, () => undefined);
      else {
        this.receiver.malformed(item.failure, this.flow);
        if (item.fatal) this.finish();
      }
    }
    if (this.framing.isInsideMessage) this.waitingSince ??= now;
    this.noteHeld();
  }

  private noteHeld(): void {
    this.shared.budget.set(this, this.framing.heldBytes + this.backlogBytes);
  }

  /** The peer has half-closed the connection: it goes when everything that came over it is answered. */
  private heardAll(): void {
    this.peerFinished = true;
    if (this.backlog.length > 0 || this.finishing || this.peerIsDone) return;
    this.peerIsDone = true;
    this.waitingSince = undefined;
    if (!this.receiver.finished(this.id)) this.finish();
  }

  private opened(): void {
    this.established = true;
    this.settle();
  }

  private settle(): void {
    this.settled?.();
    this.settled = undefined;
  }

  private partial(bytes: number): void {
    this.waitingSince ??= this.now();
    this.lastHeard = this.now();
    this.partialBytes += bytes;
    this.shared.budget.set(this, this.partialBytes + this.backlogBytes);
  }

  private alive(): void {
    this.lastActivity = this.now();
    this.waitingSince = undefined;
  }

  /** Whoever does not let go of a connection that failed is cut off after the time for stalled ones. */
  private failed(error: unknown): void {
    this.failure ??= failureOf(error);
    this.stalledSince ??= this.now();
    this.finishing = true;
  }

  private ended(): void {
    this.settle();
    this.leaveRoom?.();
    this.backlog.length = 0;
    this.backlogBytes = 0;
    this.shared.turns.forget(this);
    this.shared.budget.set(this, 0);
    const failure = this.failure ?? 'closed';
    this.onClosed(this);
    const waiting = [...this.outstanding];
    this.outstanding.clear();
    for (const done of waiting) done({ failure });
    if (!this.established) return;
    this.receiver.closed(this.id);
    const { protocol, remoteAddress, remotePort } = this.flow;
    this.receiver.sendFailed({ protocol, address: remoteAddress, port: remotePort, connection: this.id }, failure);
  }
}
