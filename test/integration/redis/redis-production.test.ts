import { RedisBus, type RedisBusOptions } from '../../../src/cluster/redis/redis-bus';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { redisCertificates, RedisServer, SentinelGroup } from '../../support/redis';
import { Scope } from '../../support/scope';
import { TcpProxy } from '../../support/tcp-proxy';

interface Ear {
  readonly bus: RedisBus;
  readonly heard: string[];
  readonly errors: string[];
}

jest.setTimeout(120_000);

describe('Redis as it is run in production', () => {
  let scope: Scope;
  beforeEach(() => (scope = new Scope()));
  afterEach(() => scope.close());

  async function start(options: RedisBusOptions, deadlineMs = 15_000): Promise<Ear> {
    const heard: string[] = [];
    const errors: string[] = [];
    const bus = new RedisBus({ ...options, onError: (error) => errors.push(String(error)) });
    bus.subscribe('all', (payload) => heard.push(payload));
    bus.subscribe('polls', (payload) => heard.push(payload), { urgent: true });
    scope.defer(() => bus.stop(500));
    await bus.start(deadlineMs);
    return { bus, heard, errors };
  }

  /** What one publishes the other hears, on both connections. */
  async function passes(from: Ear, to: Ear, what: string): Promise<void> {
    await eventuallyTrue(`${what} arrives`, () => {
      from.bus.publish('all', `${what} all`);
      from.bus.publish('polls', `${what} polls`);
      return to.heard.includes(`${what} all`) && to.heard.includes(`${what} polls`);
    });
  }

  /** Ms from `act` until the bus says that it is not connected. */
  async function noticed(ear: Ear, act: () => unknown): Promise<number> {
    const began = process.hrtime.bigint();
    const seen = new Promise<number>((resolve) =>
      ear.bus.onConnected((connected) => {
        if (!connected) resolve(Number(process.hrtime.bigint() - began) / 1e6);
      }),
    );
    await act();
    return seen;
  }

  it('a Redis that hangs, and a host that vanishes, are noticed by pings, as one that dies is by its connection', async () => {
    const figures: Record<string, number> = {};
    const killed = await RedisServer.start(scope);
    figures['killed'] = await noticed(await start({ url: killed.url }), () => killed.kill());
    const stopped = await RedisServer.start(scope);
    const ear = await start({ url: stopped.url });
    figures['SIGSTOP'] = await noticed(ear, () => stopped.freeze());
    stopped.thaw();
    await passes(ear, ear, 'after the thaw');
    const behind = await RedisServer.start(scope);
    const proxy = await TcpProxy.start(scope, behind.port);
    const far = await start({ url: `redis://127.0.0.1:${proxy.port}` });
    figures['half-open'] = await noticed(far, () => proxy.swallow());
    proxy.pass();
    await passes(far, far, 'after the host is back');
    for (const [how, ms] of Object.entries(figures))
      process.stdout.write(`${how}: noticed after ${ms.toFixed(0)} ms\n`);
  });

  it('a wrong password is an error that says so, and shows no password', async () => {
    const redis = await RedisServer.start(scope, { password: 'right' });
    for (const options of [
      { url: redis.url },
      { url: redis.url, password: 'geheim' },
      { url: `redis://u:geheim@127.0.0.1:${redis.port}` },
    ]) {
      const { bus, errors } = await start(options, 300);
      await eventuallyTrue('there is an error', () => errors.length > 0);
      expect(bus.connected).toBe(false);
      expect(errors[0]).toMatch(new RegExp(`Redis at .*127.0.0.1:${redis.port}.*(WRONGPASS|NOAUTH)`));
      expect(errors.join()).not.toContain('geheim');
    }
  });

  it('a certificate of an unknown authority, and one of another name, are refused with the reason', async () => {
    const tls = redisCertificates(scope);
    const redis = await RedisServer.start(scope, { tls });
    const reasons: [RedisBusOptions['tls'], RegExp][] = [
      [{ ca: redisCertificates(scope).ca }, /certificate/],
      [{}, /certificate/],
      [{ ca: tls.ca, serverName: 'other.test' }, /does not match|altnames/],
      [{ ca: '/nonexistent/ca.pem' }, /no such file/],
    ];
    for (const [files, reason] of reasons) {
      const { bus, errors } = await start({ url: redis.url, tls: files }, 300);
      await eventuallyTrue('there is an error', () => errors.length > 0);
      expect(bus.connected).toBe(false);
      expect(errors[0]).toMatch(reason);
    }
    const plain = await start({ url: redis.url.replace('rediss', 'redis') }, 300);
    expect(plain.bus.connected).toBe(false);
  });

  it('the same reason is told once in a while, not at each attempt', async () => {
    const redis = await RedisServer.start(scope);
    await redis.stop();
    const { errors } = await start({ url: redis.url }, 2_000);
    expect(errors).toHaveLength(1);
  });

  it.each(['dies', 'hangs'])(
    'Sentinel: a master that %s is replaced, and the bus works on the new one; the old one that comes back is a replica',
    async (how) => {
      const group = await SentinelGroup.start(scope);
      const [one, two] = [await start(group.busOptions), await start(group.busOptions)];
      await passes(one, two, 'before');
      const old = await group.master();
      const began = Date.now();
      if (how === 'dies') await old.kill();
      else old.freeze();
      await eventually(
        'there is a new master',
        () => group.master(),
        (master) => master !== old,
      );
      const elected = Date.now() - began;
      await passes(one, two, 'after');
      process.stdout.write(`new master after ${elected} ms, messages after ${Date.now() - began} ms\n`);
      if (how === 'hangs') old.thaw();
      else await old.start();
      await eventuallyTrue('the old one is a replica', async () =>
        String(await old.command('ROLE')).startsWith('slave'),
      );
      await passes(two, one, 'at the end');
    },
  );

  it('Sentinel: a fail-over that an operator asks for moves all connections, though the old master lives', async () => {
    const group = await SentinelGroup.start(scope);
    const [one, two] = [await start(group.busOptions), await start(group.busOptions)];
    await passes(one, two, 'before');
    const old = await group.master();
    await group.sentinels[0]?.command('SENTINEL', 'FAILOVER', SentinelGroup.masterName);
    await eventually(
      'there is a new master',
      () => group.master(),
      (master) => master !== old,
    );
    await passes(one, two, 'after');
  });

  it('Sentinel: a replica is refused, and sentinels that hang or know nothing of this master do not matter while one answers', async () => {
    const group = await SentinelGroup.start(scope);
    const stranger = await RedisServer.start(scope, { sentinel: true });
    const frozen = await RedisServer.start(scope, { sentinel: true });
    frozen.freeze();
    const { sentinel } = group.busOptions;
    const [known] = sentinel?.nodes ?? [];
    const place = ({ port }: RedisServer) => ({ address: '127.0.0.1', port });
    const nodes = [place(frozen), place(stranger), ...(known === undefined ? [] : [known])];
    const ear = await start({ sentinel: { master: SentinelGroup.masterName, nodes } });
    await passes(ear, ear, 'with one sentinel');
    const lost = await start({ sentinel: { master: 'another', nodes } }, 1_500);
    expect(lost.bus.connected).toBe(false);
    await eventuallyTrue('there is an error', () => lost.errors.some((error) => error.includes('no sentinel knows')));
  });
});
