import { createHash } from 'node:crypto';
import { isCount, isObject } from './validate';

/** Whose journal it is. */
export interface JournalIdentity {
  readonly cluster: string;
  readonly node: number;
}

const CHECKSUM_LENGTH = 16;
/** In place of the checksum of a line that must not count any more. It is written over it, for which a full disk has room. */
export const STRUCK = '-'.repeat(CHECKSUM_LENGTH);
const LINE_END = 0x0a;

/** A line of a journal that says this: its checksum, and the value as JSON. */
export function line(value: unknown): string {
  const json = JSON.stringify(value);
  return `${checksum(json)} ${json}\n`;
}

/** What a line says; `struck`: nothing any more; `corrupt`: its checksum is wrong, or it is no object. */
export type LineValue = Readonly<Record<string, unknown>> | 'struck' | 'corrupt';

/** Where each complete line begins, and the line; the last number is where the text behind them begins. */
export function* linesOf(bytes: Buffer): Generator<{ readonly at: number; readonly value: LineValue }, number> {
  let start = 0;
  for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, start)) {
    yield { at: start, value: readLine(bytes.toString('utf8', start, end)) };
    start = end + 1;
  }
  return start;
}

/** The first line of a file. */
export function identityLine({ cluster, node }: JournalIdentity): string {
  return line({ journal: { cluster, node } });
}

/** `undefined`: it is not the line that says whose the file is. */
export function readIdentity({ journal }: Readonly<Record<string, unknown>>): JournalIdentity | undefined {
  if (!isObject(journal) || typeof journal.cluster !== 'string' || !isCount(journal.node)) return undefined;
  return { cluster: journal.cluster, node: journal.node };
}

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, CHECKSUM_LENGTH);
}

function readLine(text: string): LineValue {
  const json = text.slice(CHECKSUM_LENGTH + 1);
  const sum = text.slice(0, CHECKSUM_LENGTH);
  if (text[CHECKSUM_LENGTH] !== ' ') return 'corrupt';
  if (sum === STRUCK) return 'struck';
  if (sum !== checksum(json)) return 'corrupt';
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : 'corrupt';
  } catch {
    return 'corrupt';
  }
}
