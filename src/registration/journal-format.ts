import { setImmediate as nextTurn } from 'node:timers/promises';
import { type BuriedName, type Departed, GraveTable } from './grave';
import { line, linesOf, readIdentity, type JournalIdentity, type LineValue } from './journal-line';
import type { RegistrationRecord } from './record';
import { isCount, isKey, isObject, isRegistrationRecord, isStamp } from './validate';

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
  readonly graves: GraveTable;
  /** Undefined: the file does not say whose it is. */
  readonly identity: JournalIdentity | undefined;
  /** Complete lines whose checksum or content is wrong. */
  readonly corruptLines: number;
  /** The file ends within a line: the process or the machine died while it wrote. */
  readonly tornTail: boolean;
  readonly lines: number;
}

const MAX_CALL_ID_LENGTH = 1024;
/** A few milliseconds of work. */
const LINES_AT_ONCE = 500;

/** The line that says that a binding is there, as it is now. */
export function putLine(binding: JournaledBinding): string {
  return line({ put: binding });
}

/** The line that says that a binding is gone. */
export function deleteLine(key: string): string {
  return line({ delete: key });
}

/** The line that says that something has left. */
export function buryLine({ of, name, stamp, until }: Departed): string {
  return line({ bury: { of, name, stamp, until } });
}

/** The line that says that this counts no more. */
export function exhumeLine({ of, name }: BuriedName): string {
  return line({ exhume: { of, name } });
}

function isBinding(value: unknown): value is JournaledBinding {
  if (!isObject(value)) return false;
  const { callId, flow, mediaResourceGroupList: list } = value;
  if (list !== undefined && typeof list !== 'string') return false;
  if (flow !== undefined && typeof flow !== 'string') return false;
  if (typeof callId !== 'string' || callId.length > MAX_CALL_ID_LENGTH) return false;
  return isCount(value.cseq) && isCount(value.registeredAt) && isRegistrationRecord(value.record);
}

function isBuriedName(value: unknown): value is BuriedName {
  return isObject(value) && (value.of === 'binding' || value.of === 'device') && isKey(value.name);
}

function isDeparted(value: unknown): value is Departed {
  return isBuriedName(value) && 'stamp' in value && isStamp(value.stamp) && 'until' in value && isCount(value.until);
}

type Line =
  | { readonly type: 'put'; readonly binding: JournaledBinding }
  | { readonly type: 'delete'; readonly key: string }
  | { readonly type: 'bury'; readonly departed: Departed }
  | { readonly type: 'exhume'; readonly name: BuriedName }
  | { readonly type: 'identity'; readonly identity: JournalIdentity }
  | { readonly type: 'struck' }
  | { readonly type: 'corrupt' };

function readLine(value: LineValue): Line {
  if (typeof value === 'string') return { type: value };
  if (typeof value.delete === 'string') return { type: 'delete', key: value.delete };
  if (isDeparted(value.bury)) return { type: 'bury', departed: value.bury };
  if (isBuriedName(value.exhume)) return { type: 'exhume', name: value.exhume };
  const identity = readIdentity(value);
  if (identity !== undefined) return { type: 'identity', identity };
  return isBinding(value.put) ? { type: 'put', binding: value.put } : { type: 'corrupt' };
}

/**
 * Reads a journal, whatever state it is in: what is whole is used, the rest is counted. Other work of the process goes on
 * meanwhile: a node with very many bindings is polled while it reads them.
 */
export async function parseJournal(bytes: Buffer): Promise<JournalContents> {
  const bindings = new Map<string, JournaledBinding>();
  const graves = new GraveTable();
  let identity: JournalIdentity | undefined;
  let corruptLines = 0;
  let lines = 0;
  const reader = linesOf(bytes);
  for (;;) {
    const next = reader.next();
    if (next.done === true)
      return { bindings, graves, identity, corruptLines, tornTail: next.value < bytes.length, lines };
    const read = readLine(next.value.value);
    lines += 1;
    if (read.type === 'put') bindings.set(read.binding.record.key, read.binding);
    else if (read.type === 'delete') bindings.delete(read.key);
    else if (read.type === 'bury') graves.add(read.departed);
    else if (read.type === 'exhume') graves.delete(read.name);
    else if (read.type === 'identity') identity ??= read.identity;
    else if (read.type === 'corrupt') corruptLines += 1;
    if (lines % LINES_AT_ONCE === 0) await nextTurn();
  }
}

/** Where the lines begin that would restore what is not so any more, by what `isCurrent` says of a binding. */
export function staleLines(bytes: Buffer, isCurrent: (binding: JournaledBinding) => boolean): readonly number[] {
  const puts = new Map<string, { readonly at: number[]; stale: boolean }>();
  for (const { at, value } of linesOf(bytes)) {
    const read = readLine(value);
    if (read.type === 'delete') puts.delete(read.key);
    if (read.type !== 'put') continue;
    const { key } = read.binding.record;
    const known = puts.get(key) ?? { at: [], stale: false };
    known.at.push(at);
    known.stale = !isCurrent(read.binding);
    puts.set(key, known);
  }
  return [...puts.values()].flatMap(({ at, stale }) => (stale ? at : []));
}
