import { isDevice, type Entry, type TextEntry } from './entry';
import type { RegistrationRecord } from './record';

/**
 * A hash of 64 bits in two halves of 32, both signed. It is made once for each change of each entry on each node, so
 * it is one that costs little, and no cryptographic one: it shows what was lost on the way. That nobody but a node
 * says anything is the concern of the messages' signatures.
 */
export interface EntryHash {
  readonly high: number;
  readonly low: number;
}

/** Odd numbers with their bits well spread: multiplying by them loses nothing. */
const HIGH_FACTOR = 0x9e3779b1 | 0;
const LOW_FACTOR = 0x85ebca77 | 0;
const { imul } = Math;
const TWO_TO_32 = 4294967296;

class Hasher {
  private high = 0;
  private low = 0;

  begin(): void {
    this.high = 0x243f6a88;
    this.low = 0x13198a2e;
  }

  text(text: string): void {
    let { high, low } = this;
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      high = imul(high ^ unit, HIGH_FACTOR);
      high ^= high >>> 15;
      low = imul(low ^ unit, LOW_FACTOR);
      low ^= low >>> 13;
    }
    this.high = high;
    this.low = low;
    // The length, so that what ends one field and what begins the next cannot be exchanged.
    this.word(text.length);
  }

  /** A whole number below 2^53. */
  count(value: number): void {
    this.word(value | 0);
    this.word((value / TWO_TO_32) | 0);
  }

  end(): EntryHash {
    const { high, low } = this;
    return { high: finish(high ^ (low >>> 7)), low: finish(low ^ (high >>> 9)) };
  }

  private word(word: number): void {
    this.high = imul(this.high ^ word, HIGH_FACTOR);
    this.high ^= this.high >>> 15;
    this.low = imul(this.low ^ word, LOW_FACTOR);
    this.low ^= this.low >>> 13;
  }
}

/** Every bit of the result depends on every bit of the word. */
function finish(word: number): number {
  let mixed = imul(word ^ (word >>> 16), LOW_FACTOR);
  mixed = imul(mixed ^ (mixed >>> 13), HIGH_FACTOR);
  return mixed ^ (mixed >>> 16);
}

const hasher = new Hasher();

/**
 * The hash of everything in an entry that nodes must agree on. `expiresAt` is left out: a re-stamp moves it together
 * with the stamp, and the stamp is in.
 */
export function entryHash(entry: Entry): EntryHash {
  return isDevice(entry) ? recordHash(entry) : textHash(entry);
}

/** Sixteen hexadecimal digits of some texts, in this order. */
export function textsHash(texts: readonly string[]): string {
  hasher.begin();
  for (const text of texts) hasher.text(text);
  const { high, low } = hasher.end();
  return hexadecimal(high) + hexadecimal(low);
}

function textHash({ key, kind, owner, boot, stamp, body }: TextEntry): EntryHash {
  hasher.begin();
  hasher.text(key);
  hasher.text(kind);
  hasher.text(body);
  hasher.count(owner);
  hasher.count(boot);
  hasher.count(stamp.ms);
  hasher.count(stamp.counter);
  hasher.count(stamp.node);
  return hasher.end();
}

function recordHash(record: RegistrationRecord): EntryHash {
  const { stamp, lines, mac, assignment } = record;
  hasher.begin();
  hasher.text(record.key);
  hasher.text(record.kind);
  hasher.text(record.device);
  hasher.text(record.instance);
  hasher.text(record.pid);
  hasher.count(record.boot);
  hasher.text(record.contact);
  hasher.text(record.address);
  hasher.count(stamp.ms);
  hasher.count(stamp.counter);
  hasher.count(stamp.node);
  hasher.count(lines.length);
  for (const line of lines) hasher.text(line);
  if (mac !== undefined) hasher.text(mac);
  if (assignment !== undefined) {
    hasher.text(assignment.identity);
    hasher.count(assignment.at.ms);
    hasher.count(assignment.at.counter);
    hasher.count(assignment.at.node);
  }
  return hasher.end();
}

/**
 * Digest of a set of entries (claim R18): two nodes that hold the same entries of an owner have the same digest, in
 * whatever order they learnt them. A sum and not an exclusive or, so that an entry counted twice shows.
 * Each change costs the same, however many entries there are.
 */
export class EntryDigest {
  private high = 0;
  private low = 0;

  add(hash: EntryHash): void {
    this.high = (this.high + hash.high) | 0;
    this.low = (this.low + hash.low) | 0;
  }

  remove(hash: EntryHash): void {
    this.high = (this.high - hash.high) | 0;
    this.low = (this.low - hash.low) | 0;
  }

  clear(): void {
    this.high = 0;
    this.low = 0;
  }

  /** Sixteen hexadecimal digits. */
  get value(): string {
    return hexadecimal(this.high) + hexadecimal(this.low);
  }
}

function hexadecimal(half: number): string {
  return (half >>> 0).toString(16).padStart(8, '0');
}
