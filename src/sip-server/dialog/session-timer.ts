import { parseNumber } from '../../sip-message/header-rules';

/** Session timers (RFC 4028): who refreshes, and how often. Decisions only. */

/** Seconds. Shorter intervals are refused in a re-INVITE or UPDATE, and raised in a first INVITE. */
export const MIN_SESSION_SECONDS = 90;

export interface SessionInterval {
  readonly seconds: number;
  readonly refresher: 'local' | 'remote';
}

interface SessionExpires {
  readonly seconds: number;
  readonly refresher: string | undefined;
}

/** Value of Session-Expires; undefined when there is none, or it is no number. */
export function parseSessionExpires(value: string | undefined): SessionExpires | undefined {
  if (value === undefined) return undefined;
  const [first = '', ...params] = value.split(';').map((part) => part.trim());
  const seconds = parseNumber(first);
  if (seconds === undefined) return undefined;
  const refresher = params.find((param) => param.toLowerCase().startsWith('refresher='));
  return { seconds, refresher: refresher?.slice('refresher='.length).trim().toLowerCase() };
}

/** We answered 2xx. `add` is a Session-Expires value to put into it; `interval` undefined: no timer. */
export function sessionAsServer(
  requested: string | undefined,
  answered: string | undefined,
): { readonly add: string | undefined; readonly interval: SessionInterval | undefined } {
  const own = parseSessionExpires(answered);
  if (own !== undefined) {
    const refresher = own.refresher === 'uas' ? 'local' : 'remote';
    return { add: undefined, interval: { seconds: Math.max(MIN_SESSION_SECONDS, own.seconds), refresher } };
  }
  const asked = parseSessionExpires(requested);
  if (asked?.refresher === undefined) return { add: undefined, interval: undefined };
  const seconds = Math.max(MIN_SESSION_SECONDS, asked.seconds);
  const byUs = asked.refresher === 'uas';
  return {
    add: `${seconds};refresher=${byUs ? 'uas' : 'uac'}`,
    interval: { seconds, refresher: byUs ? 'local' : 'remote' },
  };
}

/** The peer answered 2xx to our INVITE or UPDATE. */
export function sessionAsClient(answered: string | undefined): SessionInterval | undefined {
  const given = parseSessionExpires(answered);
  if (given === undefined) return undefined;
  const refresher = given.refresher === 'uas' ? 'remote' : 'local';
  return { seconds: Math.max(MIN_SESSION_SECONDS, given.seconds), refresher };
}

/** A refresh with an interval we do not take (RFC 4028 section 6: answer 422 with Min-SE). */
export function tooSmall(value: string | undefined): boolean {
  const given = parseSessionExpires(value);
  return given !== undefined && given.seconds < MIN_SESSION_SECONDS;
}

/** A session that we are to refresh, and could not, ends so long before its interval is over; until then it is tried again. */
export function refresherExpiryMs({ seconds }: SessionInterval): number {
  return (seconds - Math.min(10, seconds / 10)) * 1000;
}

/** When we refresh at last although the application has tried to do so by itself, ms after the last refresh. */
export function postponedRefreshMs({ seconds }: SessionInterval): number {
  return (seconds * 2000) / 3;
}

const REFRESH_SPREAD_MS = 5000;
const LONGEST_MARGIN_SECONDS = 32;

/**
 * When to act, ms from now. We refresh at half the interval, give or take 5 s (`chance` in 0..1); a session that the
 * peer does not refresh ends a little before its interval is over (RFC 4028 section 10).
 */
export function sessionDelayMs(interval: SessionInterval, chance: number): number {
  if (interval.refresher === 'local') return interval.seconds * 500 + (chance * 2 - 1) * REFRESH_SPREAD_MS;
  return (interval.seconds - Math.min(LONGEST_MARGIN_SECONDS, interval.seconds / 3)) * 1000;
}
