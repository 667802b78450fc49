import { lookup } from 'node:dns/promises';
import { isIPv4 } from 'node:net';
import type { Destination, ListenPoint, Protocol, TransportLayer } from '../layers';
import { parseUri, type SipUri } from '../../sip-message/uri';
import { defaultPort } from './addresses';
import type { RegisteredContacts } from './registered-contacts';

/** Where a request goes next, before names are looked up. */
export type NextHop =
  | { readonly kind: 'address'; readonly destination: Destination; readonly point: ListenPoint }
  | {
      readonly kind: 'name';
      readonly protocol: Protocol;
      readonly host: string;
      readonly port: number;
      readonly point: ListenPoint;
    }
  /** The contact registered on a connection that is closed. */
  | { readonly kind: 'gone'; readonly point: ListenPoint; readonly protocol: Protocol }
  /** The URI asks for a transport that no listener has. */
  | { readonly kind: 'no-transport' };

/** Looks up one IPv4 address; rejects when there is none. */
export type Resolver = (host: string) => Promise<string>;

const DNS_DEADLINE_MS = 5000;

/** A records and the hosts file, with a deadline. */
export const systemResolver: Resolver = async (host) => {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('name look-up took too long')), DNS_DEADLINE_MS);
  });
  try {
    return (await Promise.race([lookup(host, { family: 4 }), deadline])).address;
  } finally {
    clearTimeout(timer);
  }
};

const PROTOCOLS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);

function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.has(text);
}

/** The hop that a URI names (RFC 3263 without NAPTR and SRV). */
export function hopOfUri(uri: SipUri, transport: TransportLayer): NextHop {
  const host = uri.params.get('maddr') ?? uri.host;
  const asked = uri.params.get('transport')?.toLowerCase();
  const explicit = asked !== undefined || uri.scheme === 'sips';
  const wanted = asked ?? (uri.scheme === 'sips' ? 'tls' : 'udp');
  if (!isProtocol(wanted)) return { kind: 'no-transport' };
  const point = transport.pointFor(wanted, host) ?? (explicit ? undefined : firstPoint(transport, host));
  if (point === undefined) return { kind: 'no-transport' };
  const { protocol } = point;
  const port = uri.port ?? defaultPort(protocol);
  if (isIPv4(host)) return { kind: 'address', destination: { protocol, address: host, port }, point };
  return { kind: 'name', protocol, host, port, point };
}

function firstPoint(transport: TransportLayer, host: string): ListenPoint | undefined {
  const first = transport.points[0];
  return first === undefined ? undefined : (transport.pointFor(first.protocol, host) ?? first);
}

/** As `hopOfUri`, but a contact that registered over a connection is reached on that connection. */
export function hopOfContact(
  uri: SipUri,
  transport: TransportLayer,
  contacts: RegisteredContacts,
  now: number,
): NextHop | undefined {
  const registered = contacts.find(uri, now);
  if (registered === undefined) return undefined;
  const { flow, connection } = registered;
  if (!transport.isOpen(connection)) return { kind: 'gone', point: flow.local, protocol: flow.protocol };
  return hopOnConnection(
    { protocol: flow.protocol, address: flow.remoteAddress, port: flow.remotePort, connection },
    flow.local,
  );
}

function hopOnConnection(destination: Destination, point: ListenPoint): NextHop {
  return { kind: 'address', destination, point };
}

/** A hop remembered by a dialog; undefined when it was a connection that is closed: the target's URI is tried then. */
export function hopOfDestination(remembered: Destination, transport: TransportLayer): NextHop | undefined {
  const { protocol, address, connection } = remembered;
  const point = transport.pointFor(protocol, address);
  if (point === undefined || (connection !== undefined && !transport.isOpen(connection))) return undefined;
  return { kind: 'address', destination: remembered, point };
}

/** The same hop, left from a certain listener when that speaks the protocol. */
export function leavingFrom(hop: NextHop, local: ListenPoint | undefined): NextHop {
  if (local === undefined || (hop.kind !== 'address' && hop.kind !== 'name')) return hop;
  if (hop.kind === 'name') return hop.protocol === local.protocol ? { ...hop, point: local } : hop;
  const { destination } = hop;
  if (destination.protocol !== local.protocol) return hop;
  return { kind: 'address', destination: { ...destination, local }, point: local };
}

/** A next hop as an application gives it: a URI or `host[:port]`. */
export function parseRouteUri(text: string): SipUri | undefined {
  const uri = parseUri(text.includes('sip:') || text.includes('sips:') ? text.replace(/^<|>$/g, '') : `sip:${text}`);
  return uri?.scheme === 'tel' ? undefined : uri;
}
