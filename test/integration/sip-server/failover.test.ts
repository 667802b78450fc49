import { SimulatedClock } from '../../../src/process/clock';
import type { Candidate } from '../../../src/sip-server/locate';
import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { headerOf, statusOf } from '../../support/sip-text';
import type { SipPeer } from '../../support/sip-peer';
import { ANSWER, OFFER, RawApplication, type Running, SECRET, startServer, udpPeer } from './harness';

let scope: Scope;
beforeEach(() => {
  scope = new Scope();
});
afterEach(() => scope.close());

const at = (peer: SipPeer): Candidate => ({ protocol: 'udp', address: '127.0.0.1', port: peer.port });

interface Bench {
  readonly running: Running;
  readonly clock: SimulatedClock;
  readonly raw: RawApplication;
  /** The servers of the name, in order. */
  readonly servers: readonly SipPeer[];
  /** Sends a request to the name. The id of its transaction. */
  send(method?: string): Promise<string>;
  /** Statuses that the application has got for it. */
  statuses(id: string): number[];
}

async function bench(count: number, before: readonly Candidate[] = []): Promise<Bench> {
  const clock = new SimulatedClock();
  const candidates: Candidate[] = [...before];
  const running = await startServer(scope, { clock, locate: () => Promise.resolve(candidates) });
  const raw = await RawApplication.connect(scope, running, SECRET);
  const servers: SipPeer[] = [];
  for (let i = 0; i < count; i++) servers.push(await udpPeer(scope, running));
  candidates.push(...servers.map(at));
  const of = (id: string): string[] =>
    raw.frames.filter((frame) => frame.split('|')[1] === 'sip' && (frame.split('\r\n')[0] ?? '').includes(id));
  return {
    running,
    clock,
    raw,
    servers,
    send: async (method = 'INVITE') => {
      const body = method === 'INVITE' ? OFFER : '';
      const { tokens } = await raw.ask('sip||', `${method} sip:bob@servers.test SIP/2.0\r\n\r\n${body}`);
      expect(tokens[0]).toBe('OK');
      return tokens[7] ?? 'none';
    },
    statuses: (id) => of(id).map((frame) => statusOf(frame.slice(frame.indexOf('\r\n') + 2))),
  };
}

const request = (peer: SipPeer | undefined, method = 'INVITE'): Promise<string> => {
  if (peer === undefined) throw new Error('there is no such server');
  return peer.message(method, (message) => message.startsWith(`${method} `), 5000);
};
const branchOf = (message: string): string => /branch=([^;\s]+)/.exec(headerOf(message, 'Via') ?? '')?.[1] ?? '';

function final({ statuses }: Bench, id: string): Promise<number[]> {
  return eventually(
    'a final response',
    () => statuses(id),
    (seen) => seen.some((status) => status >= 200),
    { every: 5 },
  );
}

describe('a name with several servers', () => {
  test('RFC 3263 §4.3: after 503 the next one is tried, in a new transaction; the application sees its answer only', async () => {
    const b = await bench(2);
    const id = await b.send();
    const first = await request(b.servers[0]);
    b.servers[0]?.answer(first, '503 Service Unavailable');
    await request(b.servers[0], 'ACK');
    const second = await request(b.servers[1]);
    expect(branchOf(second)).not.toBe(branchOf(first));
    expect(headerOf(second, 'Call-ID')).toBe(headerOf(first, 'Call-ID'));
    expect(second.match(/^Via:/gim)).toHaveLength(1);
    b.servers[1]?.answer(second, '200 OK', { body: ANSWER });
    expect(await final(b, id)).toEqual([200]);
  });

  test.each(['INVITE', 'OPTIONS'])(
    'RFC 3263 §4.3: %s to a server that is silent goes to the next one',
    async (method) => {
      const b = await bench(2);
      const id = await b.send(method);
      await request(b.servers[0], method);
      b.clock.advance(32_000);
      const second = await request(b.servers[1], method);
      b.servers[1]?.answer(second, '404 Not Found');
      expect(await final(b, id)).toEqual([404]);
    },
  );

  test('RFC 3263 §4.3: a connection that cannot be made leads to the next one', async () => {
    const b = await bench(1, [
      { protocol: 'tcp', address: '127.0.0.1', port: 9 },
      { protocol: 'tls', address: '127.0.0.1', port: 9 },
    ]);
    const id = await b.send();
    const only = await request(b.servers[0]);
    b.servers[0]?.answer(only, '486 Busy Here');
    expect(await final(b, id)).toEqual([486]);
  });

  test('the last one decides: its 503 is what the application gets', async () => {
    const b = await bench(2);
    const id = await b.send();
    for (const server of b.servers) server.answer(await request(server), '503 Service Unavailable');
    expect(await final(b, id)).toEqual([503]);
    b.clock.advance(40_000);
    expect(b.running.server.size.outgoing).toBe(0);
  });

  test('a server that rings has the call: its 503 is final, and so is any other refusal', async () => {
    const b = await bench(2);
    const id = await b.send();
    const ringing = await request(b.servers[0]);
    b.servers[0]?.answer(ringing, '180 Ringing');
    b.servers[0]?.answer(ringing, '503 Service Unavailable');
    expect(await final(b, id)).toEqual([180, 503]);
    const other = await b.send('OPTIONS');
    b.servers[0]?.answer(await request(b.servers[0], 'OPTIONS'), '500 Server Internal Error');
    expect(await final(b, other)).toEqual([500]);
    expect(b.servers[1]?.received).toEqual([]);
  });

  test('a call that is cancelled is not tried elsewhere', async () => {
    const b = await bench(2);
    const id = await b.send();
    await request(b.servers[0]);
    const { tokens } = await b.raw.ask(`sip|${id}|`, 'CANCEL sip:bob@servers.test SIP/2.0\r\n\r\n');
    expect(tokens[0]).toBe('OK');
    b.clock.advance(64_000);
    expect((await final(b, id)).at(-1)).toBe(408);
    expect(b.servers[1]?.received).toEqual([]);
  });

  test('the CANCEL goes to the server that has the call now', async () => {
    const b = await bench(2);
    const id = await b.send();
    b.servers[0]?.answer(await request(b.servers[0]), '503 Service Unavailable');
    const second = await request(b.servers[1]);
    b.servers[1]?.answer(second, '180 Ringing');
    await eventually(
      'ringing',
      () => b.statuses(id),
      (seen) => seen.includes(180),
      { every: 5 },
    );
    await b.raw.ask(`sip|${id}|`, 'CANCEL sip:bob@servers.test SIP/2.0\r\n\r\n');
    const cancel = await request(b.servers[1], 'CANCEL');
    expect(branchOf(cancel)).toBe(branchOf(second));
    b.servers[1]?.answer(second, '487 Request Terminated');
    expect(await final(b, id)).toEqual([180, 487]);
    expect(b.servers[0]?.requests('CANCEL')).toEqual([]);
  });
});
