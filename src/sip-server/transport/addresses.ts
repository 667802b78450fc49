import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ListenPoint, Protocol, TransportFailure } from '../layers';

function bytesOf(address: string): number[] {
  return address.split('.').map(Number);
}

export const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.');

/** Loopback, RFC 1918 and link-local IPv4: networks in which no address translator is to be expected on the way. */
export function isNearby(address: string): boolean {
  if (!isIPv4(address)) return isLoopback(address);
  const [a = 0, b = 0] = bytesOf(address);
  return (
    a === 127 || a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254)
  );
}

/** How many leading bits two IPv4 addresses share. */
function commonBits(one: string, other: string): number {
  const a = bytesOf(one);
  const b = bytesOf(other);
  for (let i = 0; i < 4; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return 32;
}

/**
 * The listener to send from: same protocol and address family; loopback only to loopback; else the one whose address
 * is nearest to the destination's (longest common prefix), then the first configured.
 */
export function choosePoint(
  points: readonly ListenPoint[],
  protocol: Protocol,
  address: string,
): ListenPoint | undefined {
  const family = isIP(address);
  const usable = points.filter((point) => point.protocol === protocol && isIP(point.address) === family);
  const sameKind = usable.filter((point) => isLoopback(point.address) === isLoopback(address));
  let best: ListenPoint | undefined;
  let bestBits = -1;
  for (const point of sameKind.length > 0 ? sameKind : usable) {
    const bits = family === 4 ? commonBits(point.address, address) : 0;
    if (bits > bestBits) {
      best = point;
      bestBits = bits;
    }
  }
  return best;
}

/** `0.0.0.0` stands for every IPv4 address of this machine: each gets a listener, so that Via can name one. */
export function expandWildcard(point: ListenPoint): ListenPoint[] {
  if (point.address !== '0.0.0.0') return [point];
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((entry) => entry.family === 'IPv4')
    .map((entry) => entry.address);
  const outside = addresses.filter((address) => !isLoopback(address));
  return [...new Set([...outside, '127.0.0.1'])].map((address) => ({ ...point, address }));
}

function codeOf(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode && typeof error.code === 'string' ? error.code : '';
}

/** The failure that an operating system error means. */
export function failureOf(error: unknown): TransportFailure {
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'refused';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'EADDRNOTAVAIL':
      return 'unreachable';
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ERR_STREAM_DESTROYED':
    case 'ERR_STREAM_WRITE_AFTER_END':
      return 'closed';
    case 'ETIMEDOUT':
      return 'timeout';
    case 'EMSGSIZE':
      return 'too-large';
    default:
      return 'error';
  }
}

/** One key for each remote address and port. */
export const remoteKey = (address: string, port: number): string => `${address}:${port}`;
