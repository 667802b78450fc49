import { bindingKey } from '../registration/binding-key';
import { deletionReason, type RegistrationRecord } from '../registration/record';
import { isCount, isKey, isRegistrationRecord } from '../registration/validate';
import type { ProcessMessage } from './messenger';
import type { Change, ProtocolMessage } from './protocol/messages';
import type { StatusMessage } from './status';

/**
 * Records and changes as they travel: lists instead of objects, whose names would be most of what is sent. They are
 * read with the same care as all else that arrives.
 */
type Row = readonly unknown[];

const RECORD_FIELDS = 13;
const STAMP_FIELDS = 6;
const DELETE_FIELDS = 3;

/** A message as JSON. */
export function writeMessage(message: ProtocolMessage | ProcessMessage | StatusMessage): string {
  if (message.type === 'chunk') return JSON.stringify({ ...message, records: message.records.map(recordRow) });
  if (message.type === 'deltas') return JSON.stringify({ ...message, changes: message.changes.map(changeRow) });
  return JSON.stringify(message);
}

/** The records of a chunk; `undefined` when any of them is none. */
export function readRecords(rows: unknown): RegistrationRecord[] | undefined {
  return readRows(rows, readRecord);
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

/** The key is left out where it follows from device and instance, as it does nearly always. */
function recordRow(record: RegistrationRecord): Row {
  const { key, kind, device, lines, instance, pid, boot, contact, address, stamp, expiresAt } = record;
  const written = key === bindingKey(device, instance) ? 0 : key;
  const { ms, counter, node } = stamp;
  const row = [written, kind, device, lines, instance, pid, boot, contact, address, ms, counter, node, expiresAt];
  const { mac, assignment } = record;
  // Behind the rest, where most records have nothing.
  return mac === undefined && assignment === undefined ? row : [...row, mac ?? 0, assignment ?? 0];
}

function readRecord(row: Row): RegistrationRecord | undefined {
  if (row.length !== RECORD_FIELDS && row.length !== RECORD_FIELDS + 2) return undefined;
  const [written, kind, device, lines, instance, pid, boot, contact, address, ms, counter, node, expiresAt] = row;
  const derived = written === 0 && typeof device === 'string' && typeof instance === 'string';
  const key = derived ? bindingKey(device, instance) : written;
  const stamp = { ms, counter, node };
  const [mac = 0, assignment = 0] = row.slice(RECORD_FIELDS);
  const more = { ...(mac === 0 ? {} : { mac }), ...(assignment === 0 ? {} : { assignment }) };
  const record = { key, kind, device, lines, instance, pid, boot, contact, address, stamp, expiresAt, ...more };
  return isRegistrationRecord(record) ? record : undefined;
}

function changeRow(change: Change): Row {
  switch (change.op) {
    case 'put':
      return ['put', recordRow(change.record)];
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
  const record = readRecord(row);
  return record && { op: 'put', record };
}
