import { isToken } from './characters';
import { parseCommaParams, quote } from './params';

export interface Credentials {
  /** As written: `Digest`. Compare without regard to case. */
  scheme: string;
  /** Names in lower case, values without quotes. */
  params: Map<string, string>;
}

/** Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate: `Digest name=value, ...`. */
export function parseCredentials(input: string): Credentials | undefined {
  const text = input.trim();
  const space = text.search(/\s/);
  if (space < 0) return undefined;
  const scheme = text.slice(0, space);
  const params = parseCommaParams(text.slice(space));
  return params === undefined || !isToken(scheme) ? undefined : { scheme, params };
}

/** What must not be quoted in a challenge (RFC 7616 section 3.3) and in credentials (section 3.4). */
const BARE_IN_CHALLENGE = new Set(['algorithm', 'stale']);
const BARE_IN_CREDENTIALS = new Set(['algorithm', 'qop', 'nc']);

type AuthParams = Readonly<Record<string, string | undefined>>;

function format(scheme: string, params: AuthParams, bare: ReadonlySet<string>): string {
  const parts = Object.entries(params).flatMap(([name, value]) => {
    if (value === undefined) return [];
    return [`${name}=${bare.has(name.toLowerCase()) && isToken(value) ? value : quote(value)}`];
  });
  return `${scheme} ${parts.join(', ')}`;
}

/** Value of WWW-Authenticate or Proxy-Authenticate, in the order given; undefined values are left out. */
export const formatChallenge = (scheme: string, params: AuthParams): string =>
  format(scheme, params, BARE_IN_CHALLENGE);

/** Value of Authorization or Proxy-Authorization. */
export const formatCredentials = (scheme: string, params: AuthParams): string =>
  format(scheme, params, BARE_IN_CREDENTIALS);
