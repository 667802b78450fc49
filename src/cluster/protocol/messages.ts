import type { Stamp } from '../../process/hlc';
import type { Entry } from '../../registration/entry';
import type { DeletionReason } from '../../registration/record';

/** What every message says of its sender. `token` tells two processes apart that run with the same number and incarnation. */
export interface Header {
  readonly node: number;
  /** Incarnation; 0 while the sender does not have one yet (probe). */
  readonly boot: number;
  readonly token: string;
  /** Hybrid clock of the sender. */
  readonly at: Stamp;
}

/** "I live, and this is what my local entries look like." `hello`: the receiver answers with its own poll at once. */
export interface Poll extends Header {
  readonly type: 'poll';
  readonly hello: boolean;
  /** Counts the polls of this incarnation: late and doubled ones are no sign of life. */
  readonly number: number;
  /** SIP address for calls to this node, `host:port`. */
  readonly address: string;
  /** Sequence of the last change that was published. */
  readonly sequence: number;
  readonly count: number;
  /** Sum of the hashes of the local entries. */
  readonly digest: string;
  /** Of the entries that are nobody's, of which the sender has its own copy. */
  readonly common: string;
  /** Incarnation of its SIP server: of an earlier one no dialog is left. */
  readonly sip: number;
  /** What hangs on this process: of two with one number, that with more lives. */
  readonly calls: number;
  readonly phones: number;
  /** Incarnations of its number up to this one are over, also those that are newer than it; 0: none but older ones. */
  readonly over: number;
}

/** The sender's incarnation ends now. */
export interface Goodbye extends Header {
  readonly type: 'goodbye';
}

/** A starting node asks whether its number is in use, and for the highest incarnation that anybody heard of it. */
export interface Probe extends Header {
  readonly type: 'probe';
}

/** Answer to a probe by the node that has the number. */
export interface Taken extends Header {
  readonly type: 'taken';
  readonly to: string;
  readonly address: string;
}

/** Answer to a probe (or to an incarnation that is too old): the highest incarnation heard of the receiver's number. */
export interface Known extends Header {
  readonly type: 'known';
  readonly to: string;
  readonly highest: number;
}

export type Change =
  | { readonly op: 'put'; readonly entry: Entry }
  /** A refresh: the entry stays as it is but for these. */
  | { readonly op: 'stamp'; readonly key: string; readonly stamp: Stamp; readonly expiresAt: number }
  | { readonly op: 'delete'; readonly key: string; readonly reason: DeletionReason };

/** Consecutive changes of the sender's log; the first has the sequence `first`. */
export interface Deltas extends Header {
  readonly type: 'deltas';
  readonly first: number;
  readonly changes: readonly Change[];
}

/** An entry that was deleted, by its key and the newest stamp that it had. */
export interface DeadEntry {
  readonly key: string;
  readonly stamp: Stamp;
}

/** "These entries of yours are older than their own deletion": their owner deletes them, unless it has newer ones. */
export interface Gone extends Header {
  readonly type: 'gone';
  readonly reason: DeletionReason;
  readonly entries: readonly DeadEntry[];
}

/**
 * Asks a node for a part of its snapshot, counted from 0; without `snapshot`, of a new snapshot. With `after`
 * the changes after that sequence do: the answer is deltas, or a snapshot when they are forgotten.
 */
export interface Pull extends Header {
  readonly type: 'pull';
  readonly id: number;
  readonly snapshot?: number;
  readonly part: number;
  readonly after?: number;
}

export interface Chunk extends Header {
  readonly type: 'chunk';
  /** The `id` of the pull. */
  readonly id: number;
  /** Sequence at which the snapshot was taken; it is also its name. */
  readonly snapshot: number;
  readonly part: number;
  /** No part comes after this one. */
  readonly last: boolean;
  /** Digest of the whole snapshot. */
  readonly digest: string;
  readonly entries: readonly Entry[];
  /** The snapshot asked for is forgotten: begin again. */
  readonly gone: boolean;
}

/** Entries that are nobody's: news for everybody (`id` 0), or a part of the answer to a question. */
export interface Common extends Header {
  readonly type: 'common';
  /** The `id` of the question. */
  readonly id: number;
  readonly entries: readonly Entry[];
  /** From where to ask on; left out: this was all. */
  readonly next?: BucketPlace;
}

/** Asks a node for entries that are nobody's: for all in those buckets of keys whose digests are not these. */
export interface Reconcile extends Header {
  readonly type: 'reconcile';
  readonly id: number;
  /** By bucket. */
  readonly digests: readonly string[];
  /** Left out: from the beginning. */
  readonly from?: BucketPlace;
}

/** In a bucket, the keys after this one. */
export interface BucketPlace {
  readonly bucket: number;
  readonly after: string;
}

export type ProtocolMessage =
  Poll | Goodbye | Probe | Taken | Known | Deltas | Gone | Pull | Chunk | Common | Reconcile;

/** Where a message goes: to the poll channel, to everybody, to one node. */
export type Destination = 'poll' | 'cluster' | number;
