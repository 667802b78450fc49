import { formatNameAddr, parseNameAddr, parseNameAddrList } from '../sip-message/name-addr';
import { formatUri, parseUri } from '../sip-message/uri';
import { hostInUri } from './domain';
import { isHeaderSafe } from './header-values';
import { contextOf, normaliseDigits } from './request-uri';

/** Who a header says that somebody is. */
export interface Identity {
  /** Without user parameters (`;cpc=ordinary`, `;phone-context=`) and the visual separators of a number. */
  readonly user: string;
  readonly host: string;
  readonly displayName: string | undefined;
  /** Of a local number in a `tel:` URI: as `RequestTarget.context`. */
  readonly context?: string;
}

const MAX_DISPLAY_NAME_LENGTH = 128;

function toIdentity(uri: string, displayName: string | undefined): Identity | undefined {
  const parsed = parseUri(uri);
  if (parsed === undefined) return undefined;
  const name = displayName?.trim();
  const usable = name !== undefined && name !== '' && name.length <= MAX_DISPLAY_NAME_LENGTH && isHeaderSafe(name);
  const user = normaliseDigits(parsed.user ?? '');
  if (user === undefined) return undefined;
  const context = parsed.scheme === 'tel' ? contextOf(parsed) : undefined;
  return {
    ...{ user, host: parsed.host, displayName: usable ? name : undefined },
    ...(context === undefined ? {} : { context }),
  };
}

/** Reads a From or To header. */
export function readIdentity(header: string | undefined): Identity | undefined {
  if (header === undefined) return undefined;
  const address = parseNameAddr(header);
  return address === undefined ? undefined : toIdentity(address.uri, address.displayName);
}

/** Reads the first identity of a P-Asserted-Identity header (RFC 3325 section 9.1). */
export function readAssertedIdentity(header: string | undefined): Identity | undefined {
  if (header === undefined) return undefined;
  const first = parseNameAddrList([header])?.[0];
  return first === undefined ? undefined : toIdentity(first.uri, first.displayName);
}

/** `"Alice" <sip:1000@acme.example>`. Text that could break the header is left out. */
export function formatIdentity(user: string, displayName: string | undefined, domain: string): string {
  const uri = sipUri(isHeaderSafe(user) ? user : '', domain);
  const params = new Map<string, string | undefined>();
  return displayName !== undefined && displayName !== '' && isHeaderSafe(displayName)
    ? formatNameAddr({ displayName, uri, params })
    : formatNameAddr({ uri, params });
}

/** A SIP URI with the user escaped; `parameters` in the order given. */
export function sipUri(
  user: string | undefined,
  host: string,
  options: { readonly port?: number; readonly parameters?: readonly (readonly [string, string])[] } = {},
): string {
  return formatUri({
    scheme: 'sip',
    ...(user === undefined || user === '' ? {} : { user }),
    host: hostInUri(host),
    ...(options.port === undefined ? {} : { port: options.port }),
    params: new Map<string, string | undefined>(options.parameters ?? []),
    headers: new Map(),
  });
}
