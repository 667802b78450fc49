import { runSipServer } from '../../src/sip-server';
import { type ExternalServer, externalServer } from './drachtio';
import { freePort } from './ports';
import type { Scope } from './scope';

/** Where the application of a test finds its SIP server, and phones find that. */
export type SipServerPlace = Pick<ExternalServer, 'host' | 'port' | 'secret' | 'sipPort'>;

/**
 * A SIP server for one application, on loopback over UDP and TCP: an embedded one in this process, or a drachtio-server
 * where the tests were told to use those (`number`: which of them).
 */
export async function startSipServer(scope: Scope, number = 1): Promise<SipServerPlace> {
  const external = await externalServer(scope, number);
  if (external !== undefined) return external;
  const at = { address: '127.0.0.1', port: await freePort() };
  const listen = [
    { protocol: 'udp', ...at },
    { protocol: 'tcp', ...at },
  ] as const;
  const [host, secret] = ['127.0.0.1', 'secret'];
  const server = await runSipServer({ listen, control: { address: host, port: 0 }, secret });
  scope.defer(() => server.stop());
  return { host, port: server.control.port, secret, sipPort: at.port };
}
