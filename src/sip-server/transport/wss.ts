import { createServer } from 'node:https';
import type { ParseLimits } from '../../sip-message/parse';
import type { OriginPolicy } from './origins';
import type { StreamProtocol } from './stream-transport';
import { keepFresh, serverOptions, tellFailures } from './tls';
import type { TlsCredentials } from './tls-files';
import { HTTP_OPTIONS, messageFraming, upgradeClients } from './ws';

/** SIP over secure WebSocket (RFC 7118). */
export function wss(limits: ParseLimits, credentials: () => TlsCredentials, mayOpen: OriginPolicy): StreamProtocol {
  return {
    protocol: 'wss',
    hasHandshake: true,
    createServer: (_point, accept, turnAway) => {
      const { material } = credentials();
      const server = createServer({ ...HTTP_OPTIONS, ...serverOptions(material), requestCert: false });
      keepFresh(server, credentials(), material);
      tellFailures(server, turnAway);
      upgradeClients(server, { limits, secure: true, mayOpen, accept, turnAway });
      return server;
    },
    framing: () => messageFraming(limits),
  };
}
