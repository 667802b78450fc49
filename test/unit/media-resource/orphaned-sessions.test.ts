import type { MediaResourceConfig } from '../../../src/config/types';
import { GIVE_UP_MS, OrphanedSessions } from '../../../src/media-resource/orphaned-sessions';
import { SimulatedClock } from '../../../src/process/clock';
import { silentLogger } from '../../../src/telemetry/logger';
import { FakeEngine } from './fake-engine';

const control = { protocol: 'udp', address: '127.0.0.1', port: 22222 } as const;
const bridge: MediaResourceConfig = {
  name: 'bridge',
  type: 'conference',
  engine: 'freeswitch',
  control,
  node: 2,
  site: undefined,
  capacity: 10,
};

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('sessions of a node that is lost', () => {
  let clock: SimulatedClock;
  let engines: FakeEngine[];
  let orphans: OrphanedSessions;
  let prepare: (engine: FakeEngine) => void;

  beforeEach(() => {
    clock = new SimulatedClock();
    engines = [];
    prepare = () => undefined;
    orphans = new OrphanedSessions({
      clusterName: 'acme',
      mediaResources: [bridge, { ...bridge, name: 'afar', control: { ...control, address: '127.0.0.2' } }],
      createEngine: ({ name }) => {
        if (name === 'afar') return undefined;
        const engine = new FakeEngine();
        prepare(engine);
        engines.push(engine);
        return engine;
      },
      clock,
      log: silentLogger,
    });
  });

  test('are ended over one connection to their engine, which is closed with the last', async () => {
    orphans.end('bridge', 'acme-2-7-1');
    orphans.end('bridge', 'acme-2-7-2');
    orphans.end('bridge', 'acme-2-7-2');
    await settled();
    expect(engines).toHaveLength(1);
    expect(engines[0]).toMatchObject({ log: ['release acme-2-7-1', 'release acme-2-7-2'], closed: true });
    expect(clock.pending).toBe(0);
    orphans.end('bridge', 'acme-2-7-3');
    await settled();
    expect(engines[1]).toMatchObject({ log: ['release acme-2-7-3'], closed: true });
  });

  test.each(['acme-1-7-1', 'acme-22-7-1', 'other-2-7-1'])('one of somebody else is left alone: %s', async (session) => {
    orphans.end('bridge', session);
    orphans.end('nobody', 'acme-2-7-1');
    orphans.end('afar', 'acme-2-7-1');
    await settled();
    expect(engines).toEqual([]);
  });

  test('are tried again while the engine does not answer', async () => {
    prepare = (engine) => (engine.down = true);
    orphans.end('bridge', 'acme-2-7-1');
    await settled();
    clock.advance(1000);
    await settled();
    const [engine] = engines;
    expect(engine).toMatchObject({ log: ['release acme-2-7-1', 'release acme-2-7-1'], closed: false });
    engine!.down = false;
    clock.advance(1000);
    await settled();
    expect(engine).toMatchObject({ closed: true });
    expect(engine!.log).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  test('are given up in the end', async () => {
    prepare = (engine) => (engine.down = true);
    orphans.end('bridge', 'acme-2-7-1');
    await settled();
    for (let ms = 0; ms <= GIVE_UP_MS; ms += 1000) {
      clock.advance(1000);
      await settled();
    }
    expect(engines[0]?.closed).toBe(true);
    expect(engines[0]?.log).toHaveLength(1 + GIVE_UP_MS / 1000);
    expect(clock.pending).toBe(0);
  });

  test('are left when this node stops', async () => {
    prepare = (engine) => (engine.down = true);
    orphans.end('bridge', 'acme-2-7-1');
    await settled();
    orphans.stop();
    await settled();
    expect(engines[0]).toMatchObject({ log: ['release acme-2-7-1'], closed: true });
    expect(clock.pending).toBe(0);
    orphans.end('bridge', 'acme-2-7-2');
    expect(engines).toHaveLength(1);
  });
});
