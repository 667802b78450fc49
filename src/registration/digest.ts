import { createHash } from 'node:crypto';
import type { RegistrationRecord } from './record';

const MASK = (1n << 64n) - 1n;

/**
 * 64 bits of everything in a record that nodes must agree on. `expiresAt` is left out: a re-stamp moves it together with
 * the stamp, and the stamp is in.
 */
export function recordHash(record: RegistrationRecord): bigint {
  const { stamp } = record;
  const fields = [
    record.key,
    record.kind,
    record.device,
    record.instance,
    record.pid,
    record.boot,
    record.contact,
    record.address,
    stamp.ms,
    stamp.counter,
    stamp.node,
    record.lines,
  ];
  return createHash('sha256').update(JSON.stringify(fields)).digest().readBigUInt64BE(0);
}

/**
 * Digest of a set of records (claim R18): two nodes that hold the same records of an owner have the same digest, in
 * whatever order they learnt them. A sum and not an exclusive or, so that a record counted twice shows.
 * Each change costs the same, however many records there are.
 */
export class RegistrationDigest {
  private sum = 0n;
  private records = 0;

  add(record: RegistrationRecord): void {
    this.sum = (this.sum + recordHash(record)) & MASK;
    this.records += 1;
  }

  remove(record: RegistrationRecord): void {
    this.sum = (this.sum - recordHash(record)) & MASK;
    this.records -= 1;
  }

  clear(): void {
    this.sum = 0n;
    this.records = 0;
  }

  get count(): number {
    return this.records;
  }

  /** Sixteen hexadecimal digits. */
  get value(): string {
    return this.sum.toString(16).padStart(16, '0');
  }
}
