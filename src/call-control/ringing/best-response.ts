import { isHeaderSafe } from '../../sip/header-values';
import type { HeaderReader, Headers } from '../../sip/user-agent';
import { parseReasons } from '../../sip/reason';
import { statusTowardsCaller } from '../../sip/status';
import { passedOn } from '../core/ending';
import type { Failure } from '../core/call-state';
import { safeText } from '../core/draft';

/** Headers of a refusal that tell the caller something and are about no hop in particular. */
const KEPT_HEADERS = ['Retry-After', 'Reason', 'Warning'] as const;

/** Headers of one leg's refusal for the other. */
export function keptHeaders(header: HeaderReader): Headers {
  const headers: Record<string, string> = {};
  for (const name of KEPT_HEADERS) {
    const given = header(name.toLowerCase());
    const value = name === 'Reason' ? passedOn(parseReasons(given)) : given;
    if (value !== undefined && isHeaderSafe(value)) headers[name] = value;
  }
  return headers;
}

/** A refusal as the caller may see it. A node or gateway that could not be reached is no fault of the number: 480. */
export function failureOf(
  status: number,
  reason: string | undefined,
  header: HeaderReader,
  unreachable: boolean,
): Failure {
  const headers = keptHeaders(header);
  if (unreachable || status === 408) return { ...TEMPORARILY_UNAVAILABLE, headers };
  const towardsCaller = statusTowardsCaller(status);
  return { status: towardsCaller, reason: towardsCaller === status ? safeText(reason) : undefined, headers };
}

export const TEMPORARILY_UNAVAILABLE: Failure = { status: 480, reason: undefined, headers: {} };

/** Lower comes first: a global refusal (RFC 3261 §16.7), busy, then what tells the caller most. */
function rank(status: number): number {
  if (status >= 600) return 0;
  if (status === 486) return 1;
  // Says nothing but that somebody was not there; anything else is better news.
  if (status === 480) return 3;
  if (status < 500) return 2;
  return 4;
}

/** The one answer for the caller when every branch has failed; the first of equals. */
export function bestFailure(failures: readonly Failure[]): Failure {
  return (
    failures.reduce<Failure | undefined>(
      (best, failure) => (best === undefined || rank(failure.status) < rank(best.status) ? failure : best),
      undefined,
    ) ?? TEMPORARILY_UNAVAILABLE
  );
}
