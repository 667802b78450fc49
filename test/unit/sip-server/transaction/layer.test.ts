import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SimulatedClock } from '../../../../src/process/clock';
import { getHeader, getHeaders } from '../../../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../../../src/sip-message/message';
import { createResponse } from '../../../../src/sip-message/response';
import { serialize } from '../../../../src/sip-message/serialize';
import { createTransactionLayer } from '../../../../src/sip-server/transaction';
import { bench, CLIENT, expectClean, makeRequest, SERVER } from './bench';
import { Network } from './network';

describe('CANCEL', () => {
  test('RFC 3261 §9.1 and §9.2: 200 for the CANCEL, the user is told and sends 487, the layer ACKs it', async () => {
    const b = await bench();
    const invite = b.call('INVITE');
    b.clock.advance(10);
    b.respond(180);
    b.clock.advance(10);
    const reason = { name: 'Reason', value: 'SIP;cause=200;text="Call completed elsewhere"' };
    const cancel = invite.cancel([reason, { name: 'CSeq', value: '9 CANCEL' }]);
    expect(cancel).toMatchObject({ held: false });
    b.clock.advance(1);
    expect(b.cancelled).toEqual([b.transaction]);
    b.respond(487);
    b.clock.advance(10);
    expect(invite.seen.responses.map(({ status }) => status)).toEqual([180, 487]);
    expect(b.network.names(CLIENT)).toEqual(['INVITE', 'CANCEL', 'ACK']);
    expect(b.network.names(SERVER)).toEqual(['100', '180', '200', '487']);
    const sent = b.network.sent.find(({ message }) => message.kind === 'request' && message.method === 'CANCEL');
    expect(sent && getHeader(sent.message, 'CSeq')).toBe('1 CANCEL');
    expect(sent && getHeader(sent.message, 'Reason')).toBe(reason.value);
    expect(sent && getHeaders(sent.message, 'Via')).toEqual(getHeaders(invite.request, 'Via'));
    const ok = b.network.sent.find(({ message }) => message.kind === 'response' && message.status === 200)?.message;
    expect(ok && getHeader(ok, 'To')).toBe('<sip:2000@example.com>;tag=to1');
    b.clock.advance(40_000);
    expectClean(b);
  });

  test('RFC 3261 §9.1: a CANCEL before any provisional response is held until one comes', async () => {
    const b = await bench();
    let lost = 0;
    b.network.lose = ({ from }) => from === CLIENT && ++lost <= 1;
    const invite = b.call('INVITE');
    expect(invite.cancel([])).toMatchObject({ held: true });
    b.clock.advance(400);
    expect(b.network.names(CLIENT)).toEqual(['INVITE']);
    b.clock.advance(200);
    expect(b.network.names(CLIENT)).toEqual(['INVITE', 'INVITE', 'CANCEL']);
    expect(b.cancelled).toHaveLength(1);
  });

  test('RFC 3261 §9.1: a cancelled INVITE without final response fails after 64*T1', async () => {
    const b = await bench();
    const invite = b.call('INVITE', 'tcp');
    b.clock.advance(10);
    invite.cancel([]);
    b.clock.advance(31_999);
    expect(invite.seen.failures).toEqual([]);
    b.clock.advance(1);
    expect(invite.seen).toMatchObject({ failures: ['timeout'], terminated: 1 });
  });

  test('RFC 3261 §9.1: after a final response there is nothing to cancel', async () => {
    const b = await bench();
    const invite = b.call('INVITE');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(10);
    expect(invite.cancel([])).toBe(false);
    expect(b.call('OPTIONS').cancel([])).toBe(false);
  });

  test('RFC 3261 §9.2: a CANCEL that meets a final response gets 200 and changes nothing; for nothing it gets 481', async () => {
    const b = await bench();
    const invite = b.call('INVITE');
    b.clock.advance(10);
    b.network.lose = ({ from, message }) => from === SERVER && message.kind === 'response' && message.status === 486;
    b.respond(486);
    invite.cancel([]);
    b.clock.advance(10);
    expect(b.cancelled).toEqual([]);
    expect(b.network.names(SERVER)).toEqual(['100', '486', '200']);
    const stray = makeRequest('CANCEL', [{ name: 'Via', value: 'SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKnone' }]);
    b.network.carry(b.clientSide, serialize(stray), { protocol: 'udp', address: SERVER, port: 5060 });
    b.clock.advance(5);
    expect(b.network.names(SERVER)).toEqual(['100', '486', '200', '481']);
    expect(b.requests).toHaveLength(1);
  });
});

