import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

type Protocol = 'udp' | 'tcp';

/** Below the range from which the kernel takes ports for outgoing connections. */
const bottom = 12_000;
const top = 32_000;
/**
 * Test files that run side by side take their ports from different halves: a port that was found free is bound only later, those for
 * media not before there is a call.
 */
const half = Math.floor((top - bottom) / 2);
const lowest = bottom + ((Number(process.env['JEST_WORKER_ID'] ?? 1) - 1) % 2) * half;
const highest = lowest + half;
const given = new Set<string>();

function canBindUdp(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.once('error', () => {
      socket.close();
      resolve(false);
    });
    socket.bind(port, address, () => {
      socket.close(() => {
        resolve(true);
      });
    });
  });
}

function canBindTcp(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen(port, address, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}

async function isFree(address: string, port: number, protocols: readonly Protocol[]): Promise<boolean> {
  if (given.has(`${address}:${port}`)) return false;
  if (protocols.includes('udp') && !(await canBindUdp(address, port))) return false;
  return !protocols.includes('tcp') || (await canBindTcp(address, port));
}

/** Where the next search begins: ports are given in order, so that long ranges find room until all were given. */
let next = lowest + 2 * Math.floor((Math.random() * half) / 2);
/** Searches of one process follow each other. */
let searched: Promise<unknown> = Promise.resolve();

async function search(size: number, address: string, protocols: readonly Protocol[]): Promise<number> {
  for (let tried = 0; tried <= half + size;) {
    const first = next + size > highest ? lowest : next;
    let end = first;
    while (end < first + size && (await isFree(address, end, protocols))) end++;
    const found = end === first + size;
    // Media ports come in pairs, the even one first.
    next = found ? end + (end % 2) : end + 2 - (end % 2);
    if (found) {
      for (let port = first; port < end; port++) given.add(`${address}:${port}`);
      return first;
    }
    tried += next - first;
  }
  throw new Error(`no ${size} free ports on ${address}`);
}

/** First port of `size` adjacent free ones on a loopback address, even; not given again by this process before `giveBack`. */
export function freeRange(
  size: number,
  address = '127.0.0.1',
  protocols: readonly Protocol[] = ['udp', 'tcp'],
): Promise<number> {
  const found = searched.then(() => search(size, address, protocols));
  searched = found.catch(() => undefined);
  return found;
}

/** These ports may be given again. */
export function giveBack(first: number, size: number, address = '127.0.0.1'): void {
  for (let port = first; port < first + size; port++) given.delete(`${address}:${port}`);
}

/** A port that is free for UDP and for TCP. */
export function freePort(address = '127.0.0.1', protocols: readonly Protocol[] = ['udp', 'tcp']): Promise<number> {
  return freeRange(1, address, protocols);
}

const addresses = new Set<string>();

/** A loopback address of its own for a phone, 127.30.0.1 to 127.99.255.254, never twice in one process. */
export function freeAddress(): string {
  for (;;) {
    const part = (from: number, to: number): number => from + Math.floor(Math.random() * (to - from));
    const address = `127.${part(30, 100)}.${part(0, 256)}.${part(1, 255)}`;
    if (addresses.has(address)) continue;
    addresses.add(address);
    return address;
  }
}
