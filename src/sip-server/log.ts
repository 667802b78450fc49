import type { Logger, LogFields } from '../telemetry/logger';

/** Everything that the server tells of itself: how much it matters, and in words. Each is a kind of its own, which the log bounds. */
const EVENTS = {
  'sip.message.malformed': ['info', 'a SIP message was refused: it cannot be read'],
  'sip.message.no-room': ['warn', 'SIP requests were refused: too many wait for their answers'],
  'sip.datagrams.lost': ['warn', 'datagrams were left out: more came than can be handled'],
  'sip.source.limited': ['warn', 'requests of one address were left out: they are too many'],
  'sip.client.no-sip': ['info', 'a WebSocket was refused: its client does not speak SIP'],
  'sip.client.origin': ['info', 'a WebSocket was refused: its page may not open one (webSocketOrigins)'],
  'sip.client.tls': ['info', 'a TLS handshake failed'],
  'sip.client.too-many': ['warn', 'a connection was refused: there are too many'],
  'sip.client.gave-way': ['warn', 'a connection was closed: others need its room'],
  'sip.client.too-slow': ['info', 'a connection was closed: its client did not say in time what it wants'],
  'sip.tls.not-renewed': ['error', 'the files of TLS cannot be read: the old certificate stays'],
  'sip.transport.handler-error': ['error', 'an error that should not happen'],
  'sip.transport.listener-error': ['error', 'a listener failed'],
  'sip.transaction.handler-error': ['error', 'an error that should not happen'],
  'sip.internal-error': ['error', 'an error that should not happen'],
  'sip.ack.failed': ['info', 'an ACK could not be sent'],
  'ack.unresolved': ['info', 'an ACK could not be sent: nobody knows its host'],
  'ack.unroutable': ['info', 'an ACK could not be sent: it leads nowhere'],
  'request.failover': ['info', 'a request goes to the next server of its host'],
  'application.silent': ['warn', 'the application did not answer a request'],
  'control.error': ['error', 'the control port failed'],
  'control.bad-frame': ['warn', 'an application sent what cannot be read'],
  'control.incorrect-secret': ['warn', 'an application was refused: it has another secret'],
  'control.internal-error': ['error', 'an error that should not happen'],
} as const satisfies Readonly<Record<string, readonly [level: 'info' | 'warn' | 'error', text: string]>>;

export type ServerEvent = keyof typeof EVENTS;

export const SERVER_EVENTS = Object.keys(EVENTS) as readonly ServerEvent[];

/** One event of the server, with its facts. */
export type Log = (event: ServerEvent, fields: Readonly<Record<string, unknown>>) => void;

export const noLog: Log = () => undefined;

/** Writes the events into a log, which bounds what each may fill of it. */
export function logInto(logger: Logger): Log {
  return (event, fields) => {
    const [level, text] = EVENTS[event];
    logger[level]({ event, ...fields }, text);
  };
}

/** Of a line: what the log that it goes into has by itself. */
const OF_THE_WRITER: ReadonlySet<string> = new Set(['level', 'time', 'process', 'hostname', 'name', 'msg']);

/** Puts a line that the server's process has written into the log of its owner, as what it is. Never throws. */
export function passOn(line: string, logger: Logger): void {
  const read = readLine(line);
  if (read === undefined) return logger.warn({ line }, 'the SIP server says something');
  const { level, msg } = read;
  const fields: LogFields = Object.fromEntries(Object.entries(read).filter(([name]) => !OF_THE_WRITER.has(name)));
  logger[Number(level) >= 50 ? 'error' : Number(level) >= 40 ? 'warn' : 'info'](fields, `SIP server: ${String(msg)}`);
}

function readLine(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const read: unknown = JSON.parse(line);
    return typeof read === 'object' && read !== null && 'msg' in read ? { ...read } : undefined;
  } catch {
    return undefined;
  }
}
