import fc from 'fast-check';
import { SimulatedClock } from '../../../src/process/clock';
import { serialize } from '../../../src/sip-message/serialize';
import { createResponse } from '../../../src/sip-message/response';
import { Acquaintances } from '../../../src/sip-server/acquaintances';
import { costOf, Deliveries, type Delivery } from '../../../src/sip-server/core/deliveries';
import { FairQueue } from '../../../src/sip-server/fair-queue';
import type { ServerTransaction } from '../../../src/sip-server/layers';
import { ShareCount, sourceOf } from '../../../src/sip-server/source';
import { createTransactionLayer } from '../../../src/sip-server/transaction';
import { CLIENT, makeRequest, SERVER } from './transaction/bench';
import { Network } from './transaction/network';

const toServer = { protocol: 'udp', address: SERVER, port: 5060 } as const;

/** A server that knows nobody, and a client's address. */
async function strangerAndServer() {
  const clock = new SimulatedClock();
  const network = new Network(clock);
  const client = network.node(CLIENT);
  const acquaintances = new Acquaintances(clock);
  const server = createTransactionLayer({ transport: network.node(SERVER), clock, acquaintances });
  const transactions: ServerTransaction[] = [];
  const over: ServerTransaction[] = [];
  await server.start([{ protocol: 'udp', address: SERVER, port: 5060 }], {
    request: (_request, _flow, transaction) => {
      if (transaction !== undefined) transactions.push(transaction);
    },
    cancelled: jest.fn(),
    terminated: (transaction) => over.push(transaction),
  });
  const send = (method: string, branch = 'z9hG4bK1', to?: string): void => {
    const request = makeRequest(method, [{ name: 'Via', value: `SIP/2.0/UDP 10.0.0.1;branch=${branch}` }]);
    const headers = request.headers.map((header) =>
      header.name === 'To' && to !== undefined ? { ...header, value: to } : header,
    );
    network.carry(client, serialize({ ...request, headers }), toServer);
    clock.advance(2);
  };
  const refuse = (status: number, index = transactions.length - 1): void => {
    const transaction = transactions[index];
    if (transaction !== undefined)
      transaction.respond(createResponse(transaction.request, status, { toTag: 'secret' }));
  };
  return { clock, network, server, transactions, over, send, refuse, acquaintances };
}

describe('a stranger', () => {
  test.each(['INVITE', 'REGISTER', 'OPTIONS', 'MESSAGE'])(
    'draws one datagram for each %s, and no more',
    async (method) => {
      const { clock, network, send, refuse, server } = await strangerAndServer();
      send(method);
      refuse(407);
      clock.advance(60_000);
      expect(network.names(SERVER)).toEqual(['407']);
      expect(server.open.server).toBe(0);
      expect(clock.pending).toBe(0);
    },
  );

  test('that sends again gets the same answer again, and nobody is asked', async () => {
    const { network, send, refuse, transactions } = await strangerAndServer();
    send('INVITE');
    refuse(407);
    send('INVITE');
    send('INVITE');
    expect(network.names(SERVER)).toEqual(['407', '407', '407']);
    expect(transactions).toHaveLength(1);
  });

  test('is told 100 when the answer takes its time, and before any response that is no refusal', async () => {
    const { clock, network, send, refuse } = await strangerAndServer();
    send('INVITE');
    clock.advance(300);
    send('INVITE', 'z9hG4bK2');
    refuse(180);
    send('INVITE', 'z9hG4bK3');
    refuse(200);
    expect(network.names(SERVER)).toEqual(['100', '100', '180', '100', '200']);
  });

  test('that acknowledges a refusal has shown where it is: from then on RFC 3261 holds in full', async () => {
    const { clock, network, send, refuse, transactions } = await strangerAndServer();
    send('INVITE');
    refuse(407);
    send('ACK', 'z9hG4bK1', '<sip:2000@example.com>;tag=guessed');
    send('INVITE', 'z9hG4bK2');
    refuse(407);
    expect(network.names(SERVER)).toEqual(['407', '407']);
    send('ACK', 'z9hG4bK2', '<sip:2000@example.com>;tag=secret');
    send('INVITE', 'z9hG4bK3');
    refuse(407);
    clock.advance(33_000);
    expect(network.names(SERVER).slice(2)).toEqual(['100', ...Array.from({ length: 11 }, () => '407')]);
    // ACKs of refusals are nobody's business above.
    expect(transactions).toHaveLength(3);
  });

  test('that is refused 2,000 times leaves a bounded trace, and the user is told of every end', async () => {
    const { clock, over, send, refuse, server } = await strangerAndServer();
    for (let index = 0; index < 2_000; index += 1) {
      send('INVITE', `z9hG4bK${index}`);
      refuse(407);
    }
    expect(server.open.server).toBe(0);
    expect(over.length).toBeGreaterThanOrEqual(2_000 - 256);
    clock.advance(60_000);
    expect(over).toHaveLength(2_000);
    expect(clock.pending).toBe(0);
  });
});

