import { readFile } from 'node:fs/promises';
import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { NaptrRecord, SrvRecord } from './records';

/** What was found, and how long it may be kept, in seconds. */
export interface Found<Item> {
  readonly items: readonly Item[];
  readonly ttl: number;
}

/** The questions of RFC 3263. A name that does not exist gives no items; rejects when nobody can tell. */
export interface Dns {
  naptr(name: string): Promise<Found<NaptrRecord>>;
  srv(name: string): Promise<Found<SrvRecord>>;
  /** Addresses, IPv4 in front. */
  addresses(name: string): Promise<Found<string>>;
  /** Addresses that this machine's administrator has given to the name; they go before everything else. */
  hosts(name: string): Promise<Found<string>>;
}

/** node:dns does not tell the TTL of SRV and NAPTR records: they are kept for so long, which is less than usual ones. */
const UNKNOWN_TTL = 30;
const HOSTS_TTL = 5;
const HOSTS_FILE = '/etc/hosts';
const NO_SUCH_RECORD = new Set(['ENODATA', 'ENOTFOUND', 'ENONAME', 'EBADNAME']);

export interface SystemDnsOptions {
  /** `address` or `address:port`; those of the system when left out. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
  /** For one question to one server; there are two tries. */
  readonly timeoutMs?: number;
}

/** DNS of this machine: its hosts file, its name servers, and for addresses whatever else the system knows. */
export function systemDns(options: SystemDnsOptions = {}): Dns {
  const resolver = new Resolver({ timeout: options.timeoutMs ?? 1000, tries: 2 });
  if (options.servers !== undefined) resolver.setServers([...options.servers]);
  const hostsFile = options.hostsFile ?? HOSTS_FILE;
  return {
    naptr: async (name) => ({ items: await orNone(resolver.resolveNaptr(name)), ttl: UNKNOWN_TTL }),
    srv: async (name) => {
      const records = await orNone(resolver.resolveSrv(name));
      return { items: records.map(({ name: target, ...record }) => ({ ...record, target })), ttl: UNKNOWN_TTL };
    },
    hosts: async (name) => ({ items: await fromHosts(hostsFile, name), ttl: HOSTS_TTL }),
    addresses: async (name) => {
      const answers = await Promise.allSettled([
        resolver.resolve4(name, { ttl: true }),
        resolver.resolve6(name, { ttl: true }),
      ]);
      const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      if (records.length > 0) {
        return { items: records.map(({ address }) => address), ttl: Math.min(...records.map(({ ttl }) => ttl)) };
      }
      // A name that only another source of names knows (mDNS, a directory, names without a dot).
      const found = await lookup(name, { all: true, order: 'ipv4first' });
      return { items: found.map(({ address }) => address), ttl: HOSTS_TTL };
    },
  };
}

async function orNone<Item>(answer: Promise<Item[]>): Promise<Item[]> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && 'code' in error && NO_SUCH_RECORD.has(String(error.code))) return [];
    throw error;
  }
}

/** Addresses that the hosts file has for a name, IPv4 in front. A file that cannot be read has none. */
async function fromHosts(file: string, name: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const wanted = name.toLowerCase();
  const found = text.split('\n').flatMap((line) => {
    const [address = '', ...names] = (line.split('#')[0] ?? '').trim().toLowerCase().split(/\s+/);
    return isIP(address) !== 0 && names.includes(wanted) ? [address] : [];
  });
  return [...new Set(found)].sort((a, b) => isIP(a) - isIP(b));
}
