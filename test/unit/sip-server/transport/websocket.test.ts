import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { WebSocket, type ClientOptions } from 'ws';
import { SimulatedClock } from '../../../../src/process/clock';
import { getHeader } from '../../../../src/sip-message/headers';
import type { TransportOptions } from '../../../../src/sip-server/transport';
import { originPolicy } from '../../../../src/sip-server/transport/origins';
import { CertificateAuthority, type CertificateFiles } from '../../../support/certificates';
import { Scope } from '../../../support/scope';
import { closeAll, Inbox, peer, requestText, send, type Peer } from './fixtures';

const scope = new Scope();
let tls: CertificateFiles;

beforeAll(() => {
  tls = new CertificateAuthority(scope.directory('wss')).issue('server', ['IP:127.0.0.1']);
});
afterAll(() => scope.close());

const clients: WebSocket[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const client of clients.splice(0)) client.terminate();
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
});

const server = (options: TransportOptions = {}): Promise<Peer> => peer('127.0.0.1', { tls, ...options }, ['ws', 'wss']);

interface Client {
  readonly socket: WebSocket;
  readonly inbox: Inbox<{ readonly text: string; readonly binary: boolean }>;
  readonly ended: Inbox<number>;
  readonly pongs: Inbox<string>;
}

async function client(to: Peer, protocol: 'ws' | 'wss' = 'ws', options: ClientOptions = {}): Promise<Client> {
  const socket = new WebSocket(`${protocol}://127.0.0.1:${to.port(protocol)}`, 'sip', {
    ca: readFileSync(tls.ca),
    localAddress: '127.0.0.2',
    ...options,
  });
  clients.push(socket);
  const inbox: Client['inbox'] = new Inbox();
  const ended = new Inbox<number>();
  const pongs = new Inbox<string>();
  socket.on('message', (data, binary) => inbox.push({ text: (data as Buffer).toString(), binary }));
  socket.on('pong', (data) => pongs.push(data.toString()));
  socket.on('close', (code) => ended.push(code));
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.on('error', () => undefined);
  return { socket, inbox, ended, pongs };
}

