import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { addHeader, removeHeader } from '../../sip-message/headers';
import type { SipRequest } from '../../sip-message/message';
import type { SipUri } from '../../sip-message/uri';
import { answeringFlow } from '../answering-flow';
import { addressOfHost, hostAndPort } from '../host';
import type { Flow, TransportLayer } from '../layers';
import { isProtocol, parseRouteUri, type NextHop } from './next-hop';

/**
 * In a REGISTER or INVITE that an application gets: the next hop that leads to its sender. In an application's 1xx or 2xx to an
 * INVITE: requests in the dialog go where the INVITE came from, whatever Contact and Record-Route say. Never on the wire.
 */
export const FLOW_HEADER = 'X-Tandem-Flow';
const PARAMETER = 'flow';

interface Named {
  readonly flow: Flow;
  readonly connection: number;
  /** The application is to be told when it closes. */
  watched: boolean;
}

/**
 * The flows (RFC 5626 section 3.1) by the names under which applications know them. A name is a next hop of its own,
 * `sip:192.0.2.7:40000;transport=tcp;flow=...`, that leads over this flow or nowhere; another SIP server, which does not
 * know the parameter, finds the address in it. A flow is used when an application names it, and is never looked for by
 * what a message says.
 */
export class NamedFlows {
  /** Names of connections do not outlive this process. */
  private readonly server = randomBytes(9).toString('base64url');
  private readonly byName = new Map<string, Named>();
  private readonly byConnection = new Map<number, string>();

  constructor(
    private readonly transport: TransportLayer,
    private readonly onClosed: (name: string) => void,
  ) {}

  /** Puts the name of its flow into a request, in place of what its sender may have put there. */
  named(request: SipRequest, flow: Flow): SipRequest {
    const copy = { ...request, headers: [...request.headers] };
    removeHeader(copy, FLOW_HEADER);
    addHeader(copy, FLOW_HEADER, this.nameOf(answeringFlow(request, flow)));
    return copy;
  }

  /** The name of a flow; that of a datagram is address and port of its sender, and the listener that received it. */
  nameOf(flow: Flow): string {
    const { protocol, remoteAddress, remotePort, local, connection } = flow;
    const id = connection === undefined ? hostAndPort(local.address, local.port) : `${this.server}.${connection}`;
    const name = `sip:${hostAndPort(remoteAddress, remotePort)};transport=${protocol};${PARAMETER}=${id}`;
    if (connection !== undefined && !this.byName.has(name) && this.transport.isOpen(connection)) {
      this.byName.set(name, { flow, connection, watched: false });
      this.byConnection.set(connection, name);
    }
    return name;
  }

  /** Where a next hop leads that is the name of a flow; undefined: it is none. */
  hopOf(text: string): NextHop | undefined {
    const known = this.byName.get(text);
    if (known !== undefined) return this.hopOnConnection(known);
    const uri = parseRouteUri(text);
    if (uri?.params.has(PARAMETER) !== true) return undefined;
    const protocol = uri.params.get('transport')?.toLowerCase() ?? 'udp';
    if (!isProtocol(protocol)) return { kind: 'no-transport' };
    if (protocol === 'udp') return this.hopOfDatagrams(uri);
    const point = this.transport.pointFor(protocol, addressOfHost(uri.host)) ?? this.transport.points[0];
    return point === undefined ? { kind: 'no-transport' } : { kind: 'gone', point, protocol };
  }

  /** Whether the flow is there; if so, its application will be told when it closes. */
  watch(name: string): boolean {
    const known = this.byName.get(name);
    if (known === undefined || !this.transport.isOpen(known.connection)) return false;
    known.watched = true;
    return true;
  }

  /** Sends what is queued on it, and closes it; nothing when it is not there. */
  close(name: string): void {
    const known = this.byName.get(name);
    if (known !== undefined) this.transport.finish(known.connection);
  }

  /** To be called for every connection that closes. */
  closed(connection: number): void {
    const name = this.byConnection.get(connection);
    if (name === undefined) return;
    this.byConnection.delete(connection);
    const watched = this.byName.get(name)?.watched === true;
    this.byName.delete(name);
    if (watched) this.onClosed(name);
  }

  get size(): number {
    return this.byName.size;
  }

  private hopOnConnection({ flow, connection }: Named): NextHop {
    const { protocol, remoteAddress: address, remotePort: port, local: point } = flow;
    if (!this.transport.isOpen(connection)) return { kind: 'gone', point, protocol };
    return { kind: 'address', destination: { protocol, address, port, connection }, point, isFlow: true };
  }

  private hopOfDatagrams(uri: SipUri): NextHop {
    const address = addressOfHost(uri.host);
    const local = uri.params.get(PARAMETER);
    const point =
      this.transport.points.find((each) => each.protocol === 'udp' && hostAndPort(each.address, each.port) === local) ??
      this.transport.pointFor('udp', address);
    if (point === undefined || isIP(address) === 0) return { kind: 'no-transport' };
    const destination = { protocol: 'udp' as const, address, port: uri.port ?? 5060, local: point };
    return { kind: 'address', destination, point, isFlow: true };
  }
}
