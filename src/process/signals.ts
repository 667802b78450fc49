/**
 * Signals that end a program which does nothing about them, and by which nobody asks for its end: a closed terminal or
 * "reload" (HUP), a debugger that would open a port (USR1), timers, power failure. Node.js ignores PIPE by itself.
 * INT, TERM and QUIT are not among them, nor are those of defects and of resource limits.
 */
const IGNORED = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR'] as const;

/** From here on none of these signals ends the process, nor does a reader of its output that is gone. */
export function outliveSignals(ignored: (signal: string) => void): void {
  for (const signal of IGNORED) process.on(signal, () => ignored(signal));
  for (const output of [process.stdout, process.stderr]) output.on('error', () => undefined);
}

/**
 * Keeps the process alive until it is ended by `process.exit`. No timer of ours does (see `Clock`), so that a node which waits for
 * something would end as if it had nothing to do.
 */
export function stayAlive(): void {
  setInterval(() => undefined, 0x7fffffff);
}
