import { isPid, parsePid, type Pid } from '../process/pid';
import { formatReplaces, parseReplaces, type Replaces } from '../sip/replaces';
import { type Judgement, JUDGEMENTS } from './device-process';
import type { Party, ProcessId } from './party';

/** Why an INVITE goes to another node. */
export const WHYS = [
  'call',
  'transfer',
  'shorten',
  'pickup',
  'retrieve',
  'forward',
  'survive',
  'resume',
  'barge',
] as const;
export type Why = (typeof WHYS)[number];

/** A media resource that serves a call. */
export interface ServingResource {
  /** As in the configuration: `transcoder`, `mtp`, `moh`, `conf`. */
  readonly type: string;
  readonly name: string;
  readonly why: string;
  /** It stands between the two ends of the call; else it serves one of them. */
  readonly between?: true;
}

/** What a node tells of the part of a call that it has. */
export interface FarHalf {
  /** Grows with each change that is told in a dialog: what is older is no news. */
  readonly version: number;
  /** The call process of the node that tells it. */
  readonly process: ProcessId;
  /** Who is behind that node. */
  readonly party: Party;
  /** Nodes between it and that one; left out: none. Where it grows without end nobody is there. */
  readonly hops?: number;
  /** The party has parked the call and left: nobody is there until somebody retrieves it. */
  readonly parked?: true;
  /** The media resources that serve the call there. */
  readonly resources: readonly ServingResource[];
  /**
   * The dialog of that node with the phone behind it, as the phone names it: by this the phone can be asked to go on at another node. Left out:
   * it does not know how (RFC 3891), or is not to be asked.
   */
  readonly dialog?: Replaces;
}

/** What goes with the INVITE of a node to another one. */
export interface NodeContext {
  /** The call's name in the whole cluster: that of the call process in which it began. */
  readonly call: string;
  readonly why: Why;
  /** Numbers that it was forwarded from, the first one first: none of them is rung again. */
  readonly forwardedFrom: readonly string[];
  /** Nodes that it went through, the sender last. */
  readonly passed: readonly number[];
  readonly half: FarHalf;
}

/** Where a call leads by a shorter way: the node that says it has nobody in the call. */
export interface Shorter {
  /** The call process to which its other leg leads. */
  readonly process: ProcessId;
  /** The dialog that it has there, as that process sees it. */
  readonly replaces: Replaces;
}

/** What goes with the answers to it, and in the dialog when something has changed. */
export interface NodeWord {
  /** Undefined: there is nobody yet, or nobody any more. */
  readonly half?: FarHalf;
  /** In the dialog: the sender wants to be left out. */
  readonly shorter?: Shorter;
  /** With a refusal: it is about who was called, and no failure of the node. */
  readonly judged?: Judgement;
  /** With a refusal: what was tried in vain to join the ends; a text of call control. */
  readonly tried?: string;
}

/** Of a whole header, as it is written; that of the longest one is less. */
const MAX_LENGTH = 20_000;
/** Of a name or number, as it is written; the rest is cut off, since nobody would read it. */
const MAX_TEXT = 192;
const MAX_TRIED = 12_000;
/** Of a dialog's name, which cannot be cut. */
const MAX_DIALOG = 4000;
/** The last so many are told. */
const MAX_FORWARDED = 10;
const MAX_PASSED = 16;
const MAX_RESOURCES = 8;

/** Names a process in all incarnations of all nodes: `1.cp.7-1763650900000`. */
export function formatProcessId({ pid, boot }: ProcessId): string {
  return `${pid}-${boot}`;
}

/** Undefined: no such name. */
export function parseProcessId(text: string): ProcessId | undefined {
  const match = /^([^-]{1,30})-(\d{1,16})$/.exec(text);
  const [pid, boot] = [match?.[1], Number(match?.[2])];
  return pid !== undefined && isPid(pid) && Number.isSafeInteger(boot) ? { pid, boot } : undefined;
}

type Fields = readonly (readonly [name: string, value: string | undefined])[];

/** Nothing in it ends a line, or a field, or is written in another way by a SIP server. */
function word(text: string, most = MAX_TEXT): string {
  // What is longer than that does not fit, however it is written.
  const clean = text.slice(0, most).replace(/[\p{Cc}\p{Cs}]/gu, '\u{fffd}');
  const whole = encodeURIComponent(clean);
  if (whole.length <= most) return whole;
  let cut = '';
  for (const character of clean) {
    const written = encodeURIComponent(character);
    if (cut.length + written.length > most) break;
    cut += written;
  }
  return cut;
}

