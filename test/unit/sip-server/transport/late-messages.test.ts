import type { SipMessage } from '../../../../src/sip-message/message';
import type { Flow } from '../../../../src/sip-server/layers';
import { LateMessages } from '../../../../src/sip-server/transport/late-messages';
import { Wakefulness } from '../../../../src/sip-server/transport/wakefulness';

const request = (method: string): SipMessage => ({
  kind: 'request',
  method,
  uri: 'sip:a',
  headers: [],
  body: Buffer.alloc(0),
});
const response: SipMessage = { kind: 'response', status: 200, reason: 'OK', headers: [], body: Buffer.alloc(0) };
const local = { protocol: 'udp', address: '127.0.0.1', port: 5060 } as const;
const udp: Flow = { protocol: 'udp', remoteAddress: '192.0.2.1', remotePort: 5060, local };
const tcp = (connection: number): Flow => ({ ...udp, protocol: 'tcp', connection });

/** A process that was stopped for so long, and what its kernel has for it when it goes on. */
function awake(pauseMs: number) {
  let now = 1_000_000;
  const wakefulness = new Wakefulness(() => now);
  now += pauseMs;
  const passed: string[] = [];
  const closed: number[] = [];
  const open = new Set([1, 2]);
  const late = new LateMessages(
    wakefulness,
    (connection) => open.has(connection),
    (connection) => closed.push(connection),
  );
  const take = (message: SipMessage, flow: Flow): void =>
    late.take(message, flow, 1, (one) => passed.push(one.kind === 'request' ? one.method : String(one.status)));
  /** What was received has been read; the time of the wait is real. */
  const settle = async (): Promise<void> => {
    now += wakefulness.settleMs;
    await new Promise((resolve) => setTimeout(resolve, wakefulness.settleMs + 50));
  };
  return { take, settle, passed, closed, open };
}

describe('after a pause of the process', () => {
  test('a datagram with a request is dropped, for it comes again; responses are taken', () => {
    const { take, passed } = awake(8_000);
    take(request('REGISTER'), udp);
    take(response, udp);
    expect(passed).toEqual(['200']);
  });

  test('a request over a connection that turns out to be closed is dead, over another it is taken in its order', async () => {
    const { take, settle, passed, open, closed } = awake(20_000);
    take(request('REGISTER'), tcp(1));
    take(request('INVITE'), tcp(2));
    take(request('CANCEL'), tcp(2));
    open.delete(1);
    expect(passed).toEqual([]);
    await settle();
    expect(passed).toEqual(['INVITE', 'CANCEL']);
    expect(closed).toEqual([]);
  });

  test('what may be older than any transaction is never taken: its connection is closed', async () => {
    const { take, settle, passed, closed } = awake(40_000);
    take(request('INVITE'), tcp(2));
    await settle();
    expect([passed, closed]).toEqual([[], [2]]);
  });

  test.each([8_000, 20_000, 40_000])(
    'after %i ms what ends something is taken all the same, in the order of its connection, which may be closed',
    async (pauseMs) => {
      const { take, settle, passed, open } = awake(pauseMs);
      for (const method of ['REGISTER', 'BYE', 'INVITE', 'CANCEL', 'ACK', 'INFO']) take(request(method), udp);
      expect(passed).toEqual(['BYE', 'CANCEL', 'ACK']);
      passed.length = 0;
      for (const method of ['INVITE', 'CANCEL', 'BYE', 'INFO']) take(request(method), tcp(1));
      take(request('BYE'), tcp(2));
      open.delete(1);
      expect(passed).toEqual([]);
      await settle();
      expect(passed).toEqual(['CANCEL', 'BYE', 'BYE']);
    },
  );

  test('without a pause, and when it is over, everything is taken at once', async () => {
    const { take, passed } = awake(1_000);
    take(request('OPTIONS'), udp);
    expect(passed).toEqual(['OPTIONS']);
    const later = awake(10_000);
    later.take(request('REGISTER'), tcp(2));
    await later.settle();
    later.take(request('OPTIONS'), udp);
    expect(later.passed).toEqual(['REGISTER', 'OPTIONS']);
  });
});
