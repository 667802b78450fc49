import { isIP } from 'node:net';

/** Bits of `ADDRESS` or `ADDRESS/BITS`; undefined: it is no such thing. */
export function parseNetwork(text: string): { readonly address: string; readonly bits: number } | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const family = isIP(address);
  if (family === 0 || more.length > 0) return undefined;
  const width = family === 4 ? 32 : 128;
  if (bits === undefined) return { address, bits: width };
  return /^\d{1,3}$/.test(bits) && Number(bits) <= width ? { address, bits: Number(bits) } : undefined;
}
