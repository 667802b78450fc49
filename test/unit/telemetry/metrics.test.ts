import { createMetrics, METRICS, silentMetrics } from '../../../src/telemetry/metrics';

describe('the metrics', () => {
  it('are counted, set and observed by name and label', async () => {
    const metrics = createMetrics({ process: false });
    metrics.count('tandem_register_total', { result: 'ok' });
    metrics.count('tandem_register_total', { result: 'ok' });
    metrics.add('tandem_replication_purged_total', 7);
    metrics.set('tandem_calls', 3);
    metrics.observe('tandem_invite_seconds', 0.2, { result: 'answered' });
    metrics.count('tandem_media_allocations_total', { type: 'moh', outcome: 'granted', reason: 'none' });
    const text = await metrics.text();
    expect(text).toContain('tandem_register_total{result="ok"} 2');
    expect(text).toContain('tandem_replication_purged_total 7');
    expect(text).toContain('tandem_calls 3');
    expect(text).toContain('tandem_invite_seconds_count{result="answered"} 1');
    expect(text).toContain('tandem_media_allocations_total{type="moh",outcome="granted",reason="none"} 1');
  });

  it('all have help, a type and a name of the right form', async () => {
    const text = await createMetrics({ process: false }).text();
    for (const [name, { type, help }] of Object.entries(METRICS)) {
      expect(name).toMatch(/^tandem_[a-z_]+$/);
      expect(name.endsWith('_total')).toBe(type === 'counter');
      expect(text).toContain(`# HELP ${name} ${help}`);
      expect(text).toContain(`# TYPE ${name} ${type}`);
    }
  });

  it('are of one registry each, carry the node, and have those of the process', async () => {
    const first = createMetrics({ node: 1 });
    const second = createMetrics({ node: 2, process: false });
    first.set('tandem_calls', 5);
    expect(await first.text()).toContain('tandem_calls{node="1"} 5');
    expect(await first.text()).toContain('process_cpu_seconds_total');
    expect(await second.text()).not.toContain('tandem_calls{node="2"} 5');
  });

  it('read gauges when they are asked for', async () => {
    const metrics = createMetrics({ process: false });
    let peers = 1;
    metrics.onCollect(() => metrics.set('tandem_cluster_peers', peers, { state: 'on-line' }));
    peers = 4;
    expect(await metrics.text()).toContain('tandem_cluster_peers{state="on-line"} 4');
  });

  it('ignore what is not a number', () => {
    const metrics = createMetrics({ process: false });
    metrics.set('tandem_calls', Number.NaN);
    metrics.add('tandem_replication_purged_total', -1);
    metrics.observe('tandem_media_allocation_seconds', Number.POSITIVE_INFINITY, { type: 'moh' });
  });

  it('are checked by the compiler', () => {
    const neverCalled = (): void => {
      // @ts-expect-error no such metric
      silentMetrics.count('tandem_nothing_total');
      // @ts-expect-error a gauge is not counted
      silentMetrics.count('tandem_calls');
      // @ts-expect-error its label is missing
      silentMetrics.count('tandem_register_total');
      // @ts-expect-error no such label
      silentMetrics.count('tandem_register_total', { result: 'ok', device: 'x' });
    };
    expect(neverCalled).toBeDefined();
  });
});
