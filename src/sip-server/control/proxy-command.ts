/** What an application asks for with `proxy`. */
export interface ProxyOptions {
  /** Record-Route (Path for REGISTER): later requests come through us too. */
  readonly remainInDialog: boolean;
  /** The application wants each final response, not just the end. */
  readonly fullResponse: boolean;
  /** Contacts of a 3xx are tried as well. */
  readonly followRedirects: boolean;
  readonly simultaneous: boolean;
  /** A target that gives no provisional response for so long is given up; ms. */
  readonly provisionalTimeout: number | undefined;
  /** A target that gives no final response for so long is cancelled and given up; ms. */
  readonly finalTimeout: number | undefined;
  readonly destinations: readonly string[];
}

const LONGEST_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** `2s`, `1500ms`; a bare number is seconds. Undefined: none. */
function duration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s)?$/.exec(text.trim());
  if (match === null) return undefined;
  const ms = Number(match[1]) * (match[2] === 'ms' ? 1 : 1000);
  return ms === 0 ? undefined : Math.min(ms, LONGEST_TIMEOUT_MS);
}

/** From the tokens after the transaction id. */
export function parseProxyOptions(tokens: readonly string[]): ProxyOptions {
  const [remain = '', full = '', redirects = '', forking = '', provisional = '', final = '', ...destinations] = tokens;
  return {
    remainInDialog: remain !== '',
    fullResponse: full !== '',
    followRedirects: redirects !== '',
    simultaneous: forking === 'simultaneous',
    provisionalTimeout: duration(provisional),
    finalTimeout: duration(final),
    destinations: destinations.filter((destination) => destination !== ''),
  };
}
