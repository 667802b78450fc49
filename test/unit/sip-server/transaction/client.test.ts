import { getHeader, getHeaders } from '../../../../src/sip-message/headers';
import { createResponse } from '../../../../src/sip-message/response';
import { serialize } from '../../../../src/sip-message/serialize';
import type { TransportFailure } from '../../../../src/sip-server/layers';
import { bench, CLIENT, expectClean, makeRequest, SERVER } from './bench';

describe('INVITE client transaction', () => {
  test('RFC 3261 §17.1.1.2: Timer A retransmits at 0.5, 1.5, 3.5 ... s and Timer B gives up at 32 s', async () => {
    const b = await bench();
    b.loseAll();
    const { seen } = b.call('INVITE');
    b.clock.advance(40_000);
    expect(b.network.log(CLIENT)).toEqual([0, 500, 1500, 3500, 7500, 15500, 31500].map((at) => `${at} INVITE`));
    expect(seen).toMatchObject({ failures: ['timeout'], responses: [], terminated: 1 });
    expectClean(b);
  });

  test('RFC 3261 §17.1.1.2: over a reliable transport nothing is retransmitted, Timer B stands', async () => {
    const b = await bench();
    b.loseAll();
    const { seen } = b.call('INVITE', 'tcp');
    b.clock.advance(31_999);
    expect(seen.failures).toEqual([]);
    b.clock.advance(1);
    expect(seen.failures).toEqual(['timeout']);
    expect(b.network.log(CLIENT)).toEqual(['0 INVITE']);
  });

  test('RFC 3261 §17.1.1.2: a provisional response stops Timers A and B; 100 is not reported', async () => {
    const b = await bench();
    const { seen } = b.call('INVITE');
    b.clock.advance(100_000);
    expect(b.network.log(CLIENT)).toEqual(['0 INVITE']);
    expect(b.network.log(SERVER)).toEqual(['1 100']);
    expect(seen).toMatchObject({ failures: [], responses: [] });
    b.respond(180);
    b.clock.advance(10);
    expect(seen.responses).toEqual([{ status: 180, retransmission: false }]);
  });

  test('RFC 3261 §17.1.1.3: a non-2xx is ACKed by the layer, also its retransmissions, until Timer D', async () => {
    const b = await bench();
    const { seen, request } = b.call('INVITE', 'udp', [{ name: 'Route', value: '<sip:10.0.0.2;lr>' }]);
    b.clock.advance(10);
    b.network.lose = ({ message }) => message.kind === 'request' && message.method === 'ACK';
    b.respond(486);
    b.clock.advance(2_000);
    expect(seen.responses).toEqual([{ status: 486, retransmission: false }]);
    expect(b.network.log(CLIENT)).toEqual(['0 INVITE', '11 ACK', '511 ACK', '1511 ACK']);
    const ack = b.network.sent.find(({ message }) => message.kind === 'request' && message.method === 'ACK')?.message;
    expect(ack === undefined ? [] : getHeaders(ack, 'Via')).toEqual(getHeaders(request, 'Via'));
    expect(ack).toMatchObject({ uri: 'sip:2000@10.0.0.2' });
    expect(ack && getHeader(ack, 'To')).toBe('<sip:2000@example.com>;tag=to1');
    expect(ack && getHeader(ack, 'CSeq')).toBe('1 ACK');
    expect(ack && getHeader(ack, 'Route')).toBe('<sip:10.0.0.2;lr>');
    expect(seen.terminated).toBe(0);
    b.clock.advance(40_000);
    expect(seen.terminated).toBe(1);
    expectClean(b);
  });

  test('RFC 3261 table 4: Timers D and I are zero over a reliable transport', async () => {
    const b = await bench();
    const { seen } = b.call('INVITE', 'tcp');
    b.clock.advance(10);
    b.respond(486);
    b.clock.advance(2);
    expect(seen.terminated).toBe(1);
    expect(b.over).toEqual([true]);
    expectClean(b);
  });

  test('RFC 6026 §7.2: every 2xx is reported while Timer M runs, with its retransmissions and forks told apart', async () => {
    const b = await bench();
    const { seen } = b.call('INVITE');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(500);
    b.transaction.resend();
    b.respond(200, 'fork2');
    b.clock.advance(500);
    expect(seen.responses).toEqual([
      { status: 200, retransmission: false },
      { status: 200, retransmission: true },
      { status: 200, retransmission: false },
    ]);
    expect(b.network.names(CLIENT)).toEqual(['INVITE']);
    b.clock.advance(32_000);
    expect(seen.terminated).toBe(1);
    expectClean(b);
  });

  test('RFC 3261 §17.1.4: a transport that fails is reported at once, and only after request() has returned', async () => {
    const b = await bench();
    b.network.broken.set(SERVER, 'refused');
    const { seen } = b.call('INVITE', 'tcp');
    expect(seen.failures).toEqual([]);
    await Promise.resolve();
    expect(seen).toMatchObject({ failures: ['refused'], terminated: 1 });
    expectClean(b);
  });

  test('a late refusal or a lost connection fails the requests that were sent there, and no others', async () => {
    const b = await bench();
    b.loseAll();
    const overUdp = b.call('INVITE');
    const overTcp = b.call('OPTIONS', 'tcp');
    b.clientSide.fail('10.0.0.9', 'udp', 'refused');
    b.clientSide.fail(SERVER, 'udp', 'refused');
    expect([overUdp.seen.failures, overTcp.seen.failures]).toEqual([['refused'], []]);
    b.clientSide.fail(SERVER, 'tcp', 'closed');
    expect(overTcp.seen.failures).toEqual(['closed']);
    b.clock.advance(0);
    expectClean(b);
  });

  test('no listener for the protocol is a failure, not an exception', async () => {
    const b = await bench();
    const failures: TransportFailure[] = [];
    const to = { protocol: 'ws', address: SERVER, port: 80 } as const;
    b.client.request(makeRequest('INVITE'), to, { response: () => undefined, failed: (why) => failures.push(why) });
    await Promise.resolve();
    expect(failures).toEqual(['no-listener']);
  });
});

