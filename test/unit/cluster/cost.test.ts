import type { Bus } from '../../../src/cluster/bus';
import { Cluster } from '../../../src/cluster/cluster';
import { MemoryBus, MemoryExchange } from '../../../src/cluster/memory/memory-bus';
import type { ClusterLog } from '../../../src/cluster/options';
import { SimulatedClock } from '../../../src/process/clock';
import { HybridClock } from '../../../src/process/hlc';
import { CompositeSet } from '../../../src/registration/composite-set';
import { EntrySet } from '../../../src/registration/entry-set';
import { silentMetrics } from '../../../src/telemetry/metrics';

const quiet: ClusterLog = { info: () => undefined, warn: () => undefined, error: () => undefined };
const REGISTRATIONS = 1_000;

interface Traffic {
  readonly published: number;
  readonly received: number;
  /** What a bus that copies each message to each subscriber has to send. */
  readonly bytes: number;
}

interface Cost extends Traffic {
  readonly pulls: number;
  /** Entries that each node has in the end, its own among them. */
  readonly known: readonly number[];
}

/** Counts what passes through a node's bus, but for polls: those cost the same without registrations. */
class CountedBus extends MemoryBus implements Bus {
  published = 0;
  received = 0;
  bytes = 0;

  override subscribe(channel: string, listener: (payload: string) => void): void {
    super.subscribe(channel, (payload) => {
      if (!channel.endsWith(':poll')) {
        this.received += 1;
        this.bytes += Buffer.byteLength(payload);
      }
      listener(payload);
    });
  }

  override publish(channel: string, payload: string): boolean {
    if (!channel.endsWith(':poll')) this.published += 1;
    return super.publish(channel, payload);
  }
}

interface Member {
  readonly node: number;
  readonly bus: CountedBus;
  readonly composite: CompositeSet;
  readonly stamps: HybridClock;
  readonly cluster: Cluster;
  boot: number;
}

/** Registrations at 100 a second, spread over so many nodes that know each other: what they cost all of them together. */
async function costOf(nodes: number): Promise<Cost> {
  const clock = new SimulatedClock();
  const exchange = new MemoryExchange();
  let pulls = 0;
  const members = Array.from({ length: nodes }, (_, index): Member => {
    const node = index + 1;
    const [bus, composite, stamps] = [
      new CountedBus(exchange),
      new CompositeSet(),
      new HybridClock(node, () => clock.now()),
    ];
    const cluster = new Cluster({
      ...{
        node,
        clusterName: 'acme',
        secret: 'secret',
        bus,
        clock,
        hybridClock: stamps,
        composite,
        entries: new EntrySet(),
        log: quiet,
      },
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${node}`,
      metrics: {
        ...silentMetrics,
        count: (...[name]) => void (pulls += Number(name === 'tandem_replication_pulls_total')),
      },
      onFatal: (message) => {
        throw new Error(message);
      },
    });
    return { node, bus, composite, stamps, cluster, boot: 0 };
  });
  const run = async (ms: number) => {
    for (let done = 0; done < ms; done += 5) {
      clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const starting = members.map(async (member) => (member.boot = (await member.cluster.start()).boot));
  await run(3_000);
  await Promise.all(starting);
  const total = (): Traffic =>
    members.reduce(
      (sum, { bus }) => ({
        published: sum.published + bus.published,
        received: sum.received + bus.received,
        bytes: sum.bytes + bus.bytes,
      }),
      { published: 0, received: 0, bytes: 0 },
    );
  const before = total();
  const pullsBefore = pulls;
  for (let index = 0; index < REGISTRATIONS; index++) {
    const member = members[index % nodes];
    if (member !== undefined) register(member, String(10_000 + index));
    await run(10);
  }
  await run(1_500);
  const after = total();
  const known = members.map(({ composite }) => [...composite.all()].length);
  for (const { cluster } of members) await cluster.stop();
  return {
    published: after.published - before.published,
    received: after.received - before.received,
    bytes: after.bytes - before.bytes,
    pulls: pulls - pullsBefore,
    known,
  };
}

function register({ node, composite, stamps, boot }: Member, dn: string): void {
  composite.put(node, {
    ...{
      key: `SEP|${dn}`,
      kind: 'station',
      device: `SEP-${dn}`,
      lines: [dn],
      instance: dn,
      pid: `${node}.dp.${Number(dn)}`,
    },
    ...{ boot, contact: `sip:${dn}@127.0.0.1:5062`, address: 'udp:127.0.0.1:5062' },
    ...{ stamp: stamps.next(), expiresAt: 0 },
  });
}

jest.setTimeout(120_000);

describe('claim R5, procedure A: what a registration costs the cluster', () => {
  test('is linear in the number of nodes and nothing else: one message, which each node hears once, and no pull', async () => {
    for (const nodes of [2, 4, 8]) {
      const cost = await costOf(nodes);
      expect(cost.known).toEqual(new Array(nodes).fill(REGISTRATIONS));
      expect(cost.pulls).toBe(0);
      expect(cost.published).toBe(REGISTRATIONS);
      expect(cost.received).toBe(REGISTRATIONS * nodes);
      const bytesOfEach = cost.bytes / REGISTRATIONS / nodes;
      expect(bytesOfEach).toBeGreaterThan(300);
      expect(bytesOfEach).toBeLessThan(450);
    }
    // On a machine that has other things to do it takes its time.
  }, 120_000);
});
