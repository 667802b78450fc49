import { connect, createServer } from 'node:net';
import type { ParseLimits } from '../../sip-message/parse';
import { StreamFramer } from '../../sip-message/stream';
import type { StreamProtocol } from './stream-transport';
import { SOCKET_OPTIONS } from './stream-transport';
import { SocketWire } from './wire';

/** SIP over TCP (RFC 3261 section 18). */
export function tcp(limits: ParseLimits): StreamProtocol {
  return {
    protocol: 'tcp',
    hasHandshake: false,
    // A client that sends nothing more may wait for its answers. (With TLS 1.2 it cannot: RFC 5246 section 7.2.1.)
    createServer: () => createServer({ ...SOCKET_OPTIONS, allowHalfOpen: true }),
    open: ({ address, port }, local) =>
      new SocketWire(connect({ host: address, port, localAddress: local.address, ...SOCKET_OPTIONS }), {
        address,
        port,
      }),
    framing: () => new StreamFramer(limits),
  };
}
