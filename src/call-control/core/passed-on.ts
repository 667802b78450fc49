import { isToken } from '../../sip-message/characters';
import { deltaSeconds } from '../../sip-message/final-meaning';
import { parseDisposition, parseMediaType } from '../../sip-message/mime';
import { parseParams, splitCommas } from '../../sip-message/params';
import { isHeaderSafe } from '../../sip/header-values';
import { formatReasons, parseReasons, type Reason } from '../../sip/reason';
import type { HeaderReader, Headers } from '../../sip/user-agent';
import { formatWarnings, parseWarnings } from '../../sip/warning';

/**
 * What one leg says and another is told: each value is read by its grammar and has a limit. What cannot be read, or is beyond its limit, is
 * not told.
 */

/** Nobody is to be kept from calling for longer by the word of another, in seconds: who is called may say anything. */
const LONGEST_RETRY_SECONDS = 3600;
/** Of a value that goes on as it was written, and of a reason phrase. */
const MAX_LENGTH = 256;

type Reading = (value: string) => string | undefined;

function retryAfter(value: string): string | undefined {
  const seconds = deltaSeconds(value);
  return seconds === undefined ? undefined : String(Math.min(seconds, LONGEST_RETRY_SECONDS));
}

const short = (value: string): boolean => value.length <= MAX_LENGTH && isHeaderSafe(value);

function tokenWithParameters(value: string): string | undefined {
  const semicolon = value.indexOf(';');
  const token = (semicolon < 0 ? value : value.slice(0, semicolon)).trim();
  const follows = semicolon < 0 || parseParams(value, semicolon) !== undefined;
  return isToken(token) && follows ? value : undefined;
}

function asWritten(value: string, sound: (value: string) => boolean): string | undefined {
  return short(value) && sound(value) ? value : undefined;
}

/** Of a refusal: what tells the caller something and is about no hop in particular. */
const REFUSAL: ReadonlyMap<string, Reading> = new Map([
  ['Retry-After', retryAfter],
  ['Reason', (value: string) => passedOn(parseReasons(value))],
  ['Warning', (value: string) => formatWarnings(parseWarnings(value)) || undefined],
]);

/** Of an INFO or MESSAGE: what belongs to its body (RFC 6086 §4, RFC 3428). */
const BODY: ReadonlyMap<string, Reading> = new Map([
  ['Info-Package', (value: string) => asWritten(value, (text) => tokenWithParameters(text) !== undefined)],
  ['Content-Disposition', (value: string) => asWritten(value, (text) => parseDisposition(text) !== undefined)],
  ['Content-Language', (value: string) => asWritten(value, (text) => splitCommas(text).every(isToken))],
]);

function read(header: HeaderReader, readings: ReadonlyMap<string, Reading>): Headers {
  const headers: Record<string, string> = {};
  for (const [name, reading] of readings) {
    const value = header(name.toLowerCase());
    const told = value === undefined || value === '' ? undefined : reading(value);
    if (told !== undefined) headers[name] = told;
  }
  return headers;
}

/** Headers of one leg's refusal for the other. */
export function keptHeaders(header: HeaderReader): Headers {
  return read(header, REFUSAL);
}

/** Headers that belong to the body of a request. */
export function bodyHeaders(header: HeaderReader): Headers {
  return read(header, BODY);
}

/** What a body is; undefined: that cannot be read. */
export function passedContentType(value: string | undefined): string | undefined {
  return value === undefined ? undefined : asWritten(value, (text) => parseMediaType(text) !== undefined);
}

/** A party's reasons as the header for another; undefined: it has told none. Protocols and causes stay as they are (RFC 3326 §2). */
export function passedOn(reasons: readonly Reason[] | undefined): string | undefined {
  return reasons === undefined || reasons.length === 0 ? undefined : formatReasons(reasons);
}

/** Text of one leg that goes out on another; undefined when it could end a header line. */
export function safeText(text: string | undefined): string | undefined {
  return text !== undefined && isHeaderSafe(text) ? text.slice(0, MAX_LENGTH) : undefined;
}

/** The reason phrase of one leg for another; nothing: the usual one. */
export function reasonPhrase(text: string | undefined): { readonly reason?: string } {
  const safe = safeText(text);
  return safe === undefined || safe === '' ? {} : { reason: safe };
}
