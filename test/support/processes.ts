import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, closeSync, constants, openSync, readFileSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { eventuallyTrue } from './eventually';
import type { Scope } from './scope';

export interface LaunchOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** What the program prints goes here. */
  readonly log: string;
  /** The Debian package that holds the command, for the message when it is missing. */
  readonly package: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Lines can be written to the program. */
  readonly stdin?: boolean;
  /** Lower priority, for phones and load. */
  readonly nice?: boolean;
  /** Milliseconds between SIGTERM and SIGKILL when it is ended. */
  readonly patience?: number;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The absolute path of a command, or an error that names the package to install. */
export function findCommand(command: string, debianPackage: string): string {
  if (command.includes('/')) return command;
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, command);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      continue;
    }
  }
  throw new Error(`${command} is not installed: apt-get install ${debianPackage}`);
}

/** A running program of a test. It dies with the test process, also when that one is killed (PR_SET_PDEATHSIG). */
export class LaunchedProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  private exit: Exit | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly options: LaunchOptions,
  ) {
    if (child.pid === undefined) throw new Error(`${options.command} could not be started`);
    this.pid = child.pid;
    this.exited = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        this.exit = { code, signal };
        resolve(this.exit);
      });
    });
  }

  /** Starts the program; it is ended when the scope closes. */
  static launch(scope: Scope, options: LaunchOptions): LaunchedProcess {
    const command = findCommand(options.command, options.package);
    const line = ['setpriv', '--pdeathsig', 'KILL', '--', command, ...options.args];
    if (options.nice === true) line.unshift('nice', '-n', '5');
    const log = openSync(options.log, 'a');
    const child = spawn(line[0] ?? command, line.slice(1), {
      stdio: [options.stdin === true ? 'pipe' : 'ignore', log, log],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    closeSync(log);
    child.on('error', () => undefined);
    child.stdin?.on('error', () => undefined);
    const launched = new LaunchedProcess(child, options);
    scope.defer(() => launched.stop());
    return launched;
  }

  get running(): boolean {
    return this.exit === undefined;
  }

  /** Everything it has printed. */
  output(): string {
    return readFileSync(this.options.log, 'utf8');
  }

  writeLine(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.child.kill(signal);
  }

  /** Polls until the program is ready; fails at once, with the end of its log, when it exits instead. */
  async ready(isReady: () => boolean | Promise<boolean>, cap = 30_000): Promise<void> {
    await eventuallyTrue(`${this.options.command} is ready`, async () => !this.running || (await isReady()), {
      cap,
      every: 10,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.tail()}`);
    });
    if (!this.running)
      throw new Error(`${this.options.command} exited (${JSON.stringify(this.exit)}):\n${this.tail()}`);
  }

  /** SIGTERM, then SIGKILL; resolves when it is gone. */
  async stop(): Promise<Exit> {
    if (this.exit !== undefined) return this.exit;
    this.signal('SIGTERM');
    this.signal('SIGCONT');
    const timer = setTimeout(() => {
      this.signal('SIGKILL');
    }, this.options.patience ?? 5000);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.exited;
  }

  private tail(): string {
    return this.output().slice(-3000);
  }
}

export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot: with it, a re-used process number is not taken for the same process. */
  readonly startTime: string;
}

function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

/** Every process below `pid`, children first. */
export function descendants(pid: number): ProcessIdentity[] {
  const children = new Map<number, ProcessIdentity[]>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const fields = statFields(Number(entry));
    const parent = Number(fields?.[1]);
    const startTime = fields?.[19];
    if (startTime === undefined) continue;
    children.set(parent, [...(children.get(parent) ?? []), { pid: Number(entry), startTime }]);
  }
  const found: ProcessIdentity[] = [];
  for (let queue = [pid]; queue.length > 0;) {
    const next = queue.flatMap((parent) => children.get(parent) ?? []);
    found.push(...next);
    queue = next.map((child) => child.pid);
  }
  return found;
}

/** True while that very process is there and not a zombie. */
export function isAlive(identity: ProcessIdentity): boolean {
  const fields = statFields(identity.pid);
  return fields !== undefined && fields[0] !== 'Z' && fields[19] === identity.startTime;
}

/** Processor time a process has used, in seconds (user and system). */
export function processorSeconds(pid: number): number {
  const fields = statFields(pid);
  if (fields === undefined) return 0;
  const ticksPerSecond = 100;
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
