import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { encodeFrame } from './frame';

/** An authenticated application, as the SIP side sees it. */
export interface Application {
  readonly open: boolean;
  /** It does not read as fast as we write: give it no new requests for now. */
  readonly congested: boolean;
  /** `response` to one of its commands: `rest` begins with OK or NOK. */
  reply(commandId: string, rest: string, message?: Buffer): void;
  /** A `sip` frame. */
  deliver(rest: string, message: Buffer): void;
  /** A frame of another type: `cdr:start` and the like. */
  report(type: string, rest: string, message: Buffer): void;
}

/** Above this many unsent bytes an application gets no new requests. */
const HIGH_WATER_BYTES = 8 * 1024 * 1024;
/** An application that lets this much pile up is lost. */
const LOST_BYTES = 64 * 1024 * 1024;

/**
 * One application connection; writing never blocks and never throws. What is written while the loop handles one batch
 * of events goes out in one system call: under load, writes are what costs most.
 */
export class ApplicationConnection implements Application {
  authenticated = false;
  private corked = false;

  constructor(private readonly socket: Socket) {}

  get open(): boolean {
    return !this.socket.destroyed && this.socket.writable;
  }

  get congested(): boolean {
    return this.socket.writableLength > HIGH_WATER_BYTES;
  }

  reply(commandId: string, rest: string, message?: Buffer): void {
    this.write(`${randomUUID()}|response|${commandId}|${rest}`, message);
  }

  deliver(rest: string, message: Buffer): void {
    this.write(`${randomUUID()}|sip|${rest}`, message);
  }

  report(type: string, rest: string, message: Buffer): void {
    this.write(`${randomUUID()}|${type}|${rest}`, message);
  }

  /** `NO`: a breach of the protocol; the connection ends with it. */
  refuse(commandId: string, reason: string): void {
    this.reply(commandId, `NO|${reason}`);
    this.socket.end();
  }

  private write(tokens: string, message: Buffer | undefined): void {
    if (!this.open) return;
    if (this.socket.writableLength > LOST_BYTES) {
      this.socket.destroy();
      return;
    }
    if (!this.corked) {
      this.corked = true;
      this.socket.cork();
      setImmediate(() => {
        this.corked = false;
        this.socket.uncork();
      });
    }
    this.socket.write(encodeFrame(tokens, message));
  }
}