/** A client after the upgrade that writes its own frames. */
async function rawClient(
  to: Peer,
  subprotocol = 'sip',
): Promise<{ socket: Socket; inbox: Inbox<string>; ended: Inbox<true> }> {
  const socket = connect({ port: to.port('ws'), host: '127.0.0.1', localAddress: '127.0.0.3' });
  sockets.push(socket);
  const inbox = new Inbox<string>();
  const ended = new Inbox<true>();
  socket.on('data', (chunk) => inbox.push(chunk.toString('latin1')));
  socket.on('close', () => ended.push(true));
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  socket.write(
    [
      'GET / HTTP/1.1',
      'Host: 127.0.0.1',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Protocol: ${subprotocol}`,
      '',
      '',
    ].join('\r\n'),
  );
  return { socket, inbox, ended };
}

const via = (protocol: string, branch = 'z9hG4bK1'): string =>
  `SIP/2.0/${protocol} df7jal23ls0d.invalid;branch=${branch}`;

describe.each(['ws', 'wss'] as const)('%s', (protocol) => {
  test('RFC 7118 §5: one message each way; a client that calls itself .invalid is answered on its connection', async () => {
    const node = await server();
    const browser = await client(node, protocol);
    browser.socket.send(requestText(via(protocol.toUpperCase()), '', 'body'));
    const { message, flow } = await node.messages.next();
    expect(message.body.toString()).toBe('body');
    expect(getHeader(message, 'Via')).toMatch(/\.invalid;branch=z9hG4bK1;rport=\d+;received=127\.0\.0\.2$/);
    expect(flow).toMatchObject({ protocol, remoteAddress: '127.0.0.2', connection: expect.any(Number) as number });
    const to = { protocol, address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    expect(await send(node.transport, 'SIP/2.0 200 OK\r\n\r\n', to)).toEqual({ flow });
    expect(await browser.inbox.next()).toEqual({ text: 'SIP/2.0 200 OK\r\n\r\n', binary: false });
  });

  test('RFC 7118 §4.1: whoever does not offer the subprotocol sip is refused', async () => {
    const node = await server();
    const socket = new WebSocket(`${protocol}://127.0.0.1:${node.port(protocol)}`, 'chat', {
      ca: readFileSync(tls.ca),
    });
    await expect(new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))).rejects.toThrow(
      '400',
    );
  });

  test('RFC 6455 §10.2: pages of others are refused at the handshake with 403; who is no browser is let in', async () => {
    const to = await server({ origins: ['.acme.example', 'https://page.example'] });
    for (const protocol of ['ws', 'wss'] as const) {
      await expect(client(to, protocol, { origin: 'https://evil.example' })).rejects.toThrow('403');
      await client(to, protocol, { origin: 'https://www.acme.example:8443' });
      await client(to, protocol);
    }
  });

  test.each([
    ['*', 'https://evil.example', true],
    ['page.example', 'http://PAGE.example:81', true],
    ['page.example', 'https://page.example', true],
    ['page.example', 'https://a.page.example', false],
    ['page.example', 'https://page.example.evil.example', false],
    ['.acme.example', 'https://www.acme.example', true],
    ['.acme.example', 'https://notacme.example', false],
    ['https://page.example', 'https://page.example:443', true],
    ['https://page.example', 'http://page.example', false],
    ['https://page.example:8443', 'https://page.example', false],
    ['::1', 'http://[0:0:0:0:0:0:0:1]:8080', true],
    ['127.0.0.1', 'http://127.0.0.1:8080', true],
    ['127.0.0.1', 'http://127.0.0.1.evil.example', false],
    ['page.example', 'chrome-extension://page.example', false],
    ['page.example', 'null', false],
    ['null', 'null', true],
    ['page.example', '', false],
  ])('allowed %s, page %s: %s', (allowed, origin, may) => {
    const policy = originPolicy([allowed]);
    expect(policy(origin)).toBe(may);
    expect(policy(undefined)).toBe(true);
    expect(originPolicy(undefined)(origin)).toBe(true);
  });

  test('RFC 5626 §4.4.1, RFC 6455 §5.5.2: CRLFCRLF is answered with CRLF, a ping with a pong', async () => {
    const node = await server();
    const browser = await client(node, protocol);
    browser.socket.send('\r\n\r\n');
    expect((await browser.inbox.next()).text).toBe('\r\n');
    browser.socket.ping('hello');
    expect(await browser.pongs.next()).toBe('hello');
  });

  test('a browser that goes away is reported, and nothing can be sent to it: nobody connects to a browser', async () => {
    const node = await server();
    const browser = await client(node, protocol);
    browser.socket.send(Buffer.from(requestText(via('WS'))));
    const { flow } = await node.messages.next();
    browser.socket.close();
    expect(await node.closed.next()).toBe(flow.connection);
    const to = { protocol, address: '127.0.0.2', port: flow.remotePort } as const;
    expect(await send(node.transport, 'x', { ...to, connection: flow.connection })).toEqual({ failure: 'closed' });
    expect(await send(node.transport, 'x', to)).toEqual({ failure: 'unreachable' });
  });
});

