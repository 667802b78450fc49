import { createClient } from 'redis';
import { watchReplication } from '../../../src/call-manager/measurements';
import { Cluster } from '../../../src/cluster/cluster';
import { RedisBus } from '../../../src/cluster/redis/redis-bus';
import { systemClock } from '../../../src/process/clock';
import { HybridClock } from '../../../src/process/hlc';
import { CompositeSet } from '../../../src/registration/composite-set';
import { EntrySet } from '../../../src/registration/entry-set';
import { createMetrics } from '../../../src/telemetry/metrics';
import { eventuallyTrue } from '../../support/eventually';
import { RedisServer } from '../../support/redis';
import { Scope } from '../../support/scope';

jest.setTimeout(60_000);

describe('a foreign publisher on the Redis of a running cluster', () => {
  const scope = new Scope();
  afterAll(() => scope.close());

  async function node(number: number, url: string) {
    const hybridClock = new HybridClock(number, () => Date.now());
    const composite = new CompositeSet();
    const metrics = createMetrics({ process: false });
    const warnings: string[] = [];
    const cluster = new Cluster({
      node: number,
      clusterName: 'acme',
      secret: 'secret',
      bus: new RedisBus({ url }),
      others: [3 - number],
      clock: systemClock,
      hybridClock,
      composite,
      entries: new EntrySet(),
      longestLifeMs: 3_600_000,
      sipAddress: `127.0.0.1:506${number}`,
      metrics,
      log: {
        info: () => undefined,
        warn: (_message, fields) => warnings.push(JSON.stringify(fields)),
        error: () => undefined,
      },
      onFatal: (message) => warnings.push(`fatal ${message}`),
    });
    metrics.onCollect(() => watchReplication(metrics, cluster, [3 - number]));
    scope.defer(() => cluster.stop());
    const { boot } = await cluster.start();
    const register = (key: string) =>
      composite.put(number, {
        key,
        kind: 'station',
        device: `SEP-${key}`,
        lines: [key],
        instance: key,
        pid: `${number}.dp.1`,
        boot,
        contact: `sip:${key}@127.0.0.1:5062`,
        address: 'udp:127.0.0.1:5062',
        stamp: hybridClock.next(),
        expiresAt: Date.now() + 120_000,
      });
    return { cluster, composite, metrics, warnings, register };
  }

  it('what is forged, garbled or recorded is counted by kind and dropped; tables stay as they are, the log stays short', async () => {
    const { url } = await RedisServer.start(scope);
    const client = () => createClient({ url }).on('error', () => undefined);
    const [enemy, ear] = await Promise.all([client().connect(), client().connect()]);
    scope.defer(() => {
      enemy.destroy();
      ear.destroy();
    });
    const recorded: [string, string][] = [];
    await ear.pSubscribe('tandem:acme:*', (payload, channel) => void recorded.push([channel, payload]));
    const [one, two] = await Promise.all([node(1, url), node(2, url)]);
    one.register('1000');
    one.register('1001');
    await eventuallyTrue('node 2 has both', () => two.composite.count(1) === 2 && two.cluster.converged);
    one.composite.delete(1, '1001', 'unregistered');
    await eventuallyTrue('node 2 has one', () => two.composite.count(1) === 1 && two.cluster.converged);
    const tape = [...recorded];
    expect(tape.length).toBeGreaterThan(5);

    const channels = ['tandem:acme:poll', 'tandem:acme:cluster', 'tandem:acme:node:2'];
    const [, sample = ''] = tape.find(([channel]) => channel === 'tandem:acme:poll') ?? [];
    const forged = [
      sample.replace(/"node":\d+/, '"node":7'),
      sample.slice(0, -10),
      sample.replace(/ \S+ /, ' AAAA '),
      `${sample} `,
    ];
    const version = ['', 'garbage', '\u0000\u0001', '{"type":"goodbye"}', sample.replace(/^\S+/, 'tandem0')];
    const tooLarge = [`${sample}${'x'.repeat(70_000)}`];
    for (const channel of channels)
      for (const payload of [...forged, ...version, ...tooLarge]) await enemy.publish(channel, payload);
    // Signed for another channel: forged here.
    await enemy.publish('tandem:acme:node:2', sample);
    const refused = () => two.cluster.counters.refused;
    await eventuallyTrue('all are counted', () => refused().forged >= 13 && refused()['too-large'] >= 3);
    expect(refused()).toMatchObject({ forged: 13, version: 15, 'too-large': 3 });
    const text = await two.metrics.text();
    for (const kind of ['forged', 'version', 'too-large']) expect(text).toContain(`result="${kind}"`);
    expect(text).toMatch(/tandem_converged[^\n]* 1\n/);
    expect(text).toMatch(/tandem_replication_digest_equal\{peer="1"[^\n]* 1\n/);
    expect(text).toMatch(/tandem_replication_entries\{peer="1"[^\n]* 1\n/);
    expect(two.warnings.filter((line) => line.includes('refusal')).length).toBeLessThanOrEqual(4);

    for (let round = 0; round < 3; round++)
      for (const [channel, payload] of tape) await enemy.publish(channel, payload);
    one.register('1002');
    await eventuallyTrue('node 2 has the new one', () => two.composite.count(1) === 2 && two.cluster.converged);
    expect(Array.from(two.composite.of(1), ({ key }) => key).sort()).toEqual(['1000', '1002']);
    expect([one, two].map(({ cluster }) => cluster.peers().every(({ live }) => live))).toEqual([true, true]);
    expect([...one.warnings, ...two.warnings].filter((line) => line.startsWith('fatal'))).toEqual([]);
  });
});
