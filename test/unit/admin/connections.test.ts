import { createServer, request as httpRequest, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { limitConnections } from '../../../src/admin/connections';

const head = 'PATCH /x HTTP/1.1\r\nHost: 127.0.0.1\r\n';
/** What clients do who hold a connection and give nothing for it: what each of them sends at once, and every half a second from then on. */
const holders: Readonly<Record<string, readonly [first: string, then: string]>> = {
  'say nothing': ['', ''],
  'do not end their head': [head, 'X: y\r\n'],
  'do not end their body': [`${head}Content-Length: 900\r\n\r\n`, ' '],
  'do not end the chunks of their body': [`${head}Transfer-Encoding: chunked\r\n\r\n`, '1\r\n \r\n'],
  'have been answered before the end of their body': [
    'GET /early HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n',
    ' ',
  ],
  'ask much and take no answer': ['GET /long HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(6), ''],
};

const LONG = Buffer.alloc(1 << 20);

describe('limitConnections', () => {
  let server: Server;
  let port: number;
  const sockets: Socket[] = [];
  const drips: NodeJS.Timeout[] = [];

  beforeEach(async () => {
    server = createServer((request, response) => {
      if (request.url === '/long') response.end(LONG);
      else if (request.url === '/early') response.end('early');
      else request.on('data', () => undefined).on('end', () => response.end('ok'));
    });
    limitConnections(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    port = (server.address() as AddressInfo).port;
  });
  afterEach(() => {
    for (const drip of drips.splice(0)) clearInterval(drip);
    for (const socket of sockets.splice(0)) socket.destroy();
    server.close();
  });

  async function hold(count: number, [first, then]: readonly [string, string]): Promise<void> {
    const opened: Socket[] = [];
    for (let one = 0; one < count; one += 1) {
      const socket = connect(port, '127.0.0.1', () => socket.write(first));
      socket.pause().on('error', () => undefined);
      opened.push(socket);
      // All at once, and then one after the other, so that there are as many as can be.
      if (one > 150) await new Promise((settled) => setTimeout(settled, 5));
    }
    sockets.push(...opened);
    const drip = setInterval(() => {
      for (const socket of opened) if (!socket.destroyed) socket.write(then);
    }, 500);
    drips.push(drip);
  }

  const ask = (body = ''): Promise<number> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-length': String(body.length) };
      const outgoing = httpRequest({ host: '127.0.0.1', port, path: '/x', method: 'PATCH', agent: false, headers });
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      outgoing.end(body);
    });

  test.each(Object.entries(holders))('250 connections that %s keep nobody else out', async (_what, behaviour) => {
    await hold(250, behaviour);
    for (let asked = 0; asked < 5; asked += 1) expect(await ask(asked % 2 === 0 ? '' : '{}')).toBe(200);
  });

  test('a connection whose client does not go on is closed in seconds', async () => {
    const { 'ask much and take no answer': _taken, ...silent } = holders;
    for (const behaviour of Object.values(silent)) await hold(1, behaviour);
    const began = Date.now();
    await Promise.all(sockets.map((socket) => new Promise((closed) => socket.resume().once('close', closed))));
    expect(Date.now() - began).toBeLessThan(9_000);
  });
});
