import { isIPv4 } from 'node:net';
import { runSipServer } from './index';
import type { ListenPoint, Protocol } from './layers';

/** What the command line asks for. */
export interface ServerArguments {
  readonly listen: readonly ListenPoint[];
  readonly control: { readonly address: string; readonly port: number };
  readonly secret: string;
  /** Ends with the process that started it. */
  readonly parent: boolean;
}

export const SECRET_VARIABLE = 'TANDEM_CONTROL_SECRET';

const PROTOCOLS: ReadonlySet<string> = new Set(['udp', 'tcp', 'tls', 'ws', 'wss']);

export const USAGE = `usage: sip-server --listen PROTOCOL:ADDRESS:PORT ... --control ADDRESS:PORT [--secret SECRET]
                  [--announce ADDRESS] [--parent]
The secret may also come from ${SECRET_VARIABLE}, where other users of the machine cannot see it.`;

function isProtocol(text: string): text is Protocol {
  return PROTOCOLS.has(text);
}

function addressAndPort(text: string, option: string, lowest: number): { address: string; port: number } {
  const colon = text.lastIndexOf(':');
  const address = text.slice(0, Math.max(0, colon));
  const port = text.slice(colon + 1);
  if (!isIPv4(address)) throw new Error(`${option}: "${text}" does not begin with an IPv4 address`);
  if (!/^\d{1,5}$/.test(port) || Number(port) < lowest || Number(port) > 65535) {
    throw new Error(`${option}: "${text}" does not end with a port`);
  }
  return { address, port: Number(port) };
}

function listenPoint(text: string): ListenPoint {
  const colon = text.indexOf(':');
  const protocol = text.slice(0, Math.max(0, colon)).toLowerCase();
  if (!isProtocol(protocol)) throw new Error(`--listen: "${text}" does not begin with udp, tcp, tls, ws or wss`);
  return { protocol, ...addressAndPort(text.slice(colon + 1), '--listen', 0) };
}

/** Throws an error with a text for the user. */
export function parseArguments(argv: readonly string[], environment: NodeJS.ProcessEnv): ServerArguments {
  const listen: ListenPoint[] = [];
  let control: ServerArguments['control'] | undefined;
  let secret = environment[SECRET_VARIABLE];
  let announce: string | undefined;
  let parent = false;
  for (let index = 0; index < argv.length; index += 1) {
    const option = argv[index] ?? '';
    if (option === '--parent') {
      parent = true;
      continue;
    }
    const value = argv[index + 1];
    if (!['--listen', '--control', '--secret', '--announce'].includes(option))
      throw new Error(`unknown option ${option}`);
    if (value === undefined) throw new Error(`${option} needs a value`);
    index += 1;
    if (option === '--listen') listen.push(listenPoint(value));
    else if (option === '--control') control = addressAndPort(value, '--control', 0);
    else if (option === '--secret') secret = value;
    else announce = value;
  }
  if (listen.length === 0) throw new Error('--listen is missing');
  if (control === undefined) throw new Error('--control is missing');
  if (secret === undefined || secret === '') throw new Error(`--secret (or ${SECRET_VARIABLE}) is missing`);
  if (secret.includes('|')) throw new Error('the secret must not contain |');
  if (announce !== undefined && !isIPv4(announce)) throw new Error('--announce: not an IPv4 address');
  const announced = announce;
  return {
    listen:
      announced === undefined
        ? listen
        : listen.map((point) => ({ ...point, announced: { address: announced, port: point.port } })),
    control,
    secret,
    parent,
  };
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

function printError(line: string): void {
  process.stderr.write(`${line}\n`);
}

/**
 * The program `sip-server`: runs until SIGTERM, SIGINT or, when it was forked, until its parent is gone. Says on
 * standard output, in one line of JSON, when it is ready. Exits with 1 when it cannot start.
 */
export async function sipServerCommand(argv: string[]): Promise<void> {
  let options: ServerArguments;
  try {
    options = parseArguments(argv, process.env);
  } catch (error) {
    printError(`sip-server: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exitCode = 1;
    if (process.connected) process.disconnect();
    return;
  }
  const server = await runSipServer({
    ...options,
    log: (event, fields) => printError(JSON.stringify({ event, ...fields })),
  }).catch((error: unknown) => {
    printError(`sip-server: cannot start: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
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
      control: `${address}:${port}`,
      listen: server.points.map((point) => `${point.protocol}:${point.address}:${point.port}`),
    }),
  );
}
