import { EngineSupervisor, PING_MS } from '../../../src/media-resource/engine-supervisor';
import { SimulatedClock } from '../../../src/process/clock';
import { silentLogger } from '../../../src/telemetry/logger';
import { FakeEngine } from './fake-engine';

/** What is said of an engine in the log; it has no resources, which changes nothing about that. */
function watched(down: boolean) {
  const engine = new FakeEngine();
  engine.down = down;
  const clock = new SimulatedClock();
  const said: string[] = [];
  const log = {
    ...silentLogger,
    info: (_fields: unknown, message: string): unknown => said.push(message),
    warn: (_fields: unknown, message: string): unknown => said.push(message),
  } as unknown as typeof silentLogger;
  const supervisor = new EngineSupervisor({
    engine,
    processes: [],
    clock,
    log,
    isOurs: () => false,
    onHealth: () => undefined,
  });
  const pass = async (pings: number): Promise<void> => {
    for (let ping = 0; ping < pings; ping++) {
      clock.advance(PING_MS);
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    }
  };
  supervisor.start();
  return { engine, said, pass };
}

describe('what is said of an engine', () => {
  it('that is not there at the start: one line with what to do, and one when it comes', async () => {
    const { engine, said, pass } = watched(true);
    await pass(30);
    expect(said).toEqual([expect.stringMatching(/has not answered since the start: is it running/)]);
    engine.down = false;
    await pass(3);
    expect(said.slice(1)).toEqual(['media engine is up']);
  });

  it('that goes and comes back: a line for each change, whatever happens between', async () => {
    const { engine, said, pass } = watched(false);
    await pass(5);
    for (let round = 0; round < 2; round++) {
      engine.down = true;
      await pass(20);
      engine.down = false;
      await pass(20);
    }
    const gone = expect.stringMatching(/does not answer any more/) as string;
    expect(said).toEqual(['media engine is up', gone, 'media engine is up', gone, 'media engine is up']);
  });
});
