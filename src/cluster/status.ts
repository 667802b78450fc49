import type { Header } from './protocol/messages';

/** What a node says of itself now and then, apart from its entries. Nodes that do not know this message refuse it and go on. */
export interface NodeStatus {
  /** Its own clock, ms since the epoch: the stamps of messages follow the clocks of others too. */
  readonly time: number;
  /** For each part of its configuration a keyed digest, by which two nodes see whether they have the same. */
  readonly configuration: Readonly<Record<string, string>>;
}

export interface StatusMessage extends Header, NodeStatus {
  readonly type: 'status';
  /** Counts those of this incarnation: late and doubled ones say nothing of now. */
  readonly number: number;
}
