import type { TandemConfig } from '../config/types';
import { ExitCode } from '../process/exit';
import { outliveSignals, stayAlive } from '../process/signals';
import { createLogger, levelOf } from '../telemetry/logger';
import { createMetrics } from '../telemetry/metrics';
import { CallManagerNode } from './node';

/** For a stop that hangs, on a disk that does not answer for example; longer than any of its steps should take. */
const STOP_DEADLINE_MS = 20_000;

/**
 * Runs one node until it is told to stop. SIGTERM and SIGINT: drain, end what is left, stop; a second one stops at once.
 * Resolves when the node runs; rejects when it cannot. The process ends only by `process.exit`.
 */
export async function runNode(options: {
  readonly config: TandemConfig;
  readonly node: number;
  readonly entry: string;
}): Promise<void> {
  const { config, node: id, entry } = options;
  const log = createLogger({ name: `node-${id}`, level: levelOf(process.env) });
  const metrics = createMetrics({ node: id });
  const state = { running: false, stopping: false };

  const end = async (code: number, drain: boolean): Promise<void> => {
    if (state.stopping) return process.exit(code === ExitCode.stopped ? ExitCode.failed : code);
    state.stopping = true;
    if (drain) await node.drain();
    setTimeout(() => {
      log.error({}, `not stopped within ${STOP_DEADLINE_MS / 1000} s: ended`);
      process.exit(ExitCode.failed);
    }, STOP_DEADLINE_MS);
    await node.stop();
    process.exit(code);
  };
  const node = new CallManagerNode({
    config,
    node: id,
    entry,
    log,
    metrics,
    onFatal: (message) => {
      log.error({}, message);
      void end(ExitCode.failed, false);
    },
  });
  // The last line of defence: an error that no room has caught is a defect, but no reason to end everybody's calls.
  process.on('uncaughtException', (error) => {
    metrics.count('tandem_errors_total', { room: 'process' });
    log.error({ error }, 'an error that nobody has caught');
    // What was waited for may never come now.
    if (!state.running) void end(ExitCode.failed, false);
  });
  outliveSignals((signal) => log.warn({ signal }, 'signal ignored: SIGTERM stops this node'));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(ExitCode.stopped, true));
  stayAlive();
  try {
    await node.start();
    state.running = true;
  } catch (error) {
    // It was told to stop while it started: `end` has the code.
    if (state.stopping) return;
    log.error({ error }, 'the node cannot run');
    state.stopping = true;
    await node.stop();
    throw error;
  }
}
