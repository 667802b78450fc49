import { isIP } from 'node:net';
import { parseNetwork } from '../process/networks';
import { ExitCode, exitCodeOf } from '../process/exit';
import { outliveSignals } from '../process/signals';
import { createLogger, levelOf } from '../telemetry/logger';
import { processOutput } from '../telemetry/output';
import type { SourceLimitOptions } from './core/source-limits';
import { readFlowMessage, type FlowMessage } from './flow-messages';
import { hostAndPort, parseHostAndPort } from './host';
import { runSipServer } from './index';
import type { ListenPoint, Protocol } from './layers';
import { logInto } from './log';
import type { TlsFiles } from './transport';

/** What the command line asks for. */
export interface ServerArguments {
  readonly listen: readonly ListenPoint[];
  readonly control: { readonly address: string; readonly port: number };
  readonly secret: string;
  readonly tls?: TlsFiles;
  readonly limits: Partial<SourceLimitOptions>;
  readonly origins?: readonly string[];
  readonly forceRport: boolean;
  /** Ends with the process that started it. */
  readonly parent: boolean;
}

export const SECRET_VARIABLE = 'TANDEM_CONTROL_SECRET';

const PROTOCOLS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);

export const USAGE = `usage: sip-server --listen PROTOCOL:ADDRESS:PORT ... --control ADDRESS:PORT [--secret SECRET]
                  [--announce ADDRESS] [--tls-key FILE --tls-cert FILE [--tls-ca FILE]]
                  [--ban ADDRESS[/BITS]] ... [--limit REQUESTS] [--page ORIGIN] ...
                  [--force-rport] [--parent]
PROTOCOL is udp, tcp, tls, ws or wss. PROTOCOL:ADDRESS:PORT@ADDRESS[:PORT] announces another address for one listener.
Nothing from a banned address is looked at; --limit is how many requests one address may send in a second (0: any number).
--force-rport sends responses over UDP to the port that the request came from, also when it does not ask for that (RFC 3581).
--page names web pages that may open WebSockets: https://HOST, HOST, .DOMAIN or *; without it all may.
The secret may also come from ${SECRET_VARIABLE}, where other users of the machine cannot see it.`;

function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.has(text);
}

function addressAndPort(text: string, option: string): { address: string; port: number } {
  const parsed = parseHostAndPort(text);
  if (parsed === undefined || isIP(parsed.address) === 0) {
    throw new Error(`${option}: "${text}" is not ADDRESS:PORT with an IP address (IPv6 in brackets)`);
  }
  return parsed;
}

/** `203.0.113.9`, `sip.example.com:5061`; without a port that of the listener. */
function announcedAddress(text: string): NonNullable<ListenPoint['announced']> {
  const parsed =
    isIP(text) === 6 ? { address: text, port: 0 } : parseHostAndPort(/:\d+$/.test(text) ? text : `${text}:0`);
  if (parsed === undefined) throw new Error(`--listen: "${text}" is not an address to announce`);
  return parsed;
}

function listenPoint(text: string): ListenPoint {
  const colon = text.indexOf(':');
  const protocol = text.slice(0, Math.max(0, colon)).toLowerCase();
  if (!isProtocol(protocol)) throw new Error(`--listen: "${text}" does not begin with udp, tcp, tls, ws or wss`);
  const [own = '', announced] = text.slice(colon + 1).split('@', 2);
  const point = { protocol, ...addressAndPort(own, '--listen') };
  return announced === undefined ? point : { ...point, announced: announcedAddress(announced) };
}

/** An address for all listeners is for those of its family that have none of their own. */
function announcing(point: ListenPoint, address: string | undefined): ListenPoint {
  const family = isIP(address ?? '');
  const otherFamily = family !== 0 && family !== isIP(point.address);
  if (address === undefined || point.announced !== undefined || otherFamily) return point;
  return { ...point, announced: { address, port: point.port } };
}

const VALUE_OPTIONS: ReadonlySet<string> = new Set([
  '--listen',
  '--control',
  '--secret',
  '--announce',
  '--tls-key',
  '--tls-cert',
  '--tls-ca',
  '--ban',
  '--page',
  '--limit',
]);

interface Options {
  parent: boolean;
  forceRport: boolean;
  readonly listen: string[];
  readonly ban: string[];
  readonly pages: string[];
  readonly single: Map<string, string>;
}

function readOptions(argv: readonly string[]): Options {
  const read: Options = { parent: false, forceRport: false, listen: [], ban: [], pages: [], single: new Map() };
  for (let index = 0; index < argv.length; index += 1) {
    const option = argv[index] ?? '';
    if (option === '--parent' || option === '--force-rport') {
      read[option === '--parent' ? 'parent' : 'forceRport'] = true;
      continue;
    }
    if (!VALUE_OPTIONS.has(option)) throw new Error(`unknown option ${option}`);
    const value = argv[(index += 1)];
    if (value === undefined) throw new Error(`${option} needs a value`);
    if (option === '--listen') read.listen.push(value);
    else if (option === '--ban') read.ban.push(value);
    else if (option === '--page') read.pages.push(value);
    else read.single.set(option, value);
  }
  return read;
}

