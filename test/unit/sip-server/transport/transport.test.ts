import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { SimulatedClock } from '../../../../src/process/clock';
import { getHeader } from '../../../../src/sip-message/headers';
import { isUdpPortBound } from '../../../../src/sip-server/transport/local-sockets';
import { closeAll, Inbox, peer, requestText, send } from './fixtures';

const sockets: (Socket | UdpSocket)[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) {
    if ('destroy' in socket) socket.destroy();
    else socket.close();
  }
  await closeAll();
});

async function udpClient(address: string): Promise<{ socket: UdpSocket; port: number; inbox: Inbox<string> }> {
  const socket = createSocket('udp4');
  sockets.push(socket);
  const inbox = new Inbox<string>();
  socket.on('message', (bytes) => inbox.push(bytes.toString()));
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  return { socket, port: socket.address().port, inbox };
}

async function tcpClient(
  port: number,
  host: string,
  localAddress: string,
): Promise<{ socket: Socket; inbox: Inbox<string>; ended: Inbox<true> }> {
  const socket = connect({ port, host, localAddress });
  sockets.push(socket);
  const inbox = new Inbox<string>();
  const ended = new Inbox<true>();
  socket.on('data', (chunk) => inbox.push(chunk.toString()));
  socket.on('close', () => ended.push(true));
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return { socket, inbox, ended };
}

describe('UDP', () => {
  test('RFC 3581 §4: rport is set on the top Via even when the client did not ask, received when sent-by differs', async () => {
    const server = await peer('127.0.0.1');
    const client = await udpClient('127.0.0.2');
    client.socket.send(requestText('SIP/2.0/UDP phone.invalid:5062;branch=z9hG4bK1'), server.port('udp'), '127.0.0.1');
    const { message, flow } = await server.messages.next();
    expect(getHeader(message, 'Via')).toBe(
      `SIP/2.0/UDP phone.invalid:5062;branch=z9hG4bK1;rport=${client.port};received=127.0.0.2`,
    );
    expect(flow).toEqual({
      protocol: 'udp',
      remoteAddress: '127.0.0.2',
      remotePort: client.port,
      local: server.transport.points[0],
    });
  });

  test('RFC 3261 §18.2.1: no received when sent-by is the source; one that the client forged is removed', async () => {
    const server = await peer('127.0.0.1');
    const client = await udpClient('127.0.0.2');
    const via = 'SIP/2.0/UDP 127.0.0.2:5062;rport;received=10.9.9.9;branch=z9hG4bK1';
    client.socket.send(requestText(via), server.port('udp'), '127.0.0.1');
    const { message } = await server.messages.next();
    expect(getHeader(message, 'Via')).toBe(`SIP/2.0/UDP 127.0.0.2:5062;rport=${client.port};branch=z9hG4bK1`);
  });

  test('RFC 3261 §18.2.2: a response leaves from the listener that received the request, to the source', async () => {
    const server = await peer('127.0.0.1');
    const client = await udpClient('127.0.0.2');
    client.socket.send(requestText('SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1'), server.port('udp'), '127.0.0.1');
    const { flow } = await server.messages.next();
    const source = new Inbox<number>();
    client.socket.on('message', (_bytes, from) => source.push(from.port));
    const to = { protocol: 'udp', address: flow.remoteAddress, port: flow.remotePort, local: flow.local } as const;
    const result = await send(server.transport, 'SIP/2.0 200 OK\r\n\r\n', to);
    expect(result).toMatchObject({ flow: { remotePort: client.port } });
    expect(await client.inbox.next()).toBe('SIP/2.0 200 OK\r\n\r\n');
    expect(await source.next()).toBe(server.port('udp'));
  });

  test('garbage and keep-alives are dropped; a bad request is reported with its flow', async () => {
    const server = await peer('127.0.0.1');
    const client = await udpClient('127.0.0.2');
    const port = server.port('udp');
    for (const text of ['', '\r\n\r\n', '\0']) client.socket.send(text, port, '127.0.0.1');
    client.socket.send('INVITE nonsense and more of it', port, '127.0.0.1');
    client.socket.send(requestText('SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK2'), port, '127.0.0.1');
    expect(await server.malformed.next()).toMatchObject({ status: 400 });
    const { message } = await server.messages.next();
    expect(getHeader(message, 'Via')).toContain('z9hG4bK2');
    expect(server.messages.size).toBe(0);
  });

  test('a destination on which nobody listens is reported as refused', async () => {
    const server = await peer('127.0.0.1');
    const client = await udpClient('127.0.0.3');
    const { port } = client;
    await new Promise<void>((resolve) => client.socket.close(() => resolve()));
    sockets.pop();
    const via = `SIP/2.0/UDP 127.0.0.1:${server.port('udp')};branch=z9hG4bK1`;
    const result = await send(server.transport, requestText(via), { protocol: 'udp', address: '127.0.0.3', port });
    expect(result).toHaveProperty('flow');
    expect(await server.failures.next()).toEqual({ address: '127.0.0.3', port, failure: 'refused' });
  });

  test.each(['127.0.0.3', '0.0.0.0'])(
    'a phone on %s that listens and is silent is not reported, nor sent anything else',
    async (bind) => {
      const clock = new SimulatedClock();
      const server = await peer('127.0.0.1', { clock });
      const client = await udpClient(bind);
      const to = { protocol: 'udp', address: '127.0.0.3', port: client.port } as const;
      const request = requestText('SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1');
      await send(server.transport, request, to);
      clock.advance(200);
      expect(await isUdpPortBound('127.0.0.3', client.port)).toBe(true);
      await send(server.transport, request, to);
      expect([await client.inbox.next(), await client.inbox.next()]).toEqual([request, request]);
      expect(server.failures.size).toBe(0);
    },
  );

  test('no listener, no address, too large: each has its failure and none throws', async () => {
    const server = await peer('127.0.0.1');
    const text = 'x'.repeat(70_000);
    const to = { protocol: 'udp', address: '127.0.0.2', port: 5999 } as const;
    expect(await send(server.transport, text, to)).toEqual({ failure: 'too-large' });
    expect(await send(server.transport, 'x', { ...to, port: 0 })).toEqual({ failure: 'unreachable' });
    expect(await send(server.transport, 'x', { ...to, address: 'host' })).toEqual({ failure: 'no-listener' });
    expect(await send(server.transport, 'x', { ...to, protocol: 'tls' })).toEqual({ failure: 'no-listener' });
  });

  test('a port in use is an error of listen', async () => {
    const server = await peer('127.0.0.1');
    const second = await peer('127.0.0.1');
    const point = { protocol: 'udp', address: '127.0.0.1', port: server.port('udp') } as const;
    const events = { message: jest.fn(), malformed: jest.fn(), connectionClosed: jest.fn() };
    await expect(second.transport.listen([point], events)).rejects.toThrow('EADDRINUSE');
  });
});

