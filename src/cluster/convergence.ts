import type { Peer } from './protocol/peer';
import { MISSED_POLLS, POLL_INTERVAL_MS } from './protocol/timing';

/** A node that lives has been heard after this time. */
const EVERYBODY_HEARD_MS = MISSED_POLLS * POLL_INTERVAL_MS;

/**
 * How far this node's tables are from those of the others, as far as it can know. A comparison that was made before the
 * bus was lost, or before this process stood still, says nothing: changes may have been missed since.
 */
export class Convergence {
  private since: number;

  /** `others`: the other nodes of the configuration. */
  constructor(
    private readonly others: readonly number[],
    now: number,
  ) {
    this.since = now;
  }

  /** The bus works again, or this process was paused: everything must be heard anew. */
  restart(now: number): void {
    this.since = now;
  }

  /** Our copy was equal when the peer last said what it has, and nothing is known to have changed since. */
  isEqual(peer: Peer): boolean {
    return peer.live && peer.digestEqual && peer.lagSince === undefined && peer.comparedAt >= this.since;
  }

  /** Every node of the configuration was heard, or would have been if it lived, and all copies are equal, those of what is nobody's too. */
  reached(peers: ReadonlyMap<number, Peer>, now: number): boolean {
    const waitedOut = Math.abs(now - this.since) >= EVERYBODY_HEARD_MS;
    const heard = (node: number) => (peers.get(node)?.comparedAt ?? 0) >= this.since || peers.get(node)?.ended === true;
    if (!waitedOut && !this.others.every(heard)) return false;
    for (const peer of peers.values()) if (peer.live && !(this.isEqual(peer) && peer.commonEqual)) return false;
    return true;
  }

  /** For how long our copy has not been known to equal the entries of a live peer, in ms. */
  lagMs(peer: Peer, now: number, busWorks: boolean): number {
    if (!peer.live || (busWorks && this.isEqual(peer))) return 0;
    return Math.max(0, now - (peer.lagSince ?? peer.comparedAt));
  }
}