describe('matching', () => {
  const to = { protocol: 'udp', address: SERVER, port: 5060 } as const;

  test('RFC 3261 §17.2.3: another branch, sent-by or method is another transaction', async () => {
    const b = await bench();
    const via = (text: string): SipRequest['headers'] => [{ name: 'Via', value: `SIP/2.0/UDP ${text}` }];
    const first = makeRequest('OPTIONS', via('10.0.0.1:5060;branch=z9hG4bKx'));
    for (const request of [
      first,
      first,
      makeRequest('OPTIONS', via('10.0.0.1:5060;branch=z9hG4bKy')),
      makeRequest('OPTIONS', via('10.0.0.1:5062;branch=z9hG4bKx')),
      makeRequest('INFO', via('10.0.0.1:5060;branch=z9hG4bKx')),
    ]) {
      b.network.carry(b.clientSide, serialize(request), to);
    }
    b.clock.advance(5);
    expect(b.requests).toHaveLength(4);
  });

  test('RFC 3261 §17.2.3: without the magic cookie the RFC 2543 rules find INVITE, ACK and CANCEL', async () => {
    const b = await bench();
    const via = [{ name: 'Via', value: 'SIP/2.0/UDP 10.0.0.1:5060;branch=1' }];
    const invite = serialize(makeRequest('INVITE', via));
    b.network.carry(b.clientSide, invite, to);
    b.network.carry(b.clientSide, invite, to);
    b.network.carry(b.clientSide, serialize(makeRequest('CANCEL', via)), to);
    b.clock.advance(5);
    expect(b.requests).toHaveLength(1);
    expect(b.cancelled).toHaveLength(1);
    b.respond(487);
    b.network.carry(b.clientSide, serialize(makeRequest('ACK', via)), to);
    b.clock.advance(5);
    expect(b.over).toEqual([true]);
  });

  test('a response that belongs to no transaction is dropped', async () => {
    const b = await bench();
    const stray: SipResponse = createResponse(
      makeRequest('INVITE', [{ name: 'Via', value: 'SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKnone' }]),
      200,
    );
    b.network.carry(b.clientSide, serialize(stray), to);
    b.clock.advance(5);
    expect(b.network.names(SERVER)).toEqual([]);
    expectClean(b);
  });
});

describe('a lossy network', () => {
  test('RFC 3261 §17: with a quarter of all datagrams lost, each transaction ends exactly once and none is left over', async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 0x7fffffff);
    process.stdout.write(`lossy network: FUZZ_SEED=${seed}\n`);
    const random = pseudoRandom(seed);
    const b = await bench();
    b.network.lose = () => random() < 0.25;
    b.onRequest = (transaction) => {
      const status = transaction.request.method === 'INVITE' ? (random() < 0.5 ? 486 : 180) : 200;
      transaction.respond(createResponse(transaction.request, status, { toTag: 'to1' }));
      if (status === 180) transaction.respond(createResponse(transaction.request, 603, { toTag: 'to1' }));
    };
    const calls = Array.from({ length: 100 }, (_, i) => b.call(i % 2 === 0 ? 'INVITE' : 'OPTIONS'));
    b.clock.advance(200_000);
    for (const { seen } of calls) {
      const finals = seen.responses.filter(({ status }) => status >= 200).length;
      expect(finals + seen.failures.length).toBe(1);
      expect(seen.terminated).toBe(1);
    }
    expect(calls.filter(({ seen }) => seen.failures.length > 0).length).toBeLessThan(10);
    expectClean(b);
  });
});

