import { isToken } from '../sip-message/characters';
import { type Params, parseParams, quote, splitCommas } from '../sip-message/params';

/** One value of a Reason header (RFC 3326). */
export interface Reason {
  /** As written; compare without regard to case. */
  readonly protocol: string;
  readonly cause: number | undefined;
  /** For people, in whatever language: nothing is decided by it. */
  readonly text: string | undefined;
  /** Parameters of other protocols (`X.int;reasoncode=0x0`), in order. */
  readonly more?: readonly (readonly [name: string, value: string | undefined])[];
}

const MAX_HEADER_LENGTH = 2048;
/** RFC 3326 §2: one for each protocol. */
const MAX_REASONS = 8;

/** `SIP;cause=200;text="Call completed elsewhere"` (RFC 3326 §2). */
export function formatReason(status: number, text?: string): string {
  return formatReasons([{ protocol: 'SIP', cause: status, text }]);
}

/** The header value; empty when there are none. */
export function formatReasons(reasons: readonly Reason[]): string {
  return reasons.map(formatOne).join(', ');
}

function formatOne({ protocol, cause, text, more = [] }: Reason): string {
  const others = more.map(([name, value]) => {
    if (value === undefined) return `;${name}`;
    return `;${name}=${isToken(value) ? value : quoted(value)}`;
  });
  const told = text === undefined ? '' : `;text=${quoted(text)}`;
  return `${protocol}${cause === undefined ? '' : `;cause=${cause}`}${others.join('')}${told}`;
}

function quoted(text: string): string {
  return quote(text.replace(/\p{Cc}/gu, ''));
}

/** The values of a Reason header, in order; what is malformed is left out. */
export function parseReasons(header: string | undefined): Reason[] {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return [];
  return splitCommas(header).flatMap(parseOne).slice(0, MAX_REASONS);
}

function parseOne(value: string): Reason[] {
  const semicolon = value.indexOf(';');
  const protocol = (semicolon < 0 ? value : value.slice(0, semicolon)).trim();
  const params = semicolon < 0 ? new Map<string, string | undefined>() : parseParams(value, semicolon);
  if (!isToken(protocol) || params === undefined) return [];
  const cause = causeOf(params);
  if (cause === 'malformed') return [];
  const more = [...params].filter(([name]) => name !== 'cause' && name !== 'text');
  return [{ protocol, cause, text: params.get('text'), ...(more.length === 0 ? {} : { more }) }];
}

function causeOf(params: Params): number | undefined | 'malformed' {
  if (!params.has('cause')) return undefined;
  const cause = params.get('cause');
  return cause !== undefined && /^\d{1,3}$/.test(cause) ? Number(cause) : 'malformed';
}

/** What a person reads: the first text, else the header. */
export function textOfReasons(reasons: readonly Reason[]): string | undefined {
  if (reasons.length === 0) return undefined;
  return reasons.find(({ text }) => text !== undefined && text !== '')?.text ?? formatReasons(reasons);
}
