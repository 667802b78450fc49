import { entryBytes, FRAME_BYTES, textBytes } from '../../registration/entry-size';
import type { Change } from './messages';

/** Bytes that a change takes in a message: never less than it will be, and found without writing it. */
export function changeBytes(change: Change): number {
  return change.op === 'put' ? entryBytes(change.entry) : FRAME_BYTES + textBytes(change.key);
}
