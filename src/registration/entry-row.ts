import { bindingKey } from './binding-key';
import { isDevice, type Entry, type TextEntry } from './entry';
import type { RegistrationRecord } from './record';
import { isDeviceKind, isRegistrationRecord, isTextEntry } from './validate';

/** An entry as it travels: a list instead of an object, whose names would be most of what is sent. */
export type Row = readonly unknown[];

const RECORD_FIELDS = 13;
const TEXT_FIELDS = 9;

/** The row of an entry; in every row the kind is the second. */
export function entryRow(entry: Entry): Row {
  return isDevice(entry) ? recordRow(entry) : textRow(entry);
}

/** The entry of a row; `undefined` when it is none: every field there, of its type, bounded, and no other. */
export function readEntry(row: Row): Entry | undefined {
  return isDeviceKind(row[1]) ? readRecord(row) : readText(row);
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

function textRow({ key, kind, owner, boot, stamp, expiresAt, body }: TextEntry): Row {
  return [key, kind, owner, boot, stamp.ms, stamp.counter, stamp.node, expiresAt, body];
}

function readText(row: Row): TextEntry | undefined {
  if (row.length !== TEXT_FIELDS) return undefined;
  const [key, kind, owner, boot, ms, counter, node, expiresAt, body] = row;
  const entry = { key, kind, owner, boot, stamp: { ms, counter, node }, expiresAt, body };
  return isTextEntry(entry) ? entry : undefined;
}
