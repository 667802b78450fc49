import { isToken } from '../sip-message/characters';
import type { Identity } from './identity';

/** What may stand in a Privacy header, in the order in which we write it (RFC 3323 section 4.2, RFC 3325 section 9.3, RFC 7044). */
const KNOWN = ['header', 'session', 'user', 'id', 'history', 'critical'] as const;
/** Those that withhold who calls. */
const WITHHOLDING = ['header', 'user', 'id'] as const;

/** What we do for who asks. The descriptions of a session, with the addresses in them, go from one end to the other: `session` is not among them. */
const PROVIDED: ReadonlySet<string> = new Set(['header', 'user', 'id', 'history', 'critical', 'none', '']);

/** How a caller appears who is not shown (RFC 3323 section 4.1.1.3). */
export const ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>';

/** `session;id` or, of several lines, `session, id`. */
function valuesOf(header: string): ReadonlySet<string> {
  return new Set(header.split(/[;,]/).map((value) => value.trim().toLowerCase()));
}

/**
 * What is asked for, is not done, and without which the request is not to go on: it is refused with 500 and these in the reason (RFC 3323
 * section 5). Empty unless the header says `critical`.
 */
export function missingPrivacy(header: string | undefined): readonly string[] {
  const asked = valuesOf(header ?? '');
  return asked.has('critical') ? [...asked].filter((value) => !PROVIDED.has(value)) : [];
}

/** The reason phrase of that 500. */
export function privacyFailure(missing: readonly string[]): string {
  const named = missing.filter((value) => isToken(value)).join(' ');
  return `Privacy Not Provided: ${named === '' ? 'unknown' : named.slice(0, 64)}`;
}

/**
 * What is asked for: `shown` (`none`), `withheld` with the header that says so to those who are trusted, or nothing. A header that
 * cannot be read withholds: it was meant to say something. The lines of the header may be joined with commas.
 */
export function readPrivacy(
  header: string | undefined,
): { readonly type: 'nothing' | 'shown' } | { readonly type: 'withheld'; readonly header: string } {
  if (header === undefined) return { type: 'nothing' };
  const asked = valuesOf(header);
  const known = KNOWN.filter((value) => asked.has(value));
  if (WITHHOLDING.some((value) => asked.has(value))) return { type: 'withheld', header: withId(known) };
  if (asked.has('none')) return { type: 'shown' };
  return known.length > 0 && !asked.has('critical') ? { type: 'nothing' } : { type: 'withheld', header: withId(known) };
}

/** Who gets P-Asserted-Identity must not pass it on: that is what `id` says (RFC 3325 section 7). */
function withId(values: readonly string[]): string {
  return KNOWN.filter((value) => value === 'id' || values.includes(value)).join(';');
}

/** Whether an address names nobody: the anonymous one of RFC 3323 section 4.1.1.3, and what programs write in its place. */
export function isAnonymous({ user, host }: Identity): boolean {
  return user.toLowerCase() === 'anonymous' || host.toLowerCase().endsWith('.invalid');
}
