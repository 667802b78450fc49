import { isDigits } from './characters';
import { parseCSeq } from './cseq';
import { parseParams, splitCommas } from './params';

/** The largest number of seconds, and of a reliable response (RFC 3261 section 20.19, RFC 3262 section 7.1). */
const MAX_NUMBER = 2 ** 32 - 1;
/** RFC 3261 section 20.22. */
const MAX_HOPS = 255;

/** A number without sign that is at most `maximum`, and nothing else; undefined for anything else. */
export function parseNumber(text: string, maximum = MAX_NUMBER): number | undefined {
  const value = isDigits(text) ? Number(text) : NaN;
  return value <= maximum ? value : undefined;
}

/** Value of RAck (RFC 3262 section 7.2); undefined when the grammar is broken. */
export function parseRAck(
  value: string,
): { readonly reliable: number; readonly sequence: number; readonly method: string } | undefined {
  // Words behind the method are passed over: SIPp's scenarios say it twice.
  const [first = '', ...rest] = value.trim().split(/\s+/, 3);
  const reliable = parseReliableNumber(first);
  const cseq = parseCSeq(rest.join(' '));
  return reliable === undefined || cseq === undefined
    ? undefined
    : { reliable, sequence: cseq.number, method: cseq.method };
}

/** Value of RSeq (RFC 3262 section 7.1): there is no response 0. */
export function parseReliableNumber(value: string): number | undefined {
  const number = parseNumber(value.trim());
  return number === 0 ? undefined : number;
}

/** Whether a reliable provisional response is the next one after `last` of its dialog: no other may be looked at (RFC 3262 section 4). */
export function isNextReliable(last: number | undefined, number: number): boolean {
  return last === undefined || number === last + 1;
}

interface Rule {
  /** Requests in which it means something; left out: all. A header that a request does not need is not looked at (RFC 3261 section 8.2). */
  readonly in?: readonly string[];
  /** Requests that may have it at all. */
  readonly only?: string;
  /** There may be several lines of it, or several values in one. */
  readonly list?: true;
  readonly isSound: (value: string) => boolean;
}

const isSeconds = (value: string): boolean => parseNumber(value) !== undefined;

function isSecondsWithParameters(value: string): boolean {
  const semicolon = value.indexOf(';');
  if (semicolon < 0) return isSeconds(value);
  return isSeconds(value.slice(0, semicolon).trim()) && parseParams(value, semicolon) !== undefined;
}

const LIST: Rule = { list: true, isSound: (value) => splitCommas(value).length > 0 };
const REFRESHES = ['INVITE', 'UPDATE'];

/**
 * Headers that a request must not have wrong, beside those that every message has: by their keys. Lists that may be empty (Supported,
 * Allow, Accept) are not among them, nor Expires of a REGISTER, where what cannot be read means an hour (RFC 3261 section 20.10, RFC 4475
 * section 3.1.2.5).
 */
const RULES: ReadonlyMap<string, Rule> = new Map([
  ['max-forwards', { isSound: (value) => parseNumber(value, MAX_HOPS) !== undefined }],
  ['expires', { in: ['INVITE', 'SUBSCRIBE', 'PUBLISH', 'MESSAGE'], isSound: isSeconds }],
  ['session-expires', { in: REFRESHES, isSound: isSecondsWithParameters }],
  ['min-se', { in: REFRESHES, isSound: isSecondsWithParameters }],
  ['rack', { in: ['PRACK'], isSound: (value) => parseRAck(value) !== undefined }],
  // RFC 3891 section 3. What it says is read where it is used.
  ['replaces', { only: 'INVITE', isSound: (value) => value !== '' }],
  ['via', LIST],
  ['contact', LIST],
  ['route', LIST],
  ['record-route', LIST],
  ['require', LIST],
  ['proxy-require', LIST],
]);

/** Looks at the headers of one request as they come. */
export class HeaderRules {
  /** The canonical name of the first header that is wrong: the request is to be refused with 400. */
  bad: string | undefined;
  private readonly met = new Set<string>();

  constructor(private readonly method: string) {}

  /** One line of it. */
  see(key: string, value: string): void {
    const rule = RULES.get(key);
    // Nobody answers an ACK: what it acknowledges counts.
    if (rule === undefined || this.bad !== undefined || this.method === 'ACK') return;
    if (rule.in?.includes(this.method) === false) return;
    if (rule.only !== undefined && rule.only !== this.method) {
      this.bad = key;
      return;
    }
    const again = rule.list !== true && this.met.has(key);
    if (rule.list !== true) this.met.add(key);
    if (again || !rule.isSound(value.trim())) this.bad = key;
  }
}

/**
 * The name of a header of a request that is present and wrong, read by name: for who has the message from another parser, which joins
 * lines with commas. Undefined: the request may be treated.
 */
export function unsoundHeader(
  method: string,
  header: (name: string) => string | undefined,
  body: string,
): string | undefined {
  const rules = new HeaderRules(method);
  for (const name of RULES.keys()) {
    const value = header(name);
    if (value !== undefined) rules.see(name, value);
  }
  const untyped = method !== 'ACK' && body !== '' && header('content-type')?.trim() === '';
  return rules.bad ?? (untyped ? 'content-type' : undefined);
}
