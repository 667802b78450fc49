import { optionTags, parseCount } from '../sip/header-values';
import type { HeaderReader, Headers } from '../sip/user-agent';

/** RFC 4028 §5: no session timer may be shorter. Seconds. */
export const MIN_SE = 90;
const MAX_SE = 0xffffffff;

interface AskedTimer {
  readonly seconds: number | undefined;
  readonly refresher: 'uac' | 'uas' | undefined;
  readonly minimum: number;
  /** The peer knows session timers. */
  readonly supported: boolean;
}

function askedTimer(header: HeaderReader): AskedTimer {
  const [seconds, ...parameters] = (header('session-expires') ?? header('x') ?? '')
    .split(';')
    .map((part) => part.trim());
  const refresher = parameters.map((parameter) => /^refresher\s*=\s*(uac|uas)$/i.exec(parameter)?.[1]).find(Boolean);
  return {
    seconds: parseCount(seconds, MAX_SE),
    refresher: refresher?.toLowerCase() === 'uas' ? 'uas' : refresher === undefined ? undefined : 'uac',
    minimum: parseCount((header('min-se') ?? '').split(';')[0], MAX_SE) ?? MIN_SE,
    supported: [
      ...optionTags(header('supported')),
      ...optionTags(header('k')),
      ...optionTags(header('require')),
    ].includes('timer'),
  };
}

/** RFC 4028 §9: an interval below our minimum is refused with 422, but only to a caller that understands this. */
export function isTimerTooShort(header: HeaderReader): boolean {
  const asked = askedTimer(header);
  return asked.supported && asked.seconds !== undefined && asked.seconds < MIN_SE;
}

/**
 * Headers of our 200 (RFC 4028 §9). The peer refreshes when it can, unless it asked for us; else the SIP server does
 * (`refresher=uas`), so that no leg lives for ever.
 */
export function answerTimer(header: HeaderReader, refreshSeconds: number): Headers {
  const asked = askedTimer(header);
  const lowest = Math.max(MIN_SE, asked.minimum);
  const seconds = Math.max(lowest, Math.min(asked.seconds ?? refreshSeconds, refreshSeconds));
  if (!asked.supported) return { 'Session-Expires': `${seconds};refresher=uas` };
  return {
    'Session-Expires': `${seconds};refresher=${asked.refresher ?? 'uac'}`,
    Supported: 'timer',
    Require: 'timer',
  };
}

/** Headers of an INVITE or re-INVITE of ours (RFC 4028 §7.1). */
export function requestTimer(refreshSeconds: number): Headers {
  return { 'Session-Expires': String(Math.max(MIN_SE, refreshSeconds)), 'Min-SE': String(MIN_SE), Supported: 'timer' };
}

/** Whether the callee's 200 agreed to a session timer, which the SIP server then keeps. */
export function hasAgreedTimer(header: HeaderReader): boolean {
  return askedTimer(header).seconds !== undefined;
}
