import { createServer, type Socket } from 'node:net';
import { createClient } from 'redis';
import { RedisBus } from '../../../src/cluster/redis/redis-bus';
import { eventuallyTrue } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { RedisServer } from '../../support/redis';
import { Scope } from '../../support/scope';

describe('the bus on a Redis that fails', () => {
  let scope: Scope;
  beforeEach(() => (scope = new Scope()));
  afterEach(() => scope.close());

  function makeBus(url: string): { readonly bus: RedisBus; readonly heard: string[]; readonly errors: unknown[] } {
    const heard: string[] = [];
    const errors: unknown[] = [];
    const bus = new RedisBus({ url, onError: (error) => errors.push(error) });
    bus.subscribe('all', (payload) => heard.push(payload));
    bus.subscribe('polls', (payload) => heard.push(payload), { urgent: true });
    scope.defer(() => bus.stop(500));
    return { bus, heard, errors };
  }

  /** Messages pass again on both subscribing connections. */
  async function passes(bus: RedisBus, heard: string[]): Promise<void> {
    await eventuallyTrue('the bus is connected', () => bus.connected);
    const before = heard.length;
    bus.publish('all', 'x');
    bus.publish('polls', 'y');
    await eventuallyTrue('messages pass', () => heard.length === before + 2);
  }

  it('a Redis that is not there at the start is no error; the bus connects when it comes', async () => {
    const redis = await RedisServer.start(scope);
    await redis.stop();
    const { bus, heard, errors } = makeBus(redis.url);
    await bus.start(200);
    expect(bus.connected).toBe(false);
    expect(bus.publish('all', 'lost')).toBe(false);
    await redis.start();
    await passes(bus, heard);
    expect(errors.length).toBeGreaterThan(0);
    expect(heard).not.toContain('lost');
  });

  it('a Redis that is restarted is connected to again, with all subscriptions', async () => {
    const redis = await RedisServer.start(scope);
    const { bus, heard } = makeBus(redis.url);
    await bus.start(10_000);
    await passes(bus, heard);
    await redis.stop();
    await eventuallyTrue('the loss is seen', () => !bus.connected);
    await redis.start();
    await passes(bus, heard);
  });

  it('a subscribing connection that Redis cuts is made again', async () => {
    const redis = await RedisServer.start(scope);
    const { bus, heard } = makeBus(redis.url);
    await bus.start(10_000);
    const states: boolean[] = [];
    bus.onConnected((connected) => states.push(connected));
    const operator = createClient({ url: redis.url });
    operator.on('error', () => undefined);
    await operator.connect();
    await operator.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub']);
    operator.destroy();
    await eventuallyTrue('it is lost and back', () => states.includes(false) && bus.connected);
    await passes(bus, heard);
  });

  it('a Redis that hangs is left, what is published meanwhile is bounded, and it is connected to again', async () => {
    const redis = await RedisServer.start(scope);
    const { bus, heard } = makeBus(redis.url);
    await bus.start(10_000);
    redis.freeze();
    let accepted = 0;
    while (accepted < 10_000 && bus.publish('all', 'x'.repeat(10_000))) accepted += 1;
    expect(accepted).toBeLessThan(5_000);
    await eventuallyTrue('the hanging Redis is left', () => !bus.connected);
    expect(bus.publish('all', 'x')).toBe(false);
    redis.thaw();
    await eventuallyTrue('the bus is connected', () => bus.connected);
    await eventuallyTrue('messages pass', () => bus.publish('polls', 'after') && heard.includes('after'));
  });

  it('something that is not Redis, and something that never answers, do no harm', async () => {
    const sockets: Socket[] = [];
    for (const answer of ['HTTP/1.1 400 Bad Request\r\n\r\n', undefined, '+OK\r\n:\r\n$-7\r\n']) {
      const server = createServer((socket) => {
        sockets.push(socket);
        socket.on('error', () => undefined);
        if (answer !== undefined) socket.write(answer);
      });
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
      scope.defer(() => {
        for (const socket of sockets) socket.destroy();
        server.close();
      });
      const { bus } = makeBus(`redis://127.0.0.1:${port}`);
      await bus.start(300);
      expect(bus.connected).toBe(false);
      await bus.stop(100);
    }
  });

  it('a URL that is none is an error of the connection, not an exception', async () => {
    const { bus, errors } = makeBus('http://127.0.0.1');
    await bus.start(100);
    expect(bus.connected).toBe(false);
    expect(errors.length).toBeGreaterThan(0);
  });
});
