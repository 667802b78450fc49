import { isDevice, type Entry } from './entry';
import type { RegistrationRecord } from './record';

/** Characters that take one byte each in JSON. */
const SIMPLE = /^[ !#-[\]-~]*$/;
/** Numbers, brackets, commas and words of an entry or a change. */
export const FRAME_BYTES = 160;

/** Bytes that a text takes in JSON, with what stands around it. */
export function textBytes(text: string): number {
  return SIMPLE.test(text) ? 3 + text.length : 1 + Buffer.byteLength(JSON.stringify(text));
}

/** Bytes that an entry takes in a message: never less than it will be, and for nearly all found without writing it. */
export function entryBytes(entry: Entry): number {
  if (isDevice(entry)) return recordBytes(entry);
  return FRAME_BYTES + textBytes(entry.key) + textBytes(entry.kind) + textBytes(entry.body);
}

function recordBytes(record: RegistrationRecord): number {
  let bytes =
    FRAME_BYTES +
    textBytes(record.key) +
    textBytes(record.device) +
    textBytes(record.instance) +
    textBytes(record.contact) +
    textBytes(record.address);
  for (const line of record.lines) bytes += textBytes(line);
  if (record.assignment !== undefined) bytes += FRAME_BYTES + textBytes(record.assignment.identity);
  return bytes;
}
