import { createSipCaller } from '../../src/call-manager/sip-caller';
import type { SipCaller } from '../../src/media-resource/ports';
import { systemClock } from '../../src/process/clock';
import { DrachtioUserAgent } from '../../src/sip/drachtio';
import { runSipServer } from '../../src/sip-server';
import { silentLogger } from '../../src/telemetry/logger';
import { freePort } from './ports';
import type { Scope } from './scope';

/** The port through which media engines are called, as a node has it: on an embedded SIP server of its own, over UDP and TCP. */
export async function startSipCaller(scope: Scope): Promise<SipCaller> {
  const at = { address: '127.0.0.1', port: await freePort() };
  const listen = [
    { protocol: 'udp', ...at },
    { protocol: 'tcp', ...at },
  ] as const;
  const server = await runSipServer({ listen, control: { address: '127.0.0.1', port: 0 }, secret: 'secret' });
  scope.defer(() => server.stop());
  const control = { host: '127.0.0.1', port: server.control.port, secret: 'secret' };
  const userAgent = new DrachtioUserAgent({
    namesFlows: false,
    server: () => Promise.resolve(control),
    clock: systemClock,
    log: silentLogger,
  });
  const ignore = (): void => undefined;
  await userAgent.start({ invited: ignore, requested: ignore, serverChanged: ignore }, 5000);
  scope.defer(() => userAgent.stop());
  return createSipCaller({ userAgent, clock: systemClock });
}