function tlsFiles(options: ReadonlyMap<string, string>, listen: readonly ListenPoint[]): TlsFiles | undefined {
  const [key, cert, ca] = ['--tls-key', '--tls-cert', '--tls-ca'].map((option) => options.get(option));
  if (key !== undefined && cert !== undefined) return { key, cert, ...(ca === undefined ? {} : { ca }) };
  if (key !== undefined || cert !== undefined || ca !== undefined)
    throw new Error('--tls-key and --tls-cert go together');
  const needing = listen.find(({ protocol }) => protocol === 'tls' || protocol === 'wss');
  if (needing !== undefined) throw new Error(`--listen ${needing.protocol}: needs --tls-key and --tls-cert`);
  return undefined;
}

function sourceLimits(banned: readonly string[], limit: string | undefined): Partial<SourceLimitOptions> {
  const wrong = banned.find((text) => parseNetwork(text) === undefined);
  if (wrong !== undefined) throw new Error(`--ban: "${wrong}" is no ADDRESS or ADDRESS/BITS`);
  if (limit === undefined) return { banned };
  if (!/^\d{1,7}$/.test(limit)) throw new Error(`--limit: "${limit}" is no number of requests`);
  return { banned, requestsPerSecond: Number(limit) };
}

/** Throws an error with a text for the user. */
export function parseArguments(argv: readonly string[], environment: NodeJS.ProcessEnv): ServerArguments {
  const { parent, forceRport, listen: listeners, ban, pages, single } = readOptions(argv);
  const announce = single.get('--announce');
  const listen = listeners.map((text) => announcing(listenPoint(text), announce));
  const control = single.get('--control');
  const secret = single.get('--secret') ?? environment[SECRET_VARIABLE];
  if (listen.length === 0) throw new Error('--listen is missing');
  if (control === undefined) throw new Error('--control is missing');
  if (secret === undefined || secret === '') throw new Error(`--secret (or ${SECRET_VARIABLE}) is missing`);
  if (secret.includes('|')) throw new Error('the secret must not contain |');
  if (announce !== undefined && announcedAddress(announce).port !== 0) throw new Error('--announce: without a port');
  const tls = tlsFiles(single, listen);
  return {
    listen,
    control: addressAndPort(control, '--control'),
    secret,
    limits: sourceLimits(ban, single.get('--limit')),
    parent,
    forceRport,
    ...(pages.length === 0 ? {} : { origins: pages }),
    ...(tls === undefined ? {} : { tls }),
  };
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Whoever reads it may stand still: this process must not. */
const errors = processOutput(2);

function printError(line: string): void {
  errors.write(`${line}\n`);
}

/** Nothing is told when nobody has forked us. */
function tellParent(message: FlowMessage): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
}

/**
 * The program `sip-server`: runs until SIGTERM, SIGINT or, when it was forked, until its parent is gone. Says on
 * standard output, in one line of JSON, when it is ready. Exits with 1 when it cannot start, with 78 when a file of TLS is why.
 */
export async function sipServerCommand(argv: string[]): Promise<void> {
  const logger = createLogger({ name: 'sip-server', level: levelOf(process.env) });
  outliveSignals((signal) => logger.info({ signal }, 'signal ignored'));
  let options: ServerArguments;
  try {
    options = parseArguments(argv, process.env);
  } catch (error) {
    printError(`sip-server: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exitCode = ExitCode.failed;
    if (process.connected) process.disconnect();
    return;
  }
  const server = await runSipServer({
    ...options,
    log: logInto(logger),
    ...(process.send === undefined
      ? {}
      : { askForFlow: (id: number, dialog: string) => tellParent({ type: 'find-flow', id, dialog }) }),
    onFlowClosed: (flow) => tellParent({ type: 'flow-closed', flow }),
  }).catch((error: unknown) => {
    printError(`sip-server: cannot start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(exitCodeOf(error));
  });
  let ending = false;
  const end = (): void => {
    if (ending) process.exit(0);
    ending = true;
    void server.stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  process.on('message', (value) => {
    const message = readFlowMessage(value);
    if (message?.type === 'close-flow') server.closeFlow(message.flow);
    else if (message?.type === 'flow-found') server.flowFound(message.id, message.flow);
    else if (message?.type === 'watch-flows') {
      const { id, flows } = message;
      tellParent({ type: 'flows-watched', id, open: flows.map((flow) => server.watchFlow(flow)) });
    } else if (message?.type === 'ping') tellParent({ type: 'pong' });
  });
  // Without its parent the server has no application, and nobody would ever end it.
  if (options.parent || process.send !== undefined) process.on('disconnect', () => process.exit(0));
  if (options.parent && process.send === undefined) {
    printError('sip-server: --parent is for a process that was forked');
    return end();
  }
  const { address, port } = server.control;
  printLine(
    JSON.stringify({
      ready: true,
      control: hostAndPort(address, port),
      listen: server.points.map((point) => `${point.protocol}:${hostAndPort(point.address, point.port)}`),
    }),
  );
}
