import { createHash, timingSafeEqual } from 'node:crypto';
import type { DigestAlgorithm } from '../config/types';
import { sameHost, sourcePrefix } from '../process/address';
import { formatChallenge, parseCredentials } from '../sip-message/auth';
import { parseUri } from '../sip-message/uri';
import type { SipDomain } from './domain';
import type { Guesses } from './guesses';
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
  readonly guesses: Guesses;
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
      /** One for each algorithm, in order (RFC 8760 section 2.3): the first is in `headers`, each has a line of its own. */
      readonly moreLines: Readonly<Record<string, readonly string[]>>;
      readonly cause: ChallengeCause;
      /** A password was wrong, or there is no such account. */
      readonly guess?: FailedGuess;
    }
  /** `other-request`: the credentials are right, but made for another one. `held-up`: too many were wrong; nothing was looked at. */
  | {
      readonly type: 'forbidden';
      readonly status: 403;
      readonly reason: string;
      readonly headers: Headers;
      readonly cause: 'other-request' | 'held-up';
      readonly account: string;
    };

export interface FailedGuess {
  readonly account: string;
  readonly isAccount: boolean;
  /** With how many wrong ones of the same account from there before. */
  readonly failures: number;
  /** For how long nothing more is looked at. */
  readonly waitMs: number;
}

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

/** Strongest first; who may answer with one may answer with any that is stronger. */
const STRENGTH: readonly DigestAlgorithm[] = ['SHA-256', 'MD5'];

/** The order of the first account that has one, and behind it what else some account has. */
function offeredTo(accounts: readonly DigestAccount[]): readonly DigestAlgorithm[] {
  const used = new Set(accounts.flatMap(({ algorithms }) => algorithms));
  const ordered = accounts.find(({ algorithms }) => algorithms.length > 1)?.algorithms ?? [];
  const offered = new Set([...ordered, ...STRENGTH.filter((algorithm) => used.has(algorithm))]);
  return offered.size === 0 ? DEFAULT_ALGORITHMS : [...offered];
}

/**
 * The server side of digest authentication (RFC 3261 section 22, RFC 7616, RFC 8760). Nonces are signed and good at their
 * issuer only; qop=auth is required; a nonce count is taken once. Everybody is offered the same algorithms, those of all accounts
 * together, and an unknown user gets the answer, costs the work, and is held up like one with a wrong password: nobody can find out
 * which accounts there are.
 */
export class DigestAuthenticator {
  private readonly accounts: ReadonlyMap<string, DigestAccount>;
  private readonly offered: readonly DigestAlgorithm[];
  private readonly realm: string;

  constructor(private readonly options: DigestOptions) {
    this.accounts = new Map(options.accounts.map((account) => [account.username, account]));
    this.offered = offeredTo(options.accounts);
    this.realm = options.domain.name;
  }

  authenticate(request: ReceivedRequest): AuthenticationResult {
    const header = request.header(request.method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization');
    if (header !== undefined && header.length > MAX_CREDENTIALS_LENGTH) return this.challenge(request, 'malformed');
    const params = this.ours(header);
    if (params === undefined) return this.challenge(request, 'no-credentials');
    const credentials = toCredentials(params);
    if (credentials === undefined) return this.challenge(request, 'malformed');
    return this.judge(request, credentials);
  }

  /** Of the credentials of a request those for our realm. */
  private ours(header: string | undefined): ReadonlyMap<string, string> | undefined {
    if (header === undefined) return undefined;
    for (const text of splitCredentials(header)) {
      const credentials = parseCredentials(text);
      if (credentials?.scheme.toLowerCase() === 'digest' && credentials.params.get('realm') === this.realm)
        return credentials.params;
    }
    return undefined;
  }

  private judge(request: ReceivedRequest, credentials: DigestCredentials): AuthenticationResult {
    const { nonces, guesses } = this.options;
    const { username, nonce } = credentials;
    const place = sourcePrefix(request.source.address);
    const { state, issuedAt } = nonces.check(nonce, place);
    // Without a nonce of ours for that place nothing is judged and nothing counts: the address could be anybody's.
    if (state === 'forged') return this.challenge(request, 'wrong');
    if (state === 'elsewhere') return this.challenge(request, 'stale');
    const waitMs = guesses.waitMs(place, username);
    if (waitMs > 0) return heldUp(username, waitMs);
    const account = this.accounts.get(username);
    if (!this.isRight(request.method, credentials, account)) {
      const counted = guesses.failed(place, username);
      return this.challenge(request, 'wrong', { account: username, isAccount: account !== undefined, ...counted });
    }
    guesses.succeeded(place, username);
    if (state !== 'good') return this.challenge(request, 'stale');
    if (!nonces.take(nonce, issuedAt, Number.parseInt(credentials.nc, 16))) return this.challenge(request, 'replayed');
    if (this.corresponds(credentials.uri, request.uri))
      return { type: 'authenticated', username, nonceIssuedAt: issuedAt };
    const reason = 'Credentials For Another Request';
    return { type: 'forbidden', status: 403, reason, headers: {}, cause: 'other-request', account: username };
  }

  private isRight(method: string, credentials: DigestCredentials, account: DigestAccount | undefined): boolean {
    const { algorithm, response } = credentials;
    const expected = digestResponse({ ...credentials, realm: this.realm, password: account?.password ?? '', method });
    const allowed = (account?.algorithms ?? DEFAULT_ALGORITHMS).some(
      (own) => STRENGTH.indexOf(algorithm) <= STRENGTH.indexOf(own),
    );
    return equal(expected, response) && account !== undefined && allowed;
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
    const isSame = sameHost(a.host, b.host) && a.port === b.port;
    return (isSame || domain.hasHost(a.host)) && (a.user === undefined || a.user === b.user);
  }

  private challenge(request: ReceivedRequest, cause: ChallengeCause, guess?: FailedGuess): AuthenticationResult {
    // A wrong count with the right password is no attack by itself: requests overtake each other on UDP.
    const stale = cause === 'stale' || cause === 'replayed';
    const nonce = this.options.nonces.issue(sourcePrefix(request.source.address));
    const [first = '', ...more] = this.offered.map((algorithm) =>
      formatChallenge('Digest', {
        realm: this.realm,
        nonce,
        algorithm,
        qop: 'auth',
        stale: stale ? 'true' : undefined,
      }),
    );
    const register = request.method === 'REGISTER';
    const name = register ? 'WWW-Authenticate' : 'Proxy-Authenticate';
    return {
      type: 'challenge',
      status: register ? 401 : 407,
      headers: { [name]: first },
      moreLines: more.length === 0 ? {} : { [name]: more },
      cause,
      ...(guess === undefined ? {} : { guess }),
    };
  }
}

function heldUp(account: string, waitMs: number): AuthenticationResult {
  const headers = { 'Retry-After': String(Math.ceil(waitMs / 1000)) };
  return { type: 'forbidden', status: 403, reason: 'Too Many Wrong Passwords', headers, cause: 'held-up', account };
}
