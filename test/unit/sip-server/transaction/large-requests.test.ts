import { systemClock } from '../../../../src/process/clock';
import { getHeader } from '../../../../src/sip-message/headers';
import { createResponse } from '../../../../src/sip-message/response';
import type { Destination, Protocol, TransactionLayer } from '../../../../src/sip-server/layers';
import { createTransactionLayer } from '../../../../src/sip-server/transaction';
import { createTransport } from '../../../../src/sip-server/transport';
import { freePort } from '../../../support/ports';
import { Inbox } from '../transport/fixtures';
import { makeRequest } from './bench';

const layers: TransactionLayer[] = [];

afterEach(async () => {
  await Promise.all(layers.splice(0).map((layer) => layer.stop()));
});

/** Transports by which requests came, in order; every one is answered. */
async function answering(address: string, port: number, protocols: readonly Protocol[]): Promise<Inbox<string>> {
  const arrived = new Inbox<string>();
  const layer = createTransactionLayer({ transport: createTransport(), clock: systemClock });
  layers.push(layer);
  await layer.start(
    protocols.map((protocol) => ({ protocol, address, port })),
    {
      request: (request, flow, transaction) => {
        arrived.push(`${flow.protocol} ${getHeader(request, 'Via')?.split(' ')[0] ?? ''}`);
        transaction?.respond(createResponse(request, 200, { toTag: 'x' }));
      },
      cancelled: () => undefined,
      terminated: () => undefined,
    },
  );
  return arrived;
}

interface Outcome {
  readonly result: number | string;
  readonly sent: number;
}

const large = [{ name: 'Subject', value: 'x'.repeat(1300) }];

async function request(
  protocols: readonly Protocol[],
  to: Destination,
  extra = large,
): Promise<Outcome & { readonly via: string }> {
  const layer = createTransactionLayer({ transport: createTransport(), clock: systemClock });
  layers.push(layer);
  await layer.start(
    protocols.map((protocol) => ({ protocol, address: '127.0.0.1', port: 0 })),
    { request: () => undefined, cancelled: () => undefined, terminated: () => undefined },
  );
  let sent = 0;
  let transaction: { readonly id: string; readonly request: Parameters<typeof getHeader>[0] } | undefined;
  const result = new Promise<number | string>((resolve) => {
    transaction = layer.request(makeRequest('OPTIONS', extra), to, {
      sent: () => sent++,
      response: ({ status }) => resolve(status),
      failed: resolve,
    });
  });
  const id = transaction?.id;
  const ended = await result;
  expect(transaction?.id).toBe(id);
  const via = transaction === undefined ? '' : (getHeader(transaction.request, 'Via') ?? '');
  return { result: ended, sent, via: via.split(' ')[0] ?? '' };
}

const BOTH = ['udp', 'tcp'] as const;
const address = '127.0.0.2';

describe('RFC 3261 §18.1.1: a request over 1300 bytes', () => {
  test('goes over TCP, and its Via says so', async () => {
    const port = await freePort(address);
    const arrived = await answering(address, port, BOTH);
    const to = { protocol: 'udp', address, port, anyTransport: true } as const;
    expect(await request(BOTH, to)).toEqual({ result: 200, sent: 1, via: 'SIP/2.0/TCP' });
    expect(await arrived.next()).toBe('tcp SIP/2.0/TCP');
    expect(await request(BOTH, to, [])).toEqual({ result: 200, sent: 1, via: 'SIP/2.0/UDP' });
    expect(await arrived.next()).toBe('udp SIP/2.0/UDP');
  });

  test('goes over UDP all the same when the connection is refused; for the user it is one transaction', async () => {
    const port = await freePort(address);
    const arrived = await answering(address, port, ['udp']);
    const to = { protocol: 'udp', address, port, anyTransport: true } as const;
    expect(await request(BOTH, to)).toEqual({ result: 200, sent: 1, via: 'SIP/2.0/UDP' });
    expect(await arrived.next()).toBe('udp SIP/2.0/UDP');
    expect(arrived.size).toBe(0);
  });

  test('goes over UDP when the target says transport=udp, and when there is no TCP listener', async () => {
    const port = await freePort(address);
    const arrived = await answering(address, port, BOTH);
    expect(await request(BOTH, { protocol: 'udp', address, port })).toMatchObject({ result: 200 });
    expect(await request(['udp'], { protocol: 'udp', address, port, anyTransport: true })).toMatchObject({
      result: 200,
    });
    expect([await arrived.next(), await arrived.next()]).toEqual(['udp SIP/2.0/UDP', 'udp SIP/2.0/UDP']);
  });

  test('fails once when nobody listens at either', async () => {
    const port = await freePort(address);
    const to = { protocol: 'udp', address, port, anyTransport: true } as const;
    expect(await request(BOTH, to)).toMatchObject({ result: 'refused' });
  });
});
