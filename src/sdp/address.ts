import { isIP, SocketAddress } from 'node:net';

/** An IPv4 address in the form that IPv6 sockets have for it (RFC 4291 §2.5.5.2). */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/;

/**
 * An IP address in its one canonical form (RFC 5952; an IPv4-mapped one as IPv4), for comparing. What is none (a host name) in lower case.
 * Brackets and a zone are left out.
 */
export function canonicalAddress(text: string): string {
  const bare = text.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  const lower = bare.toLowerCase();
  if (isIP(bare) !== 6) return lower;
  const { address } = new SocketAddress({ address: bare, family: 'ipv6' });
  return MAPPED.exec(address)?.[1] ?? address;
}

/** A host name counts as IPv4. */
export function familyOf(address: string): 4 | 6 {
  return isIP(canonicalAddress(address)) === 6 ? 6 : 4;
}

/** Cannot be reached from elsewhere: RFC 1918, 6598, 3927, 4193, 4291 §2.5.6. Loopback is not one that a NAT hides. */
const PRIVATE =
  /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.|169\.254\.|f[cd]|fe[89ab])/;

export function isPrivateAddress(address: string): boolean {
  const canonical = canonicalAddress(address);
  return isIP(canonical) !== 0 && PRIVATE.test(canonical);
}

/** One address of this node for each family. */
export type AddressPair = Readonly<Record<4 | 6, string>>;

/** The first address of each family, wildcards left out; loopback for a family that has none. The order of families decides nothing. */
export function addressPair(addresses: readonly string[]): AddressPair {
  const usable = addresses.map(canonicalAddress).filter((address) => isIP(address) !== 0 && !isUnspecified(address));
  const first = (family: 4 | 6): string | undefined => usable.find((address) => familyOf(address) === family);
  return { 4: first(4) ?? '127.0.0.1', 6: first(6) ?? '::1' };
}

/** What is spoken where either would do: IPv4, unless the node has IPv6 addresses only. */
export function mainFamily(pair: AddressPair): 4 | 6 {
  return pair[4] === '127.0.0.1' && pair[6] !== '::1' ? 6 : 4;
}

/** `0.0.0.0` or `::`, in any spelling. */
export function isUnspecified(address: string): boolean {
  return ['0.0.0.0', '::'].includes(canonicalAddress(address));
}
