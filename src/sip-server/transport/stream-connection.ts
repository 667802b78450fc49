import type { Socket } from 'node:net';
import type { ParseLimits } from '../../sip-message/parse';
import { StreamFramer } from '../../sip-message/stream';
import type { Flow, ListenPoint, TransportFailure } from '../layers';
import { failureOf } from './addresses';
import type { Receiver, SendDone } from './protocol-transport';

const PONG = Buffer.from('\r\n');

export interface StreamTimes {
  /** Nothing read or written for so long: closed. */
  readonly idleMs: number;
  /** A message that has begun must be complete in this time; a client must send its first one in it. */
  readonly messageMs: number;
  /** Bytes that the peer does not take for so long: closed. */
  readonly stallMs: number;
}

/** One connection of a stream transport (TCP; TLS gives the same kind of socket). */
export class StreamConnection {
  readonly flow: Flow;
  /** Names of the table under which requests to the peer find this connection. */
  readonly keys = new Set<string>();
  private readonly framer: StreamFramer;
  private readonly outstanding = new Set<SendDone>();
  private failure: TransportFailure | undefined;
  private established: boolean;
  private finishing = false;
  private lastActivity: number;
  private waitingSince: number | undefined;
  private stalledSince: number | undefined;
  private flushed = 0;
  private flushedAtStall = 0;

  constructor(
    readonly id: number,
    private readonly socket: Socket,
    remote: { readonly address: string; readonly port: number },
    local: ListenPoint,
    private readonly queueLimit: number,
    limits: ParseLimits,
    private readonly now: () => number,
    private readonly receiver: Receiver,
    private readonly onClosed: (connection: StreamConnection) => void,
  ) {
    this.flow = {
      protocol: local.protocol,
      remoteAddress: remote.address,
      remotePort: remote.port,
      local,
      connection: id,
    };
    this.framer = new StreamFramer(limits);
    this.established = !socket.connecting;
    this.lastActivity = now();
    // Whoever connects to us has something to say; a peer that we connected to may stay silent.
    this.waitingSince = this.established ? this.lastActivity : undefined;
    socket.on('connect', () => (this.established = true));
    socket.on('data', (chunk: Buffer) => this.received(chunk));
    socket.on('error', (error) => (this.failure ??= failureOf(error)));
    socket.on('close', () => this.ended());
  }

  /** Usable for new messages: connecting or open. */
  get isUsable(): boolean {
    return !this.finishing && !this.socket.destroyed && this.socket.writable;
  }

  send(bytes: Buffer, done: SendDone): void {
    if (!this.isUsable) return done({ failure: 'closed' });
    if (this.socket.writableLength + bytes.length > this.queueLimit) {
      done({ failure: 'timeout' });
      this.abort('timeout');
      return;
    }
    this.lastActivity = this.now();
    this.outstanding.add(done);
    this.socket.write(bytes, (error) => {
      // After an error comes `close`, which knows the cause and tells everybody who waits.
      if (error !== null && error !== undefined) return;
      this.flushed++;
      if (this.outstanding.delete(done)) done({ flow: this.flow });
    });
  }

  /** Ends at once, for a reason that those who wait for their sends are told. */
  abort(failure: TransportFailure): void {
    this.failure ??= failure;
    this.socket.destroy();
  }

  /** Sends what is queued, then closes; nothing more is read. */
  finish(): void {
    if (this.finishing) return;
    this.finishing = true;
    this.stalledSince = this.now();
    this.socket.end();
  }

  /** Called every few seconds: closes a connection that is idle, stuck, or feeds a message byte by byte. */
  check(times: StreamTimes): void {
    const now = this.now();
    if (!this.established) return;
    this.noteStall(now);
    const since = (from: number | undefined): number => (from === undefined ? 0 : now - from);
    if (this.stalledSince !== undefined && since(this.stalledSince) >= times.stallMs) this.abort('timeout');
    else if (since(this.waitingSince) >= times.messageMs) this.abort('timeout');
    else if (since(this.lastActivity) >= times.idleMs) this.finish();
  }

  private noteStall(now: number): void {
    if (this.finishing) return;
    if (this.socket.writableLength === 0) this.stalledSince = undefined;
    else if (this.stalledSince === undefined || this.flushed !== this.flushedAtStall) {
      this.stalledSince = now;
      this.flushedAtStall = this.flushed;
    }
  }

  private received(chunk: Buffer): void {
    if (this.finishing) return;
    const now = this.now();
    this.lastActivity = now;
    for (const item of this.framer.push(chunk)) {
      this.waitingSince = undefined;
      if (item.kind === 'message') this.receiver.message(item.message, this.flow, item.bytes);
      else if (item.kind === 'ping') this.send(PONG, () => undefined);
      else {
        this.receiver.malformed(item.failure, this.flow);
        if (item.fatal) this.finish();
      }
    }
    if (!this.framer.isInsideMessage) return;
    this.waitingSince ??= now;
  }

  private ended(): void {
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
