import type { Clock } from '../process/clock';
import type { HybridClock } from '../process/hlc';
import type { CompositeSet } from '../registration/composite-set';
import type { EntrySet } from '../registration/entry-set';
import type { Metrics } from '../telemetry/metrics';
import type { Bus } from './bus';
import type { Vitals } from './protocol/context';
import type { Refusal } from './envelope';
import type { NodeStatus } from './status';

export interface ClusterLog {
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface ClusterOptions {
  readonly node: number;
  readonly clusterName: string;
  readonly secret: string;
  readonly bus: Bus;
  /** The other nodes of the configuration: while they may still be heard this node has not converged. */
  readonly others?: readonly number[];
  readonly clock: Clock;
  /** The node's one hybrid clock: stamps of its own records come from it too. */
  readonly hybridClock: HybridClock;
  /** Own records that others put or delete here go to all nodes; those of the other nodes appear and vanish here. */
  readonly composite: CompositeSet;
  /** The same for what nodes say besides. */
  readonly entries: EntrySet;
  /** Address for SIP from other nodes, `host:port`. */
  readonly sipAddress: string;
  readonly log: ClusterLog;
  readonly metrics?: Metrics;
  /** For how long a registration is granted at most, at any node. */
  readonly longestLifeMs: number;
  /** What our polls say of this process besides its entries. */
  readonly vitals?: () => Vitals;
  /** The SIP server of a node was started again. */
  readonly onSipServerRestarted?: (node: number) => void;
  /** What became of an own entry that was deleted with the reason `moved`: see the effects `own-back` and `own-settled`. */
  readonly onMovedBinding?: (key: string, outcome: 'back' | 'settled') => void;
  /** A node came on-line or went off-line, or the bus was lost or is back. */
  readonly onPeersChanged?: () => void;
  /** A node that is on-line says something of itself. */
  readonly onStatus?: (node: number, status: NodeStatus) => void;
  /** Our own clock was set back: others judge our requests by what it showed before. */
  readonly onClockSetBack?: () => void;
  /** A message is signed with another secret, and claims to be of this node. */
  readonly onForged?: (node: number) => void;
  /** Another process runs with our number: deregister everything and exit with this message. */
  readonly onFatal: (message: string) => void;
}

/** Node directory: what is known of another node. */
export interface PeerStatus {
  readonly node: number;
  readonly boot: number;
  /** On-line, as far as we know. */
  readonly live: boolean;
  /** What is known of it may be out of date: the bus is lost. */
  readonly stale: boolean;
  readonly address: string;
  /** Sequence of its last change, as it says. */
  readonly sequence: number;
  /** Sequence of the last of its changes that we have. */
  readonly ourSequence: number;
  readonly entries: number;
  readonly digestEqual: boolean;
  /** For how long our copy has not been known to equal its entries, in ms; 0 while it is off-line. */
  readonly lagMs: number;
  /** When its last poll was heard, ms since the epoch. */
  readonly heardAt: number;
}

export interface ClusterCounters {
  published: number;
  dropped: number;
  received: number;
  readonly refused: Record<Refusal, number>;
}
