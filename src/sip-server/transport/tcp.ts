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
    createServer: () => createServer(SOCKET_OPTIONS),
    open: ({ address, port }, local) =>
      new SocketWire(connect({ host: address, port, localAddress: local.address, ...SOCKET_OPTIONS }), {
        address,
        port,
      }),
    framing: () => new StreamFramer(limits),
  };
}
