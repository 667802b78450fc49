import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import { endianness, networkInterfaces } from 'node:os';
import { isLoopback } from '../../process/address';
import { bytesOf } from './addresses';

/** Whether the address is one of this machine. */
export function isOwnMachine(address: string): boolean {
  if (isLoopback(address)) return true;
  return Object.values(networkInterfaces()).some((list) => list?.some((entry) => entry.address === address));
}

/** An address as the kernel's tables print it: 32-bit numbers in the machine's byte order. */
function kernelHex(address: string): string {
  const bytes = Buffer.from(bytesOf(address));
  return (endianness() === 'LE' ? bytes.swap32() : bytes).toString('hex').toUpperCase();
}

/** `local_address` column of every socket in a table such as /proc/net/udp. */
function localAddresses(table: string): string[] {
  return table.split('\n').flatMap((line) => line.trim().split(/\s+/, 2)[1] ?? []);
}

/**
 * Whether a UDP socket of this machine is bound to the address and port, as the kernel's tables say. A socket on the
 * IPv6 wildcard counts, for it may serve IPv4. Undefined: there are no such tables here.
 */
export async function isUdpPortBound(address: string, port: number): Promise<boolean | undefined> {
  try {
    const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
    const own = kernelHex(address);
    const mapped = isIPv4(address) ? `::ffff:${address}` : address;
    const wanted = new Set([
      `${own}:${hexPort}`,
      `${kernelHex(mapped)}:${hexPort}`,
      `00000000:${hexPort}`,
      `${'0'.repeat(32)}:${hexPort}`,
    ]);
    const four = await readFile('/proc/net/udp', 'utf8');
    const six = await readFile('/proc/net/udp6', 'utf8').catch(() => '');
    return [...localAddresses(four), ...localAddresses(six)].some((entry) => wanted.has(entry));
  } catch {
    return undefined;
  }
}
