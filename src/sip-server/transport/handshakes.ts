import type { Socket } from 'node:net';
import type { CancelTimer, Clock } from '../../process/clock';
import { remoteKey } from './addresses';

interface Handshake {
  readonly socket: Socket;
  readonly cancel: CancelTimer;
}

/**
 * Clients that have connected and are not through TLS or the WebSocket upgrade: limited in number, and each in time.
 * Known by their address and port, because TLS and HTTP hand over sockets of their own.
 */
export class Handshakes {
  private readonly waiting = new Map<string, Handshake>();
  private readonly perAddress = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    private readonly limits: { readonly handshakeMs: number; readonly maxHandshakes: number },
  ) {}

  get size(): number {
    return this.waiting.size;
  }

  countFrom(address: string): number {
    return this.perAddress.get(address) ?? 0;
  }

  /** False: there are too many, or the client is gone already. When its time is over the socket is destroyed. */
  begin(socket: Socket): boolean {
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined || this.size >= this.limits.maxHandshakes) return false;
    const key = remoteKey(address, port);
    const cancel = this.clock.setTimer(this.limits.handshakeMs, () => {
      this.end(address, port);
      socket.destroy();
    });
    this.waiting.set(key, { socket, cancel });
    this.perAddress.set(address, this.countFrom(address) + 1);
    socket.once('close', () => this.end(address, port));
    return true;
  }

  /** False: there was none from there. */
  end(address: string, port: number): boolean {
    const key = remoteKey(address, port);
    const handshake = this.waiting.get(key);
    if (handshake === undefined) return false;
    handshake.cancel();
    this.waiting.delete(key);
    const count = this.countFrom(address) - 1;
    if (count > 0) this.perAddress.set(address, count);
    else this.perAddress.delete(address);
    return true;
  }

  /** Ends them all. */
  abort(): void {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    this.perAddress.clear();
    for (const { socket, cancel } of all) {
      cancel();
      socket.destroy();
    }
  }
}
