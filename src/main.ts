#!/usr/bin/env node
import { formatProblem } from './config/problem';
import { loadConfig } from './config/load';
import type { TandemConfig } from './config/types';
import { readOptions, UsageError } from './call-manager/command-line';
import { ExitCode, exitCodeOf } from './process/exit';

const USAGE = `usage:
  tandem start --config FILE --node N     one call manager
  tandem check --config FILE              what is wrong with a configuration file; exit 1 if anything is
  tandem sip-server --listen udp:ADDRESS:PORT [--listen tcp:ADDRESS:PORT] --control ADDRESS:PORT --secret S
                                          the embedded SIP server alone, for any drachtio application
`;

/** Loads the file, or says what is wrong with it and ends the program with `code`. */
function loadOrExit(file: string, code: number): TandemConfig {
  const result = loadConfig(file, process.env);
  if (result.ok) return result.config;
  for (const problem of result.problems) console.error(formatProblem(problem));
  process.exit(code);
}

async function start(argv: readonly string[]): Promise<void> {
  const options = readOptions(argv, ['config', 'node']);
  const node = Number(options.node);
  const config = loadOrExit(options.config, ExitCode.configuration);
  if (!config.nodes.some((other) => other.id === node)) {
    const known = config.nodes.map((other) => other.id).join(', ');
    throw new UsageError(`--node ${options.node}: the configuration has the nodes ${known}`);
  }
  // Loaded here, so that `check` and `sip-server` start without the weight of the call manager.
  const { runNode } = await import('./call-manager/run');
  await runNode({ config, node, entry: __filename });
}

function check(argv: readonly string[]): void {
  const options = readOptions(argv, ['config']);
  const config = loadOrExit(options.config, ExitCode.failed);
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
