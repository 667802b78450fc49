import type { GatewayConfig } from '../config/types';
import { parseUri, type SipUri } from '../sip-message/uri';
import { canonicalHost, hostInUri } from '../sip/domain';
import { sipUri } from '../sip/identity';
import type { SipSource } from '../sip/user-agent';
import { formatAddress, isConnectionBound } from './outgoing';

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
  const protocol = (uri.params.get('transport') ?? 'udp').toLowerCase();
  const address = `${protocol}:${hostInUri(uri.host)}:${portOf(uri)}`;
  return { uri, contact: text, nextHop: undefined, address, expiresAt: 0 };
}

/**
 * The place of a gateway that has registered: its contact, by way of the address that the REGISTER came from when that is
 * another one (a NAT, RFC 3581) or a connection: calls go there with other user parts than that of the contact.
 */
export function registeredPlace(contact: string, source: SipSource, expiresAt: number): GatewayPlace {
  const uri = sipUriOf(contact);
  const direct =
    !isConnectionBound(source) && hostOf(uri) === canonicalHost(source.address) && portOf(uri) === source.port;
  const transport = source.protocol.toLowerCase();
  const { port } = source;
  const nextHop = sipUri(undefined, source.address, { port, parameters: [['transport', transport]] });
  return { uri, contact, nextHop: direct ? undefined : nextHop, address: formatAddress(source), expiresAt };
}

/** One that the configuration or the registrar should not have let through leads nowhere. */
function sipUriOf(text: string): SipUri {
  const uri = parseUri(text);
  return uri === undefined || uri.scheme === 'tel' ? NOWHERE : uri;
}

export function portOf(uri: SipUri): number {
  return uri.port ?? (uri.scheme === 'sips' || uri.params.get('transport') === 'tls' ? 5061 : 5060);
}

export function hostOf(uri: SipUri): string {
  return canonicalHost(uri.host);
}
