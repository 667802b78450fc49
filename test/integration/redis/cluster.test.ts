import { Cluster, NodeNumberTakenError } from '../../../src/cluster/cluster';
import { RedisBus } from '../../../src/cluster/redis/redis-bus';
import { systemClock } from '../../../src/process/clock';
import { HybridClock } from '../../../src/process/hlc';
import { CompositeSet } from '../../../src/registration/composite-set';
import { EntrySet } from '../../../src/registration/entry-set';
import { eventuallyTrue } from '../../support/eventually';
import { RedisServer } from '../../support/redis';
import { Scope } from '../../support/scope';

/** A node with nothing but its registrations, on a real Redis. */
class Node {
  readonly composite = new CompositeSet();
  readonly bus: RedisBus;
  readonly cluster: Cluster;
  boot = 0;
  private readonly hybridClock: HybridClock;

  constructor(
    scope: Scope,
    url: string,
    readonly number: number,
  ) {
    this.bus = new RedisBus({ url });
    this.hybridClock = new HybridClock(number, () => Date.now());
    this.cluster = new Cluster({
      node: number,
      clusterName: 'acme',
      secret: 'secret',
      bus: this.bus,
      clock: systemClock,
      hybridClock: this.hybridClock,
      composite: this.composite,
      entries: new EntrySet(),
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${number}`,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onFatal: () => undefined,
    });
    scope.defer(() => this.cluster.stop());
  }

  static async start(scope: Scope, url: string, number: number): Promise<Node> {
    const node = new Node(scope, url, number);
    node.boot = (await node.cluster.start()).boot;
    return node;
  }

  register(key: string): void {
    this.composite.put(this.number, {
      key,
      kind: 'station',
      device: `SEP-${key}`,
      lines: [key],
      instance: `<urn:uuid:00000000-0000-4000-8000-${key.padStart(12, '0')}>`,
      pid: `${this.number}.dp.1`,
      boot: this.boot,
      contact: `sip:${key}@127.0.0.1:5062;transport=tcp`,
      address: 'tcp:127.0.0.1:5062',
      stamp: this.hybridClock.next(),
      expiresAt: Date.now() + 120_000,
    });
  }
}

describe('two nodes on a real Redis', () => {
  let scope: Scope;
  let redis: RedisServer;
  let one: Node;
  let two: Node;

  beforeEach(async () => {
    scope = new Scope();
    redis = await RedisServer.start(scope);
    [one, two] = await Promise.all([Node.start(scope, redis.url, 1), Node.start(scope, redis.url, 2)]);
    await eventuallyTrue('both know each other', () => one.cluster.peer(2)?.live === true && two.cluster.converged);
  });
  afterEach(() => scope.close());

  it('claim R5 and R6: registrations and deletions are told', async () => {
    const began = process.hrtime.bigint();
    one.register('1000');
    await eventuallyTrue('node 2 has it', () => two.composite.count(1) === 1, { every: 1 });
    process.stdout.write(`told after ${(Number(process.hrtime.bigint() - began) / 1e6).toFixed(1)} ms\n`);
    one.composite.delete(1, '1000', 'unregistered');
    await eventuallyTrue('node 2 has deleted it', () => two.composite.count(1) === 0);
  });

  it('claim R8: a newcomer pulls 5 000 entries through Redis', async () => {
    for (let index = 0; index < 5_000; index++) one.register(String(index));
    const three = await Node.start(scope, redis.url, 3);
    const began = Date.now();
    await eventuallyTrue('node 3 has all', () => three.composite.count(1) === 5_000 && three.cluster.converged);
    process.stdout.write(`5000 entries pulled in ${Date.now() - began} ms after the start\n`);
    await eventuallyTrue('node 2 has all', () => two.composite.count(1) === 5_000 && two.cluster.converged);
  });

  it('claim R9: a node that vanishes without goodbye is purged after three polls', async () => {
    one.register('1000');
    await eventuallyTrue('node 2 has it', () => two.composite.count(1) === 1);
    await one.bus.stop(0);
    const began = Date.now();
    await eventuallyTrue('node 2 has purged', () => two.composite.count(1) === 0);
    process.stdout.write(`purged ${Date.now() - began} ms after the loss\n`);
    expect(two.cluster.peer(1)?.live).toBe(false);
  });

  it.each(['hangs', 'is gone'])(
    'a Redis that %s is not a dead peer; when it is back what was missed is caught up',
    async (how) => {
      one.register('1000');
      await eventuallyTrue('node 2 has it', () => two.composite.count(1) === 1);
      if (how === 'hangs') redis.freeze();
      else await redis.stop();
      await eventuallyTrue('both see that the bus is lost', () => !one.cluster.busAlive && !two.cluster.busAlive);
      one.register('1001');
      expect(two.composite.count(1)).toBe(1);
      expect(two.cluster.peer(1)).toMatchObject({ live: true, stale: true });
      if (how === 'hangs') redis.thaw();
      else await redis.start();
      await eventuallyTrue('node 2 has caught up', () => two.composite.count(1) === 2 && two.cluster.converged);
      expect(two.cluster.peer(1)).toMatchObject({ live: true, stale: false, boot: one.boot });
    },
  );

  it('a third process with the number of one of them is refused', async () => {
    const twin = new Node(scope, redis.url, 1);
    await expect(twin.cluster.start()).rejects.toThrow(NodeNumberTakenError);
    expect(one.cluster.busAlive).toBe(true);
  });

  it('claim M11: a request reaches a process of the other node', async () => {
    one.cluster.messenger.onRequest(async (pid, boot, body) => ({ pid, boot, body }));
    const target = { pid: '1.mp.1', boot: one.boot };
    await expect(two.cluster.messenger.request(target, 'ping', 5_000)).resolves.toEqual({ ...target, body: 'ping' });
  });
});