describe('TCP', () => {
  test('RFC 3261 §18.2.2: a response goes back on the connection; messages may be split anywhere', async () => {
    const server = await peer('127.0.0.1');
    const client = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    const text = requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1', '', 'body');
    client.socket.setNoDelay(true);
    client.socket.write(text.slice(0, 30));
    client.socket.write(text.slice(30) + text);
    const { flow, message } = await server.messages.next();
    await server.messages.next();
    expect(message.body.toString()).toBe('body');
    expect(getHeader(message, 'Via')).toContain(`;rport=${client.socket.localPort ?? 0}`);
    const to = { protocol: 'tcp', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    expect(await send(server.transport, 'SIP/2.0 200 OK\r\n\r\n', to)).toEqual({ flow });
    expect(await client.inbox.next()).toContain('200 OK');
  });

  test('one connection is opened to an address and port and used for all that follows, in both directions', async () => {
    const a = await peer('127.0.0.1');
    const b = await peer('127.0.0.2');
    const to = { protocol: 'tcp', address: '127.0.0.2', port: b.port('tcp') } as const;
    const via = `SIP/2.0/TCP 127.0.0.1:${a.port('tcp')};branch=z9hG4bK1`;
    const [first, second] = await Promise.all([
      send(a.transport, requestText(via), to),
      send(a.transport, requestText(via), to),
    ]);
    expect(first).toEqual(second);
    const { flow } = await b.messages.next();
    await b.messages.next();
    expect(flow.remoteAddress).toBe('127.0.0.1');
    const back = { protocol: 'tcp', address: flow.remoteAddress, port: flow.remotePort } as const;
    const reply = await send(b.transport, requestText(`SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK2`), back);
    expect(reply).toEqual({ flow });
    expect((await a.messages.next()).flow).toMatchObject({ remotePort: b.port('tcp') });
  });

  test('RFC 5923: alias without a certificate makes nobody the owner of a port', async () => {
    const server = await peer('127.0.0.1');
    const client = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    client.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5077;alias;branch=z9hG4bK1'));
    const { flow } = await server.messages.next();
    const to = { protocol: 'tcp', address: '127.0.0.2', port: 5077 } as const;
    const request = requestText('SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK2');
    expect(await send(server.transport, request, to)).toEqual({ failure: 'refused' });
    expect(await send(server.transport, request, { ...to, port: flow.remotePort })).toEqual({ flow });
  });

  test('a refused connection fails at once, once for each send', async () => {
    const server = await peer('127.0.0.1');
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.4', resolve));
    const address = closed.address();
    const port = address !== null && typeof address === 'object' ? address.port : 0;
    await new Promise<void>((resolve) => closed.close(() => resolve()));
    const to = { protocol: 'tcp', address: '127.0.0.4', port } as const;
    const results = await Promise.all([send(server.transport, 'x', to), send(server.transport, 'y', to)]);
    expect(results).toEqual([{ failure: 'refused' }, { failure: 'refused' }]);
  });

  test('a connection that closes is reported, and sending on it fails as closed', async () => {
    const server = await peer('127.0.0.1');
    const client = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    client.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1'));
    const { flow } = await server.messages.next();
    client.socket.destroy();
    expect(await server.closed.next()).toBe(flow.connection);
    expect(await server.failures.next()).toMatchObject({ address: '127.0.0.2', failure: 'closed' });
    expect(server.transport.isOpen(flow.connection ?? 0)).toBe(false);
    const to = { protocol: 'tcp', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    expect(await send(server.transport, 'x', to)).toEqual({ failure: 'closed' });
  });

  test('RFC 5626 §4.4.1: CRLFCRLF is answered with CRLF', async () => {
    const server = await peer('127.0.0.1');
    const client = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    client.socket.write('\r\n\r\n');
    expect(await client.inbox.next()).toBe('\r\n');
  });

  test('a message without Content-Length or over the limit is reported with its head, then the connection closes', async () => {
    const server = await peer('127.0.0.1', { streamLimits: { message: 64 * 1024 } });
    const large = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    large.socket.write(requestText('SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK1', '', 'x'.repeat(70_000)));
    expect(await server.malformed.next()).toMatchObject({ status: 513, reason: 'Message Too Large' });
    await large.ended.next();
    const endless = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    endless.socket.write(requestText('SIP/2.0/TCP 127.0.0.2;branch=z9hG4bK1').replace(/Content-Length.*\r\n/, ''));
    expect(await server.malformed.next()).toMatchObject({ status: 400, reason: 'Missing Content-Length Header' });
    await endless.ended.next();
  });

  test('an idle connection and one that never completes a message are closed in time', async () => {
    const clock = new SimulatedClock();
    const server = await peer('127.0.0.1', { clock, stream: { idleMs: 60_000, messageMs: 20_000 } });
    const slow = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    const idle = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    slow.socket.write('OPTIONS sip:');
    idle.socket.write('\r\n\r\n');
    await idle.inbox.next();
    clock.advance(26_000);
    await slow.ended.next();
    expect(idle.ended.size).toBe(0);
    clock.advance(40_000);
    await idle.ended.next();
  });

  test('more connections than the limit are refused, also from one address', async () => {
    const server = await peer('127.0.0.1', { stream: { maxConnections: 3, maxConnectionsPerAddress: 2 } });
    const port = server.port('tcp');
    const kept = [await tcpClient(port, '127.0.0.1', '127.0.0.2'), await tcpClient(port, '127.0.0.1', '127.0.0.2')];
    await (await tcpClient(port, '127.0.0.1', '127.0.0.2')).ended.next('refusal by address');
    kept.push(await tcpClient(port, '127.0.0.1', '127.0.0.3'));
    await (await tcpClient(port, '127.0.0.1', '127.0.0.4')).ended.next('refusal by number');
    for (const { ended } of kept) expect(ended.size).toBe(0);
  });

  test('a connection attempt that gets no answer fails after its time', async () => {
    const clock = new SimulatedClock();
    const server = await peer('127.0.0.1', { clock, stream: { connectMs: 1_000 } });
    // A listener whose backlog is never served still connects on loopback; so abort before the event loop turns.
    const result = send(server.transport, 'x', { protocol: 'tcp', address: '127.0.0.5', port: 9 });
    clock.advance(1_000);
    expect(await result).toEqual({ failure: 'timeout' });
  });

  test('a peer that does not read is cut off when its queue is full', async () => {
    const server = await peer('127.0.0.1', { stream: { queueBytes: 200_000 } });
    const client = await tcpClient(server.port('tcp'), '127.0.0.1', '127.0.0.2');
    client.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1'));
    const { flow } = await server.messages.next();
    client.socket.pause();
    const to = { protocol: 'tcp', address: '127.0.0.2', port: flow.remotePort, connection: flow.connection } as const;
    const results = await Promise.all(
      Array.from({ length: 2000 }, () => send(server.transport, 'x'.repeat(50_000), to)),
    );
    expect(results.filter((result) => 'failure' in result).length).toBeGreaterThan(0);
    expect(await server.closed.next()).toBe(flow.connection);
  });
});
