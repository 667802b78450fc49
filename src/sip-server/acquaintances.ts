import type { Clock } from '../process/clock';
import type { Flow } from './layers';
import { remoteKey } from './transport/addresses';

/**
 * What a peer has shown. `heard`: what is sent to it arrives there, so its address is not forged. `known`: an application
 * has taken a request of it, or we went to it ourselves.
 */
export type Standing = 'stranger' | 'heard' | 'known';

/** A registration lasts an hour at most by default, and phones are polled more often than that. */
const REMEMBERED_MS = 3_600_000;
const MAX_REMEMBERED = 100_000;

interface Acquaintance {
  readonly standing: Standing;
  readonly at: number;
}

/** The peers that are no strangers: by address and port for datagrams, else by connection. Bounded; the longest unheard go first. */
export class Acquaintances {
  private readonly peers = new Map<string, Acquaintance>();

  constructor(
    private readonly clock: Clock,
    /** A connection over which something was accepted. */
    private readonly onKnown: (connection: number) => void = () => undefined,
  ) {}

  /** The peer has repeated something that only who receives what we send can know. */
  heard(flow: Flow): void {
    this.note(flow, 'heard');
  }

  /** An application has accepted a request of the peer. */
  known(flow: Flow): void {
    this.note(flow, 'known');
    if (flow.connection !== undefined) this.onKnown(flow.connection);
  }

  standing(flow: Flow): Standing {
    const peer = this.peers.get(keyOf(flow));
    if (peer !== undefined && this.clock.now() - peer.at < REMEMBERED_MS) return peer.standing;
    // A connection could not be made from a forged address.
    return flow.connection === undefined ? 'stranger' : 'heard';
  }

  closed(connection: number): void {
    this.peers.delete(String(connection));
  }

  get size(): number {
    return this.peers.size;
  }

  private note(flow: Flow, standing: 'heard' | 'known'): void {
    const key = keyOf(flow);
    const before = this.standing(flow);
    this.peers.delete(key);
    this.peers.set(key, { standing: before === 'known' ? before : standing, at: this.clock.now() });
    if (this.peers.size <= MAX_REMEMBERED) return;
    const [oldest] = this.peers.keys();
    if (oldest !== undefined) this.peers.delete(oldest);
  }
}

function keyOf({ connection, remoteAddress, remotePort }: Flow): string {
  return connection === undefined ? remoteKey(remoteAddress, remotePort) : String(connection);
}
