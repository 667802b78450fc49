import { connect, type Socket } from 'node:net';
import { SimulatedClock } from '../../../../src/process/clock';
import { StreamFramer } from '../../../../src/sip-message/stream';
import { ByteBudget } from '../../../../src/sip-server/transport/byte-budget';
import { Room } from '../../../../src/sip-server/transport/room';
import { closeAll, Inbox, peer, requestText } from './fixtures';

const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await closeAll();
});

async function client(port: number, localAddress: string): Promise<{ socket: Socket; ended: Inbox<true> }> {
  const socket = connect({ port, host: '127.0.0.1', localAddress });
  sockets.push(socket);
  const ended = new Inbox<true>();
  socket.on('error', () => undefined);
  socket.on('close', () => ended.push(true));
  socket.resume();
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  return { socket, ended };
}

describe('connections of strangers', () => {
  test('live on keep-alives only when something of theirs was accepted', async () => {
    const clock = new SimulatedClock();
    const server = await peer('127.0.0.1', { clock });
    const port = server.port('tcp');
    const [registered, stranger] = [await client(port, '127.0.0.2'), await client(port, '127.0.0.3')];
    registered.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1'));
    const { flow } = await server.messages.next();
    server.transport.keep(flow.connection ?? 0);
    for (let second = 0; second < 600; second += 20) {
      registered.socket.write('\r\n\r\n');
      stranger.socket.write('\r\n\r\n');
      await new Promise((resolve) => setTimeout(resolve, 5));
      clock.advance(20_000);
      if (stranger.ended.size > 0) break;
    }
    await stranger.ended.next('end of the stranger');
    expect(registered.ended.size).toBe(0);
  });

  test('a thousand of one address do not keep another address out', async () => {
    const server = await peer('127.0.0.1', { stream: { maxConnections: 100 } });
    const port = server.port('tcp');
    const crowd = await Promise.all(Array.from({ length: 100 }, () => client(port, '127.0.0.66')));
    const other = await client(port, '127.0.0.2');
    other.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1'));
    expect((await server.messages.next()).flow.remoteAddress).toBe('127.0.0.2');
    await Promise.race(crowd.map(({ ended }) => ended.next('end of one of the crowd')));
    expect(other.ended.size).toBe(0);
  });

  test('the same in the middle of a WebSocket upgrade', async () => {
    const server = await peer('127.0.0.1', { stream: { maxHandshakes: 100 } }, ['ws']);
    const port = server.port('ws');
    await Promise.all(Array.from({ length: 100 }, () => client(port, '127.0.0.66')));
    const other = await client(port, '127.0.0.2');
    const answer = new Inbox<string>();
    other.socket.on('data', (bytes: Buffer) => answer.push(bytes.toString()));
    other.socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sip\r\n\r\n',
    );
    expect(await answer.next()).toMatch(/^HTTP\/1.1 101 /);
  });

  test('unfinished messages of all have a budget: whoever holds most gives way', async () => {
    const server = await peer('127.0.0.1', { stream: { unfinishedBytes: 500_000 } });
    const port = server.port('tcp');
    const modest = await client(port, '127.0.0.2');
    modest.socket.write('OPTIONS sip:x SIP/2.0\r\n');
    const greedy = await Promise.all(Array.from({ length: 10 }, () => client(port, '127.0.0.66')));
    for (const { socket } of greedy)
      socket.write(`OPTIONS sip:x SIP/2.0\r\n${`X: ${'a'.repeat(7_000)}\r\n`.repeat(20)}`);
    await Promise.race(greedy.map(({ ended }) => ended.next('end of a greedy one')));
    modest.socket.write(requestText('SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK1').replace(/^.*\r\n/, ''));
    expect((await server.messages.next()).flow.remoteAddress).toBe('127.0.0.2');
  });
});

describe('room', () => {
  test.each([
    ['young guests of a small crowd stay', 10, 0, false],
    ['they have had their time', 10, 2_000, true],
    ['a large crowd has none', 64, 0, true],
  ])('%s', (_what, count, ms, expected) => {
    let now = 0;
    const room = new Room(() => now);
    const left: number[] = [];
    for (let guest = 0; guest < count; guest += 1) {
      const leave = room.enter('2001:db8::1', () => {
        left.push(guest);
        leave();
      });
    }
    now = ms;
    expect(room.makePlaceFor('192.0.2.1')).toBe(expected);
    expect(left).toEqual(expected ? [0] : []);
    // Its own /64 has no better right than it has itself.
    expect(room.makePlaceFor('2001:db8::2')).toBe(false);
  });

  test('the budget takes strangers first, then the largest', () => {
    const budget = new ByteBudget(100);
    const ended: string[] = [];
    const holder = (name: string, isKnown: boolean) => ({ isKnown, giveWay: () => ended.push(name) });
    budget.set(holder('known', true), 60);
    budget.set(holder('small', false), 10);
    budget.set(holder('large', false), 40);
    expect(ended).toEqual(['large']);
    budget.set(holder('known too', true), 70);
    expect(ended).toEqual(['large', 'small', 'known too']);
    expect(budget.size).toBe(60);
  });

  test('a body that comes byte by byte counts for more than its bytes', () => {
    const framer = new StreamFramer();
    framer.push(Buffer.from('OPTIONS sip:x SIP/2.0\r\nContent-Length: 1000\r\n\r\n'));
    for (let byte = 0; byte < 100; byte += 1) framer.push(Buffer.from('x'));
    expect(framer.heldBytes).toBeGreaterThan(10_000);
    framer.push(Buffer.alloc(900));
    expect(framer.heldBytes).toBe(0);
  });
});
