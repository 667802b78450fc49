import { SUPPORTED } from '../../sip/extensions';
import { optionTags, parseCount } from '../../sip/header-values';
import type { HeaderReader, Headers } from '../../sip/user-agent';

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
    Supported: SUPPORTED,
    Require: 'timer',
  };
}

/** Headers of an INVITE or re-INVITE of ours (RFC 4028 §7.1); `minimum`: what a 422 has told. */
export function requestTimer(refreshSeconds: number, minimum = MIN_SE): Headers {
  return {
    'Session-Expires': String(Math.max(minimum, refreshSeconds)),
    'Min-SE': String(minimum),
    Supported: SUPPORTED,
  };
}

/** The longest interval that we take for a 422, in seconds: more is no session timer any more. */
const LONGEST_MIN_SE = 86_400;

/** Takes the Min-SE of a 422, for what is sent to this device from now on; false: it asked for that before, or for too much. */
export function allowsInterval(device: { minimumInterval: number }, minimum: number): boolean {
  if (minimum <= device.minimumInterval || minimum > LONGEST_MIN_SE) return false;
  device.minimumInterval = minimum;
  return true;
}

/** What a 2xx to an INVITE or UPDATE has agreed on; `refresher`: the client or the server of that request. */
export interface AgreedTimer {
  readonly seconds: number;
  readonly refresher: 'uac' | 'uas';
}

/** Of a 2xx, the peer's or ours (RFC 4028 §7.2, §9); undefined: there is no session timer. */
export function agreedTimer(header: HeaderReader): AgreedTimer | undefined {
  const { seconds, refresher = 'uac' } = askedTimer(header);
  return seconds === undefined ? undefined : { seconds: Math.max(MIN_SE, seconds), refresher };
}

/** A drachtio-server refreshes by itself from 5 s before half the interval on, without credentials: we are there first. */
const BEFORE_SERVER_SECONDS = 6;

/**
 * When we refresh, in ms: at half the interval (RFC 4028 §7.2), or a little before; undefined: the peer does. Where nothing was agreed
 * we ask for signs of life in our own interval.
 */
export function refreshAfterMs(
  agreed: AgreedTimer | undefined,
  role: AgreedTimer['refresher'],
  refreshSeconds: number,
): number | undefined {
  if (agreed === undefined) return (refreshSeconds * 1000) / 2;
  return agreed.refresher === role ? (agreed.seconds / 2 - BEFORE_SERVER_SECONDS) * 1000 : undefined;
}

/** After a refresh that was refused without a word of when to try again. The session stands until it expires (RFC 3261 §14.1). */
const REFRESH_AGAIN_SECONDS = 10;
const LATEST_REFRESH_SECONDS = 600;

/** `afterSeconds`: the Retry-After of the refusal. */
export function refreshAgainMs(afterSeconds: number | undefined): number {
  return Math.min(Math.max(REFRESH_AGAIN_SECONDS, afterSeconds ?? 0), LATEST_REFRESH_SECONDS) * 1000;
}
