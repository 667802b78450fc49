import type { GatewayConfig } from '../config/types';
import { parseUri, type SipUri } from '../sip-message/uri';
import { canonicalHost, hostInUri } from '../sip/domain';
import type { SipSource } from '../sip/user-agent';
import { formatAddress, nextHopTo } from './outgoing';

/** Where a gateway is: as configured, or as it has registered. */
export interface GatewayPlace {
  /** Calls put the digits before it. */
  readonly uri: SipUri;
  /** The same, as it was written. */
  readonly contact: string;
  /** Undefined: where the URI leads. */
  readonly nextHop: string | undefined;
  readonly address: string;
  /** Milliseconds since the epoch; 0: it does not expire. */
  readonly expiresAt: number;
}

const NOWHERE: SipUri = { scheme: 'sip', host: 'gateway.invalid', params: new Map(), headers: new Map() };

/** The place of a gateway that is configured; undefined: it registers. */
export function configuredPlace({ uri: text }: GatewayConfig): GatewayPlace | undefined {
  if (text === undefined) return undefined;
  const uri = sipUriOf(text);
  const address = `${transportOf(uri)}:${hostInUri(uri.host)}:${portOf(uri)}`;
  return { uri, contact: text, nextHop: undefined, address, expiresAt: 0 };
}

/** The place of a gateway that has registered: its contact, by way of the flow of its REGISTER; calls go there with other user parts. */
export function registeredPlace(contact: string, source: SipSource, expiresAt: number): GatewayPlace {
  const nextHop = nextHopTo(source, contact);
  return { uri: sipUriOf(contact), contact, nextHop, address: formatAddress(source), expiresAt };
}

/** One that the configuration or the registrar should not have let through leads nowhere. */
function sipUriOf(text: string): SipUri {
  const uri = parseUri(text);
  return uri === undefined || uri.scheme === 'tel' ? NOWHERE : uri;
}

export function portOf(uri: SipUri): number {
  return uri.port ?? (transportOf(uri) === 'tls' ? 5061 : 5060);
}

/** Of a URI that leaves it open: UDP (RFC 3263 section 4.1, without NAPTR and SRV records). */
export function transportOf({ scheme, params }: SipUri): string {
  const named = params.get('transport')?.toLowerCase();
  if (scheme === 'sips' && (named === undefined || named === 'tcp')) return 'tls';
  return named ?? 'udp';
}

export function hostOf(uri: SipUri): string {
  return canonicalHost(uri.host);
}
