import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import type { SourceLimitsConfig, ListenConfig, TlsConfig } from '../config/types';
import { ConfigurationError, ExitCode } from '../process/exit';
import { SECRET_VARIABLE } from './command';
import { systemClock } from '../process/clock';
import { readFlowMessage, type FlowMessage } from './flow-messages';
import { FlowQuestions } from './flow-questions';
import { hostAndPort, parseHostAndPort } from './host';
import { LEVEL_VARIABLE, silentLogger, type Logger } from '../telemetry/logger';
import { passOn } from './log';
import { activityOf, Watchdog, type Verdict, type WatchdogOptions } from './watchdog';

export interface LaunchOptions {
  /** Path of main.js. */
  readonly entry: string;
  readonly listen: readonly ListenConfig[];
  /** For `tls` and `wss`. */
  readonly tls?: TlsConfig;
  readonly limits?: SourceLimitsConfig;
  /** Address to announce in place of the listeners' own. */
  readonly announced?: string;
  /** What the server says goes here. */
  readonly log?: Logger;
  /** Web pages that may open WebSockets; undefined: all. */
  readonly origins?: readonly string[];
  /** Responses over UDP go to the source port, whatever the Via says. */
  readonly forceRport?: boolean;
  /** The server has ended without `stop` being asked for. */
  readonly onExit: (reason: string) => void;
  /** Whether the server answers; after `dead` it is ended, and `onExit` follows. */
  readonly onVerdict?: (verdict: Verdict, unansweredMs: number) => void;
  /** A flow that was found open has closed. */
  readonly onFlowClosed?: (flow: string) => void;
  /** The flow over which the peer of a dialog has registered since, by the name of the dialog; undefined: it is where it was. */
  readonly flowOf?: (dialog: string) => string | undefined;
}

export interface LaunchedServer {
  readonly host: string;
  readonly port: number;
  readonly secret: string;
  readonly pid: number;
  /** Closes a flow that has a name. */
  closeFlow(flow: string): void;
  /** Whether a flow is open; if so, `onFlowClosed` will tell when it closes. Never rejects. */
  isFlowOpen(flow: string): Promise<boolean>;
  /** Ends the server; done when it is gone. */
  stop(): Promise<void>;
}

const READY_DEADLINE_MS = 15_000;
const STOP_DEADLINE_MS = 5000;

/**
 * Starts the embedded SIP server as a process of its own: random secret, free control port on loopback, own process
 * group (a Ctrl-C is ours to handle). It ends when this process is gone, however that came about, because the IPC
 * channel closes. Rejects when it is not ready in time; with a `ConfigurationError` when trying again is of no use.
 */
