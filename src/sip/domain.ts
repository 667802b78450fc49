import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TandemConfig } from '../config/types';
import { parseUri } from '../sip-message/uri';

const WILDCARDS = new Set(['0.0.0.0', '::']);

/**
 * Which hosts are this exchange: the cluster's domain, every node's address and every listener are one and the same
 * domain. Ports are not compared: behind a port forwarding a phone names one that we do not know.
 */
export class SipDomain {
  private readonly hosts = new Set<string>();
  /** As it appears in identities and as realm. */
  readonly name: string;

  constructor(name: string, hosts: Iterable<string> = []) {
    this.name = name;
    this.add(name);
    for (const host of hosts) this.add(host);
  }

  add(host: string): void {
    this.hosts.add(canonicalHost(host));
  }

  /** A listener of ours: a wildcard one has every address of the machine. */
  addListener(address: string): void {
    const bare = canonicalHost(address);
    const own = Object.values(networkInterfaces()).flatMap((all) => all?.map((each) => each.address) ?? []);
    const addresses = WILDCARDS.has(bare) ? own : [bare];
    for (const each of addresses) this.add(each);
    if (addresses.some((each) => each === '::1' || each.startsWith('127.'))) this.add('localhost');
  }

  hasHost(host: string): boolean {
    return this.hosts.has(canonicalHost(host));
  }

  /** Whether a `sip:` or `sips:` URI is of our domain. */
  hasUri(uri: string): boolean {
    const parsed = parseUri(uri);
    return parsed !== undefined && parsed.scheme !== 'tel' && this.hasHost(parsed.host);
  }
}

/** Lower case, without the brackets of an IPv6 reference and without a trailing dot. */
export function canonicalHost(host: string): string {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  return bare.toLowerCase().replace(/\.$/, '');
}

/** Host as it stands in a URI: an IPv6 address in brackets. */
export function hostInUri(host: string): string {
  const bare = canonicalHost(host);
  return isIP(bare) === 6 ? `[${bare}]` : bare;
}

/** Every host name and address that the configuration gives to the exchange. */
export function configuredHosts(config: TandemConfig): string[] {
  const hosts = config.nodes.flatMap((node) => [
    ...(node.address === undefined ? [] : [node.address]),
    ...node.listen.map((listen) => listen.address),
  ]);
  return hosts.filter((host) => !WILDCARDS.has(host));
}
