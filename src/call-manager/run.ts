import type { TandemConfig } from '../config/types';
import { createLogger, type LogLevel } from '../telemetry/logger';
import { createMetrics } from '../telemetry/metrics';
import { CallManagerNode } from './node';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];

function logLevel(): LogLevel {
  return LEVELS.find((level) => level === process.env.TANDEM_LOG) ?? 'info';
}

/**
 * Runs one node until it is told to stop. SIGTERM and SIGINT: drain, end what is left, stop; a second one stops at once.
 * Resolves when the node runs; the process ends by itself.
 */
export async function runNode(options: {
  readonly config: TandemConfig;
  readonly node: number;
  readonly entry: string;
}): Promise<void> {
  const { config, node: id, entry } = options;
  const log = createLogger({ name: `node-${id}`, level: logLevel() });
  const metrics = createMetrics({ node: id });
  let stopping = false;

  const end = async (code: number, drain: boolean): Promise<void> => {
    if (stopping) return process.exit(code === 0 ? 1 : code);
    stopping = true;
    if (drain) await node.drain();
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
      void end(1, false);
    },
  });
  // The last line of defence: an error that no room has caught is a defect, but no reason to end everybody's calls.
  process.on('uncaughtException', (error) => {
    metrics.count('tandem_errors_total', { room: 'process' });
    log.error({ error }, 'an error that nobody has caught');
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(0, true));
  try {
    await node.start();
  } catch (error) {
    log.error({ error }, 'the node cannot run');
    await node.stop();
    throw error;
  }
}