describe('hostile WebSocket clients', () => {
  const stillServes = async (node: Peer): Promise<void> => {
    const browser = await client(node);
    browser.socket.send('\r\n\r\n');
    expect((await browser.inbox.next()).text).toBe('\r\n');
  };

  test('a body that is not text goes out in a binary message', async () => {
    const node = await server();
    const browser = await client(node);
    browser.socket.send(requestText(via('WS')));
    const { flow } = await node.messages.next();
    const to = { protocol: 'ws', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    await new Promise((resolve) => node.transport.send(Buffer.from([0xff, 0xfe, 0x00]), to, resolve));
    expect(await browser.inbox.next()).toMatchObject({ binary: true });
  });

  test('garbage in a message is reported with its flow, and the connection goes on', async () => {
    const node = await server();
    const browser = await client(node);
    browser.socket.send(Buffer.alloc(100, 0x80));
    browser.socket.send('');
    browser.socket.send('INVITE nonsense and more of it');
    expect(await node.malformed.next()).toMatchObject({ status: 400, flow: { protocol: 'ws' } });
    expect(await node.malformed.next()).toMatchObject({ status: 400 });
    browser.socket.send(requestText(via('UDP', 'z9hG4bK2')));
    expect(getHeader((await node.messages.next()).message, 'Via')).toContain('z9hG4bK2');
  });

  test('RFC 6455 §7.4.1: a message over the limit ends the connection with 1009, as one or in fragments', async () => {
    const node = await server({ streamLimits: { message: 10_000 } });
    const large = await client(node);
    large.socket.send('x'.repeat(10_001));
    expect(await large.ended.next()).toBe(1009);
    const fragments = await client(node);
    for (let i = 0; i < 11; i++) fragments.socket.send('x'.repeat(1000), { fin: false });
    expect(await fragments.ended.next()).toBe(1009);
    expect(await node.closed.next()).toBeGreaterThan(0);
    await stillServes(node);
  });

  test('RFC 6455 §5.1: frames without mask, of unknown kind, or of text that is none, end the connection', async () => {
    const node = await server();
    for (const frame of [
      [0x81, 0x02, 0x68, 0x69],
      [0x83, 0x80, 1, 2, 3, 4],
      [0xf1, 0x80, 1, 2, 3, 4],
      [0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff],
    ]) {
      const raw = await rawClient(node);
      expect(await raw.inbox.next()).toContain('101 Switching Protocols');
      raw.socket.write(Buffer.from(frame));
      await raw.ended.next(`end after ${frame.join(' ')}`);
    }
    await stillServes(node);
  });

  test('half a frame is waited for only so long, also when it comes byte by byte; pings keep no connection busy', async () => {
    const clock = new SimulatedClock();
    const node = await server({ clock, stream: { messageMs: 20_000, idleMs: 60_000 } });
    const half = await rawClient(node);
    await half.inbox.next();
    const other = await client(node);
    half.socket.write(Buffer.from([0x81, 0xfe, 0x10, 0x00]));
    for (let ms = 0; ms < 30_000; ms += 5_000) {
      half.socket.write('x');
      other.socket.ping('still');
      await other.pongs.next();
      clock.advance(5_000);
    }
    await half.ended.next('end of the half frame');
    expect(other.ended.size).toBe(0);
    clock.advance(70_000);
    await other.ended.next('end of the idle one');
  });

  test('a client that never asks for the upgrade, or asks byte by byte, has only its time; requests get 426', async () => {
    const clock = new SimulatedClock();
    const node = await server({ clock, stream: { handshakeMs: 10_000 } });
    const slow = connect({ port: node.port('ws'), host: '127.0.0.1' });
    sockets.push(slow);
    const ended = new Inbox<true>();
    slow.on('close', () => ended.push(true));
    slow.on('error', () => undefined);
    await new Promise<void>((resolve) => slow.once('connect', resolve));
    slow.write('GET / HT');
    const response = await fetch(`http://127.0.0.1:${node.port('ws')}/`);
    expect([response.status, response.headers.get('upgrade')]).toEqual([426, 'websocket']);
    clock.advance(10_001);
    await ended.next();
    await stillServes(node);
  });

  test('a client that never reads is cut off when its queue is full, for messages and for pongs', async () => {
    const clock = new SimulatedClock();
    const node = await server({ clock, stream: { queueBytes: 200_000, stallMs: 10_000 } });
    const deaf = await client(node);
    deaf.socket.send(requestText(via('WS')));
    const { flow } = await node.messages.next();
    deaf.socket.pause();
    const to = { protocol: 'ws', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    const results = await Promise.all(Array.from({ length: 400 }, () => send(node.transport, 'x'.repeat(50_000), to)));
    expect(results.some((result) => 'failure' in result)).toBe(true);
    expect(await node.closed.next()).toBe(flow.connection);

    const pinging = await rawClient(node);
    await pinging.inbox.next();
    pinging.socket.pause();
    const ping = Buffer.concat([Buffer.from([0x89, 0x80 + 125, 0, 0, 0, 0]), Buffer.alloc(125, 0x61)]);
    const many = Buffer.concat(Array.from({ length: 1000 }, () => ping));
    const cut = node.closed.next('cut', 8000);
    const flood = (): void => {
      if (!pinging.socket.destroyed) pinging.socket.write(many, () => setImmediate(flood));
    };
    flood();
    expect(await cut).toBeGreaterThan(0);
    await stillServes(node);
  });
});
