import { createHash, timingSafeEqual } from 'node:crypto';
import type { DigestAlgorithm } from '../config/types';
import { formatChallenge, parseCredentials } from '../sip-message/auth';
import { parseUri } from '../sip-message/uri';
import type { SipDomain } from './domain';
import { splitCredentials } from './header-values';
import type { NonceSource } from './nonce';
import type { Headers, ReceivedRequest } from './user-agent';

/** Somebody who can prove who he is. */
export interface DigestAccount {
  readonly username: string;
  readonly password: string;
  /** Strongest first. */
  readonly algorithms: readonly DigestAlgorithm[];
}

export interface DigestOptions {
  readonly accounts: readonly DigestAccount[];
  readonly domain: SipDomain;
  readonly nonces: NonceSource;
}

/** Why a request was challenged. Only `wrong` and `malformed` are failures of the one who asks. */
export type ChallengeCause = 'no-credentials' | 'malformed' | 'wrong' | 'stale' | 'replayed';

export type AuthenticationResult =
  | {
      readonly type: 'authenticated';
      readonly username: string;
      /** When we issued the nonce that was used, ms. */
      readonly nonceIssuedAt: number;
    }
  | {
      readonly type: 'challenge';
      readonly status: 401 | 407;
      readonly headers: Headers;
      readonly cause: ChallengeCause;
      /** One challenge for each algorithm of the account, strongest first; `headers` carries the first. */
      readonly challenges: readonly string[];
    }
  /** The credentials are right, but made for another request. */
  | { readonly type: 'forbidden'; readonly status: 403; readonly reason: string };

/** What RFC 7616 section 3.4 makes a response of. */
export interface DigestInput {
  readonly algorithm: DigestAlgorithm;
  readonly username: string;
  readonly realm: string;
  readonly password: string;
  readonly method: string;
  readonly uri: string;
  readonly nonce: string;
  /** Eight hexadecimal digits, as sent. */
  readonly nc: string;
  readonly cnonce: string;
}

const HASHES: Readonly<Record<DigestAlgorithm, string>> = { MD5: 'md5', 'SHA-256': 'sha256' };
const DEFAULT_ALGORITHMS: readonly DigestAlgorithm[] = ['MD5'];
const MAX_CREDENTIALS_LENGTH = 4096;

/** The response of RFC 2617 section 3.2.2 and RFC 7616 section 3.4.1, for qop=auth. */
export function digestResponse(input: DigestInput): string {
  const hash = (text: string): string => createHash(HASHES[input.algorithm]).update(text).digest('hex');
  const first = hash(`${input.username}:${input.realm}:${input.password}`);
  const second = hash(`${input.method}:${input.uri}`);
  return hash(`${first}:${input.nonce}:${input.nc}:${input.cnonce}:auth:${second}`);
}

interface DigestCredentials {
  readonly username: string;
  readonly algorithm: DigestAlgorithm;
  readonly nonce: string;
  readonly uri: string;
  readonly nc: string;
  readonly cnonce: string;
  readonly response: string;
}

function parseAlgorithm(text: string | undefined): DigestAlgorithm | undefined {
  const name = text?.toUpperCase() ?? 'MD5';
  return name === 'MD5' || name === 'SHA-256' ? name : undefined;
}

/** Credentials without qop (RFC 2069) have no nonce count, and could be replayed: they count as malformed. */
function toCredentials(params: ReadonlyMap<string, string>): DigestCredentials | undefined {
  const [username, nonce, uri, nc, cnonce, response] = ['username', 'nonce', 'uri', 'nc', 'cnonce', 'response'].map(
    (name) => params.get(name),
  );
  const algorithm = parseAlgorithm(params.get('algorithm'));
  if (username === undefined || nonce === undefined || uri === undefined || algorithm === undefined) return undefined;
  if (nc === undefined || cnonce === undefined || response === undefined) return undefined;
  if (params.get('qop')?.toLowerCase() !== 'auth' || !/^[0-9a-fA-F]{8}$/.test(nc)) return undefined;
  return { username, algorithm, nonce, uri, nc, cnonce, response: response.toLowerCase() };
}

function equal(a: string, b: string): boolean {
  const [left, right] = [a, b].map((text) => createHash('sha256').update(text).digest());
  return left !== undefined && right !== undefined && timingSafeEqual(left, right);
}

