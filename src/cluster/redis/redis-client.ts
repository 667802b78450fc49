import { readFile } from 'node:fs/promises';
import { createClient, type RedisClientOptions } from 'redis';
import type { Clock } from '../../process/clock';

/** Paths of PEM files; `ca` instead of the authorities that Node.js knows. */
export interface RedisTls {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name that the certificate must have, when it is not the name that is connected to. */
  readonly serverName?: string | undefined;
}

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** One Redis or Sentinel, and who we are there. A URL may name a user and a password itself. */
export interface Target {
  readonly at: Place | string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: RedisTls | undefined;
}

/** TCP, TLS and the greeting together. */
export const CONNECT_DEADLINE_MS = 3_000;

/**
 * A client that connects once: each attempt has a new one, so nothing waits in an old one's queue. Commands have deadlines of ours: those of
 * the library are a timer more for each.
 */
function createOneShotClient(options: RedisClientOptions) {
  return createClient({ ...options, disableOfflineQueue: true, commandOptions: { timeout: 0 } });
}

export type RedisClient = ReturnType<typeof createOneShotClient>;

/** The client for one attempt to connect. The PEM files are read each time: renewed ones are taken. */
export async function clientFor(target: Target): Promise<RedisClient> {
  const { at, username, password, tls } = target;
  const credentials = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
  };
  const place = typeof at === 'string' ? {} : { host: at.address, port: at.port };
  const socket = { ...place, connectTimeout: CONNECT_DEADLINE_MS, reconnectStrategy: false as const };
  const url = typeof at === 'string' ? { url: at } : {};
  if (tls === undefined) return createOneShotClient({ ...url, ...credentials, socket });
  const host = typeof at === 'string' ? { host: new URL(at).hostname.replace(/^\[(.*)\]$/, '$1') } : {};
  return createOneShotClient({
    ...url,
    ...credentials,
    socket: { ...host, ...socket, ...(await readTls(tls)), tls: true },
  });
}

async function readTls(tls: RedisTls): Promise<object> {
  const { ca, cert, key, serverName } = tls;
  return {
    ...(ca === undefined ? {} : { ca: await readFile(ca) }),
    ...(cert === undefined ? {} : { cert: await readFile(cert) }),
    ...(key === undefined ? {} : { key: await readFile(key) }),
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Where a target is, for messages: never its password. */
export function placeName(at: Place | string): string {
  if (typeof at !== 'string')
    return at.address.includes(':') ? `[${at.address}]:${at.port}` : `${at.address}:${at.port}`;
  return withoutPassword(at);
}

/** The client's errors may show the whole URL. */
export function withoutPassword(text: string): string {
  return text.replace(/\b([a-z]{4,6}:\/\/)[^/\s]*@/g, '$1');
}

/**
 * Rejects when `promise` is not settled in time; what it does later is nobody's concern. Sockets are read once more
 * after the timer: when the process itself stood still, the answer may lie there.
 */
export async function withDeadline<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  let cancel: () => void = () => undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`no answer in ${ms} ms`));
    cancel = clock.setTimer(ms, () => setImmediate(late));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    cancel();
  }
}

export function destroy(client: RedisClient | undefined): void {
  try {
    client?.destroy();
  } catch {
    // It was closed already.
  }
}
