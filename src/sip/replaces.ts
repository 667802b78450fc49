import { isToken } from '../sip-message/characters';
import { unquote } from '../sip-message/params';

/** The dialog that an INVITE is to take the place of (RFC 3891), as its receiver sees it. */
export interface Replaces {
  readonly callId: string;
  /** The tag of the side that receives the header; `0` stands for a peer of RFC 2543 without one, too (section 3). */
  readonly toTag: string;
  readonly fromTag: string;
  /** Only while the dialog is an early one. */
  readonly earlyOnly: boolean;
}

/** A dialog of ours: what Replaces is compared with. Tags are empty for a peer of RFC 2543. */
export interface DialogTags {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
}

/** Why a header cannot be done, as the answer to its request. */
export interface HeaderRefusal {
  readonly status: number;
  readonly reason: string;
}

const MAX_LENGTH = 1024;
/** One header value: a Call-ID, where quotes mean nothing, and parameters, where a comma may stand between quotes. */
const ELEMENT = /[^;,]*(?:;(?:"(?:[^"\\]|\\.)*"|[^",])*)?/y;
const PARAMETER = /\s*;\s*(?:([^\s;="]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;,"]+))?\s*)?/y;
/** Anything visible of ASCII but the separators: more than the grammar has (RFC 3261 section 25.1, callid), since phones do not ask it. */
const CALL_ID = /^[!-+\--:<-~]+$/;

/** A Replaces value (RFC 3891 section 6.1); undefined: it cannot be read, or it is more than one. */
export function parseReplaces(text: string): Replaces | undefined {
  if (text.length > MAX_LENGTH) return undefined;
  const semicolon = text.indexOf(';');
  const callId = text.slice(0, Math.max(0, semicolon)).trim();
  const parameters = CALL_ID.test(callId) ? parametersOf(text, semicolon) : undefined;
  if (parameters === undefined) return undefined;
  const [toTag, fromTag] = ['to-tag', 'from-tag'].map((name) => tagOf(parameters, name));
  if (toTag === undefined || fromTag === undefined) return undefined;
  return { callId, toTag, fromTag, earlyOnly: parameters.some(([name]) => name === 'early-only') };
}

type Parameter = readonly [name: string, value: string | undefined];

/** In order, repeated ones too. */
function parametersOf(text: string, start: number): Parameter[] | undefined {
  const out: Parameter[] = [];
  let position = start;
  while (position < text.length) {
    PARAMETER.lastIndex = position;
    const [whole, name = '', value] = PARAMETER.exec(text) ?? [];
    if (whole === undefined || (name !== '' && !isToken(name))) return undefined;
    if (name !== '') out.push([name.toLowerCase(), value?.startsWith('"') === true ? unquote(value) : value]);
    position += whole.length;
  }
  return out;
}

/** There is exactly one of each (section 3). */
function tagOf(parameters: readonly Parameter[], name: string): string | undefined {
  const values = parameters.filter(([each]) => each === name);
  const value = values.length === 1 ? values[0]?.[1] : undefined;
  return value !== undefined && isToken(value) ? value : undefined;
}

/** The inverse of `parseReplaces`. An empty tag is written as 0 (section 3). */
export function formatReplaces({ callId, toTag, fromTag, earlyOnly }: Replaces): string {
  const tag = (text: string): string => (text === '' ? '0' : text);
  return `${callId};to-tag=${tag(toTag)};from-tag=${tag(fromTag)}${earlyOnly ? ';early-only' : ''}`;
}

/** The Replaces header of an INVITE, its lines joined by commas; undefined: there is none. More than one is refused (section 3). */
export function readReplaces(header: string | undefined): Replaces | HeaderRefusal | undefined {
  if (header === undefined) return undefined;
  if (isSeveral(header)) return { status: 400, reason: 'Several Replaces Headers' };
  return parseReplaces(header) ?? { status: 400, reason: 'Bad Replaces Header' };
}

function isSeveral(header: string): boolean {
  ELEMENT.lastIndex = 0;
  return header.charAt(ELEMENT.exec(header)?.[0].length ?? 0) === ',';
}

/** Whether that dialog is the one that is to be replaced (section 3). */
export function replacesDialog({ callId, toTag, fromTag }: Replaces, dialog: DialogTags): boolean {
  const isTag = (asked: string, tag: string): boolean => asked === tag || (asked === '0' && tag === '');
  return callId === dialog.callId && isTag(toTag, dialog.localTag) && isTag(fromTag, dialog.remoteTag);
}
