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

export interface Traffic {
  readonly published: number;
  readonly received: number;
  /** What a bus that copies each message to each subscriber has to send. */
  readonly bytes: number;
}

/** Counts what passes through a node's bus, but for polls: those cost the same whatever happens. */
export class CountedBus extends MemoryBus implements Bus {
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

export interface Member {
  readonly node: number;
  readonly bus: CountedBus;
  readonly composite: CompositeSet;
  readonly entries: EntrySet;
  readonly stamps: HybridClock;
  readonly cluster: Cluster;
  boot: number;
}

/** Nodes of one process that share a bus in memory and a simulated clock. */
export class Members {
  readonly clock = new SimulatedClock();
  readonly all: Member[] = [];
  pulls = 0;
  private readonly exchange = new MemoryExchange();

  /** A node that knows nothing, or what stands in `entries`; with `start` it comes on-line. */
  add(node: number, entries = new EntrySet()): Member {
    const { clock } = this;
    const bus = new CountedBus(this.exchange);
    const [composite, stamps] = [new CompositeSet(), new HybridClock(node, () => clock.now())];
    const cluster = new Cluster({
      ...{
        node,
        clusterName: 'acme',
        secret: 'secret',
        bus,
        clock,
        hybridClock: stamps,
        composite,
        entries,
        log: quiet,
      },
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${node}`,
      metrics: {
        ...silentMetrics,
        count: (...[name]) => void (this.pulls += Number(name === 'tandem_replication_pulls_total')),
      },
      onFatal: (message) => {
        throw new Error(message);
      },
    });
    const member = { node, bus, composite, entries, stamps, cluster, boot: 0 };
    this.all.push(member);
    return member;
  }

  /** They come on-line, and know each other. */
  async start(...members: Member[]): Promise<void> {
    const starting = members.map(async (member) => (member.boot = (await member.cluster.start()).boot));
    await this.run(3_000);
    await Promise.all(starting);
  }

  async run(ms: number): Promise<void> {
    for (let done = 0; done < ms; done += 5) {
      this.clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Of all of them together. */
  get traffic(): Traffic {
    return this.all.reduce(
      (sum, { bus }) => ({
        published: sum.published + bus.published,
        received: sum.received + bus.received,
        bytes: sum.bytes + bus.bytes,
      }),
      { published: 0, received: 0, bytes: 0 },
    );
  }

  async stop(): Promise<void> {
    for (const { cluster } of this.all) await cluster.stop();
  }
}

/** A phone of this number registers with the node. */
export function register({ node, composite, stamps, boot }: Member, dn: string): void {
  composite.put(node, {
    ...{ key: `SEP|${dn}`, kind: 'station', device: `SEP-${dn}`, lines: [dn], instance: dn },
    ...{ pid: `${node}.dp.${Number(dn)}`, boot, contact: `sip:${dn}@127.0.0.1:5062`, address: 'udp:127.0.0.1:5062' },
    ...{ stamp: stamps.next(), expiresAt: 0 },
  });
}
