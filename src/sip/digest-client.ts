import { createHash, randomBytes } from 'node:crypto';
import { formatCredentials, parseCredentials } from '../sip-message/auth';
import { splitCommas } from '../sip-message/params';
import type { HeaderReader } from './user-agent';

/** Who we are for somebody who challenges us. */
export interface ClientAccount {
  readonly username: string;
  readonly password: string;
  /** The realms that the account is for; undefined: any that its owner names. */
  readonly realms?: readonly string[] | undefined;
}

/** What of a request the digest is made of; `uri` and `body` as on the wire. */
export interface DigestRequest {
  readonly method: string;
  readonly uri: string;
  readonly body: string;
}

type HeaderName = 'Authorization' | 'Proxy-Authorization';

/** The one who challenges, as far as credentials go: RFC 3261 §22.2 and §22.3 keep user agents and proxies apart. */
interface Space {
  readonly header: HeaderName;
  readonly realm: string;
  readonly nonce: string;
  readonly opaque: string | undefined;
  /** As it was written; undefined: MD5, unsaid. */
  readonly algorithm: string | undefined;
  readonly qop: 'auth' | 'auth-int' | undefined;
  readonly stale: boolean;
}

interface Known {
  readonly space: Space;
  /** How often the nonce was used (RFC 7616 §3.4: `nc`). */
  readonly uses: number;
  /** One for each nonce, so that the session key of `-sess` is the same however it is read. */
  readonly cnonce: string;
}

/** What is known of those who have challenged us, by header and realm. */
export type DigestMemory = ReadonlyMap<string, Known>;

export const NO_MEMORY: DigestMemory = new Map();

/** What a request has come to so far: the nonces with which it was sent, and which of them it was given itself. */
export interface Attempts {
  readonly count: number;
  readonly sent: ReadonlyMap<string, string>;
  readonly given: ReadonlyMap<string, string>;
}

export const FIRST_ATTEMPT: Attempts = { count: 0, sent: new Map(), given: new Map() };

export type Verdict =
  | { readonly type: 'again'; readonly memory: DigestMemory; readonly attempts: Attempts }
  /** The refusal stands; `why` is for the log. */
  | { readonly type: 'final'; readonly why: string };

/** Proxies, the gateway itself, a nonce that expired meanwhile: more rounds than that are a loop. */
const MAX_ATTEMPTS = 6;
const MAX_HEADER_LENGTH = 8192;
/** Realms of which one peer can have us remember the nonce. */
const MAX_SPACES = 8;

const HASHES: ReadonlyMap<string, string> = new Map([
  ['MD5', 'md5'],
  ['SHA-256', 'sha256'],
  ['SHA-512-256', 'sha512-256'],
]);

const SESSION = /-sess$/i;

function hashOf(algorithm: string | undefined): string | undefined {
  return HASHES.get((algorithm ?? 'MD5').toUpperCase().replace(/-SESS$/, ''));
}

/** The options of `qop`; undefined: we know none of them. `none`: the server is one of RFC 2069. */
function chooseQop(text: string | undefined): Space['qop'] | 'none' | undefined {
  const options = (text ?? '')
    .toLowerCase()
    .split(/[,\s]+/)
    .filter((option) => option !== '');
  if (options.length === 0) return 'none';
  if (options.includes('auth')) return 'auth';
  return options.includes('auth-int') ? 'auth-int' : undefined;
}

/** The challenges of one (joined) header: each begins where an element starts with a scheme and a parameter. */
function splitChallenges(header: string): string[] {
  const challenges: string[] = [];
  for (const element of splitCommas(header)) {
    if (/^[A-Za-z][\w-]*\s+[\w-]+\s*=/.test(element)) challenges.push(element);
    // What has no value is another scheme, or the rest of a list that lacks its quotes.
    else if (element.includes('=')) challenges.push(`${challenges.pop() ?? ''}, ${element}`);
  }
  return challenges;
}

function readSpace(header: HeaderName, challenge: string): Space | undefined {
  const parsed = parseCredentials(challenge);
  if (parsed?.scheme.toLowerCase() !== 'digest') return undefined;
  const { params } = parsed;
  const [realm, nonce, algorithm] = ['realm', 'nonce', 'algorithm'].map((name) => params.get(name));
  const qop = chooseQop(params.get('qop'));
  if (realm === undefined || nonce === undefined || qop === undefined || hashOf(algorithm) === undefined)
    return undefined;
  return {
    header,
    realm,
    nonce,
    opaque: params.get('opaque'),
    algorithm,
    qop: qop === 'none' ? undefined : qop,
    stale: params.get('stale')?.toLowerCase() === 'true',
  };
}

const CHALLENGES: readonly (readonly [string, HeaderName])[] = [
  ['WWW-Authenticate', 'Authorization'],
  ['Proxy-Authenticate', 'Proxy-Authorization'],
];

/**
 * What a 401 or 407 asks for: of each realm the first challenge that we can answer (RFC 8760 §2.4). Both headers are read,
 * since a forking proxy puts the challenges of all branches into one response (RFC 3261 §22.3).
 */
function readChallenges(header: HeaderReader): readonly Space[] {
  const spaces = new Map<string, Space>();
  for (const [name, answer] of CHALLENGES) {
    const value = header(name);
    if (value === undefined || value.length > MAX_HEADER_LENGTH) continue;
    for (const challenge of splitChallenges(value)) {
      const space = readSpace(answer, challenge);
      if (space !== undefined && !spaces.has(keyOf(space))) spaces.set(keyOf(space), space);
    }
  }
  return [...spaces.values()];
}

