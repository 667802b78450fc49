import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import { isSourceName } from '../../src/media-resource/rtpengine/source-book';
import { freePort, freeRange, giveBack } from './ports';
import { findCommand, LaunchedProcess } from './processes';
import type { Scope } from './scope';

let cookies = 0;

/** One command of the ng protocol (JSON over UDP); rejects after `cap` milliseconds without an answer. */
export function ngCommand(port: number, command: object, cap = 1000): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const cookie = `test-${process.pid}-${++cookies}`;
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error(`rtpengine on port ${port} does not answer`));
    }, cap);
    socket.on('message', (message) => {
      clearTimeout(timer);
      socket.close();
      const text = message.toString();
      resolve(JSON.parse(text.slice(text.indexOf(' ') + 1)) as Record<string, unknown>);
    });
    socket.on('error', () => undefined);
    socket.send(`${cookie} ${JSON.stringify(command)}`, port, '127.0.0.1');
  });
}

export interface RtpengineOptions {
  readonly maxSessions?: number;
  /** How many ports for media; default 200. A session takes four. */
  readonly mediaPorts?: number;
  /** Where media go beside `::1`; default 127.0.0.1. For very many ports: a loopback address of one's own. */
  readonly mediaAddress?: string;
  /** Runs as this user, as Debian's own does; default: as the test. Only root can do that. */
  readonly user?: string;
}

/** A private rtpengine. */
export class Rtpengine {
  private process: LaunchedProcess | undefined;

  private constructor(
    private readonly scope: Scope,
    readonly port: number,
    private readonly firstMediaPort: number,
    private readonly directory: string,
    private readonly options: RtpengineOptions,
  ) {}

  static async start(scope: Scope, options: RtpengineOptions = {}): Promise<Rtpengine> {
    const { mediaPorts = 200, mediaAddress } = options;
    const media = await freeRange(mediaPorts, mediaAddress, ['udp']);
    scope.defer(() => giveBack(media, mediaPorts, mediaAddress));
    const engine = new Rtpengine(scope, await freePort(), media, scope.directory('rtpengine'), options);
    await engine.start();
    return engine;
  }

  /** As in `mediaResources[].control`. */
  get control(): string {
    return `udp:127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const { maxSessions, mediaAddress = '127.0.0.1', user } = this.options;
    // To become another user clears the signal of the parent's death.
    const asUser = ['setpriv', `--reuid=${user}`, '--regid=nogroup', '--clear-groups', '--pdeathsig=KILL'] as const;
    const engine = findCommand('rtpengine', 'rtpengine-daemon');
    const [command, ...before] = user === undefined ? ([engine] as const) : ([...asUser, engine] as const);
    this.process = LaunchedProcess.launch(this.scope, {
      command,
      args: [
        ...before,
        ...'--config-file=none --foreground --log-stderr --log-level=5 --table=-1'.split(' '),
        `--interface=${mediaAddress}`,
        '--interface=::1',
        `--listen-ng=127.0.0.1:${this.port}`,
        `--port-min=${this.firstMediaPort}`,
        `--port-max=${this.firstMediaPort + (this.options.mediaPorts ?? 200) - 1}`,
        ...'--num-threads=2 --media-num-threads=2 --dtls-passive --delete-delay=0 --timeout=60'.split(' '),
        '--silent-timeout=86400',
        ...(maxSessions === undefined ? [] : [`--max-sessions=${maxSessions}`]),
      ],
      log: join(this.directory, 'log'),
      package: 'rtpengine-daemon',
    });
    await this.process.ready(async () => (await ngCommand(this.port, { command: 'ping' }, 200))['result'] === 'pong');
  }

  async stop(): Promise<void> {
    await this.process?.stop();
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  freeze(): void {
    this.process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.process?.signal('SIGCONT');
  }

  /** Process number. */
  get pid(): number {
    if (this.process === undefined) throw new Error('rtpengine was never started');
    return this.process.pid;
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  /** All its ports for media. */
  get mediaPorts(): readonly number[] {
    return Array.from({ length: this.options.mediaPorts ?? 200 }, (_, index) => this.firstMediaPort + index);
  }

  /** The call-ids of all sessions that it has. */
  async sessions(): Promise<string[]> {
    const { calls } = await ngCommand(this.port, { command: 'list', limit: 1000 });
    return Array.isArray(calls) ? calls.map(String) : [];
  }

  /** Of those the ones that serve a call: without the players that several held parties share. */
  async sessionsOfCalls(): Promise<string[]> {
    return (await this.sessions()).filter((session) => !isSourceName(session));
  }
}