describe('non-INVITE client transaction', () => {
  test('RFC 3261 §17.1.2.2: Timer E retransmits up to every T2, Timer F gives up at 32 s', async () => {
    const b = await bench();
    b.loseAll();
    const { seen } = b.call('OPTIONS');
    b.clock.advance(40_000);
    const times = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    expect(b.network.log(CLIENT)).toEqual(times.map((at) => `${at} OPTIONS`));
    expect(seen).toMatchObject({ failures: ['timeout'], terminated: 1 });
    expectClean(b);
  });

  test('RFC 3261 §17.1.2.2: Timer K absorbs late responses, then the transaction is gone; zero when reliable', async () => {
    const b = await bench();
    b.onRequest = (transaction) => void transaction.respond(createResponse(transaction.request, 200, { toTag: 't' }));
    const udp = b.call('OPTIONS');
    const tcp = b.call('OPTIONS', 'tcp');
    b.clock.advance(10);
    expect(udp.seen.responses).toEqual([{ status: 200, retransmission: false }]);
    expect([udp.seen.terminated, tcp.seen.terminated]).toEqual([0, 1]);
    b.clock.advance(5_000);
    expect(udp.seen.terminated).toBe(1);
  });

  test('lost requests and lost responses are repaired', async () => {
    const b = await bench();
    let n = 0;
    b.network.lose = () => ++n <= 3;
    b.onRequest = (transaction) => void transaction.respond(createResponse(transaction.request, 200, { toTag: 't' }));
    const { seen } = b.call('REGISTER');
    b.clock.advance(40_000);
    expect(seen.responses).toEqual([{ status: 200, retransmission: false }]);
    expect(b.requests).toHaveLength(1);
    b.clock.advance(40_000);
    expectClean(b);
  });

  test('`sent` is reported once, with the size, after request() has returned', async () => {
    const b = await bench();
    const { seen, request } = b.call('OPTIONS');
    expect(seen.sent).toEqual([]);
    await Promise.resolve();
    b.clock.advance(5_000);
    expect(seen.sent).toEqual([serialize(request).length]);
  });
});
