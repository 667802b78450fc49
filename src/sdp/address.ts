import { isIP } from 'node:net';
import { canonicalHost, familyOf, isUnspecified } from '../process/address';

/** Cannot be reached from elsewhere: RFC 1918, 6598, 3927, 4193, 4291 §2.5.6. Loopback is not one that a NAT hides. */
const PRIVATE =
  /^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[789]\d|1[01]\d|12[0-7])\.|169\.254\.|f[cd]|fe[89ab])/;

export function isPrivateAddress(address: string): boolean {
  const canonical = canonicalHost(address);
  return isIP(canonical) !== 0 && PRIVATE.test(canonical);
}

/** One address of this node for each family. */
export type AddressPair = Readonly<Record<4 | 6, string>>;

/** The first address of each family, wildcards left out; loopback for a family that has none. The order of families decides nothing. */
export function addressPair(addresses: readonly string[]): AddressPair {
  const usable = addresses.map(canonicalHost).filter((address) => isIP(address) !== 0 && !isUnspecified(address));
  const first = (family: 4 | 6): string | undefined => usable.find((address) => familyOf(address) === family);
  return { 4: first(4) ?? '127.0.0.1', 6: first(6) ?? '::1' };
}

/** What is spoken where either would do: IPv4, unless the node has IPv6 addresses only. */
export function mainFamily(pair: AddressPair): 4 | 6 {
  return pair[4] === '127.0.0.1' && pair[6] !== '::1' ? 6 : 4;
}
