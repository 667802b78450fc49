import type { Stamp } from '../process/hlc';
import { isPid } from '../process/pid';
import { MAX_IDENTITY_LENGTH } from './binding-key';
import type { Entry, TextEntry } from './entry';
import type { DeviceKind, RegistrationRecord } from './record';

const MAX_NAME_LENGTH = 256;
const MAX_KEY_LENGTH = 3 * MAX_NAME_LENGTH + 1 + MAX_IDENTITY_LENGTH;
const MAX_LINES = 64;
const MAX_PID_LENGTH = 24;

/** Plain printable ASCII needs no look at each character's class; nearly everything is that. */
const PLAIN = /^[ -~]*$/;
const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/;
const NO_CONTROLS = /^[^\p{Cc}\p{Cs}]*$/u;

/** Bounded, well-formed text without control characters: nothing that could end a header or a log line early. */
function isText(value: unknown, maximum: number, minimum = 1): value is string {
  return (
    typeof value === 'string' &&
    value.length >= minimum &&
    value.length <= maximum &&
    (PLAIN.test(value) || NO_CONTROLS.test(value))
  );
}

/** A whole number from 0 up that is exact. */
export function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isSafeInteger(value);
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text that may be a binding key. */
export function isKey(value: unknown): value is string {
  return isText(value, MAX_KEY_LENGTH);
}

/** A whole stamp, and nothing else. */
export function isStamp(value: unknown): value is Stamp {
  return isObject(value) && fieldsOf(value) === 3 && isCount(value.ms) && isCount(value.counter) && isCount(value.node);
}

function isLines(value: unknown): boolean {
  return Array.isArray(value) && value.length <= MAX_LINES && value.every((line) => isText(line, MAX_NAME_LENGTH));
}

function fieldsOf(value: object): number {
  let fields = 0;
  for (const _ in value) fields += 1;
  return fields;
}

function isAssignment(value: unknown): boolean {
  return isObject(value) && fieldsOf(value) === 2 && isText(value.identity, MAX_IDENTITY_LENGTH) && isStamp(value.at);
}

const FIELDS = 11;
const KINDS: ReadonlySet<unknown> = new Set<DeviceKind>(['station', 'gateway', 'media-resource', 'conference']);

/** A kind of device process. */
export function isDeviceKind(value: unknown): value is DeviceKind {
  return KINDS.has(value);
}

/**
 * Whether something that another node has sent, or that was read from a file, is a record: every field there, of its
 * type, bounded, and no other field. Written out by hand: a general schema takes ten times as long, and a million
 * records may come at once.
 */
export function isRegistrationRecord(value: unknown): value is RegistrationRecord {
  return (
    isObject(value) &&
    fieldsOf(value) === FIELDS + Number(value.mac !== undefined) + Number(value.assignment !== undefined) &&
    isKey(value.key) &&
    isDeviceKind(value.kind) &&
    isText(value.device, MAX_NAME_LENGTH) &&
    isLines(value.lines) &&
    isText(value.instance, MAX_IDENTITY_LENGTH) &&
    typeof value.pid === 'string' &&
    value.pid.length <= MAX_PID_LENGTH &&
    isPid(value.pid) &&
    isCount(value.boot) &&
    isText(value.contact, MAX_IDENTITY_LENGTH, 0) &&
    isText(value.address, MAX_NAME_LENGTH, 0) &&
    isStamp(value.stamp) &&
    isCount(value.expiresAt) &&
    (value.mac === undefined || (typeof value.mac === 'string' && MAC.test(value.mac))) &&
    (value.assignment === undefined || isAssignment(value.assignment))
  );
}

const TEXT_ENTRY_FIELDS = 7;
/** Bytes are at most three times as many. */
export const MAX_BODY_LENGTH = 4096;
const KIND = /^[a-z][a-z-]{0,31}$/;

/** The same for an entry whose body is not understood here. */
export function isTextEntry(value: unknown): value is TextEntry {
  return (
    isObject(value) &&
    fieldsOf(value) === TEXT_ENTRY_FIELDS &&
    isKey(value.key) &&
    typeof value.kind === 'string' &&
    KIND.test(value.kind) &&
    !isDeviceKind(value.kind) &&
    isCount(value.owner) &&
    isCount(value.boot) &&
    isStamp(value.stamp) &&
    isCount(value.expiresAt) &&
    isText(value.body, MAX_BODY_LENGTH)
  );
}

/** The same for an entry of any kind. */
export function isEntry(value: unknown): value is Entry {
  return isObject(value) && 'body' in value ? isTextEntry(value) : isRegistrationRecord(value);
}
