import { Cluster, NodeNumberTakenError } from '../../../src/cluster/cluster';
import { MemoryBus, MemoryExchange } from '../../../src/cluster/memory/memory-bus';
import type { ClusterLog } from '../../../src/cluster/options';
import { SimulatedClock } from '../../../src/process/clock';
import { HybridClock } from '../../../src/process/hlc';
import { CompositeSet } from '../../../src/registration/composite-set';
import { EntrySet } from '../../../src/registration/entry-set';
import type { RegistrationRecord } from '../../../src/registration/record';

const quiet: ClusterLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** Nodes of one process on one exchange and one simulated clock. */
class Site {
  readonly clock = new SimulatedClock();
  readonly exchange = new MemoryExchange();
  private readonly started: Cluster[] = [];

  make(node: number, options: { secret?: string; bus?: MemoryBus; onFatal?: (message: string) => void } = {}): Member {
    const composite = new CompositeSet();
    const hybridClock = new HybridClock(node, () => this.clock.now());
    const member: Member = { composite, hybridClock, changes: 0, cluster: undefined as unknown as Cluster };
    member.cluster = new Cluster({
      node,
      clusterName: 'acme',
      secret: options.secret ?? 'secret',
      bus: options.bus ?? new MemoryBus(this.exchange),
      clock: this.clock,
      hybridClock,
      composite,
      entries: new EntrySet(),
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${node}`,
      log: quiet,
      onPeersChanged: () => (member.changes += 1),
      onFatal: options.onFatal ?? (() => undefined),
    });
    this.started.push(member.cluster);
    return member;
  }

  async start(member: Member): Promise<number> {
    const started = member.cluster.start();
    started.catch(() => undefined);
    await this.run(700);
    return (await started).boot;
  }

  /** Lets time and the messages pass. */
  async run(ms: number): Promise<void> {
    for (let done = 0; done < ms; done += 5) {
      this.clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    for (const cluster of this.started) await cluster.stop();
    expect(this.clock.pending).toBe(0);
  }
}

interface Member {
  cluster: Cluster;
  readonly composite: CompositeSet;
  readonly hybridClock: HybridClock;
  changes: number;
}

function record(node: number, boot: number, key: string, member: Member): RegistrationRecord {
  return {
    key,
    kind: 'station',
    device: `SEP-${key}`,
    lines: [key],
    instance: key,
    pid: `${node}.dp.1`,
    boot,
    contact: `sip:${key}@127.0.0.1:5062`,
    address: 'udp:127.0.0.1:5062',
    stamp: member.hybridClock.next(),
    expiresAt: 0,
  };
}

describe('a node in the cluster', () => {
  let site: Site;
  beforeEach(() => (site = new Site()));
  afterEach(() => site.close());

  it('claim R5 and R6: what is put and deleted in one composite set appears and vanishes in the other', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    const boot = await site.start(one);
    await site.start(two);
    const entry = record(1, boot, '1000', one);
    one.composite.put(1, entry);
    await site.run(20);
    expect(two.composite.get(1, '1000')).toEqual(entry);
    one.composite.delete(1, '1000', 'unregistered');
    await site.run(20);
    expect(two.composite.count(1)).toBe(0);
  });

  it('the node directory says where a peer is and how far we follow it', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    const boot = await site.start(one);
    one.composite.put(1, record(1, boot, '1000', one));
    await site.start(two);
    await site.run(1_100);
    expect(two.cluster.peers()).toEqual([
      {
        node: 1,
        boot,
        live: true,
        stale: false,
        address: '127.0.0.1:5061',
        sequence: 1,
        ourSequence: 1,
        entries: 1,
        digestEqual: true,
        lagMs: 0,
        heardAt: expect.any(Number) as number,
      },
    ]);
    expect(two.cluster.peer(1)?.boot).toBe(boot);
    expect(two.cluster.peer(9)).toBeUndefined();
    expect(two.cluster.busAlive).toBe(true);
    expect(two.cluster.converged).toBe(true);
    expect(one.changes).toBeGreaterThan(0);
  });

  it('claim R9: a goodbye purges at once, and fails what waits for that node', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    const boot = await site.start(one);
    await site.start(two);
    one.composite.put(1, record(1, boot, '1000', one));
    one.cluster.messenger.onRequest(() => new Promise(() => undefined));
    await site.run(20);
    const answer = two.cluster.messenger.request({ pid: '1.mp.1', boot }, null, 60_000);
    await one.cluster.stop();
    await site.run(20);
    expect(two.composite.count(1)).toBe(0);
    expect(two.cluster.peer(1)?.live).toBe(false);
    await expect(answer).resolves.toBeUndefined();
  });

  it('claim R12: the same device registered elsewhere deletes the older entry, reason `moved`', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    const boots = [await site.start(one), await site.start(two)];
    const reasons: string[] = [];
    one.composite.onChange((change) => change.type === 'delete' && reasons.push(change.reason));
    one.composite.put(1, record(1, boots[0]!, '1000', one));
    await site.run(20);
    two.composite.put(2, record(2, boots[1]!, '1000', two));
    await site.run(20);
    expect(reasons).toEqual(['moved']);
    expect(one.composite.count(1)).toBe(0);
    expect(two.composite.count(1)).toBe(0);
    expect(one.composite.count(2)).toBe(1);
  });

  it('messages reach processes on other nodes', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    const boot = await site.start(one);
    await site.start(two);
    one.cluster.messenger.onRequest(async (pid, target, body) => ({ pid, target, body }));
    const answer = two.cluster.messenger.request({ pid: '1.mp.1', boot }, { op: 'renew' }, 1_000);
    await site.run(20);
    await expect(answer).resolves.toEqual({ pid: '1.mp.1', target: boot, body: { op: 'renew' } });
  });

  it('refuses to start when its number is in use', async () => {
    const [one, twin] = [site.make(1), site.make(1)];
    await site.start(one);
    await expect(site.start(twin)).rejects.toThrow(NodeNumberTakenError);
    await site.run(200);
    expect(one.cluster.busAlive).toBe(true);
  });

  it('hears nothing from somebody without the secret, and counts it', async () => {
    const [one, stranger] = [site.make(1), site.make(2, { secret: 'guess' })];
    await site.start(one);
    await site.start(stranger);
    expect(one.cluster.peers()).toEqual([]);
    expect(one.cluster.counters.refused.forged).toBeGreaterThan(0);
  });

  it('a listener that fails does not stop the cluster', async () => {
    const [one, two] = [site.make(1), site.make(2)];
    two.composite.onChange(() => {
      throw new Error('broken listener');
    });
    const boot = await site.start(one);
    await site.start(two);
    for (const key of ['1000', '1001']) one.composite.put(1, record(1, boot, key, one));
    await site.run(20);
    expect(two.composite.count(1)).toBe(2);
    expect(two.cluster.peer(1)?.ourSequence).toBe(2);
  });

  it('garbage on its channels does nothing but count', async () => {
    const one = site.make(1);
    await site.start(one);
    for (const payload of ['', 'x', 'tandem1', 'tandem1 a {}', '{"type":"poll"}'])
      site.exchange.publish('tandem:acme:cluster', payload);
    await site.run(20);
    const { refused } = one.cluster.counters;
    expect(refused.version + refused.malformed + refused.forged).toBe(5);
  });

  it('a single node without Redis runs on a bus of its own', async () => {
    const one = site.make(1, { bus: new MemoryBus() });
    const boot = await site.start(one);
    await site.run(5_000);
    expect(one.cluster.busAlive).toBe(true);
    expect(one.cluster.converged).toBe(true);
    one.composite.put(1, record(1, boot, '1000', one));
    await site.run(50);
    expect(one.composite.count(1)).toBe(1);
  });
});
