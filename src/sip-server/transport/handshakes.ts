import type { Socket } from 'node:net';
import type { CancelTimer, Clock } from '../../process/clock';
import { remoteKey } from './addresses';
import type { TurnAway } from './protocol-transport';
import { Room } from './room';

interface Handshake {
  readonly socket: Socket;
  readonly cancel: CancelTimer;
  readonly leave: () => void;
}

/**
 * Clients that have connected and are not through TLS or the WebSocket upgrade: limited in number, and each in time; when there
 * are too many, the source that has most gives way. Known by their address and port, because TLS and HTTP hand over sockets of
 * their own.
 */
export class Handshakes {
  private readonly waiting = new Map<string, Handshake>();
  private readonly room: Room;

  constructor(
    private readonly clock: Clock,
    private readonly limits: { readonly handshakeMs: number; readonly maxHandshakes: number },
    private readonly turnAway: TurnAway,
  ) {
    this.room = new Room(() => clock.now());
  }

  get size(): number {
    return this.waiting.size;
  }

  countFrom(address: string): number {
    return this.room.countFrom(address);
  }

  /** False: there are too many, or the client is gone already. When its time is over the socket is destroyed. */
  begin(socket: Socket): boolean {
    const { remoteAddress: address, remotePort: port } = socket;
    if (address === undefined || port === undefined) return false;
    if (this.size >= this.limits.maxHandshakes && !this.room.makePlaceFor(address)) return false;
    const drop = (why: 'too-slow' | 'gave-way'): void => {
      this.turnAway({ address, port }, why);
      this.end(address, port);
      socket.destroy();
    };
    const cancel = this.clock.setTimer(this.limits.handshakeMs, () => drop('too-slow'));
    const leave = this.room.enter(address, () => drop('gave-way'));
    this.waiting.set(remoteKey(address, port), { socket, cancel, leave });
    socket.once('close', () => this.end(address, port));
    return true;
  }

  /** False: there was none from there. */
  end(address: string, port: number): boolean {
    const key = remoteKey(address, port);
    const handshake = this.waiting.get(key);
    if (handshake === undefined) return false;
    handshake.cancel();
    handshake.leave();
    this.waiting.delete(key);
    return true;
  }

  /** Ends them all. */
  abort(): void {
    for (const { socket, cancel, leave } of this.waiting.values()) {
      cancel();
      leave();
      socket.destroy();
    }
    this.waiting.clear();
  }
}
