import type { Effect } from '../../src/cluster/protocol/effects';
import type { Poll, ProtocolMessage } from '../../src/cluster/protocol/messages';
import type { SimulatedNode } from './simulated-node';

/**
 * A rule taken out of the protocol, at the seam between the core of a simulated node and the world around it: the core itself
 * knows nothing of it.
 */
export interface Mutation {
  /** The message as the core gets it. */
  readonly received?: (node: SimulatedNode, message: ProtocolMessage) => ProtocolMessage;
  /** The incarnation that a start takes. */
  readonly boot?: (boot: number) => number;
  /** `true`: what the core wants is not done. */
  readonly swallows?: (effect: Effect) => boolean;
  /** A node gives an entry up as soon as it hears of a newer one, and keeps nothing of it. */
  readonly hearsay?: boolean;
  /** What has moved is struck out of the journal before the newer entry is confirmed. */
  readonly strikesHearsay?: boolean;
  /** What has left is not known any more after a restart. */
  readonly forgetsGraves?: boolean;
  /** Settings are not known any more after a restart. */
  readonly forgetsSettings?: boolean;
  /** What a node that is gone said besides its devices stays. */
  readonly keepsTheDead?: boolean;
  /** That the last one who looked at a line is gone is told to nobody. */
  readonly keepsWatches?: boolean;
  /** A node hears its own polls although the bus does not carry them. */
  readonly hearsItself?: boolean;
}

export const UNCHANGED: Mutation = {};

function presentPeer(node: SimulatedNode, message: ProtocolMessage) {
  const peer = node.protocol?.peer(message.node);
  return peer?.live === true && peer.boot === message.boot && peer.synced ? peer : undefined;
}

function isDispute(effect: Effect): boolean {
  return effect.type === 'publish' && effect.message.type === 'gone';
}

function unordered(node: SimulatedNode, message: ProtocolMessage): ProtocolMessage {
  const peer = presentPeer(node, message);
  return message.type === 'deltas' && peer !== undefined ? { ...message, first: peer.sequence + 1 } : message;
}

function asNew(node: SimulatedNode, message: ProtocolMessage): ProtocolMessage {
  if (message.type !== 'common') return message;
  return { ...message, entries: message.entries.map((entry) => ({ ...entry, stamp: node.hybridClock.next() })) };
}

function sameSettings(node: SimulatedNode, poll: Poll): Poll {
  return { ...poll, common: node.protocol?.commonDigest ?? '' };
}

export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  /** A poll never says that entries differ. */
  'no digest': {
    received: (node, message) => {
      const peer = presentPeer(node, message);
      if (message.type !== 'poll' || peer === undefined) return message;
      return { ...message, digest: peer.digest, count: peer.table.count };
    },
  },
  /** A process that starts anew cannot be told from the one before. */
  'no incarnation': { boot: () => 1 },
  /** Deltas are applied as they arrive. */
  'no order': { received: unordered },
  'no order, line states': { received: unordered },
  /** A node does not notice that the bus is lost, and blames the others. */
  'no bus-lost rule': { hearsItself: true },
  /** A node keeps its entry when the device has registered elsewhere. */
  'no moved': { swallows: (effect) => effect.type === 'own-moved' },
  /** The newer entry need not be confirmed: it may be of an old request, over a connection that is closed. */
  'no confirmation': { hearsay: true },
  /** That a phone has left is forgotten by the node at which it did. */
  'no graves, left elsewhere': { swallows: isDispute },
  /** What a node restores is not compared with what the others know as deleted. */
  'no graves, old journal': { swallows: isDispute },
  /** A restart within the time of confirmation knows nothing of the binding. */
  'no confirmation on disk': { strikesHearsay: true },
  /** All nodes restart at once, and nobody knows who has left. */
  'no graves on disk': { forgetsGraves: true },
  /** Of two settings that one counts which comes last. */
  'no newest setting': { received: asNew },
  /** A poll never says that settings differ. */
  'no digest of settings': {
    received: (node, message) => (message.type === 'poll' ? sameSettings(node, message) : message),
  },
  /** All nodes restart at once, and nobody knows what was set. */
  'no settings on disk': { forgetsSettings: true },
  /** The line states of a node outlive it. */
  'no end with the node': { keepsTheDead: true },
  /** Who looks at a line looks at it for ever. */
  'no end of watches': { keepsWatches: true },
};
