import type { HeaderReader } from '../../sip/user-agent';
import { statusTowardsCaller } from '../../sip/status';
import type { Failure } from '../core/call-state';
import { keptHeaders, safeText } from '../core/passed-on';

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
export function rank(status: number): number {
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
