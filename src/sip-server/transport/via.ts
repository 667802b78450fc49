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
 * Notes in the top Via of a received request where it really came from. `rport` is set even when the client did not ask
 * (RFC 3581 would have it only then), so that the application sees the port. A client that did not ask and is no translator
 * away (sent-by is its source address) gets its responses at the port of sent-by (RFC 3261 section 18.2.2): it may listen
 * elsewhere than it sends. One behind a translator would not hear them there. `forceRport`: everybody is taken for one that asked. The address is always that of the source.
 * `received` (IPv6 without brackets, RFC 5118 section 4.5) is set when sent-by names another host (RFC 3261 section 18.2.1), and what a client claims there is removed.
 * Undefined: the Via cannot be read.
 */
export function stampVia(request: SipMessage, flow: Flow, forceRport = false): Via | undefined {
  const text = getHeader(request, 'Via');
  const via = text === undefined ? undefined : parseVia(text);
  if (via === undefined) return undefined;
  const isAtSource = addressOfHost(via.host) === flow.remoteAddress;
  const hasAsked = forceRport || via.params.has('rport');
  if (request.kind === 'request' && flow.protocol === 'udp' && isAtSource && !hasAsked)
    request.answerPort = via.port ?? defaultPort(flow.protocol);
  via.params.set('rport', String(flow.remotePort));
  if (isAtSource) via.params.delete('received');
  else via.params.set('received', flow.remoteAddress);
  replaceFirst(request, 'Via', formatVia(via));
  return via;
}
