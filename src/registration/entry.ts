import type { Stamp } from '../process/hlc';
import type { RegistrationRecord } from './record';

/** What every entry has that nodes tell each other, whatever it says: how it is found, ordered and ended. */
export interface EntryEnvelope {
  /** Unique within an owner. */
  readonly key: string;
  /** What the body is, and so who reads it. */
  readonly kind: string;
  /** Incarnation of the owner that made it. */
  readonly boot: number;
  /** When it was made or last confirmed; of two with one key the newer one counts. */
  readonly stamp: Stamp;
  /** Milliseconds since the epoch; 0 for what does not expire. */
  readonly expiresAt: number;
}

/**
 * An entry whose body is told, compared and kept without being understood: JSON as text, which the room that has made it reads
 * (`BodyCodec`). So a kind, or a body, that only newer nodes know is carried like any other.
 */
export interface TextEntry extends EntryEnvelope {
  /** The node that made it and with which it ends; `NOBODY` for what outlives every node. */
  readonly owner: number;
  readonly body: string;
}

/**
 * What nodes tell each other. A device process has its body beside the envelope, in one object and read field by field: of these there
 * may be a million.
 */
export type Entry = RegistrationRecord | TextEntry;

/** Owner of entries that are no node's: every node keeps all of them, and the newest of a key counts. */
export const NOBODY = 0;

/** The entry is a device process. The same key of one at two owners is one thing that has moved; all else several nodes may say at once. */
export function isDevice(entry: Entry): entry is RegistrationRecord {
  return !('body' in entry);
}

/** The node whose entry this is. */
export function ownerOf(entry: Entry): number {
  return isDevice(entry) ? Number(entry.pid.slice(0, entry.pid.indexOf('.'))) : entry.owner;
}
