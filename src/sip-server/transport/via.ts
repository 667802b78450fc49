import { getHeader, replaceFirst } from '../../sip-message/headers';
import type { SipMessage } from '../../sip-message/message';
import type { Via } from '../../sip-message/via';
import { formatVia, parseVia } from '../../sip-message/via';
import type { Flow } from '../layers';

export const DEFAULT_SIP_PORT = 5060;

/**
 * Notes in the top Via of a received request where it really came from. `rport` is set even when the client did not ask
 * (RFC 3581 would have it only then): responses go to the source in any case, and the application sees the port.
 * `received` is set when sent-by names another host (RFC 3261 section 18.2.1), and what a client claims there is removed.
 * Undefined: the Via cannot be read.
 */
export function stampVia(request: SipMessage, flow: Flow): Via | undefined {
  const text = getHeader(request, 'Via');
  const via = text === undefined ? undefined : parseVia(text);
  if (via === undefined) return undefined;
  via.params.set('rport', String(flow.remotePort));
  if (via.host === flow.remoteAddress) via.params.delete('received');
  else via.params.set('received', flow.remoteAddress);
  replaceFirst(request, 'Via', formatVia(via));
  return via;
}
