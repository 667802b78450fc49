import { createServer } from 'node:https';
import type { ParseLimits } from '../../sip-message/parse';
import type { OriginPolicy } from './origins';
import type { StreamProtocol } from './stream-transport';
import { keepFresh, serverOptions } from './tls';
import type { TlsCredentials } from './tls-files';
import { HTTP_OPTIONS, messageFraming, upgradeClients } from './ws';

/** SIP over secure WebSocket (RFC 7118). */
export function wss(limits: ParseLimits, credentials: () => TlsCredentials, mayOpen: OriginPolicy): StreamProtocol {
  return {
    protocol: 'wss',
    hasHandshake: true,
    createServer: (_point, accept) => {
      const { material } = credentials();
      const server = createServer({ ...HTTP_OPTIONS, ...serverOptions(material), requestCert: false });
      keepFresh(server, credentials(), material);
      server.on('tlsClientError', (_error, socket) => socket.destroy());
      upgradeClients(server, limits, true, mayOpen, accept);
      return server;
    },
    framing: () => messageFraming(limits),
  };
}
