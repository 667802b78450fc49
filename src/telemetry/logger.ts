import { hostname } from 'node:os';
import pino from 'pino';
import { LogBudget } from './log-budget';
import { processOutput, type LogDestination } from './output';

export type { LogDestination } from './output';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent'];
/** Says in the environment how much is logged. */
export const LEVEL_VARIABLE = 'TANDEM_LOG';

/** What the environment says; `info` when it says nothing that is a level. */
export function levelOf(environment: NodeJS.ProcessEnv): LogLevel {
  return LEVELS.find((level) => level === environment[LEVEL_VARIABLE]) ?? 'info';
}

export type LogFields = Readonly<Record<string, unknown>>;

/** What every room logs with. The fields are for machines, the message for people. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** As `info`, for what somebody counts (a call detail record): never left out, however many there are. */
  record(fields: LogFields, message: string): void;
  /** A logger that adds these fields to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  /** Name of the program or node, in every line. */
  readonly name: string;
  readonly level?: LogLevel;
  /** Default: standard error, so that a program's own output stays readable. */
  readonly destination?: LogDestination | 'stdout' | 'stderr';
}

/** Names of fields whose values never reach the log, in any spelling and at any depth down to four. */
const SECRET_FIELDS = new Set([
  'password',
  'secret',
  'token',
  'admintoken',
  'authorization',
  'proxyauthorization',
  'authenticationinfo',
  'hmac',
  'signature',
  'credentials',
  'ha1',
  'cookie',
]);
const HIDDEN = '[hidden]';
const MAX_DEPTH = 4;
const MAX_ENTRIES = 100;
const MAX_TEXT = 4096;
const MAX_LINE = 16_384;
/**
 * What a reader would not see, or would see in another order: control and format characters (bidirectional marks, zero widths), separators,
 * lone surrogates, and letters that are empty. JSON writes the C0 controls as escapes by itself.
 */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}\u007f-\u009f\u115f\u1160\u3164\uffa0]/gu;
/** Credentials inside text: header lines of SIP messages, and URLs with a password. */
const CREDENTIAL_LINE = /^((?:proxy-)?authorization|cookie)[ \t]*:.*$/gim;
const URL_PASSWORD = /\b([a-z][a-z0-9+.-]{1,15}:\/\/[^\s/:@]{0,64}):[^\s/@]{1,256}@/gi;

/** A logger that writes JSON lines; passwords, secrets and authorization headers are hidden. Never throws. */
export function createLogger(options: LoggerOptions): Logger {
  const { destination } = options;
  const stream = typeof destination === 'object' ? destination : processOutput(destination === 'stdout' ? 1 : 2);
  const level = options.level ?? 'info';
  // Not pino's own base: a `pid` in our lines is that of a device process or call.
  const base = { process: process.pid, hostname: hostname() };
  const written = { bytes: 0 };
  const write = (line: string): void => {
    const whole = bounded(line);
    written.bytes = whole.length;
    stream.write(whole);
  };
  const logger = pino({ base, name: options.name, level, timestamp: pino.stdTimeFunctions.isoTime }, { write });
  const budget = new LogBudget((kind, leftOut) =>
    logger.warn({ kind, leftOut }, 'log lines of one kind were left out'),
  );
  return wrap(logger, budget, written);
}

/** A line has an end, whatever is in it. */
function bounded(line: string): string {
  if (line.length <= MAX_LINE) return line;
  const begins = line.slice(0, MAX_LINE / 4);
  return `${JSON.stringify({ level: 40, time: new Date().toISOString(), begins, msg: 'a log line was too long' })}\n`;
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  record: () => undefined,
  child: () => silentLogger,
};

/** `written`: what was written last; a line is written at once. */
function wrap(logger: pino.Logger, budget: LogBudget, written: { readonly bytes: number }): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (fields: LogFields, message: string): void => {
      if (!logger.isLevelEnabled(level)) return;
      const write = (): number => {
        logger[level](hide(fields, 0), hideInText(message));
        return written.bytes;
      };
      // Who asks for everything gets everything.
      if (level === 'debug') write();
      else budget.spend(message, write);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    record: (fields, message) => logger.info(hide(fields, 0), hideInText(message)),
    child: (fields) => wrap(logger.child(hideFields(fields, 0)), budget, written),
  };
}

function hide(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return hideInText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[...]';
  if (value instanceof Error) return hideError(value, depth);
  if (value instanceof Date) return value;
  if (Buffer.isBuffer(value)) return `[${value.length} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => hide(item, depth + 1));
  if (value instanceof Map || value instanceof Set) return hide([...value].slice(0, MAX_ENTRIES), depth);
  return hideFields(value, depth);
}

function hideFields(fields: object, depth: number): Record<string, unknown> {
  const shown = Object.entries(fields)
    .slice(0, MAX_ENTRIES)
    .map(([name, value]): [string, unknown] => [
      hideInText(name),
      SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, '')) ? HIDDEN : hide(value, depth + 1),
    ]);
  return Object.fromEntries(shown);
}

function hideError(error: Error, depth: number): Record<string, unknown> {
  const cause = error.cause === undefined ? {} : { cause: hide(error.cause, depth + 1) };
  const code = 'code' in error ? { code: hide(error.code, depth + 1) } : {};
  return {
    type: error.name,
    message: hideInText(error.message),
    ...code,
    stack: hideInText(error.stack ?? ''),
    ...cause,
  };
}

function hideInText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}[...]` : text;
  return short
    .replace(CREDENTIAL_LINE, `$1: ${HIDDEN}`)
    .replace(URL_PASSWORD, `$1:${HIDDEN}@`)
    .replace(INVISIBLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
