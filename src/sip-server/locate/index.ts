import type { Clock } from '../../process/clock';
import type { Protocol } from '../layers';
import { cachedDns } from './cache';
import { systemDns, type Dns } from './dns';
import { isDenied, orderSrv, srvName, usableServices, type Service } from './records';

export { systemDns, type Dns } from './dns';

/** A host name to be found, from the parts of a SIP URI that matter (RFC 3263 section 4). */
export interface Target {
  readonly host: string;
  /** Undefined: the URI has none. */
  readonly port: number | undefined;
  /** The transport that the URI names, or that a sips URI needs; undefined: it is to be chosen. */
  readonly protocol: Protocol | undefined;
  /** What we can send by, the first one being the choice when DNS tells nothing. */
  readonly usable: readonly Protocol[];
}

/** An address to try. */
export interface Candidate {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
}

/** Finds the addresses of a target, in the order in which they are to be tried. None: it cannot be found. */
export type Locate = (target: Target) => Promise<readonly Candidate[]>;

export interface LocatorOptions {
  readonly dns: Dns;
  readonly clock: Clock;
  /** In [0, 1): the draw among SRV records of one priority. */
  readonly random?: () => number;
}

/** More are not tried: each one may take 32 seconds to be silent. */
const MAX_CANDIDATES = 10;
const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = { udp: 5060, tcp: 5060, tls: 5061, ws: 80, wss: 443 };

/** Locates servers by NAPTR, SRV, A and AAAA records (RFC 3263). What may be needed is asked at the same time. */
export function createLocator(options: LocatorOptions): Locate {
  const dns = cachedDns(options.dns, { clock: options.clock });
  const random = options.random ?? Math.random;

  const atHost = async (protocol: Protocol, host: string, port: number): Promise<Candidate[]> => {
    const listed = await dns.hosts(host);
    const { items } = listed.items.length > 0 ? listed : await dns.addresses(host);
    return items.map((address) => ({ protocol, address, port }));
  };

  /** `undefined`: there are no SRV records for it. */
  const byService = async ({ protocol, name }: Service): Promise<Candidate[] | undefined> => {
    const { items } = await dns.srv(name);
    if (items.length === 0) return undefined;
    if (isDenied(items)) return [];
    const ordered = orderSrv(items, random).slice(0, MAX_CANDIDATES);
    return (await Promise.all(ordered.map(({ target, port }) => atHost(protocol, target, port)))).flat();
  };

  const byTransport = async (protocol: Protocol, host: string): Promise<Candidate[] | undefined> => {
    const name = srvName(protocol, host);
    return name === undefined ? undefined : byService({ protocol, name });
  };

  /** RFC 3263 section 4.1: the domain tells by NAPTR which transports it prefers, or by what SRV records it has. */
  const byDomain = async (host: string, usable: readonly Protocol[]): Promise<Candidate[] | undefined> => {
    const plain = usable.filter((protocol) => protocol === 'udp' || protocol === 'tcp');
    const perTransport = Promise.all(plain.map((protocol) => byTransport(protocol, host)));
    const services = usableServices((await dns.naptr(host)).items, usable);
    const named = await Promise.all(services.map(byService));
    const told = named.filter((found) => found !== undefined);
    if (told.length > 0) return told.flat();
    const guessed = (await perTransport).filter((found) => found !== undefined);
    return guessed.length === 0 ? undefined : guessed.flat();
  };

  return async ({ host, port, protocol, usable }) => {
    const chosen = protocol ?? usable[0];
    if (chosen === undefined) return [];
    const direct = atHost(chosen, host, port ?? DEFAULT_PORTS[chosen]);
    const isListed = (await dns.hosts(host)).items.length > 0;
    if (port !== undefined || isListed) return (await direct).slice(0, MAX_CANDIDATES);
    const found = await (protocol === undefined ? byDomain(host, usable) : byTransport(protocol, host));
    return (found ?? (await direct)).slice(0, MAX_CANDIDATES);
  };
}

/** With the DNS of this machine. */
export function systemLocator(clock: Clock): Locate {
  return createLocator({ dns: systemDns(), clock });
}
