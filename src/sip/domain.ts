import { networkInterfaces } from 'node:os';
import type { TandemConfig } from '../config/types';
import { canonicalHost, isLoopback, isUnspecified } from '../process/address';
import { parseUri } from '../sip-message/uri';

export { canonicalHost, hostInUri } from '../process/address';

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
    const addresses = isUnspecified(bare) ? own : [bare];
    for (const each of addresses) this.add(each);
    if (addresses.some(isLoopback)) this.add('localhost');
  }

  all(): readonly string[] {
    return [...this.hosts];
  }

  hasHost(host: string): boolean {
    return this.hosts.has(canonicalHost(host));
  }

  /** Whether local numbers of this context are numbers of ours; they are when nobody says of whom they are (RFC 3966 section 5.1.5). */
  hasContext(context: string | undefined): boolean {
    return context === undefined || this.hasHost(context);
  }

  /** Whether a `sip:` or `sips:` URI is of our domain. */
  hasUri(uri: string): boolean {
    const parsed = parseUri(uri);
    return parsed !== undefined && parsed.scheme !== 'tel' && this.hasHost(parsed.host);
  }
}

/**
 * Every host name and address that the configuration gives to the exchange: addresses of nodes, `domains`, and in the domain the names
 * of sites and nodes, since SRV and A records for phones have these (docs/phones.md).
 */
export function configuredHosts(config: TandemConfig): string[] {
  const hosts = config.nodes.flatMap((node) => [
    ...(node.address === undefined ? [] : [node.address]),
    ...node.listen.flatMap(({ address, announced }) => [
      address,
      ...(announced === undefined ? [] : [hostIn(announced)]),
    ]),
  ]);
  const { domain, domains = [] } = config.cluster;
  const names = [...Object.keys(config.sites), ...config.nodes.flatMap(({ name, site }) => [name, `${name}.${site}`])];
  return [...hosts, ...domains, ...names.map((name) => `${name}.${domain}`)].filter((host) => !isUnspecified(host));
}

/** The host of `ADDRESS` or `ADDRESS:PORT`. */
function hostIn(announced: string): string {
  return parseUri(`sip:${announced}`)?.host ?? announced;
}
