import { getHeader, replaceFirst } from '../../sip-message/headers';
import type { SipMessage } from '../../sip-message/message';
import type { Via } from '../../sip-message/via';
import { formatVia, parseVia } from '../../sip-message/via';
import { addressOfHost } from '../host';
import type { Flow, Protocol } from '../layers';

const DEFAULT_PORTS: Readonly<Record<Protocol, number>> = { udp: 5060, tcp: 5060, tls: 5061, ws: 80, wss: 443 };

/** The port that a host without one means (RFC 3261 section 19.1.2, RFC 7118 section 5). */
export const defaultPort = (protocol: Protocol): number => DEFAULT_PORTS[protocol];

/**
 * Whether the transport that a Via names is the one it came by. A WebSocket client behind a proxy that ends TLS says
 * WSS and comes by WS, and some clients always say WS.
 */
export function namesTransport(via: Via, protocol: Protocol): boolean {
  const named = via.protocol.toLowerCase();
  if (protocol === 'ws' || protocol === 'wss') return named === 'ws' || named === 'wss';
  return named === protocol;
}

/**
 * Notes in the top Via of a received request where it really came from. `rport` is set even when the client did not ask
 * (RFC 3581 would have it only then): responses go to the source in any case, and the application sees the port.
 * `received` (IPv6 without brackets, RFC 5118 section 4.5) is set when sent-by names another host (RFC 3261 section 18.2.1), and what a client claims there is removed.
 * Undefined: the Via cannot be read.
 */
export function stampVia(request: SipMessage, flow: Flow): Via | undefined {
  const text = getHeader(request, 'Via');
  const via = text === undefined ? undefined : parseVia(text);
  if (via === undefined) return undefined;
  via.params.set('rport', String(flow.remotePort));
  if (addressOfHost(via.host) === flow.remoteAddress) via.params.delete('received');
  else via.params.set('received', flow.remoteAddress);
  replaceFirst(request, 'Via', formatVia(via));
  return via;
}
