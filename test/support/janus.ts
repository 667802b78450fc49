import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { freePort, freeRange, giveBack } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

const tools = join(__dirname, '../../scripts/tools.js');
const RTP_PORTS = 100;

/** What one handle of the AudioBridge answers. */
type Data = Readonly<Record<string, unknown>>;

/** A private janus that mixes and does nothing else. */
export class Janus {
  private process: LaunchedProcess | undefined;
  readonly adminKey = randomBytes(12).toString('hex');

  private constructor(
    private readonly scope: Scope,
    readonly port: number,
    private readonly firstRtpPort: number,
    private readonly directory: string,
  ) {}

  static async start(scope: Scope): Promise<Janus> {
    const rtp = await freeRange(RTP_PORTS, '127.0.0.1', ['udp']);
    scope.defer(() => giveBack(rtp, RTP_PORTS));
    const janus = new Janus(scope, await freePort(), rtp, scope.directory('janus'));
    await janus.start();
    return janus;
  }

  /** As in `mediaResources[].control`. */
  get control(): string {
    return `http:127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const { directory, port, adminKey, firstRtpPort } = this;
    const ports = [firstRtpPort, firstRtpPort + RTP_PORTS - 1].map(String);
    execFileSync(process.execPath, [tools, 'janus-config', directory, String(port), adminKey, ...ports]);
    this.process = LaunchedProcess.launch(this.scope, {
      command: 'janus',
      args: ['-F', directory, '-C', join(directory, 'janus.jcfg'), '-o'],
      log: join(directory, 'log'),
      package: 'janus',
    });
    await this.process.ready(async () => {
      const response = await fetch(`${this.url}/info`, { signal: AbortSignal.timeout(500) });
      return response.status === 200;
    });
  }

  async kill(): Promise<void> {
    await this.process?.kill();
  }

  async stop(): Promise<void> {
    await this.process?.stop();
  }

  freeze(): void {
    this.process?.signal('SIGSTOP');
  }

  thaw(): void {
    this.process?.signal('SIGCONT');
  }

  get running(): boolean {
    return this.process?.running ?? false;
  }

  /** Participants of each room. */
  async rooms(): Promise<Map<string, string[]>> {
    const session = await this.post('', { janus: 'create' });
    const handle = await this.post(`/${session}`, { janus: 'attach', plugin: 'janus.plugin.audiobridge' });
    try {
      const ask = async (body: object): Promise<Data> => this.message(`/${session}/${handle}`, body);
      const { list } = await ask({ request: 'list', admin_key: this.adminKey });
      const rooms = new Map<string, string[]>();
      for (const { room } of list as { room: string }[]) {
        const { participants } = await ask({ request: 'listparticipants', room });
        rooms.set(
          room,
          (participants as { id: string }[]).map(({ id }) => id),
        );
      }
      return rooms;
    } finally {
      await this.post(`/${session}`, { janus: 'destroy' });
    }
  }

  private get url(): string {
    return `http://127.0.0.1:${this.port}/janus`;
  }

  private async send(path: string, body: object): Promise<Data> {
    const response = await fetch(this.url + path, {
      method: 'POST',
      body: JSON.stringify({ transaction: randomBytes(6).toString('hex'), ...body }),
      signal: AbortSignal.timeout(3000),
    });
    return (await response.json()) as Data;
  }

  private async post(path: string, body: object): Promise<number> {
    const { data } = await this.send(path, body);
    return (data as { id: number } | undefined)?.id ?? 0;
  }

  private async message(path: string, body: object): Promise<Data> {
    const { plugindata } = await this.send(path, { janus: 'message', body });
    return (plugindata as { data: Data }).data;
  }
}
