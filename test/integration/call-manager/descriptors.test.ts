import { spawn } from 'node:child_process';
import { Problems } from '../../../src/call-manager/problems';
import { Watch } from '../../../src/call-manager/watch';
import { SimulatedClock } from '../../../src/process/clock';
import { silentLogger } from '../../../src/telemetry/logger';
import { silentMetrics } from '../../../src/telemetry/metrics';
import { eventually } from '../../support/eventually';

/** Opens what it is told to open, and says so. */
const program = `
  const fs = require('node:fs');
  const files = [];
  process.stdin.on('data', (text) => {
    const wanted = Number(text);
    while (files.length < wanted) files.push(fs.openSync('/dev/null'));
    while (files.length > wanted) fs.closeSync(files.pop());
    console.log(fs.readdirSync('/proc/self/fd').length);
  });`;

test('a process that uses up its descriptors is told of, and no longer when it has some again or more are allowed', async () => {
  const child = spawn('sh', ['-c', 'ulimit -n 100; exec "$0" -e "$1"', process.execPath, program]);
  const clock = new SimulatedClock();
  const problems = new Problems({ clock, log: silentLogger, metrics: silentMetrics });
  const watch = new Watch({ clock, problems, mendGivenNumbers: () => undefined, sipServer: () => child.pid });
  const texts = (): string => JSON.stringify(problems.texts());
  /** How many descriptors it uses then. */
  const hold = async (files: number): Promise<number> => {
    const said = new Promise((resolve) => child.stdout.once('data', resolve));
    child.stdin.write(String(files));
    return Number(await said);
  };
  /** What is said of it after the next look. */
  const look = (pattern: RegExp): Promise<string> =>
    eventually(
      `looks until ${String(pattern)}`,
      () => {
        clock.advance(5_000);
        return Promise.resolve(texts());
      },
      (text) => pattern.test(text),
    );
  /** The runtime itself raises what it may use to what it may have. */
  const allow = async (limit: number): Promise<void> => {
    const tool = spawn('prlimit', ['--pid', String(child.pid), `--nofile=${limit}:100`]);
    await new Promise((resolve) => tool.once('exit', resolve));
  };
  try {
    watch.start();
    const base = await hold(1);
    await allow(80);
    await look(/^\[\]$/);
    expect(watch.notReady()).toEqual([]);
    await hold(76 - base);
    await look(/the SIP server uses 7\d of 80 descriptors/);
    expect(watch.notReady()).toEqual([]);
    await hold(1);
    await look(/^\[\]$/);
    await hold(76 - base);
    await look(/the SIP server uses/);
    await allow(100);
    await look(/^\[\]$/);
  } finally {
    watch.stop();
    child.kill('SIGKILL');
  }
});
