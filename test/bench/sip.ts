import { randomBytes } from 'node:crypto';
import { join, resolve } from 'node:path';
import { externalServer } from '../support/drachtio';
import { program } from '../support/node-process';
import { freePort } from '../support/ports';
import { LaunchedProcess } from '../support/processes';
import { Scope } from '../support/scope';
import { Sipp, type SippResult } from '../support/sipp';
import { callers, password } from './load';
import { family, ramp } from './ramp';
import { note } from './result';

/** A SIP server alone: where applications and phones find it. */
interface Server {
  readonly pid: number;
  readonly control: string;
  readonly secret: string;
  readonly sip: string;
}

async function startEmbedded(scope: Scope): Promise<Server> {
  const [sipPort, controlPort] = [await freePort(), await freePort()];
  const secret = randomBytes(12).toString('hex');
  const [sip, control] = [`127.0.0.1:${sipPort}`, `127.0.0.1:${controlPort}`];
  const launched = LaunchedProcess.launch(scope, {
    command: process.execPath,
    args: [program, 'sip-server', '--listen', `udp:${sip}`, '--listen', `tcp:${sip}`, '--control', control],
    env: { ...process.env, TANDEM_CONTROL_SECRET: secret },
    log: join(scope.directory('sip-server'), 'log'),
    package: 'nodejs',
  });
  await launched.ready(() => launched.output().includes('"ready":true'));
  return { pid: launched.pid, control, secret, sip };
}

/** The real one, when `DRACHTIO_BIN` names it. */
async function startDrachtio(scope: Scope): Promise<Server | undefined> {
  if (process.env.DRACHTIO_BIN === undefined) return undefined;
  const server = await externalServer(scope, 1);
  if (server?.program === undefined) return undefined;
  const { host, port, secret, sipPort } = server;
  const { pid } = server.program;
  return { pid, control: `${host}:${port}`, secret, sip: `127.0.0.1:${sipPort}` };
}

async function startApplication(scope: Scope, server: Server, callee: string): Promise<number> {
  const [host = '', port = ''] = server.control.split(':');
  const launched = LaunchedProcess.launch(scope, {
    command: process.execPath,
    args: [
      '-r',
      resolve(__dirname, '../../scripts/ts.js'),
      join(__dirname, 'sip-application.ts'),
      ...[host, port, server.secret, password, callee],
    ],
    log: join(scope.directory('application'), 'log'),
    package: 'nodejs',
  });
  await launched.ready(() => launched.output().includes('connected'));
  return launched.pid;
}

/** A server that does not answer any more must not end the whole comparison. */
function stuck(error: unknown): SippResult {
  const none = { code: 1, successful: 0, failed: 1, retransmissions: 0, responseTimes: new Map() };
  return { ...none, errors: String(error) };
}

async function measure(start: (scope: Scope) => Promise<Server | undefined>, peer?: string): Promise<void> {
  const scope = new Scope();
  try {
    const server = await start(scope);
    if (server === undefined) return note('DRACHTIO_BIN is not set: the embedded SIP server is not compared');
    const callee = await Sipp.start(scope, { scenario: 'signalling-answer', timeout: 3600 });
    const application = await startApplication(scope, server, `127.0.0.1:${callee.port}`);
    const watched = new Map([
      ['SIP server', family(server.pid)],
      ['application', [application]],
    ]);
    const port = await freePort();
    const load =
      (scenario: 'register' | 'signalling-call') =>
      async (rate: number, count: number): Promise<SippResult[]> => {
        const options = { scenario, server: server.sip, port, users: callers(), pause: 0, timeout: 20 } as const;
        return [await (await Sipp.start(scope, { ...options, calls: count, rate })).finished().catch(stuck)];
      };
    const where = 'a minimal drachtio-srf application';
    const common = { bench: 'sip', where, watched, ...(peer === undefined ? {} : { peer }) };
    await ramp({ ...common, operations: 'registrations', responses: ['register'], run: load('register') });
    await ramp({ ...common, operations: 'calls', responses: ['setup', 'bye'], run: load('signalling-call') });
  } finally {
    await scope.close();
  }
}

/** The SIP server by itself, with the same application on the embedded and on the real one. */
export async function benchSip(): Promise<void> {
  await measure(startEmbedded);
  await measure(startDrachtio, 'drachtio-server');
}