const listOf = (words: readonly string[]): string | undefined => (words.length === 0 ? undefined : words.join('+'));

/** `name=value` with semicolons between. */
function format(fields: Fields): string {
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`])).join(';');
}

function partyFields({ party, process, version, hops, parked, resources, dialog }: FarHalf): Fields {
  const { number, displayName, outside, privacy, device, site, userClass, node } = party;
  const own = party.process === undefined || formatProcessId(party.process) === formatProcessId(process);
  return [
    ['process', formatProcessId(process)],
    ['version', String(version)],
    ['hops', hops === undefined ? undefined : String(hops)],
    ['parked', parked === true ? '1' : undefined],
    ['number', word(number)],
    ['name', displayName === undefined ? undefined : word(displayName)],
    ['outside', outside === true ? '1' : undefined],
    ['privacy', privacy === undefined ? undefined : word(privacy)],
    ['device', word(device)],
    ['site', site === undefined ? undefined : word(site)],
    ['class', userClass === undefined ? undefined : word(userClass)],
    ['node', node === undefined ? undefined : String(node)],
    ['at', own ? undefined : formatProcessId(party.process)],
    ['resources', listOf(resources.slice(0, MAX_RESOURCES).map(formatResource))],
    ['phone', dialog && word(formatReplaces(dialog), MAX_DIALOG)],
  ];
}

function formatResource({ type, name, why, between }: ServingResource): string {
  return [type, name, why, ...(between === true ? ['between'] : [])].map((part) => word(part)).join(':');
}

/** As the value of a header. What is too long is cut, so that every context can be told. */
export function formatContext({ call, why, forwardedFrom, passed, half }: NodeContext): string {
  return format([
    ['call', call],
    ['why', why],
    ['forwarded', listOf(forwardedFrom.slice(-MAX_FORWARDED).map((number) => word(number)))],
    ['passed', listOf(passed.slice(-MAX_PASSED).map(String))],
    ...partyFields(half),
  ]);
}

export function formatWord({ half, shorter, judged, tried }: NodeWord): string {
  return format([
    ['shorter', shorter && formatProcessId(shorter.process)],
    ['dialog', shorter && word(formatReplaces(shorter.replaces), MAX_DIALOG)],
    ['judged', judged],
    ['tried', tried === undefined ? undefined : word(tried, MAX_TRIED)],
    ...(half === undefined ? [] : partyFields(half)),
  ]);
}

/** Why a text cannot be read, for people. */
export interface Unreadable {
  readonly unreadable: string;
}

/** The context of an INVITE. Everything in it must be known and well-formed. */
export function parseContext(text: string): NodeContext | Unreadable {
  return reading(text, (fields) => {
    const call = fields.must('call', (value) => (parseProcessId(value) === undefined ? undefined : value));
    const why = fields.must('why', (value) => WHYS.find((known) => known === value));
    const forwardedFrom = fields.list('forwarded', MAX_FORWARDED, readText);
    const passed = fields.list('passed', MAX_PASSED, readNode);
    return { call, why, forwardedFrom, passed, half: readHalf(fields) };
  });
}

/** What an answer or a request in the dialog says. */
export function parseWord(text: string): NodeWord | Unreadable {
  if (text === '') return {};
  return reading(text, (fields) => {
    const judged = fields.may('judged', (value) => JUDGEMENTS.find((known) => known === value));
    const tried = fields.may('tried', (value) => readText(value, MAX_TRIED));
    const shorter = fields.may('shorter', readCallProcess);
    return {
      ...(shorter === undefined ? {} : { shorter: { process: shorter, replaces: fields.must('dialog', readDialog) } }),
      ...(judged === undefined ? {} : { judged }),
      ...(tried === undefined ? {} : { tried }),
      ...(fields.has('process') ? { half: readHalf(fields) } : {}),
    };
  });
}

function readHalf(fields: FieldReader): FarHalf {
  const process = fields.must('process', readCallProcess);
  const version = fields.must('version', readVersion);
  const hops = fields.may('hops', readHops);
  const parked = fields.may('parked', readFlag);
  const displayName = fields.may('name', readText);
  const outside = fields.may('outside', readFlag);
  const privacy = fields.may('privacy', readText);
  const site = fields.may('site', readText);
  const userClass = fields.may('class', readText);
  const node = fields.may('node', readNode) ?? parsePid(process.pid)?.node;
  const party: Party = {
    number: fields.must('number', readText),
    displayName,
    ...(outside === undefined ? {} : { outside }),
    ...(privacy === undefined ? {} : { privacy }),
    device: fields.must('device', readText),
    ...(site === undefined ? {} : { site }),
    ...(userClass === undefined ? {} : { userClass }),
    ...(node === undefined ? {} : { node }),
    process: fields.may('at', readCallProcess) ?? process,
  };
  const dialog = fields.may('phone', readDialog);
  return {
    ...{ version, process, party },
    ...(hops === undefined ? {} : { hops }),
    ...(parked === undefined ? {} : { parked }),
    resources: fields.list('resources', MAX_RESOURCES, readResource),
    ...(dialog === undefined ? {} : { dialog }),
  };
}

function readText(value: string, most = MAX_TEXT): string | undefined {
  if (value.length > most) return undefined;
  const text = decodeURIComponent(value);
  return /[\p{Cc}\p{Cs}]/u.test(text) ? undefined : text;
}

function readDialog(value: string): Replaces | undefined {
  return parseReplaces(readText(value, MAX_DIALOG) ?? '');
}

function readFlag(value: string): true | undefined {
  return value === '1' ? true : undefined;
}

function readVersion(value: string): number | undefined {
  return /^\d{1,9}$/.test(value) ? Number(value) : undefined;
}

function readHops(value: string): number | undefined {
  return /^[1-9]\d?$/.test(value) ? Number(value) : undefined;
}

function readNode(value: string): number | undefined {
  return /^[1-9]\d{0,5}$/.test(value) ? Number(value) : undefined;
}

function readCallProcess(value: string): { readonly pid: Pid; readonly boot: number } | undefined {
  const id = parseProcessId(value);
  return id !== undefined && parsePid(id.pid)?.type === 'cp' ? id : undefined;
}

function readResource(value: string): ServingResource | undefined {
  const parts = value.split(':').map((part) => readText(part));
  const [type, name, why, between] = parts;
  if (type === undefined || name === undefined || why === undefined || parts.length > 4) return undefined;
  if (parts.length === 4 && between !== 'between') return undefined;
  return { type, name, why, ...(parts.length === 4 ? { between: true } : {}) };
}

/** The fields of a text. Each is taken once; what cannot be read, and what nobody has taken, makes the whole unreadable. */
class FieldReader {
  private readonly fields = new Map<string, string>();

  constructor(text: string) {
    for (const field of text.split(';')) {
      const at = field.indexOf('=');
      const name = at < 0 ? field : field.slice(0, at);
      if (at < 0 || this.fields.has(name)) throw new FieldError(`field "${name.slice(0, 16)}"`);
      this.fields.set(name, field.slice(at + 1));
    }
  }

  has(name: string): boolean {
    return this.fields.has(name);
  }

  may<T>(name: string, read: (value: string) => T | undefined): T | undefined {
    const value = this.fields.get(name);
    if (value === undefined) return undefined;
    this.fields.delete(name);
    const known = read(value);
    if (known === undefined) throw new FieldError(`field "${name}"`);
    return known;
  }

  must<T>(name: string, read: (value: string) => T | undefined): T {
    const known = this.may(name, read);
    if (known === undefined) throw new FieldError(`field "${name}" is missing`);
    return known;
  }

  list<T>(name: string, most: number, read: (value: string) => T | undefined): readonly T[] {
    const readAll = (value: string): readonly T[] | undefined => {
      const known = value.split('+').flatMap((part) => read(part) ?? []);
      return known.length > most || known.length !== value.split('+').length ? undefined : known;
    };
    return this.may(name, readAll) ?? [];
  }

  nothingIsLeft(): void {
    const [name] = this.fields.keys();
    if (name !== undefined) throw new FieldError(`field "${name.slice(0, 16)}" is not known`);
  }
}

class FieldError extends Error {}

function reading<T>(text: string, read: (fields: FieldReader) => T): T | Unreadable {
  if (text.length > MAX_LENGTH) return { unreadable: 'too long' };
  try {
    const fields = new FieldReader(text);
    const known = read(fields);
    fields.nothingIsLeft();
    return known;
  } catch (error) {
    if (error instanceof FieldError || error instanceof URIError) return { unreadable: error.message };
    throw error;
  }
}