describe('quotas', () => {
  test('refused INVITEs that nobody acknowledges make room, and unanswered ones of one source have a share', async () => {
    const clock = new SimulatedClock();
    const network = new Network(clock);
    const clients = [CLIENT, '10.0.0.3'].map((address) => network.node(address));
    const layer = createTransactionLayer({ transport: network.node(SERVER), clock, maxServerTransactions: 8 });
    let answers = false;
    await layer.start([{ protocol: 'udp', address: SERVER, port: 5060 }], {
      request: (request, _flow, transaction) => answers && transaction?.respond(createResponse(request, 407)),
      cancelled: jest.fn(),
      terminated: jest.fn(),
    });
    const send = (from: number, branch: string): string | undefined => {
      const via = { name: 'Via', value: `SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK${branch}` };
      const client = clients[from];
      if (client !== undefined) network.carry(client, serialize(makeRequest('INVITE', [via])), toServer);
      clock.advance(2);
      return network.names(SERVER).at(-1);
    };
    expect([send(0, 'a'), send(0, 'b'), send(0, 'c'), send(1, 'd')]).toEqual(['100', '100', '503', '100']);
    answers = true;
    for (let index = 0; index < 50; index += 1) expect(send(1, `e${index}`)).toBe('407');
    await layer.stop();
    expect(clock.pending).toBe(0);
  });

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2::9', '2001:db8:1:2:ffff::1'],
    ['2001:db8:1:2:0:0:0:9', '2001:db8:1:2::1'],
  ])('%s and %s are one source', (one, other) => expect(sourceOf(one)).toBe(sourceOf(other)));

  test.each([
    ['192.0.2.7', '192.0.2.8'],
    ['2001:db8:1:2::9', '2001:db8:1:3::9'],
    ['::1', '192.0.2.7'],
  ])('%s and %s are two', (one, other) => expect(sourceOf(one)).not.toBe(sourceOf(other)));

  test('a share counts each thing once', () => {
    const counts = new ShareCount();
    const [a, b] = [{}, {}];
    counts.take(a, 'x');
    counts.take(a, 'x');
    counts.take(b, 'x');
    counts.release(a);
    counts.release(a);
    expect(counts.of('x')).toBe(1);
  });
});

describe('fair queue', () => {
  interface Item {
    readonly source: string;
    readonly cost: number;
    readonly order: number;
  }

  test('whatever some send: each source is served in its order, and after at most one of each other', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('a', 'a', 'a', 'a', 'b', 'c'), { maxLength: 200 }), (sources) => {
        const queue = new FairQueue<Item>(1000);
        sources.forEach((source, order) => queue.push({ source, cost: 1, order }, false));
        const waiting = new Map<string, number>();
        const last = new Map<string, number>();
        for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
          const { source, order } = item;
          expect(order).toBeGreaterThan(last.get(source) ?? -1);
          last.set(source, order);
          for (const other of new Set(sources)) waiting.set(other, (waiting.get(other) ?? 0) + 1);
          expect(waiting.get(source)).toBeLessThanOrEqual(3);
          waiting.set(source, 0);
        }
        expect([...last.values()].length).toBe(new Set(sources).size);
      }),
    );
  });

  test('it never holds more than its room, and who asks for little loses nothing to who asks for much', () => {
    const queue = new FairQueue<Item>(10);
    const lost: Item[] = [];
    for (let order = 0; order < 100; order += 1) lost.push(...queue.push({ source: 'a', cost: 3, order }, false));
    expect(lost).toHaveLength(97);
    expect(queue.push({ source: 'b', cost: 2, order: 0 }, false).map(({ source }) => source)).toEqual(['a']);
    expect(queue.push({ source: 'c', cost: 1, order: 0 }, true)).toEqual([]);
    const served = Array.from({ length: 4 }, () => queue.shift()?.source);
    expect(served).toEqual(['c', 'a', 'b', 'a']);
    expect(queue.isEmpty).toBe(true);
  });
});

describe('requests for an application', () => {
  function deliveries() {
    const clock = new SimulatedClock();
    const application = {};
    const made = new Deliveries(clock);
    const given: { readonly source: string; readonly number: number }[] = [];
    const refused: string[] = [];
    const offer = (source: string, isKnown = false): Delivery => {
      const delivery: Delivery = {
        source,
        isKnown,
        cost: costOf(0),
        deliver: () => given.push({ source, number: made.numberFor(application) }),
        refuse: () => refused.push(source),
      };
      made.offer(delivery);
      return delivery;
    };
    return { clock, made, application, given, refused, offer };
  }

  test('two thousand of one source do not stand before the one of another', () => {
    const { made, application, given, offer } = deliveries();
    for (let index = 0; index < 2000; index += 1) offer('greedy');
    offer('modest');
    const before = given.length;
    expect(before).toBe(64);
    made.hasRead(application, 2);
    expect(given.slice(before).map(({ source }) => source)).toContain('modest');
  });

  test('an application that answers nothing gets the next ones all the same, some in each quarter of a second', () => {
    const { clock, given, offer } = deliveries();
    for (let index = 0; index < 200; index += 1) offer('a');
    expect(given).toHaveLength(64);
    clock.advance(1000);
    expect(given).toHaveLength(200);
    expect(clock.pending).toBe(0);
  });

  test('what is withdrawn is not given; what there is no room for is refused, of the greediest first', () => {
    const { made, application, given, refused, offer } = deliveries();
    for (let index = 0; index < 64; index += 1) offer('a');
    const cancelled = offer('b');
    for (let index = 0; index < 5000; index += 1) offer('a');
    offer('c');
    expect(new Set(refused)).toEqual(new Set(['a']));
    expect(made.withdraw(cancelled)).toBe(true);
    made.hasRead(application, 64);
    expect(given.slice(64).map(({ source }) => source)).toContain('c');
    expect(given.map(({ source }) => source)).not.toContain('b');
  });
});
