import { createSipCaller } from '../../src/call-manager/sip-caller';
import type { SipCaller } from '../../src/media-resource/ports';
import { systemClock } from '../../src/process/clock';
import { DrachtioUserAgent } from '../../src/sip/drachtio';
import { silentLogger } from '../../src/telemetry/logger';
import type { Scope } from './scope';
import { startSipServer } from './sip-server';

/** The port through which media engines are called, as a node has it, on a SIP server of its own. */
export async function startSipCaller(scope: Scope): Promise<SipCaller> {
  const server = await startSipServer(scope);
  const userAgent = new DrachtioUserAgent({
    namesFlows: false,
    server: () => Promise.resolve(server),
    clock: systemClock,
    log: silentLogger,
  });
  const ignore = (): void => undefined;
  await userAgent.start({ invited: ignore, requested: ignore, serverChanged: ignore }, 5000);
  scope.defer(() => userAgent.stop());
  return createSipCaller({ userAgent, clock: systemClock });
}
