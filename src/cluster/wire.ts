import type { Entry } from '../registration/entry';
import { entryRow, readEntry, type Row } from '../registration/entry-row';
import { deletionReason } from '../registration/record';
import { isCount, isKey } from '../registration/validate';
import type { ProcessMessage } from './messenger';
import type { Change, ProtocolMessage } from './protocol/messages';
import type { StatusMessage } from './status';

// Entries and changes travel as lists (`Row`). They are read with the same care as all else that arrives.

const STAMP_FIELDS = 6;
const DELETE_FIELDS = 3;

/** A message as JSON. */
export function writeMessage(message: ProtocolMessage | ProcessMessage | StatusMessage): string {
  if (message.type === 'chunk' || message.type === 'common')
    return JSON.stringify({ ...message, entries: message.entries.map(entryRow) });
  if (message.type === 'deltas') return JSON.stringify({ ...message, changes: message.changes.map(changeRow) });
  return JSON.stringify(message);
}

/** Entries; `undefined` when any of them is none. */
export function readEntries(rows: unknown): Entry[] | undefined {
  return readRows(rows, readEntry);
}

/** The changes of a delta; `undefined` when any of them is none. */
export function readChanges(rows: unknown): Change[] | undefined {
  return readRows(rows, readChange);
}

function readRows<Item>(rows: unknown, read: (row: Row) => Item | undefined): Item[] | undefined {
  if (!Array.isArray(rows)) return undefined;
  const items: Item[] = [];
  for (const row of rows as Row) {
    const item = Array.isArray(row) ? read(row) : undefined;
    if (item === undefined) return undefined;
    items.push(item);
  }
  return items;
}

function changeRow(change: Change): Row {
  switch (change.op) {
    case 'put':
      return ['put', entryRow(change.entry)];
    case 'stamp': {
      const { ms, counter, node } = change.stamp;
      return ['stamp', change.key, ms, counter, node, change.expiresAt];
    }
    case 'delete':
      return ['delete', change.key, change.reason];
  }
}

function readChange(row: Row): Change | undefined {
  const [op, first, ms, counter, node, expiresAt] = row;
  if (op === 'put') return row.length === 2 && Array.isArray(first) ? put(first) : undefined;
  if (!isKey(first)) return undefined;
  if (op === 'delete') {
    const reason = deletionReason(ms);
    return reason === undefined || row.length !== DELETE_FIELDS ? undefined : { op, key: first, reason };
  }
  if (op !== 'stamp' || row.length !== STAMP_FIELDS) return undefined;
  if (!isCount(ms) || !isCount(counter) || !isCount(node) || !isCount(expiresAt)) return undefined;
  return { op, key: first, stamp: { ms, counter, node }, expiresAt };
}

function put(row: Row): Change | undefined {
  const entry = readEntry(row);
  return entry && { op: 'put', entry };
}