export async function launchEmbeddedServer(options: LaunchOptions): Promise<LaunchedServer> {
  const secret = randomBytes(24).toString('base64url');
  const child = fork(options.entry, serverArguments(options), {
    execPath: process.execPath,
    env: environmentOf(secret),
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true,
  });
  const log = options.log ?? silentLogger;
  const errors: string[] = [];
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (errors.length < 20) errors.push(line);
      passOn(line, log);
    });
  }
  child.on('message', (value) => {
    const message = readFlowMessage(value);
    if (message?.type === 'flow-closed') options.onFlowClosed?.(message.flow);
    else if (message?.type === 'flows-watched') questions.answered(message.id, message.open);
    else if (message?.type === 'find-flow') {
      const flow = options.flowOf?.(message.dialog);
      tell({ type: 'flow-found', id: message.id, ...(flow === undefined ? {} : { flow }) });
    } else if (message?.type === 'pong') watchdog?.answered();
  });
  let watchdog: Watchdog | undefined;
  const tell = (message: FlowMessage): void => {
    if (child.connected) child.send(message, () => undefined);
  };
  const questions = new FlowQuestions(tell);
  child.once('disconnect', () => questions.end());
  let stopping = false;
  const gone = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code ?? 'unknown'}`));
    child.once('error', (error) => resolve(error.message));
  });
  const stop = async (): Promise<void> => {
    stopping = true;
    watchdog?.stop();
    await end(child, gone);
  };
  try {
    const { host, port } = await ready(child, gone, errors);
    watchdog = watch(child, (verdict, ms) => {
      if (verdict === 'dead') child.kill('SIGKILL');
      options.onVerdict?.(verdict, ms);
    });
    void gone.then((reason) => {
      watchdog?.stop();
      if (!stopping) options.onExit(reason);
    });
    return {
      host,
      port,
      secret,
      pid: child.pid ?? 0,
      closeFlow: (flow) => tell({ type: 'close-flow', flow }),
      isFlowOpen: (flow) => questions.ask(flow),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function watch(child: ChildProcess, onVerdict: WatchdogOptions['onVerdict']): Watchdog {
  const ping: FlowMessage = { type: 'ping' };
  return new Watchdog({
    clock: systemClock,
    ping: () => {
      if (child.connected) child.send(ping, () => undefined);
    },
    activity: () => activityOf(child.pid ?? 0),
    onVerdict,
  });
}

/**
 * The server reads what anybody sends: of what this process knows (passwords in variables, say) it is told nothing that it
 * does not need.
 */
function environmentOf(secret: string): NodeJS.ProcessEnv {
  const environment: NodeJS.ProcessEnv = { [SECRET_VARIABLE]: secret };
  for (const name of ['PATH', 'TZ', LEVEL_VARIABLE])
    if (process.env[name] !== undefined) environment[name] = process.env[name];
  return environment;
}

function serverArguments(options: LaunchOptions): string[] {
  const listen = options.listen.flatMap(({ protocol, address, port, announced }) => [
    '--listen',
    `${protocol}:${hostAndPort(address, port)}${announced === undefined ? '' : `@${announced}`}`,
  ]);
  const announce = options.announced === undefined ? [] : ['--announce', options.announced];
  const { key, cert, ca } = options.tls ?? {};
  const files = [['--tls-key', key] as const, ['--tls-cert', cert] as const, ['--tls-ca', ca] as const];
  const tls = files.flatMap(([option, file]) => (file === undefined ? [] : [option, file]));
  const limits =
    options.limits === undefined
      ? []
      : ['--limit', String(options.limits.requestsPerSecond), ...options.limits.ban.flatMap((ban) => ['--ban', ban])];
  const pages = options.origins?.flatMap((page) => ['--page', page]) ?? [];
  const rport = options.forceRport === true ? ['--force-rport'] : [];
  const rest = [...listen, ...announce, ...tls, ...limits, ...pages, ...rport];
  return ['sip-server', '--control', '127.0.0.1:0', '--parent', ...rest];
}

function ready(
  child: ChildProcess,
  gone: Promise<string>,
  errors: readonly string[],
): Promise<{ readonly host: string; readonly port: number }> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      clearTimeout(timer);
      const why = `the embedded SIP server did not start: ${reason}${errors.map((line) => `\n  ${line}`).join('')}`;
      reject(child.exitCode === ExitCode.configuration ? new ConfigurationError(why) : new Error(why));
    };
    const timer = setTimeout(() => fail('not ready in time'), READY_DEADLINE_MS);
    void gone.then(fail);
    if (child.stdout === null) return fail('no output');
    createInterface({ input: child.stdout }).on('line', (line) => {
      const control = readyLine(line);
      if (control === undefined) return;
      clearTimeout(timer);
      resolve(control);
    });
  });
}

function readyLine(line: string): { readonly host: string; readonly port: number } | undefined {
  try {
    const said: unknown = JSON.parse(line);
    if (typeof said !== 'object' || said === null || !('ready' in said) || !('control' in said)) return undefined;
    const control = parseHostAndPort(String(said.control));
    return control === undefined ? undefined : { host: control.address, port: control.port };
  } catch {
    return undefined;
  }
}

async function end(child: ChildProcess, gone: Promise<string>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
  await gone;
  clearTimeout(timer);
}
