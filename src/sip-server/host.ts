import { isIPv6 } from 'node:net';
import { canonicalHost } from '../process/address';

/** An address as it stands in a URI or a Via: IPv6 in brackets (RFC 3261 section 25.1, IPv6reference). */
export function hostOfAddress(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

/** The address that a host of a URI or a Via means, in its one spelling, without brackets. */
export const addressOfHost = canonicalHost;

/** `address:port`, IPv6 in brackets. */
export const hostAndPort = (address: string, port: number): string => `${hostOfAddress(address)}:${port}`;

/** Parses `127.0.0.1:5060` or `[::1]:5060`; the address is returned without brackets. Port 0 is allowed. */
export function parseHostAndPort(text: string): { readonly address: string; readonly port: number } | undefined {
  const match = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+):(\d{1,5})$/.exec(text);
  const [, host = '', digits = ''] = match ?? [];
  const port = Number(digits);
  if (match === null || port > 65_535) return undefined;
  if (host.startsWith('[') && !isIPv6(host.slice(1, -1))) return undefined;
  return { address: addressOfHost(host), port };
}
