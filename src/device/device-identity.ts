import { parseNameAddrList } from '../sip-message/name-addr';
import { isHeaderSafe } from '../sip/header-values';
import { readIdentity } from '../sip/identity';
import type { HeaderReader } from '../sip/user-agent';

/** What a REGISTER tells of the device itself (claim R16). */
export interface ReportedIdentity {
  /** By which the device is known again; undefined: by nothing. */
  readonly identity: string | undefined;
  /** `00:11:22:aa:bb:cc`. */
  readonly mac: string | undefined;
  readonly name: string | undefined;
}

const MAX_LENGTH = 256;
/** Cisco phones name themselves in their contact. */
const DEVICE_NAME_PARAMETER = '+u.sip!devicename.ccm.cisco.com';
const DEVICE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Reads `+sip.instance` (RFC 5626 section 4.1), the device name in the contact, and the MAC address in the User-Agent of
 * phones that put it there. The instance goes before the MAC address: two programs on one machine have one of these.
 * Without any, the user part of To that the phone was set up with tells it apart.
 */
export function readReportedIdentity(header: HeaderReader): ReportedIdentity {
  const parameter = contactParameters(header('Contact'));
  const instance = usable(parameter('+sip.instance')?.replace(/^<|>$/g, ''));
  const reported = usable(parameter(DEVICE_NAME_PARAMETER)?.replace(/^"|"$/g, ''));
  const name = reported !== undefined && DEVICE_NAME.test(reported) ? reported : undefined;
  const mac = macOfInstance(instance ?? '') ?? macIn(name ?? '') ?? macIn(header('User-Agent') ?? '');
  const user = usable(readIdentity(header('To'))?.user);
  const identity =
    prefixed('instance', instance?.toLowerCase()) ??
    prefixed('name', name) ??
    prefixed('mac', mac) ??
    prefixed('user', user);
  return { identity, mac, name };
}

/** A parameter of the contacts: of the first one that has it, and does not go. */
function contactParameters(header: string | undefined): (name: string) => string | undefined {
  const contacts = parseNameAddrList([header ?? '']) ?? [];
  const staying = contacts.filter(({ params }) => params.get('expires')?.trim() !== '0');
  const told = staying.length > 0 ? staying : contacts;
  return (name) => told.map(({ params }) => params.get(name)).find((value) => value !== undefined);
}

function prefixed(kind: string, value: string | undefined): string | undefined {
  return value === undefined ? undefined : `${kind}:${value}`;
}

function usable(text: string | undefined): string | undefined {
  return text !== undefined && text !== '' && text.length <= MAX_LENGTH && isHeaderSafe(text) ? text : undefined;
}

/**
 * A UUID holds a MAC address when it is of version 1 (RFC 9562 section 5.1), or zero but for its last group, as phones
 * without a clock make it. `urn:dev:mac:` is RFC 9039 section 4.1.
 */
function macOfInstance(instance: string): string | undefined {
  const uuid = /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{4}-([0-9a-f]{12})$/i.exec(instance);
  const empty = /^urn:uuid:0{8}-0{4}-[01]0{3}-[08]0{3}-/i.test(instance);
  if (uuid !== null) return uuid[1] === '1' || empty ? canonicalMac(uuid[2] ?? '') : undefined;
  const eui = /^urn:dev:mac:([0-9a-f]{6})(?:ff(?:ff|fe))?([0-9a-f]{6})$/i.exec(instance);
  return eui === null ? undefined : canonicalMac(`${eui[1] ?? ''}${eui[2] ?? ''}`);
}

/** Twelve hexadecimal digits that stand alone, or behind `SEP` as in device names, with or without separators. */
function macIn(text: string): string | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const found = /(?:^SEP|(?<![0-9A-Za-z]))([0-9a-f]{12}|[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5})(?![0-9A-Za-z])/i.exec(text);
  return found === null ? undefined : canonicalMac(found[1] ?? '');
}

/** `00:11:22:aa:bb:cc` of a MAC address in any spelling; undefined for a group address, which no device has. */
export function canonicalMac(text: string): string | undefined {
  const digits = text.replace(/[:-]/g, '').toLowerCase();
  if (!/^[0-9a-f]{12}$/.test(digits) || /^(.)\1{11}$/.test(digits)) return undefined;
  if ((Number.parseInt(digits.slice(0, 2), 16) & 1) === 1) return undefined;
  return digits.replace(/(..)(?=.)/g, '$1:');
}
