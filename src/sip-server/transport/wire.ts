import type { Socket } from 'node:net';

export interface RemoteAddress {
  readonly address: string;
  readonly port: number;
}

/** What a wire tells its connection. */
export interface WireEvents {
  /** A wire that was being opened is open. */
  opened(): void;
  /** A piece of a stream, or one whole message of a transport that has messages. */
  received(bytes: Buffer): void;
  /** So many bytes, of a message that may not be whole yet. */
  partial(bytes: number): void;
  /** The peer is there, and says nothing. */
  alive(): void;
  /** The peer sends nothing more. It may still read. */
  finished(): void;
  /** `closed` follows, unless the peer lets it wait. */
  failed(error: unknown): void;
  closed(): void;
}

/** How a connection reads and writes: a TCP or TLS socket, or a WebSocket. */
export interface Wire {
  readonly remote: RemoteAddress;
  /** False while it is being opened. */
  readonly isOpen: boolean;
  readonly isWritable: boolean;
  /** Bytes that the peer has not taken yet. */
  readonly queued: number;
  write(bytes: Buffer, written: (error: Error | null | undefined) => void): void;
  /** Nothing more is read until `resume`, but for what is on its way already. */
  pause(): void;
  resume(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(): void;
  /** Destroys it, and what the kernel has not sent. */
  reset(): void;
  attach(events: WireEvents): void;
  /**
   * Whether the peer is who this host names: by its address, or with TLS by its certificate (RFC 5923 section 5,
   * RFC 5922 section 7). `name` is the host name that led to the address.
   */
  isPeer(address: string, name?: string): boolean;
}

/** A stream is handled in pieces of at most so many bytes: some dozens of messages. */
const PIECE_BYTES = 8 * 1024;

/** A plain socket. */
export class SocketWire implements Wire {
  constructor(
    protected readonly socket: Socket,
    readonly remote: RemoteAddress,
  ) {}

  get isOpen(): boolean {
    return !this.socket.connecting;
  }

  get isWritable(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  get queued(): number {
    return this.socket.writableLength;
  }

  write(bytes: Buffer, written: (error: Error | null | undefined) => void): void {
    this.socket.write(bytes, written);
  }

  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  attach(events: WireEvents): void {
    this.socket.on('connect', () => events.opened());
    this.socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) events.received(chunk.subarray(at, at + PIECE_BYTES));
    });
    this.socket.on('end', () => events.finished());
    this.socket.on('error', (error) => events.failed(error));
    this.socket.on('close', () => events.closed());
  }

  isPeer(address: string): boolean {
    return address === this.remote.address;
  }
}