function keyOf({ header, realm }: Space): string {
  return `${header} ${realm}`;
}

/**
 * What to do about a 401 or 407: again, with credentials, when it names a realm of ours. Final is the refusal of credentials that
 * answer a challenge to this very request, unless their nonce has expired meanwhile (RFC 7616 §3.3: `stale` and another nonce).
 * Those that were sent without being asked for may be refused once (RFC 3261 §22.2).
 */
export function takeChallenge(
  memory: DigestMemory,
  account: ClientAccount,
  attempts: Attempts,
  header: HeaderReader,
  freshCnonce: () => string = randomCnonce,
): Verdict {
  const challenges = readChallenges(header);
  if (challenges.length === 0) return { type: 'final', why: 'it has no challenge that can be answered' };
  const ours = challenges.filter(({ realm }) => account.realms?.includes(realm) !== false);
  if (ours.length === 0)
    return { type: 'final', why: `the realm is another one: ${challenges.map(({ realm }) => realm).join(', ')}` };
  if (attempts.count >= MAX_ATTEMPTS) return { type: 'final', why: `${MAX_ATTEMPTS} attempts were challenged` };
  const next = new Map(memory);
  const given = new Map(attempts.given);
  for (const space of ours) {
    const key = keyOf(space);
    const refused = attempts.sent.get(key);
    const answered = refused !== undefined && refused === given.get(key);
    if (answered && (refused === space.nonce || !space.stale))
      return { type: 'final', why: `the credentials were refused, realm ${space.realm}` };
    given.set(key, space.nonce);
    const known = next.get(key);
    if (known?.space.nonce === space.nonce) next.set(key, { ...known, space });
    else next.set(key, { space, uses: 0, cnonce: freshCnonce() });
  }
  for (const key of [...next.keys()].slice(0, -MAX_SPACES)) next.delete(key);
  return { type: 'again', memory: next, attempts: { ...attempts, given } };
}

function randomCnonce(): string {
  return randomBytes(16).toString('hex');
}

export interface Authorized {
  readonly attempts: Attempts;
  /** One for each realm, a line each: they must not be joined (RFC 3261 §7.3.1). */
  readonly headers: readonly (readonly [name: HeaderName, value: string])[];
}

/** The headers that prove who we are to everybody who has challenged us; the nonces are then used once more. */
export function authorize(
  memory: DigestMemory,
  account: ClientAccount,
  attempts: Attempts,
  request: DigestRequest,
): Authorized & { readonly memory: DigestMemory } {
  const next = new Map(memory);
  const headers: [HeaderName, string][] = [];
  const sent = new Map<string, string>();
  for (const [key, { space, uses, cnonce }] of memory) {
    headers.push([space.header, credentials(space, account, request, uses + 1, cnonce)]);
    next.set(key, { space, uses: uses + 1, cnonce });
    sent.set(key, space.nonce);
  }
  return { memory: next, attempts: { ...attempts, count: attempts.count + 1, sent }, headers };
}

/** RFC 7616 §3.4; without `qop` RFC 2069, as RFC 3261 §22.4 has it. */
function credentials(
  { realm, nonce, opaque, algorithm, qop }: Space,
  { username, password }: ClientAccount,
  { method, uri, body }: DigestRequest,
  uses: number,
  cnonce: string,
): string {
  const name = hashOf(algorithm) ?? 'md5';
  const hash = (text: string): string => createHash(name).update(text, 'utf8').digest('hex');
  const session = SESSION.test(algorithm ?? '');
  const secret = hash(`${username}:${realm}:${password}`);
  const first = session ? hash(`${secret}:${nonce}:${cnonce}`) : secret;
  const second = hash(qop === 'auth-int' ? `${method}:${uri}:${hash(body)}` : `${method}:${uri}`);
  const nc = uses.toString(16).padStart(8, '0');
  const counted = qop === undefined ? '' : `${nc}:${cnonce}:${qop}:`;
  return formatCredentials('Digest', {
    username,
    realm,
    nonce,
    uri,
    response: hash(`${first}:${nonce}:${counted}${second}`),
    algorithm,
    ...(qop === undefined && !session ? {} : { cnonce }),
    opaque,
    ...(qop === undefined ? {} : { qop, nc }),
  });
}

/** An account with what it has been challenged with: shared by every request to one peer, so that no nonce count is used twice. */
export class DigestClient {
  private memory = NO_MEMORY;

  constructor(
    private readonly account: ClientAccount,
    /** `onRefused`: why a challenge was not answered; `freshCnonce`: at least 64 bits that nobody can guess. */
    private readonly options: { readonly onRefused?: (why: string) => void; readonly freshCnonce?: () => string } = {},
  ) {}

  /** Headers for the next sending of a request; empty while nobody has challenged us. */
  authorize(attempts: Attempts, request: DigestRequest): Authorized {
    const { memory, ...rest } = authorize(this.memory, this.account, attempts, request);
    this.memory = memory;
    return rest;
  }

  /** A 401 or 407: the attempts to go on with; undefined: it is final. */
  challenged(attempts: Attempts, header: HeaderReader): Attempts | undefined {
    const verdict = takeChallenge(this.memory, this.account, attempts, header, this.options.freshCnonce);
    if (verdict.type === 'final') {
      this.options.onRefused?.(verdict.why);
      return undefined;
    }
    this.memory = verdict.memory;
    return verdict.attempts;
  }
}
