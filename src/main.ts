#!/usr/bin/env node
import { formatProblem } from './config/problem';
import { loadConfig, type WhoseFiles } from './config/load';
import type { TandemConfig } from './config/types';
import { readOptions, UsageError } from './call-manager/command-line';
import { ExitCode, exitCodeOf } from './process/exit';

const USAGE = `usage:
  tandem start --config FILE --node N     one call manager
  tandem check --config FILE [--node N]   what is wrong with a configuration file, and the files that it names (for all nodes, or
                                          for node N); exit 1 if anything is
  tandem sip-server --listen udp:ADDRESS:PORT [--listen tcp:ADDRESS:PORT] --control ADDRESS:PORT --secret S
                                          the embedded SIP server alone, for any drachtio application
`;

/** Says what is wrong with a configuration file, and ends the program with `code` when it cannot be used. */
function loadOrExit(file: string, files: WhoseFiles, code: number): TandemConfig {
  const result = loadConfig(file, process.env, files);
  for (const problem of result.ok ? result.warnings : result.problems) console.error(formatProblem(problem));
  if (result.ok) return result.config;
  process.exit(code);
}

function nodeOf(config: TandemConfig, given: string): number {
  if (config.nodes.some(({ id }) => String(id) === given)) return Number(given);
  const known = config.nodes.map(({ id }) => id).join(', ');
  throw new UsageError(`--node ${given}: the configuration has the nodes ${known}`);
}

async function start(argv: readonly string[]): Promise<void> {
  const options = readOptions(argv, ['config', 'node']);
  const config = loadOrExit(options.config, Number(options.node), ExitCode.configuration);
  const node = nodeOf(config, options.node);
  // Loaded here, so that `check` and `sip-server` start without the weight of the call manager.
  const { runNode } = await import('./call-manager/run');
  await runNode({ config, node, entry: __filename });
}

/** Everything that is wrong counts, also what would not keep a node from starting. */
function check(argv: readonly string[]): void {
  const options = readOptions(argv, ['config'], ['node']);
  const result = loadConfig(options.config, process.env, options.node === undefined ? 'all' : Number(options.node));
  const problems = result.ok ? result.warnings : result.problems;
  for (const problem of problems) console.error(formatProblem(problem));
  if (!result.ok || problems.length > 0) process.exit(ExitCode.failed);
  const { config } = result;
  if (options.node !== undefined) nodeOf(config, options.node);
  console.log(`${options.config}: good (${config.nodes.length} nodes, ${config.devices.length} devices)`);
}

async function main(): Promise<void> {
  const [command, ...argv] = process.argv.slice(2);
  switch (command) {
    case 'start':
      return start(argv);
    case 'check':
      return check(argv);
    case 'sip-server': {
      const { sipServerCommand } = await import('./sip-server/index');
      return sipServerCommand(argv);
    }
    case undefined:
    case 'help':
    case '--help':
      console.log(USAGE);
      return;
    default:
      throw new UsageError(`unknown command "${command}"`);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : String(error));
  if (error instanceof UsageError) console.error(USAGE);
  process.exit(error instanceof UsageError ? ExitCode.usage : exitCodeOf(error));
});
