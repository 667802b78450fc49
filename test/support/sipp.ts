import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { within } from './eventually';
import { freePort, freeRange } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';
import { encodePcma, makeTones } from './sound';

export type SippScenario =
  'register' | 'register-stay' | 'call' | 'hold' | 'answer' | 'gateway-call' | 'signalling-call' | 'signalling-answer';

/** One line of the injection file: `user;domain;[authentication];target`. */
export interface SippUser {
  readonly username: string;
  readonly domain: string;
  readonly password?: string;
  readonly target?: string;
}

export interface SippOptions {
  readonly scenario: SippScenario;
  /** `127.0.0.1:5060`; undefined: it waits for calls. */
  readonly server?: string;
  /** What calls that come in run, beside the scenario. */
  readonly outOfCall?: SippScenario;
  readonly transport?: 'u1' | 't1';
  readonly address?: string;
  readonly port?: number;
  readonly users?: readonly SippUser[];
  readonly variables?: Readonly<Record<string, string>>;
  /** Calls in all. Leave it out for one that answers: every OPTIONS of a poll counts as a call of its own. */
  readonly calls?: number;
  /** Calls per second. */
  readonly rate?: number;
  /** Most calls at a time. */
  readonly limit?: number;
  /** Milliseconds of the scenario's pause. */
  readonly pause?: number;
  /** Seconds for everything. */
  readonly timeout?: number;
  /** Hz; what `rtp_stream` sends. */
  readonly tone?: number;
  /** Keep all messages, for `messages`. */
  readonly trace?: boolean;
}

export interface SippResult {
  /** 0: all calls good. 1: a call failed. 97: stopped by a command. */
  readonly code: number | null;
  readonly successful: number;
  readonly failed: number;
  readonly retransmissions: number;
  /** First of the errors that it reports. */
  readonly errors: string;
  /** Response times in ms, by the name of the measurement. */
  readonly responseTimes: ReadonlyMap<string, readonly number[]>;
}

/** The value below which that part (0 to 1) of the values lies. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0;
}

function injection(users: readonly SippUser[]): string {
  const lines = users.map(({ username, domain, password, target = '' }) => {
    const digest = password === undefined ? '' : `[authentication username=${username} password=${password}]`;
    return [username, domain, digest, target].join(';');
  });
  return ['SEQUENTIAL', ...lines, ''].join('\n');
}

/** One run of sipp with a scenario of `test/support/sipp`. */
export class Sipp {
  private constructor(
    readonly process: LaunchedProcess,
    readonly address: string,
    readonly port: number,
    private readonly directory: string,
    private readonly cap: number,
  ) {}

  static async start(scope: Scope, options: SippOptions): Promise<Sipp> {
    const { address = '127.0.0.1', timeout = 60 } = options;
    const directory = scope.directory('sipp');
    const port = options.port ?? (await freePort(address));
    const mediaPort = await freeRange(4, address, ['udp']);
    if (options.users !== undefined) writeFileSync(join(directory, 'users.csv'), injection(options.users));
    // A scenario with sound does not start without its file.
    writeFileSync(join(directory, 'tone.al'), encodePcma(makeTones([options.tone ?? 1800], 1)));
    const file = (scenario: SippScenario): string => join(__dirname, 'sipp', `${scenario}.xml`);
    const variables = Object.entries(options.variables ?? {}).flatMap(([name, value]) => ['-set', name, value]);
    const number = (flag: string, value: number | undefined): string[] =>
      value === undefined ? [] : [flag, String(value)];
    const process = LaunchedProcess.launch(scope, {
      command: 'sipp',
      args: [
        ...(options.server === undefined ? [] : [options.server]),
        ...['-sf', file(options.scenario)],
        ...(options.outOfCall === undefined ? [] : ['-oocsf', file(options.outOfCall)]),
        ...(options.users === undefined ? [] : ['-inf', 'users.csv']),
        ...variables,
        ...['-i', address, '-p', String(port), '-bind_local', '-mi', address, '-ci', address],
        ...['-mp', String(mediaPort), '-cp', String(await freePort(address))],
        ...['-t', options.transport ?? 'u1', '-nostdin', '-aa'],
        ...['-trace_err', '-error_file', 'errors.log', '-trace_stat', '-stf', 'stat.csv', '-fd', '1'],
        ...['-trace_rtt', '-rtt_freq', '1', '-timeout', String(timeout)],
        ...(options.trace === true ? ['-trace_msg', '-message_file', 'messages.log'] : []),
        ...number('-m', options.calls),
        ...number('-r', options.rate),
        ...number('-l', options.limit),
        ...number('-d', options.pause),
      ],
      log: join(directory, 'screen.log'),
      package: 'sip-tester',
      cwd: directory,
      nice: true,
      patience: 1000,
    });
    const sipp = new Sipp(process, address, port, directory, timeout * 1000 + 10_000);
    // Its statistics file is written when its sockets are open.
    await process
      .ready(() => !process.running || readdirSync(directory).includes('stat.csv'))
      .catch((error: unknown) => {
        if (process.running || options.server === undefined) throw error;
      });
    return sipp;
  }

  /** Waits for the end of the run. */
  async finished(): Promise<SippResult> {
    const { code } = await within(this.cap, 'sipp ends', this.process.exited);
    return { code, ...this.counts(), errors: this.read('errors.log').slice(0, 2000), responseTimes: this.times() };
  }

  /** All messages that it has sent and received, with `trace`. */
  messages(): string {
    return this.read('messages.log');
  }

  /** No new calls; it ends when those that it has are over. */
  finishCalls(): void {
    this.process.signal('SIGUSR1');
  }

  /** Totals so far, as of the last second. */
  counts(): { successful: number; failed: number; retransmissions: number } {
    const lines = this.read('stat.csv').trim().split('\n');
    const names = (lines[0] ?? '').split(';');
    const values = (lines.at(-1) ?? '').split(';');
    const total = (name: string): number => Number(values[names.indexOf(name)]) || 0;
    return {
      successful: total('SuccessfulCall(C)'),
      failed: total('FailedCall(C)'),
      retransmissions: total('Retransmissions(C)'),
    };
  }

  private times(): Map<string, number[]> {
    const times = new Map<string, number[]>();
    const files = readdirSync(this.directory).filter((file) => file.endsWith('_rtt.csv'));
    for (const line of files.flatMap((file) => this.read(file).split('\n').slice(1))) {
      const [, milliseconds, name] = line.split(';').map((field) => field.trim());
      if (milliseconds === undefined || name === undefined) continue;
      const known = times.get(name);
      if (known === undefined) times.set(name, [Number(milliseconds)]);
      else known.push(Number(milliseconds));
    }
    return times;
  }

  private read(file: string): string {
    try {
      return readFileSync(join(this.directory, file), 'utf8');
    } catch {
      return '';
    }
  }
}
