import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { CancelTimer, Clock } from '../../process/clock';
import { isNearby, remoteKey } from './addresses';
import { isOwnMachine, isUdpPortBound } from './local-sockets';

/** A destination that has been silent for so long after a request is probed: a running SIP peer sends 100 at once. */
const SILENCE_MS = 100;
/** How long an ICMP answer to the probe is waited for. */
const ANSWER_MS = 400;
const MAX_WATCHED = 256;
/** RFC 5626 section 4.4.1 keep-alive; a SIP peer ignores it. */
const KEEP_ALIVE = Buffer.from('\r\n\r\n');

interface Watch {
  readonly address: string;
  readonly port: number;
  cancel: CancelTimer;
  socket: Socket | undefined;
}

/**
 * Finds out that nobody listens at a UDP destination. The kernel reports "port unreachable" only to a connected socket,
 * and the listener is not connected (it talks to everybody). So when a request is followed by silence:
 *
 * - on this machine the kernel's table of sockets tells, and nothing is sent;
 * - elsewhere a connected socket of its own sends an empty keep-alive, and the refusal of *that* datagram is taken for
 *   the destination's.
 *
 * Only for nearby addresses: behind an address translator the refusal of an unknown source port says nothing about the
 * phone. Elsewhere, and for hosts that send no ICMP, Timer B or F decides.
 */
export class RefusalProbe {
  private readonly watches = new Map<string, Watch>();

  constructor(
    private readonly clock: Clock,
    private readonly refused: (address: string, port: number) => void,
  ) {}

  /** A request went there. */
  sent(address: string, port: number): void {
    const key = remoteKey(address, port);
    if (this.watches.size >= MAX_WATCHED || this.watches.has(key) || !isNearby(address)) return;
    const watch: Watch = { address, port, socket: undefined, cancel: () => undefined };
    watch.cancel = this.clock.setTimer(SILENCE_MS, () => this.silent(key, watch));
    this.watches.set(key, watch);
  }

  /** Something came from there: somebody listens. */
  heard(address: string, port: number): void {
    if (this.watches.size > 0) this.forget(remoteKey(address, port));
  }

  close(): void {
    for (const key of [...this.watches.keys()]) this.forget(key);
  }

  private silent(key: string, watch: Watch): void {
    if (!isOwnMachine(watch.address)) return this.probe(key, watch);
    void isUdpPortBound(watch.address, watch.port).then((bound) => {
      if (this.watches.get(key) !== watch) return;
      if (bound === undefined) return this.probe(key, watch);
      this.forget(key);
      if (!bound) this.refused(watch.address, watch.port);
    });
  }

  private probe(key: string, watch: Watch): void {
    const socket = createSocket(isIPv6(watch.address) ? 'udp6' : 'udp4');
    watch.socket = socket;
    watch.cancel = this.clock.setTimer(ANSWER_MS, () => this.forget(key));
    socket.on('error', (error) => {
      if (this.watches.get(key) !== watch) return;
      this.forget(key);
      if ('code' in error && error.code === 'ECONNREFUSED') this.refused(watch.address, watch.port);
    });
    socket.on('connect', () => {
      // A refusal arrives as the socket's error, also for this send.
      if (watch.socket === socket) socket.send(KEEP_ALIVE, () => undefined);
    });
    socket.unref();
    socket.connect(watch.port, watch.address);
  }

  private forget(key: string): void {
    const watch = this.watches.get(key);
    if (watch === undefined) return;
    this.watches.delete(key);
    watch.cancel();
    const { socket } = watch;
    watch.socket = undefined;
    socket?.close();
  }
}
