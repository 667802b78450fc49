import { isIP, isIPv4, SocketAddress } from 'node:net';

/**
 * The one spelling of a host, for comparing: an IP address in its canonical form (RFC 5952, so that `2001:DB8:0::1` and `[2001:db8::1]`
 * are equal), an IPv4 address that an IPv6 socket has seen as IPv4 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2), without brackets
 * and zone; a name in lower case and without the dot of the root. Never throws; what is neither stays as it is, in lower case.
 */
export function canonicalHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (!bare.includes(':')) return bare.toLowerCase().replace(/\.$/, '');
  const address = bare.replace(/%.*$/, '');
  if (isIP(address) !== 6) return bare.toLowerCase();
  const canonical = new SocketAddress({ family: 'ipv6', address }).address;
  const mapped = canonical.startsWith('::ffff:') ? canonical.slice('::ffff:'.length) : '';
  return isIPv4(mapped) ? mapped : canonical;
}

/** Whether two hosts are the same one, whatever their spelling. */
export function sameHost(a: string, b: string): boolean {
  return a === b || canonicalHost(a) === canonicalHost(b);
}

/** Host as it stands in a URI: canonical, an IPv6 address in brackets. */
export function hostInUri(host: string): string {
  const bare = canonicalHost(host);
  return isIP(bare) === 6 ? `[${bare}]` : bare;
}

/** Of an address; a host name counts as IPv4. */
export function familyOf(host: string): 4 | 6 {
  return isIP(canonicalHost(host)) === 6 ? 6 : 4;
}

/** `127.0.0.0/8`, `::1` or `localhost`, in any spelling. */
export function isLoopback(host: string): boolean {
  const bare = canonicalHost(host);
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'));
}

/** Of a machine's own addresses the one that other machines reach: the first that is no loopback one, if there is one. */
export function reachedByOthers<Own extends { readonly address: string }>(all: readonly Own[]): Own | undefined {
  return all.find(({ address }) => !isLoopback(address)) ?? all[0];
}

/** `0.0.0.0` or `::`, in any spelling. */
export function isUnspecified(host: string): boolean {
  const bare = canonicalHost(host);
  return bare === '0.0.0.0' || bare === '::';
}

/**
 * What one customer of the network has, for counting what it does: an IPv4 address, the /64 of an IPv6 one (RFC 6177 section 2: nobody
 * has less, so that single addresses there count for nothing).
 */
export function sourcePrefix(address: string): string {
  const host = canonicalHost(address);
  if (isIP(host) !== 6) return host;
  const [left = '', right] = host.split('::');
  const groups = left === '' ? [] : left.split(':');
  const rest = right === undefined || right === '' ? [] : right.split(':');
  const all = [...groups, ...Array.from({ length: 8 - groups.length - rest.length }, () => '0'), ...rest];
  return `${all.slice(0, 4).join(':')}::/64`;
}
