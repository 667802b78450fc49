import { isIP } from 'node:net';
import { addressOfHost } from '../host';
import type { Destination, ListenPoint, Protocol, TransportLayer } from '../layers';
import type { Locate, Target } from '../locate';
import { parseUri, type SipUri } from '../../sip-message/uri';
import { defaultPort } from './addresses';

/** Where a request goes next, before names are looked up. */
export type NextHop =
  | {
      readonly kind: 'address';
      readonly destination: Destination;
      readonly point: ListenPoint;
      /** The application has named a flow: what the peer says of itself changes nothing. */
      readonly isFlow?: true;
    }
  /** `point`: the listener to be named in the request; another one sends it when DNS chooses another transport. */
  | { readonly kind: 'name'; readonly protocol: Protocol; readonly target: Target; readonly point: ListenPoint }
  /** A flow whose connection is closed. */
  | { readonly kind: 'gone'; readonly point: ListenPoint; readonly protocol: Protocol }
  /** The URI asks for a transport that no listener has. */
  | { readonly kind: 'no-transport' };

const PROTOCOLS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);

export function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.has(text);
}

/** The hop that a URI names; names are looked up later, by `destinationsOf` (RFC 3263 section 4). */
export function hopOfUri(uri: SipUri, transport: TransportLayer): NextHop {
  const host = addressOfHost(uri.params.get('maddr') ?? uri.host);
  const asked = uri.params.get('transport')?.toLowerCase();
  const explicit = asked !== undefined || uri.scheme === 'sips';
  const wanted = asked ?? (uri.scheme === 'sips' ? 'tls' : 'udp');
  if (!isProtocol(wanted)) return { kind: 'no-transport' };
  const point = transport.pointFor(wanted, host) ?? (explicit ? undefined : firstPoint(transport, host));
  if (point === undefined) return { kind: 'no-transport' };
  const { protocol } = point;
  if (isIP(host) !== 0) {
    const port = uri.port ?? defaultPort(protocol);
    const destination = { protocol, address: host, port, ...(explicit ? {} : { anyTransport: true }) };
    return { kind: 'address', destination, point };
  }
  const usable = [...new Set([protocol, ...transport.points.map((one) => one.protocol)])];
  return {
    kind: 'name',
    protocol,
    target: { host, port: uri.port, protocol: explicit ? protocol : undefined, usable },
    point,
  };
}

/** Where to send, and the listener that sends. */
export interface Located {
  readonly destination: Destination;
  readonly point: ListenPoint;
}

/** What a name stands for, in the order in which it is to be tried; none when it cannot be found. Never rejects. */
export async function destinationsOf(
  hop: Extract<NextHop, { kind: 'name' }>,
  locate: Locate,
  transport: TransportLayer,
): Promise<readonly Located[]> {
  const { target } = hop;
  const candidates = await locate(target).catch(() => []);
  return candidates.flatMap(({ protocol, address, port }) => {
    const fitting = hop.point.protocol === protocol && isIP(hop.point.address) === isIP(address);
    const point = fitting ? hop.point : transport.pointFor(protocol, address);
    if (point === undefined) return [];
    const anyTransport = target.protocol === undefined ? { anyTransport: true } : {};
    return [{ destination: { protocol, address, port, name: target.host, local: point, ...anyTransport }, point }];
  });
}

function firstPoint(transport: TransportLayer, host: string): ListenPoint | undefined {
  const first = transport.points[0];
  return first === undefined ? undefined : (transport.pointFor(first.protocol, host) ?? first);
}

/** A hop remembered by a dialog; undefined when it was a connection that is closed: the target's URI is tried then. */
export function hopOfDestination(remembered: Destination, transport: TransportLayer): NextHop | undefined {
  const { protocol, address, connection } = remembered;
  const point = transport.pointFor(protocol, address);
  if (point === undefined || (connection !== undefined && !transport.isOpen(connection))) return undefined;
  return { kind: 'address', destination: remembered, point };
}

/** The way of a dialog that keeps to its flow: that, or nothing. */
export function hopOfFlow(flow: Destination, transport: TransportLayer): NextHop {
  const { protocol, address, connection } = flow;
  const point = flow.local ?? transport.pointFor(protocol, address);
  if (point === undefined) return { kind: 'no-transport' };
  if (connection !== undefined && !transport.isOpen(connection)) return { kind: 'gone', point, protocol };
  return { kind: 'address', destination: flow, point, isFlow: true };
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
