import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { systemClock } from '../../../../src/process/clock';
import type { SipRequest } from '../../../../src/sip-message/message';
import { createResponse } from '../../../../src/sip-message/response';
import type { Destination, TransactionLayer } from '../../../../src/sip-server/layers';
import { createTransactionLayer } from '../../../../src/sip-server/transaction';
import { createTransport } from '../../../../src/sip-server/transport';
import { Inbox, requestText } from '../transport/fixtures';

const layers: TransactionLayer[] = [];
const sockets: (Socket | UdpSocket)[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) {
    if ('destroy' in socket) socket.destroy();
    else socket.close();
  }
  await Promise.all(layers.splice(0).map((layer) => layer.stop()));
});

/** A layer over real sockets that answers every request with 200. */
async function answering(address: string): Promise<{ layer: TransactionLayer; udp: number; tcp: number }> {
  const layer = createTransactionLayer({
    transport: createTransport({ streamLimits: { message: 65536 } }),
    clock: systemClock,
  });
  layers.push(layer);
  const points = await layer.start(
    [
      { protocol: 'udp', address, port: 0 },
      { protocol: 'tcp', address, port: 0 },
    ],
    {
      request: (request, _flow, transaction) => transaction?.respond(createResponse(request, 200, { toTag: 'x' })),
      cancelled: () => undefined,
      terminated: () => undefined,
    },
  );
  return { layer, udp: points[0]?.port ?? 0, tcp: points[1]?.port ?? 0 };
}

function options(): SipRequest {
  return {
    kind: 'request',
    method: 'OPTIONS',
    uri: 'sip:b@example.com',
    headers: [
      { name: 'From', value: '<sip:a@example.com>;tag=1' },
      { name: 'To', value: '<sip:b@example.com>' },
      { name: 'Call-ID', value: 'c' },
      { name: 'CSeq', value: '1 OPTIONS' },
    ],
    body: Buffer.alloc(0),
  };
}

function outcome(layer: TransactionLayer, to: Destination): Promise<number | string> {
  return new Promise((resolve) => {
    layer.request(options(), to, { response: ({ status }) => resolve(status), failed: resolve });
  });
}

test.each(['udp', 'tcp'] as const)('RFC 3261 §17: a request over %s is answered', async (protocol) => {
  const client = await answering('127.0.0.1');
  const server = await answering('127.0.0.2');
  expect(await outcome(client.layer, { protocol, address: '127.0.0.2', port: server[protocol] })).toBe(200);
});

test('RFC 3261 §17.1.4: nobody listening fails as refused long before Timer F, over UDP and TCP', async () => {
  const client = await answering('127.0.0.1');
  const gone = await answering('127.0.0.2');
  await gone.layer.stop();
  const started = Date.now();
  expect(await outcome(client.layer, { protocol: 'udp', address: '127.0.0.2', port: gone.udp })).toBe('refused');
  expect(await outcome(client.layer, { protocol: 'tcp', address: '127.0.0.2', port: gone.tcp })).toBe('refused');
  expect(Date.now() - started).toBeLessThan(3000);
});

test('a bad request over UDP gets 400 with the name of the header', async () => {
  const server = await answering('127.0.0.1');
  const socket = createSocket('udp4');
  sockets.push(socket);
  const inbox = new Inbox<string>();
  socket.on('message', (bytes) => inbox.push(bytes.toString()));
  const text = requestText('SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bK1');
  for (const [from, to] of [
    [/Call-ID:.*\r\n/, ''],
    [/From:.*/, 'From: <<>'],
    [/^.*/, 'OPTIONS sip:b@example.com SIP/3.0'],
  ] as const) {
    socket.send(text.replace(from, to), server.udp, '127.0.0.1');
  }
  const lines = [await inbox.next(), await inbox.next(), await inbox.next()].map((answer) => answer.split('\r\n')[0]);
  expect(lines).toEqual([
    'SIP/2.0 400 Missing Call-ID Header',
    'SIP/2.0 400 Bad From Header',
    'SIP/2.0 505 Version Not Supported',
  ]);
});

test('RFC 3261 §21.5.7: a message over the limit on TCP gets 513, then the connection is closed', async () => {
  const server = await answering('127.0.0.1');
  const socket = connect({ port: server.tcp, host: '127.0.0.1' });
  sockets.push(socket);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let text = '';
  socket.on('data', (chunk) => (text += chunk.toString()));
  socket.on('error', () => undefined);
  socket.write(requestText('SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bK1', '', 'x'.repeat(70_000)));
  await closed;
  expect(text.split('\r\n')[0]).toBe('SIP/2.0 513 Message Too Large');
});
