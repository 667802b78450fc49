import { Cluster } from '../../src/cluster/cluster';
import { RedisBus } from '../../src/cluster/redis/redis-bus';
import type { MediaResourceConfig } from '../../src/config/types';
import { createMediaResourceManager } from '../../src/media-resource/manager';
import type { MediaResourceManager } from '../../src/media-resource/ports';
import { createResourceProcesses, type ResourceProcesses } from '../../src/media-resource/resource-processes';
import type { WalkConfig } from '../../src/media-resource/walk';
import { systemClock } from '../../src/process/clock';
import { HybridClock } from '../../src/process/hlc';
import { PidAllocator } from '../../src/process/pid';
import { CompositeSet } from '../../src/registration/composite-set';
import { EntrySet } from '../../src/registration/entry-set';
import { DeviceManager } from '../../src/registration/device-manager';
import { silentLogger } from '../../src/telemetry/logger';
import { silentMetrics } from '../../src/telemetry/metrics';
import { eventuallyTrue } from '../support/eventually';
import { RedisServer } from '../support/redis';
import { Scope } from '../support/scope';
import { FakeEngine } from '../unit/media-resource/fake-engine';
import { report } from './result';

type Unavailable = 'full' | 'not registered' | 'silent';

/** A node with its part in the cluster and its media resources; their engine is none, since `allocate` asks none. */
class BenchNode {
  readonly composite = new CompositeSet();
  readonly cluster: Cluster;
  readonly manager: MediaResourceManager;

  private constructor(
    readonly number: number,
    readonly boot: number,
    parts: { readonly cluster: Cluster; readonly composite: CompositeSet; readonly config: WalkConfig },
  ) {
    this.cluster = parts.cluster;
    this.composite = parts.composite;
    const devices = new DeviceManager(this.composite);
    this.manager = createMediaResourceManager({
      config: parts.config,
      directory: {
        find: (device) => devices.newest(device),
        onGone: (listener) => devices.onGone(listener),
        isLive: () => true,
      },
      messenger: this.cluster.messenger,
      clock: systemClock,
      log: silentLogger,
      metrics: silentMetrics,
      clusterName: 'bench',
      nodeId: number,
      boot,
      endOrphan: () => undefined,
    });
  }

  static async start(scope: Scope, redis: string, number: number, config: WalkConfig): Promise<BenchNode> {
    const composite = new CompositeSet();
    const hybridClock = new HybridClock(number, () => Date.now());
    const cluster = new Cluster({
      node: number,
      clusterName: 'bench',
      secret: 'secret',
      bus: new RedisBus({ url: redis }),
      clock: systemClock,
      hybridClock,
      composite,
      entries: new EntrySet(),
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${number}`,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      onFatal: () => undefined,
    });
    scope.defer(() => cluster.stop());
    const { boot } = await cluster.start();
    const node = new BenchNode(number, boot, { cluster, composite, config });
    const processes = node.serve(config.mediaResources, hybridClock);
    scope.defer(() => processes.stop());
    return node;
  }

  private serve(mediaResources: readonly MediaResourceConfig[], stamps: HybridClock): ResourceProcesses {
    const { number, boot, composite, cluster } = this;
    const processes = createResourceProcesses({
      clusterName: 'bench',
      nodeId: number,
      boot,
      mediaResources: mediaResources.filter(({ name }) => !name.startsWith('not registered')),
      pids: new PidAllocator(number),
      clock: systemClock,
      log: silentLogger,
      metrics: silentMetrics,
      music: { choose: () => Promise.resolve('/music.mp3') },
      createEngine: () => new FakeEngine(),
      onHealth: ({ resource, pid }) =>
        composite.put(number, {
          key: `media-resource:${resource.name}`,
          kind: 'media-resource',
          device: resource.name,
          lines: [],
          instance: resource.name,
          pid,
          boot,
          contact: 'udp:127.0.0.1:22222',
          address: 'udp:127.0.0.1:22222',
          stamp: stamps.next(),
          expiresAt: 0,
        }),
    });
    // Node 3 hears, and says nothing.
    cluster.messenger.onRequest((pid, target, body) =>
      number === 3 ? new Promise(() => undefined) : processes.handle({ pid, boot: target }, body),
    );
    return processes;
  }
}

function resource(name: string, node: number, capacity: number): MediaResourceConfig {
  const control = { protocol: 'udp', address: '127.0.0.1', port: 22222 } as const;
  return { name, type: 'moh', engine: 'rtpengine', control, node, site: undefined, capacity };
}

/** A list of so many devices that cannot serve, and one at its end, on another node, that can. */
function configOf(kind: Unavailable, count: number): WalkConfig {
  const names = Array.from({ length: count }, (_, index) => `${kind} ${index + 1}`);
  const unavailable = names.map((name) => resource(name, kind === 'silent' ? 3 : 2, 0));
  return {
    mediaResources: [...unavailable, resource('able', 2, 1_000_000)],
    mediaResourceGroups: [],
    mediaResourceGroupLists: [],
    sites: {},
    devices: [],
    gateways: [],
  };
}

function quantile(sorted: readonly number[], part: number): number {
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 100) / 100;
}

async function measure(redis: string, kind: Unavailable, count: number, runs: number): Promise<void> {
  const scope = new Scope();
  try {
    const config = configOf(kind, count);
    const asker = await BenchNode.start(scope, redis, 1, config);
    await BenchNode.start(scope, redis, 2, config);
    if (kind === 'silent') await BenchNode.start(scope, redis, 3, config);
    const expected = kind === 'not registered' ? 1 : count + 1;
    await eventuallyTrue(
      'the asking node knows them all',
      () => asker.composite.countAll('media-resource') === expected,
    );
    const times: number[] = [];
    let asked = 0;
    for (let run = 0; run < runs; run++) {
      const started = performance.now();
      const need = { type: 'moh', device: 'nobody', site: undefined } as const;
      const { allocation, explanation } = await asker.manager.allocate(need, 'bench');
      times.push(performance.now() - started);
      if (allocation?.device !== 'able') throw new Error(`not granted: ${JSON.stringify(explanation.trials.at(-1))}`);
      asked = explanation.trials.filter(({ outcome }) => outcome === 'unavailable' || outcome === 'silent').length;
      await allocation.release();
    }
    times.sort((a, b) => a - b);
    const about = { bench: 'allocate', unit: 'ms', unavailable: count, why: kind, asked, runs };
    report({ ...about, metric: 'allocation_p50', value: quantile(times, 0.5) });
    report({ ...about, metric: 'allocation_p99', value: quantile(times, 0.99) });
  } finally {
    await scope.close();
  }
}

/** From the need of a media resource to its grant, by another node, after so many devices that could not serve. */
export async function benchAllocate(): Promise<void> {
  const scope = new Scope();
  try {
    const redis = await RedisServer.start(scope);
    for (const kind of ['full', 'not registered', 'silent'] as const)
      for (const count of [1, 10, 100]) await measure(redis.url, kind, count, kind === 'silent' ? 5 : 200);
  } finally {
    await scope.close();
  }
}