/**
 * The server side of digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760). Nonces are signed and good at their
 * issuer only; qop=auth is required; a nonce count is taken once. An unknown user gets the answer, and costs the work,
 * of a wrong password.
 */
export class DigestAuthenticator {
  private readonly accounts: ReadonlyMap<string, DigestAccount>;
  private readonly realm: string;

  constructor(private readonly options: DigestOptions) {
    this.accounts = new Map(options.accounts.map((account) => [account.username, account]));
    this.realm = options.domain.name;
  }

  /** `likelyUser`: whose algorithms to offer to a request without credentials (user part of its From). */
  authenticate(request: ReceivedRequest, likelyUser?: string): AuthenticationResult {
    const header = request.header(request.method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization');
    const params = this.ours(header);
    if (params === undefined) return this.challenge(request, 'no-credentials', likelyUser);
    const credentials = toCredentials(params);
    if (credentials === undefined) return this.challenge(request, 'malformed', params.get('username'));
    return this.judge(request, credentials);
  }

  /** Of the credentials of a request those for our realm. */
  private ours(header: string | undefined): ReadonlyMap<string, string> | undefined {
    if (header === undefined || header.length > MAX_CREDENTIALS_LENGTH) return undefined;
    for (const text of splitCredentials(header)) {
      const credentials = parseCredentials(text);
      if (credentials?.scheme.toLowerCase() === 'digest' && credentials.params.get('realm') === this.realm)
        return credentials.params;
    }
    return undefined;
  }

  private judge(request: ReceivedRequest, credentials: DigestCredentials): AuthenticationResult {
    const { username, nonce } = credentials;
    const account = this.accounts.get(username);
    const { state, issuedAt } = this.options.nonces.check(nonce);
    const expected = digestResponse({
      ...credentials,
      realm: this.realm,
      password: account?.password ?? '',
      method: request.method,
    });
    const allowed = (account?.algorithms ?? DEFAULT_ALGORITHMS).includes(credentials.algorithm);
    const right = equal(expected, credentials.response) && account !== undefined && allowed;
    if (!right || state === 'forged') return this.challenge(request, 'wrong', username);
    if (state !== 'good') return this.challenge(request, 'stale', username);
    if (!this.options.nonces.take(nonce, issuedAt, Number.parseInt(credentials.nc, 16)))
      return this.challenge(request, 'replayed', username);
    if (!this.corresponds(credentials.uri, request.uri))
      return { type: 'forbidden', status: 403, reason: 'Credentials For Another Request' };
    return { type: 'authenticated', username, nonceIssuedAt: issuedAt };
  }

  /**
   * Whether the `uri` of the credentials is that of the request (RFC 7616 section 3.4.6): the same user or none, and the
   * same host, or any host of ours, since a phone may sign the domain and send to an address.
   */
  private corresponds(signed: string, requested: string): boolean {
    if (signed === requested) return true;
    const [a, b] = [parseUri(signed), parseUri(requested)];
    if (a === undefined || b === undefined || a.scheme === 'tel' || b.scheme === 'tel') return false;
    const { domain } = this.options;
    const sameHost = a.host.toLowerCase() === b.host.toLowerCase() && a.port === b.port;
    return (sameHost || domain.hasHost(a.host)) && (a.user === undefined || a.user === b.user);
  }

  private challenge(
    request: ReceivedRequest,
    cause: ChallengeCause,
    username: string | undefined,
  ): AuthenticationResult {
    const account = username === undefined ? undefined : this.accounts.get(username);
    // A wrong count with the right password is no attack by itself: requests overtake each other on UDP.
    const stale = cause === 'stale' || cause === 'replayed';
    const nonce = this.options.nonces.issue();
    const challenges = (account?.algorithms ?? DEFAULT_ALGORITHMS).map((algorithm) =>
      formatChallenge('Digest', {
        realm: this.realm,
        nonce,
        algorithm,
        qop: 'auth',
        stale: stale ? 'true' : undefined,
      }),
    );
    const register = request.method === 'REGISTER';
    return {
      type: 'challenge',
      status: register ? 401 : 407,
      headers: { [register ? 'WWW-Authenticate' : 'Proxy-Authenticate']: challenges[0] ?? '' },
      cause,
      challenges,
    };
  }
}
