import { BlockList, isIP } from 'node:net';
import { canonicalHost, familyOf } from './address';

export interface Network {
  readonly address: string;
  readonly bits: number;
}

const MAPPED_BITS = 96;

/**
 * Address and bits of `ADDRESS` or `ADDRESS/BITS`, in canonical form: a network of IPv4-mapped addresses (RFC 4291 §2.5.5.2) is one of IPv4, unless it
 * is wider than all of them. Undefined: it is no such thing.
 */
export function parseNetwork(text: string): Network | undefined {
  const [written = '', digits, ...more] = text.split('/');
  const family = isIP(written);
  if (family === 0 || more.length > 0) return undefined;
  const width = family === 4 ? 32 : 128;
  if (digits !== undefined && !/^\d{1,3}$/.test(digits)) return undefined;
  const bits = digits === undefined ? width : Number(digits);
  if (bits > width) return undefined;
  const address = canonicalHost(written);
  if (family === 4 || isIP(address) === 6) return { address, bits };
  return bits < MAPPED_BITS ? { address: `::ffff:${address}`, bits } : { address, bits: bits - MAPPED_BITS };
}

const typeOf = (address: string): 'ipv4' | 'ipv6' => (familyOf(address) === 6 ? 'ipv6' : 'ipv4');

/** Addresses and networks, among which an address is looked for whatever its spelling. */
export class Networks {
  private readonly list = new BlockList();
  readonly size: number;

  /** Throws for what is no `ADDRESS` or `ADDRESS/BITS`. */
  constructor(texts: readonly string[]) {
    this.size = texts.length;
    for (const text of texts) {
      const network = parseNetwork(text);
      if (network === undefined) throw new Error(`"${text}" is no ADDRESS/BITS`);
      this.list.addSubnet(network.address, network.bits, isIP(network.address) === 6 ? 'ipv6' : 'ipv4');
    }
  }

  /** False for what is no address. */
  has(address: string): boolean {
    const host = canonicalHost(address);
    return isIP(host) !== 0 && this.list.check(host, typeOf(host));
  }
}
