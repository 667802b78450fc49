import { SimulatedClock } from '../../../../src/process/clock';
import type { SipRequest } from '../../../../src/sip-message/message';
import { createResponse } from '../../../../src/sip-message/response';
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

export const CLIENT = '10.0.0.1';
export const SERVER = '10.0.0.2';

/** A request as a user of the layer gives it: everything but the Via. */
export function makeRequest(method: string, extra: SipRequest['headers'] = []): SipRequest {
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
export interface Seen {
  readonly responses: { readonly status: number; readonly retransmission: boolean }[];
  readonly failures: TransportFailure[];
  readonly sent: number[];
  terminated: number;
}

/** A client and a server side over a network in memory, and all that their users saw. */
export class Bench {
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

export const bench = (): Promise<Bench> => new Bench().start();

/** Nothing may be left over: neither transactions nor timers. */
export function expectClean(b: Bench): void {
  expect(b.client.open).toEqual({ client: 0, server: 0 });
  expect(b.server.open).toEqual({ client: 0, server: 0 });
  expect(b.clock.pending).toBe(0);
}
