import { Lateness } from '../../../src/device/lateness';
import { SimulatedClock } from '../../../src/process/clock';
import { silentLogger } from '../../../src/telemetry/logger';
import { createMetrics } from '../../../src/telemetry/metrics';
import { receivedRequest } from '../sip/support';

const FLOW = 'sip:192.0.2.7:40000;transport=tcp;flow=x.1';

interface Case {
  readonly method: 'REGISTER' | 'INVITE' | 'OPTIONS';
  readonly protocol: 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';
  readonly connection: 'open' | 'closed';
  readonly waitedMs: number;
}

const cases: readonly Case[] = (['REGISTER', 'INVITE', 'OPTIONS'] as const).flatMap((method) =>
  (['udp', 'tcp', 'tls', 'ws', 'wss'] as const).flatMap((protocol) =>
    (['open', 'closed'] as const).flatMap((connection) =>
      [0, 500, 1_500, 8_000, 31_999, 32_000, 40_000, 3_600_000].map((waitedMs) => ({
        ...{ method, protocol, connection, waitedMs },
      })),
    ),
  ),
);

async function outcome({ method, protocol, connection, waitedMs }: Case): Promise<'acted upon' | 'dropped'> {
  const clock = new SimulatedClock();
  clock.advance(10_000_000);
  const flows = {
    isOpen: () => Promise.resolve(connection === 'open'),
    onClosed: () => undefined,
    close: () => undefined,
  };
  const lateness = new Lateness({ clock, flows, log: silentLogger, metrics: createMetrics() });
  const request = {
    ...receivedRequest({
      method,
      headers: { Authorization: 'Digest' },
      source: { protocol, address: '192.0.2.7', port: 40_000, ...(method === 'OPTIONS' ? {} : { flow: FLOW }) },
    }),
    receivedAt: clock.now() - waitedMs,
  };
  return new Promise((resolve) =>
    lateness.judge(
      request,
      () => resolve('acted upon'),
      () => resolve('dropped'),
    ),
  );
}

describe('old requests', () => {
  test.each(cases)('$method over $protocol after $waitedMs ms, its connection $connection', async (each) => {
    const { method, protocol, connection, waitedMs } = each;
    const tooOld = waitedMs >= 32_000;
    // Nobody is bound to a connection that is gone, however short the wait; what else came by it was answered in vain at most.
    const gone = connection === 'closed' && protocol !== 'udp' && method !== 'OPTIONS';
    const dead = tooOld || (gone && (method === 'REGISTER' || waitedMs >= 1_000));
    expect(await outcome(each)).toBe(dead ? 'dropped' : 'acted upon');
  });

  test('how long it waited is not known: it is acted upon', () => {
    const clock = new SimulatedClock();
    const lateness = new Lateness({ clock, log: silentLogger, metrics: createMetrics() });
    const act = jest.fn();
    lateness.judge(receivedRequest({ method: 'INVITE' }), act, () => undefined);
    expect(act).toHaveBeenCalledTimes(1);
  });
});
