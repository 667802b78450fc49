import { isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isLoopback, isUnspecified } from '../../process/address';
import { addressOfHost } from '../host';
import type { ListenPoint, Protocol, TransportFailure } from '../layers';

/** The 4 or 16 bytes of an address literal. */
export function bytesOf(address: string): number[] {
  if (isIPv4(address)) return address.split('.').map(Number);
  const groups = (text: string): number[] =>
    text.split(':').flatMap((group) => {
      if (group === '') return [];
      if (group.includes('.')) return group.split('.').map(Number);
      const value = Number.parseInt(group, 16);
      return [value >> 8, value & 255];
    });
  const [start = '', end] = address.split('::');
  const before = groups(start);
  const after = groups(end ?? '');
  return [...before, ...new Array<number>(Math.max(0, 16 - before.length - after.length)).fill(0), ...after];
}

/** Loopback, RFC 1918, RFC 4193 and link-local: networks in which no address translator is to be expected on the way. */
export function isNearby(address: string): boolean {
  const [a = 0, b = 0] = bytesOf(address);
  if (!isIPv4(address)) return isLoopback(address) || (a & 0xfe) === 0xfc || (a === 0xfe && (b & 0xc0) === 0x80);
  return (
    a === 127 || a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 169 && b === 254)
  );
}

/** How many leading bits two addresses of one family share. */
function commonBits(one: string, other: string): number {
  const a = bytesOf(one);
  const b = bytesOf(other);
  for (let i = 0; i < a.length; i++) {
    const difference = (a[i] ?? 0) ^ (b[i] ?? 0);
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24;
  }
  return a.length * 8;
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
  if (family === 0) return undefined;
  const usable = points.filter((point) => point.protocol === protocol && isIP(point.address) === family);
  const sameKind = usable.filter((point) => isLoopback(point.address) === isLoopback(address));
  let best: ListenPoint | undefined;
  let bestBits = -1;
  for (const point of sameKind.length > 0 ? sameKind : usable) {
    const bits = commonBits(point.address, address);
    if (bits > bestBits) {
      best = point;
      bestBits = bits;
    }
  }
  return best;
}

/** Needs its interface beside it to mean something. */
const isLinkLocalIPv6 = (address: string): boolean => /^fe[89ab]/i.test(address);

/**
 * `0.0.0.0` stands for every IPv4 address of this machine and `::` for every IPv6 address (but those of one link only):
 * each gets a listener, so that Via can name one.
 */
export function expandWildcard(point: ListenPoint): ListenPoint[] {
  const wanted = addressOfHost(point.address);
  if (!isUnspecified(wanted)) return [{ ...point, address: wanted }];
  const [family, loopback] = wanted === '::' ? ['IPv6', '::1'] : ['IPv4', '127.0.0.1'];
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((entry) => entry.family === family && !isLinkLocalIPv6(entry.address))
    .map((entry) => entry.address);
  const outside = addresses.filter((address) => !isLoopback(address));
  return [...new Set([...outside, loopback])].map((address) => ({ ...point, address }));
}

/** What became of a listener that was asked for: port 0, here and in what it announces, is the port that it got. */
export function boundPoint(wanted: ListenPoint, port: number): ListenPoint {
  const { announced } = wanted;
  if (announced === undefined) return { ...wanted, port };
  return { ...wanted, port, announced: { ...announced, port: announced.port === 0 ? port : announced.port } };
}

function codeOf(error: unknown): string {
  const hasCode = typeof error === 'object' && error !== null && 'code' in error;
  return hasCode && typeof error.code === 'string' ? error.code : '';
}

/** Codes of a peer's certificate that is not accepted. */
const UNTRUSTED = /CERT|SELF_SIGNED|LEAF_SIGNATURE|ALTNAME/;

/** The failure that an operating system error means. */
export function failureOf(error: unknown): TransportFailure {
  const code = codeOf(error);
  if (UNTRUSTED.test(code)) return 'untrusted';
  switch (code) {
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