/** Small generator of numbers in [0, 1), the same for the same seed. */
function pseudoRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('hostile input', () => {
  test('RFC 3261 §8.2: a malformed request gets its 4xx, a malformed ACK or response nothing', async () => {
    const b = await bench();
    const text = (method: string): string =>
      [
        `${method} sip:b@example.com SIP/2.0`,
        'Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1',
        'From: <sip:a@example.com>;tag=f',
        'To: <sip:b@example.com>',
        'Call-ID: c',
        'CSeq: nonsense',
        '',
        '',
      ].join('\r\n');
    for (const method of ['INVITE', 'ACK']) b.serverSide.arrive(Buffer.from(text(method)), CLIENT, 'udp');
    b.serverSide.arrive(Buffer.from(text('X').replace(/^.*/, 'SIP/2.0 200 OK')), CLIENT, 'udp');
    b.serverSide.arrive(Buffer.from('garbage'), CLIENT, 'udp');
    expect(b.requests).toEqual([]);
    expect(b.network.sent).toEqual([]);
    expect(b.network.unreadable).toHaveLength(1);
    const answer = b.network.unreadable[0] ?? '';
    expect(answer).toContain('SIP/2.0 400 Bad CSeq Header\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1');
    expect(answer).toMatch(/To: <sip:b@example.com>;tag=\w+\r\n/);
  });

  test('RFC 4475: no torture message, over UDP or TCP, makes the layer throw, and none leaves a timer behind', async () => {
    const b = await bench();
    const corpus = join(__dirname, '../../../fuzz/corpus/rfc4475');
    for (const name of readdirSync(corpus).filter((file) => file.endsWith('.dat'))) {
      for (const protocol of ['udp', 'tcp'] as const)
        b.serverSide.arrive(readFileSync(join(corpus, name)), CLIENT, protocol);
    }
    expect(b.requests.length).toBeGreaterThan(20);
    for (const { transaction } of b.requests)
      transaction?.respond(createResponse(transaction.request, 500, { toTag: 't' }));
    b.clock.advance(64_000);
    expectClean(b);
  });

  test('more open transactions than the limit: 503 without a transaction', async () => {
    const clock = new SimulatedClock();
    const network = new Network(clock);
    const client = network.node(CLIENT);
    const layer = createTransactionLayer({ transport: network.node(SERVER), clock, maxServerTransactions: 1 });
    const request = jest.fn();
    const events = { request, cancelled: jest.fn(), terminated: jest.fn() };
    await layer.start([{ protocol: 'udp', address: SERVER, port: 5060 }], events);
    for (const branch of ['z9hG4bK1', 'z9hG4bK2']) {
      const via = { name: 'Via', value: `SIP/2.0/UDP 10.0.0.1;branch=${branch}` };
      network.carry(client, serialize(makeRequest('OPTIONS', [via])), { protocol: 'udp', address: SERVER, port: 5060 });
    }
    clock.advance(5);
    expect(request).toHaveBeenCalledTimes(1);
    expect(network.names(SERVER)).toEqual(['503']);
    await layer.stop();
    expect(clock.pending).toBe(0);
  });

  test('answered requests make room for new ones, the oldest first', async () => {
    const clock = new SimulatedClock();
    const network = new Network(clock);
    const client = network.node(CLIENT);
    const layer = createTransactionLayer({ transport: network.node(SERVER), clock, maxServerTransactions: 2 });
    const ended: string[] = [];
    await layer.start([{ protocol: 'udp', address: SERVER, port: 5060 }], {
      request: (request, _flow, transaction) => transaction?.respond(createResponse(request, 200)),
      cancelled: jest.fn(),
      terminated: ({ request }) => ended.push(getHeader(request, 'Subject') ?? ''),
    });
    for (const n of ['1', '2', '3', '4']) {
      const via = { name: 'Via', value: `SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK${n}` };
      const request = makeRequest('OPTIONS', [via, { name: 'Subject', value: n }]);
      network.carry(client, serialize(request), { protocol: 'udp', address: SERVER, port: 5060 });
      clock.advance(5);
    }
    expect(network.names(SERVER)).toEqual(['200', '200', '200', '200']);
    expect(ended).toEqual(['1', '2']);
    expect(layer.open.server).toBe(2);
    await layer.stop();
    expect(clock.pending).toBe(0);
  });

  test('an exception of the user neither escapes nor stops the transaction', async () => {
    const b = await bench();
    b.onRequest = () => {
      throw new Error('user');
    };
    b.call('INVITE');
    b.clock.advance(5);
    expect(b.network.names(SERVER)).toEqual(['100']);
    expect(b.respond(486)).toBe(true);
    b.clock.advance(5);
    expect(b.over).toEqual([true]);
  });
});
