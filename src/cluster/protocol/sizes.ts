import type { RegistrationRecord } from '../../registration/record';
import type { Change } from './messages';

/** Characters that take one byte each in JSON. */
const SIMPLE = /^[ !#-[\]-~]*$/;
const BYTES_PER_UNIT = 3;
/** Numbers, brackets, commas and words of a record or a change. */
const FRAME_BYTES = 160;

function textBytes(text: string): number {
  return 3 + (SIMPLE.test(text) ? text.length : BYTES_PER_UNIT * text.length);
}

/** Bytes that a record takes in a message: never less than it will be, and found without writing it. */
export function recordBytes(record: RegistrationRecord): number {
  let bytes =
    FRAME_BYTES +
    textBytes(record.key) +
    textBytes(record.device) +
    textBytes(record.instance) +
    textBytes(record.contact) +
    textBytes(record.address);
  for (const line of record.lines) bytes += textBytes(line);
  return bytes;
}

/** The same for a change. */
export function changeBytes(change: Change): number {
  return change.op === 'put' ? recordBytes(change.record) : FRAME_BYTES + textBytes(change.key);
}
