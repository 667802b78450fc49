import { join } from 'node:path';
import type { Bus } from '../../src/cluster/bus';
import { MemoryBus, MemoryExchange } from '../../src/cluster/memory/memory-bus';
import { RedisBus, type RedisBusOptions } from '../../src/cluster/redis/redis-bus';
import { eventuallyTrue } from '../support/eventually';
import { redisCertificates, RedisServer, SentinelGroup } from '../support/redis';
import { Scope } from '../support/scope';

/** Makes buses that reach each other. */
type Factory = (scope: Scope) => Promise<() => Bus>;

function busOn(options: RedisBusOptions): () => Bus {
  return () => new RedisBus(options);
}

const adapters: [string, Factory][] = [
  [
    'memory',
    async () => {
      const exchange = new MemoryExchange();
      return () => new MemoryBus(exchange);
    },
  ],
  ['redis', async (scope) => busOn({ url: (await RedisServer.start(scope)).url })],
  [
    'redis with a password',
    async (scope) =>
      busOn({ url: (await RedisServer.start(scope, { password: 'p@ss/word' })).url, password: 'p@ss/word' }),
  ],
  [
    'redis with a password in the URL',
    async (scope) => {
      const { port } = await RedisServer.start(scope, { password: 'p@ss/word' });
      return busOn({ url: `redis://:p%40ss%2Fword@127.0.0.1:${port}` });
    },
  ],
  [
    'redis with an ACL user that may only publish and subscribe',
    async (scope) => {
      const user = { name: 'tandem', password: 'geheim', channels: '*' };
      return busOn({ url: (await RedisServer.start(scope, { user })).url, username: 'tandem', password: 'geheim' });
    },
  ],
  [
    'redis over TLS',
    async (scope) => {
      const tls = redisCertificates(scope);
      return busOn({ url: (await RedisServer.start(scope, { tls })).url, tls: { ca: tls.ca } });
    },
  ],
  [
    'redis over TLS with a certificate for the client, and a password',
    async (scope) => {
      const tls = redisCertificates(scope);
      const redis = await RedisServer.start(scope, { tls, password: 'geheim', lines: ['tls-auth-clients yes'] });
      return busOn({ url: redis.url, password: 'geheim', tls: { ...tls, serverName: 'redis.test' } });
    },
  ],
  [
    'redis on a unix socket',
    async (scope) => {
      const path = join(scope.directory('socket'), 'redis.sock');
      await RedisServer.start(scope, { lines: [`unixsocket ${path}`] });
      return busOn({ url: `unix://${path}` });
    },
  ],
  ['redis with sentinels', async (scope) => busOn((await SentinelGroup.start(scope)).busOptions)],
  [
    'redis with sentinels, passwords and TLS',
    async (scope) => {
      const secrets = { password: 'geheim', sentinelPassword: 'auchgeheim', tls: redisCertificates(scope) };
      return busOn((await SentinelGroup.start(scope, secrets)).busOptions);
    },
  ],
];

describe.each(adapters)('the bus port, adapter %s', (_name, factory) => {
  const scope = new Scope();
  let make: () => Bus;

  beforeAll(async () => {
    make = await factory(scope);
  });
  afterAll(() => scope.close());

  /** A bus that is started, and what it hears on `channels`. */
  async function listen(...channels: string[]): Promise<{ readonly bus: Bus; readonly heard: string[] }> {
    const bus = make();
    const heard: string[] = [];
    for (const channel of channels) bus.subscribe(channel, (payload) => heard.push(`${channel}: ${payload}`));
    await bus.start(10_000);
    scope.defer(() => bus.stop(1_000));
    return { bus, heard };
  }

  const has = (heard: string[], count: number) =>
    eventuallyTrue(`${count} messages are heard`, () => heard.length >= count);

  it('a message reaches every subscriber of its channel, the publisher too, and nobody else', async () => {
    const [first, second, other] = [await listen('a'), await listen('a', 'b'), await listen('b')];
    expect(first.bus.publish('a', 'one')).toBe(true);
    await Promise.all([has(first.heard, 1), has(second.heard, 1)]);
    expect(first.bus.publish('b', 'two')).toBe(true);
    await Promise.all([has(second.heard, 2), has(other.heard, 1)]);
    expect(first.heard).toEqual(['a: one']);
    expect(second.heard).toEqual(['a: one', 'b: two']);
    expect(other.heard).toEqual(['b: two']);
  });

  it('messages of one sender on one channel come in order, each once', async () => {
    const [sender, receiver] = [await listen(), await listen('order')];
    for (let number = 0; number < 500; number++) sender.bus.publish('order', String(number));
    await has(receiver.heard, 500);
    expect(receiver.heard).toEqual(Array.from({ length: 500 }, (_, number) => `order: ${number}`));
  });

  it('a message of 64 kB arrives as it was sent, whatever its characters', async () => {
    const { bus, heard } = await listen('large');
    const payload = `${'x'.repeat(64_000)} ü ☎ 🂡 \r\n "quoted" \u0000`;
    bus.publish('large', payload);
    await has(heard, 1);
    expect(heard).toEqual([`large: ${payload}`]);
  });

  it('urgent channels are heard as well', async () => {
    const bus = make();
    const heard: string[] = [];
    bus.subscribe('polls', (payload) => heard.push(payload), { urgent: true });
    await bus.start(10_000);
    scope.defer(() => bus.stop(1_000));
    bus.publish('polls', 'poll');
    await has(heard, 1);
    expect(heard).toEqual(['poll']);
  });

  it('a message is not kept for those who come later', async () => {
    const early = await listen('kept');
    early.bus.publish('kept', 'before');
    await has(early.heard, 1);
    const late = await listen('kept');
    early.bus.publish('kept', 'after');
    await has(late.heard, 1);
    expect(late.heard).toEqual(['kept: after']);
  });

  it('it says when it is connected; what is published before and after is dropped, not kept', async () => {
    const bus = make();
    const states: boolean[] = [];
    bus.onConnected((connected) => states.push(connected));
    expect(bus.connected).toBe(false);
    expect(bus.publish('states', 'early')).toBe(false);
    await bus.start(10_000);
    expect(bus.connected).toBe(true);
    await bus.stop(1_000);
    expect(bus.connected).toBe(false);
    expect(bus.publish('states', 'late')).toBe(false);
    expect(states).toEqual([true, false]);
  });

  it('what was published just before the stop still goes out (a goodbye)', async () => {
    const [leaver, receiver] = [await listen(), await listen('goodbye')];
    leaver.bus.publish('goodbye', 'bye');
    await leaver.bus.stop(1_000);
    await has(receiver.heard, 1);
  });

  it('nothing is heard after the stop', async () => {
    const [sender, receiver, witness] = [await listen(), await listen('quiet'), await listen('quiet')];
    await receiver.bus.stop(1_000);
    sender.bus.publish('quiet', 'hello?');
    await has(witness.heard, 1);
    expect(receiver.heard).toEqual([]);
  });
});
