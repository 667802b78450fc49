import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SimulatedClock } from '../../../../src/process/clock';
import { getHeader, getHeaders } from '../../../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../../../src/sip-message/message';
import { createResponse } from '../../../../src/sip-message/response';
import { serialize } from '../../../../src/sip-message/serialize';
import type {
  ClientTransaction,
  Protocol,
  ServerTransaction,
  TransactionLayer,
  TransportFailure,
} from '../../../../src/sip-server/layers';
import { createTransactionLayer } from '../../../../src/sip-server/transaction';
import type { MemoryTransport } from './network';
import { Network } from './network';

const CLIENT = '10.0.0.1';
const SERVER = '10.0.0.2';

function makeRequest(method: string, extra: SipRequest['headers'] = []): SipRequest {
  return {
    kind: 'request',
    method,
    uri: 'sip:2000@10.0.0.2',
    headers: [
      { name: 'Max-Forwards', value: '70' },
      { name: 'From', value: '<sip:1000@example.com>;tag=from1' },
      { name: 'To', value: '<sip:2000@example.com>' },
      { name: 'Call-ID', value: 'call1@10.0.0.1' },
      { name: 'CSeq', value: `1 ${method === 'ACK' ? 'ACK' : method}` },
      ...extra,
    ],
    body: Buffer.alloc(0),
  };
}

/** What the user of a client transaction saw. */
interface Seen {
  readonly responses: { readonly status: number; readonly retransmission: boolean }[];
  readonly failures: TransportFailure[];
  readonly sent: number[];
  terminated: number;
}

class Bench {
  readonly clock = new SimulatedClock();
  readonly network = new Network(this.clock);
  readonly clientSide: MemoryTransport = this.network.node(CLIENT);
  readonly serverSide: MemoryTransport = this.network.node(SERVER);
  readonly client: TransactionLayer = createTransactionLayer({ transport: this.clientSide, clock: this.clock });
  readonly server: TransactionLayer = createTransactionLayer({ transport: this.serverSide, clock: this.clock });
  readonly requests: { readonly request: SipRequest; readonly transaction: ServerTransaction | undefined }[] = [];
  readonly cancelled: ServerTransaction[] = [];
  readonly over: boolean[] = [];
  onRequest: (transaction: ServerTransaction) => void = () => undefined;

  async start(): Promise<this> {
    const points = (address: string): { protocol: Protocol; address: string; port: number }[] => [
      { protocol: 'udp', address, port: 5060 },
      { protocol: 'tcp', address, port: 5060 },
    ];
    const nothing = (): void => undefined;
    await this.client.start(points(CLIENT), { request: nothing, cancelled: nothing, terminated: nothing });
    await this.server.start(points(SERVER), {
      request: (request, _flow, transaction) => {
        this.requests.push({ request, transaction });
        if (transaction !== undefined) this.onRequest(transaction);
      },
      cancelled: (transaction) => this.cancelled.push(transaction),
      terminated: (_transaction, acked) => this.over.push(acked),
    });
    return this;
  }

  call(
    method: string,
    protocol: Protocol = 'udp',
    extra: SipRequest['headers'] = [],
  ): ClientTransaction & { seen: Seen } {
    const seen: Seen = { responses: [], failures: [], sent: [], terminated: 0 };
    const to = { protocol, address: SERVER, port: 5060 };
    const transaction = this.client.request(makeRequest(method, extra), to, {
      sent: (_flow, bytes) => seen.sent.push(bytes),
      response: ({ status }, _flow, retransmission) => seen.responses.push({ status, retransmission }),
      failed: (failure) => seen.failures.push(failure),
      terminated: () => seen.terminated++,
    });
    return Object.assign(transaction, { seen });
  }

  /** The server's only transaction so far. */
  get transaction(): ServerTransaction {
    const transaction = this.requests[0]?.transaction;
    if (transaction === undefined) throw new Error('no request arrived');
    return transaction;
  }

  respond(status: number, toTag = 'to1'): boolean {
    return this.transaction.respond(createResponse(this.transaction.request, status, { toTag }));
  }

  loseAll(): void {
    this.network.lose = () => true;
  }
}

const bench = (): Promise<Bench> => new Bench().start();

/** Nothing may be left over: neither transactions nor timers. */
function expectClean(b: Bench): void {
  expect(b.client.open).toEqual({ client: 0, server: 0 });
  expect(b.server.open).toEqual({ client: 0, server: 0 });
  expect(b.clock.pending).toBe(0);
}

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

