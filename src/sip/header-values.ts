import { splitCommas } from '../sip-message/params';

/**
 * The several credentials of one joined Authorization header. They are no list (RFC 3261 section 7.3.1), but a SIP server
 * may join them: each begins where an element starts with a scheme and a parameter.
 */
export function splitCredentials(value: string): string[] {
  const credentials: string[] = [];
  for (const element of splitCommas(value)) {
    const last = credentials.length - 1;
    if (last < 0 || /^[A-Za-z]+\s+[\w-]+\s*=/.test(element)) credentials.push(element);
    else credentials[last] = `${credentials[last] ?? ''}, ${element}`;
  }
  return credentials;
}

/** The option tags of a Require or Supported header, in lower case. */
export function optionTags(value: string | undefined): string[] {
  return value === undefined ? [] : splitCommas(value).map((tag) => tag.toLowerCase());
}

const CONTROL_CHARACTER = /\p{Cc}/u;

/** Whether a text may be put into a header: nothing in it can end the line. */
export function isHeaderSafe(text: string): boolean {
  return !CONTROL_CHARACTER.test(text);
}

/** A number without sign, at most `maximum`; `undefined` for anything else. */
export function parseCount(text: string | undefined, maximum: number): number | undefined {
  if (text === undefined || !/^\d{1,15}$/.test(text.trim())) return undefined;
  const value = Number(text.trim());
  return value <= maximum ? value : undefined;
}
