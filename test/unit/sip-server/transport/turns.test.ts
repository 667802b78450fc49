import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';
import { Turns, type Backlogged } from '../../../../src/sip-server/transport/turns';
import { closeAll, peer, requestText, type Peer } from './fixtures';

describe('the time of one turn', () => {
  /** Who has so many pieces to handle, each of which takes 5 ms. */
  class Sender implements Backlogged {
    constructor(
      readonly name: string,
      private pieces: number,
    ) {}

    workOff(): boolean {
      time += 5;
      done.push(this.name);
      this.pieces -= 1;
      return this.pieces > 0;
    }
  }

  let time: number;
  let done: string[];
  let callbacks: (() => void)[];
  let turns: Turns;
  const turn = (): void => {
    for (const callback of callbacks.splice(0)) callback();
  };

  beforeEach(() => {
    time = 0;
    done = [];
    callbacks = [];
    turns = new Turns(
      () => time,
      (callback) => callbacks.push(callback),
    );
  });

  test('is used up, and is there again in the next one', () => {
    expect(turns.hasTime).toBe(true);
    time += 19;
    expect(turns.hasTime).toBe(true);
    time += 1;
    expect(turns.hasTime).toBe(false);
    turn();
    expect(turns.hasTime).toBe(true);
    expect(callbacks).toHaveLength(1);
  });

  test('goes to all who wait, one piece after the other: who has little is done first', () => {
    turns.wait(new Sender('much', 1000));
    turns.wait(new Sender('more', 2000));
    turn();
    turns.wait(new Sender('little', 1));
    turn();
    expect(done).toEqual(['much', 'more', 'much', 'more', 'much', 'more', 'little', 'much']);
    for (let more = 0; more < 2000; more += 1) turn();
    expect(done).toHaveLength(3001);
    expect(callbacks).toEqual([]);
  });

  test('is not taken for who is gone', () => {
    const gone = new Sender('gone', 10);
    turns.wait(gone);
    turns.forget(gone);
    turn();
    expect(done).toEqual([]);
    expect(callbacks).toEqual([]);
  });
});

describe('more than there is time for', () => {
  const COUNT = 6000;
  const sockets: (Socket | WebSocket)[] = [];
  let server: Peer;

  beforeAll(async () => {
    server = await peer('127.0.0.1', {}, ['tcp', 'ws']);
  });
  afterAll(async () => {
    for (const socket of sockets)
      if (socket instanceof WebSocket) socket.terminate();
      else socket.destroy();
    await closeAll();
  });

  const text = (transport: string, index: number): string =>
    requestText(
      `SIP/2.0/${transport} 127.0.0.1:5060;branch=z9hG4bK${index}`,
      `Subject: ${index}`,
      'b'.repeat(index % 99),
    );

  test.each([
    [
      'TCP',
      async (): Promise<void> => {
        const socket = connect(server.port('tcp'), '127.0.0.1');
        sockets.push(socket);
        socket.write(Array.from({ length: COUNT }, (_, index) => text('TCP', index)).join(''));
        await new Promise((resolve) => socket.once('connect', resolve));
      },
    ],
    [
      'WS',
      async (): Promise<void> => {
        const socket = new WebSocket(`ws://127.0.0.1:${server.port('ws')}`, 'sip');
        sockets.push(socket);
        await new Promise((resolve) => socket.once('open', resolve));
        for (let index = 0; index < COUNT; index += 1) socket.send(text('WS', index));
      },
    ],
  ] as const)('over %s arrives whole and in order', async (_, write) => {
    await write();
    for (let index = 0; index < COUNT; index += 1) {
      const { message } = await server.messages.next(`message ${index}`, 20_000);
      expect(message.headers.find(({ name }) => name === 'Subject')?.value).toBe(String(index));
    }
  });
});
