/** How the program ends; docs/operations.md says the same, and deploy/tandem.service acts on it. */
export const ExitCode = {
  /** It was told to stop. */
  stopped: 0,
  /** It cannot run, or cannot go on; started again it may. */
  failed: 1,
  /** The command line is wrong. */
  usage: 2,
  /** The configuration, or a file that it names, must be changed first (EX_CONFIG of sysexits.h). */
  configuration: 78,
} as const;

/** Nothing but a change of the configuration, or of a file that it names, helps. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/** The code for what ended the program. */
export function exitCodeOf(error: unknown): number {
  return error instanceof ConfigurationError ? ExitCode.configuration : ExitCode.failed;
}
