import { parseNameAddrList } from '../sip-message/name-addr';
import { canonicalUri, parseUri } from '../sip-message/uri';
import { isHeaderSafe } from './header-values';

/** One contact of a REGISTER, as asked for. */
export interface RequestedContact {
  /** The URI as the phone wrote it. */
  readonly uri: string;
  readonly canonical: string;
  /** `+sip.instance` without angle brackets (RFC 5626 section 4.1). */
  readonly instance: string | undefined;
  /** Seconds; 0 removes; `undefined`: the phone asks for nothing. */
  readonly expires: number | undefined;
}

export type RequestedContacts =
  /** No Contact: the phone asks what is there. */
  | { readonly type: 'fetch' }
  /** `Contact: *` with `Expires: 0`. */
  | { readonly type: 'remove-all' }
  | { readonly type: 'update'; readonly contacts: readonly RequestedContact[] }
  | { readonly type: 'malformed'; readonly reason: string };

/** What a malformed expiry stands for (RFC 3261 section 20.10 and 20.19), seconds. */
const MALFORMED_EXPIRY = 3600;
const MAX_CONTACT_LENGTH = 1024;
const MAX_INSTANCE_LENGTH = 256;
const MAX_CONTACTS_IN_REQUEST = 32;

function parseExpiry(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const digits = text.trim();
  if (!/^\d{1,10}$/.test(digits) || Number(digits) >= 2 ** 32) return MALFORMED_EXPIRY;
  return Number(digits);
}

function readInstance(params: ReadonlyMap<string, string | undefined>): string | undefined {
  const instance = params.get('+sip.instance')?.replace(/^<|>$/g, '');
  if (instance === undefined || instance === '') return undefined;
  // An instance is a URN; one that looks like a contact must not pass for the identity of another binding.
  if (/^sips?:/i.test(instance)) return undefined;
  return instance.length <= MAX_INSTANCE_LENGTH && isHeaderSafe(instance) ? instance : undefined;
}

/** Reads Contact and Expires of a REGISTER (RFC 3261 section 10.3, steps 6 and 7). */
export function readContacts(contactHeader: string | undefined, expiresHeader: string | undefined): RequestedContacts {
  if (contactHeader === undefined) return { type: 'fetch' };
  const addresses = parseNameAddrList([contactHeader]);
  // A header that is there and empty is no question: its sender meant to say something.
  if (addresses === undefined || addresses.length === 0) return { type: 'malformed', reason: 'Bad Contact Header' };
  if (addresses.length > MAX_CONTACTS_IN_REQUEST) return { type: 'malformed', reason: 'Too Many Contacts' };
  if (addresses.some(({ uri }) => uri === '*')) {
    // Expires must be there and be 0: a malformed one is no 0.
    const zero = expiresHeader !== undefined && /^0{1,10}$/.test(expiresHeader.trim());
    if (addresses.length === 1 && zero) return { type: 'remove-all' };
    return { type: 'malformed', reason: 'Bad Wildcard Contact' };
  }
  const contacts: RequestedContact[] = [];
  for (const { uri, params } of addresses) {
    const canonical = usableContact(uri);
    if (canonical === undefined) return { type: 'malformed', reason: 'Bad Contact URI' };
    const asked = params.has('expires') ? (params.get('expires') ?? '') : expiresHeader;
    contacts.push({ uri, canonical, instance: readInstance(params), expires: parseExpiry(asked) });
  }
  return { type: 'update', contacts };
}

function usableContact(uri: string): string | undefined {
  if (uri.length > MAX_CONTACT_LENGTH || !isHeaderSafe(uri)) return undefined;
  const parsed = parseUri(uri);
  // Only a SIP URI can be called; and URI headers would let a phone write headers into our requests.
  if (parsed === undefined || parsed.scheme === 'tel' || parsed.headers.size > 0) return undefined;
  const canonical = canonicalUri(uri);
  return canonical !== undefined && canonical.length <= MAX_CONTACT_LENGTH ? canonical : undefined;
}
