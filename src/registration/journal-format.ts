import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RegistrationRecord } from './record';
import { isCount, isObject, isRegistrationRecord } from './validate';

/** A local binding as it must be known after a restart. */
export interface JournaledBinding {
  readonly record: RegistrationRecord;
  /** Of the REGISTER that made or refreshed it last (RFC 3261 section 10.3, step 7). */
  readonly callId: string;
  readonly cseq: number;
  /** Milliseconds since the epoch. */
  readonly registeredAt: number;
  /** The media resource group list that the device asked for (claim M14). */
  readonly mediaResourceGroupList?: string;
  /** The flow that the REGISTER came by, as the SIP server names it. */
  readonly flow?: string;
}

/** What a journal file says, and what of it could not be read. */
export interface JournalContents {
  readonly bindings: Map<string, JournaledBinding>;
  /** Complete lines whose checksum or content is wrong. */
  readonly corruptLines: number;
  /** The file ends within a line: the process or the machine died while it wrote. */
  readonly tornTail: boolean;
  readonly lines: number;
}

const CHECKSUM_LENGTH = 16;
const MAX_CALL_ID_LENGTH = 1024;
const LINE_END = 0x0a;
/** A few milliseconds of work. */
const LINES_AT_ONCE = 500;

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, CHECKSUM_LENGTH);
}

function line(value: unknown): string {
  const json = JSON.stringify(value);
  return `${checksum(json)} ${json}\n`;
}

/** The line that says that a binding is there, as it is now. */
export function putLine(binding: JournaledBinding): string {
  return line({ put: binding });
}

/** The line that says that a binding is gone. */
export function deleteLine(key: string): string {
  return line({ delete: key });
}

function isBinding(value: unknown): value is JournaledBinding {
  if (!isObject(value)) return false;
  const { callId, flow, mediaResourceGroupList: list } = value;
  if (list !== undefined && typeof list !== 'string') return false;
  if (flow !== undefined && typeof flow !== 'string') return false;
  if (typeof callId !== 'string' || callId.length > MAX_CALL_ID_LENGTH) return false;
  return isCount(value.cseq) && isCount(value.registeredAt) && isRegistrationRecord(value.record);
}

/** Applies one line; `false` when it is corrupt. */
function applyLine(text: string, bindings: Map<string, JournaledBinding>): boolean {
  const json = text.slice(CHECKSUM_LENGTH + 1);
  if (text[CHECKSUM_LENGTH] !== ' ' || text.slice(0, CHECKSUM_LENGTH) !== checksum(json)) return false;
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    return false;
  }
  if (!isObject(value)) return false;
  if (typeof value.delete === 'string') {
    bindings.delete(value.delete);
    return true;
  }
  if (!isBinding(value.put)) return false;
  bindings.set(value.put.record.key, value.put);
  return true;
}

/**
 * Reads a journal, whatever state it is in: what is whole is used, the rest is counted. Other work of the process goes on
 * meanwhile: a node with very many bindings is polled while it reads them.
 */
export async function parseJournal(bytes: Buffer): Promise<JournalContents> {
  const bindings = new Map<string, JournaledBinding>();
  let corruptLines = 0;
  let lines = 0;
  let start = 0;
  for (let end = bytes.indexOf(LINE_END); end >= 0; end = bytes.indexOf(LINE_END, start)) {
    lines += 1;
    if (!applyLine(bytes.toString('utf8', start, end), bindings)) corruptLines += 1;
    start = end + 1;
    if (lines % LINES_AT_ONCE === 0) await nextTurn();
  }
  return { bindings, corruptLines, tornTail: start < bytes.length, lines };
}