describe('INVITE server transaction', () => {
  test('RFC 3261 §17.2.1: 100 at once, without To tag; retransmissions get the last provisional response', async () => {
    const b = await bench();
    const { request } = b.call('INVITE', 'udp', [{ name: 'Timestamp', value: '54' }]);
    b.clock.advance(1);
    const trying = b.network.sent[1]?.message;
    expect(trying).toMatchObject({ status: 100 });
    expect(trying && getHeader(trying, 'To')).toBe('<sip:2000@example.com>');
    expect(trying && getHeader(trying, 'Timestamp')).toBe('54');
    b.respond(180);
    b.network.carry(b.clientSide, serialize(request), { protocol: 'udp', address: SERVER, port: 5060 });
    b.clock.advance(2);
    expect(b.network.names(SERVER)).toEqual(['100', '180', '180']);
    expect(b.requests).toHaveLength(1);
  });

  test('RFC 3261 §17.2.1: Timer G retransmits a non-2xx up to every T2, Timer H ends it without ACK', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    b.loseAll();
    b.respond(404);
    b.clock.advance(31_999);
    const times = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    expect(b.network.log(SERVER).slice(1)).toEqual(times.map((at) => `${at + 10} 404`));
    expect(b.over).toEqual([]);
    b.clock.advance(1);
    expect(b.over).toEqual([false]);
    expect(b.server.open.server).toBe(0);
  });

  test('RFC 3261 §17.2.1: the ACK stops Timer G and is not passed up; Timer I absorbs its repetitions', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    b.respond(404);
    b.clock.advance(10);
    expect(b.over).toEqual([true]);
    expect(b.server.open.server).toBe(1);
    b.clock.advance(5_000);
    expect(b.server.open.server).toBe(0);
    expect(b.network.names(SERVER)).toEqual(['100', '404']);
    expect(b.requests).toHaveLength(1);
    expect(b.over).toEqual([true]);
  });

  test('RFC 6026 §7.1: after a 2xx the INVITE is absorbed, the user repeats the 2xx, Timer L ends it', async () => {
    const b = await bench();
    const { request } = b.call('INVITE');
    b.clock.advance(10);
    expect(b.respond(200)).toBe(true);
    b.network.carry(b.clientSide, serialize(request), { protocol: 'udp', address: SERVER, port: 5060 });
    b.clock.advance(10);
    expect(b.network.names(SERVER)).toEqual(['100', '200']);
    b.transaction.resend();
    expect(b.network.names(SERVER)).toEqual(['100', '200', '200']);
    expect(b.respond(486)).toBe(false);
    b.clock.advance(31_979);
    expect(b.over).toEqual([]);
    b.clock.advance(11);
    expect(b.over).toEqual([true]);
    expect(b.respond(200)).toBe(false);
  });

  test('RFC 3261 §17: the ACK for a 2xx is passed up, also with the branch of the INVITE; without a dialog too', async () => {
    const b = await bench();
    const invite = b.call('INVITE');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(10);
    const to = { protocol: 'udp', address: SERVER, port: 5060 } as const;
    const ack = makeRequest('ACK');
    b.client.sendAck(ack, to, true);
    b.client.sendAck(ack, to, false);
    b.client.sendAck({ ...makeRequest('ACK', invite.request.headers.slice(0, 1)) }, to, false);
    b.clock.advance(10);
    const acks = b.requests.slice(1);
    expect(acks.map(({ request, transaction }) => [request.method, transaction])).toEqual([
      ['ACK', undefined],
      ['ACK', undefined],
      ['ACK', undefined],
    ]);
    const [first, second] = acks.map(({ request }) => getHeaders(request, 'Via'));
    expect(first).toHaveLength(1);
    expect(second).toEqual(first);
    expect(b.network.names(SERVER)).toEqual(['100', '200']);
  });

  test('respond reports flow and size; a response that cannot be sent reports the failure', async () => {
    const b = await bench();
    b.call('INVITE');
    b.clock.advance(10);
    const results: unknown[] = [];
    const { transaction } = b;
    const ringing = createResponse(transaction.request, 180, { toTag: 'to1' });
    transaction.respond(ringing, (result) => results.push(result));
    expect(results).toEqual([{ flow: transaction.flow, bytes: serialize(ringing).length }]);
    b.network.broken.set(CLIENT, 'closed');
    transaction.respond(createResponse(transaction.request, 486), (result) => results.push(result));
    expect(results[1]).toEqual({ failure: 'closed' });
    expect(b.over).toEqual([false]);
  });
});

describe('non-INVITE server transaction', () => {
  test('RFC 3261 §17.2.2: nothing is sent before the user answers; Timer J repeats the final response for 32 s', async () => {
    const b = await bench();
    const { request } = b.call('OPTIONS');
    b.clock.advance(100);
    expect(b.network.names(SERVER)).toEqual([]);
    b.respond(200);
    const to = { protocol: 'udp', address: SERVER, port: 5060 } as const;
    b.network.carry(b.clientSide, serialize(request), to);
    b.clock.advance(31_999);
    expect(b.network.names(SERVER)).toEqual(['200', '200']);
    expect(b.over).toEqual([]);
    b.clock.advance(1);
    expect(b.over).toEqual([true]);
    expectClean(b);
  });

  test('RFC 3261 table 4: Timer J is zero over a reliable transport', async () => {
    const b = await bench();
    b.call('OPTIONS', 'tcp');
    b.clock.advance(10);
    b.respond(200);
    b.clock.advance(1);
    expect(b.over).toEqual([true]);
    expectClean(b);
  });

  test('RFC 4320 §4.2: a request that the user never answers is forgotten when its client has given up', async () => {
    const b = await bench();
    b.call('OPTIONS');
    b.clock.advance(33_000);
    expect(b.over).toEqual([false]);
    expect(b.respond(408)).toBe(false);
    expectClean(b);
  });
});

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
