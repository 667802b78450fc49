import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { eventuallyTrue } from './eventually';
import { freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

/** A drachtio-server that a node uses in place of the embedded one. */
export interface ExternalServer {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly sipPort: number;
  /** Undefined: it was running already, and is not ours to end. */
  readonly program?: ServerProgram;
}

/** A drachtio-server that the tests may end and start again, as often as they like, at the same ports. */
export class ServerProgram {
  private process: LaunchedProcess | undefined;

  constructor(
    private readonly scope: Scope,
    private readonly command: string,
    private readonly directory: string,
    private readonly args: readonly string[],
    private readonly answers: () => Promise<boolean>,
  ) {}

  get running(): boolean {
    return this.process?.running ?? false;
  }

  get pid(): number {
    if (this.process === undefined) throw new Error('the drachtio-server was never started');
    return this.process.pid;
  }

  /** Starts it, if it does not run, without waiting. */
  launch(): void {
    if (this.running) return;
    this.process = LaunchedProcess.launch(this.scope, {
      command: this.command,
      args: this.args,
      log: join(this.directory, 'log'),
      package: 'a drachtio-server that DRACHTIO_BIN names',
    });
  }

  /** Starts it as its supervisor would, again when it has ended (ports of the one before can be held still), until it answers. */
  async start(): Promise<void> {
    const isReady = (): Promise<boolean> => {
      this.launch();
      return this.answers();
    };
    await eventuallyTrue('the drachtio-server answers', isReady, { every: 100 }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.process?.output().slice(-3000) ?? ''}`);
    });
  }

  /** SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    await this.process?.kill();
  }

  signal(signal: NodeJS.Signals): void {
    this.process?.signal(signal);
  }
}

/**
 * Whether the tests were told to use real drachtio-servers: `DRACHTIO_BIN` names the program, of which one is started for
 * each node; `DRACHTIO=host:port:secret,...` names running ones, one for each node.
 */
export const usesDrachtio = process.env.DRACHTIO_BIN !== undefined || process.env.DRACHTIO !== undefined;

/** Whether these are running ones, which are not ours to end. */
export const drachtioIsNamed = process.env.DRACHTIO_BIN === undefined && process.env.DRACHTIO !== undefined;

/** The server of a node; undefined: the embedded one is to be used. `args`: further ones of a program that is started here. */
export async function externalServer(
  scope: Scope,
  node: number,
  args: readonly string[] = [],
): Promise<ExternalServer | undefined> {
  const { DRACHTIO_BIN: program, DRACHTIO: running } = process.env;
  if (program !== undefined) return launch(scope, program, args);
  if (running === undefined) return undefined;
  const named = running.split(',')[node - 1];
  const match = /^(.+):(\d+):(.+)$/.exec(named ?? '');
  if (match === null) throw new Error(`DRACHTIO names no server for node ${node}: host:port:secret,...`);
  const [host, port, secret] = [match[1] ?? '', Number(match[2]), match[3] ?? ''];
  return { host, port, secret, sipPort: await sipPortOf(host, port, secret) };
}

/** The machine's loopback addresses: the embedded server of a test listens on both where the test asks for it. */
const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const listened = ['127.0.0.1', ...(hasIPv6 ? ['[::1]'] : [])];

async function launch(scope: Scope, command: string, args: readonly string[]): Promise<ExternalServer> {
  const [port, sipPort] = [await freePort(), await freePort()];
  const secret = randomBytes(12).toString('hex');
  const directory = scope.directory('drachtio');
  const settings = join(directory, 'drachtio.conf.xml');
  const contacts = listened.map((host) => `<contact>sip:${host}:${sipPort};transport=udp,tcp</contact>`).join('');
  writeFileSync(
    settings,
    `<drachtio>
  <admin port="${port}" secret="${secret}">127.0.0.1</admin>
  <sip><contacts>${contacts}</contacts></sip>
  <logging><console/><sofia-loglevel>1</sofia-loglevel><loglevel>notice</loglevel></logging>
</drachtio>
`,
  );
  const answers = async (): Promise<boolean> =>
    (await sipPortOf('127.0.0.1', port, secret).catch(() => undefined)) === sipPort;
  const program = new ServerProgram(scope, command, directory, ['--file', settings, ...args], answers);
  await program.start();
  return { host: '127.0.0.1', port, secret, sipPort, program };
}

/** Asks a server where it takes SIP over UDP. */
function sipPortOf(host: string, port: number, secret: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    const fail = (error: Error): void => {
      socket.destroy();
      reject(error);
    };
    socket.setTimeout(5000, () => fail(new Error(`the drachtio-server at ${host}:${port} does not answer`)));
    socket.once('error', fail);
    const payload = `probe|authenticate|${secret}|`;
    socket.once('connect', () => socket.write(`${Buffer.byteLength(payload)}#${payload}`));
    socket.once('data', (data) => {
      const match = /udp\/[^:,|]+:(\d+)/.exec(data.toString());
      if (match === null) return fail(new Error(`the drachtio-server at ${host}:${port} refuses: ${data.toString()}`));
      socket.destroy();
      resolve(Number(match[1]));
    });
  });
}
