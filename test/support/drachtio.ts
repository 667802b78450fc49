import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { freePort } from './ports';
import { LaunchedProcess } from './processes';
import type { Scope } from './scope';

/** A drachtio-server that a node uses in place of the embedded one. */
export interface ExternalServer {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly sipPort: number;
  /** Undefined: it was running already. */
  readonly pid?: number;
}

/**
 * Whether the tests were told to use real drachtio-servers: `DRACHTIO_BIN` names the program, of which one is started for
 * each node; `DRACHTIO=host:port:secret,...` names running ones, one for each node.
 */
export const usesDrachtio = process.env.DRACHTIO_BIN !== undefined || process.env.DRACHTIO !== undefined;

/** The server of a node; undefined: the embedded one is to be used. */
export async function externalServer(scope: Scope, node: number): Promise<ExternalServer | undefined> {
  const { DRACHTIO_BIN: program, DRACHTIO: running } = process.env;
  if (program !== undefined) return launch(scope, program);
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

async function launch(scope: Scope, program: string): Promise<ExternalServer> {
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
  const server = LaunchedProcess.launch(scope, {
    command: program,
    args: ['--file', settings],
    log: join(directory, 'log'),
    package: 'a drachtio-server that DRACHTIO_BIN names',
  });
  await server.ready(async () => (await sipPortOf('127.0.0.1', port, secret).catch(() => 0)) === sipPort);
  return { host: '127.0.0.1', port, secret, sipPort, pid: server.pid };
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
