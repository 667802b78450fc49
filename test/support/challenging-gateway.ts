import { createHash, randomBytes } from 'node:crypto';
import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { bodyOf, headerOf, methodOf } from './sip-text';

export interface Challenge {
  readonly status: 401 | 407;
  readonly realm: string;
  /** As it stands in the challenge; undefined: none. */
  readonly algorithm?: string;
  readonly qop?: string;
  /** The first nonce of each request has expired when it is used. */
  readonly expires?: boolean;
}

const HASHES: Readonly<Record<string, string>> = { 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

/**
 * A gateway of plain SIP that challenges every request but ACK and CANCEL (RFC 3261 §22.1), with a nonce of its own for each;
 * it verifies what it is sent by itself, and answers what is right with what it is told to.
 */
export class ChallengingGateway {
  /** What was accepted, `METHOD` each, in order. */
  readonly accepted: string[] = [];
  /** What was wrong with credentials. */
  readonly wrong: string[] = [];
  /** How often a request was challenged. */
  challenges = 0;
  /** Answers what is proved; default 200. */
  onProved: ((request: string) => void) | undefined;
  private readonly issued = new Map<string, { readonly callId: string; expired: boolean; counts: Set<string> }>();
  private readonly seen = new Set<string>();

  private constructor(
    readonly peer: SipPeer,
    readonly account: { readonly username: string; readonly password: string },
    private demands: readonly Challenge[],
  ) {
    peer.onRequest = (request) => this.take(request);
  }

  static async start(
    scope: Scope,
    account: { readonly username: string; readonly password: string },
    demands: readonly Challenge[],
    port = 0,
  ): Promise<ChallengingGateway> {
    return new ChallengingGateway(await SipPeer.udp(scope, '127.0.0.1', 9, '127.0.0.1', port), account, demands);
  }

  /** Other challenges from now on, one after the other for each request. */
  demand(...demands: readonly Challenge[]): void {
    this.demands = demands;
  }

  get port(): number {
    return this.peer.port;
  }

  private take(request: string): void {
    const method = methodOf(request) ?? '';
    if (method === 'ACK' || method === 'CANCEL') {
      if (method === 'CANCEL') this.peer.answer(request, '200 OK');
      return;
    }
    const key = `${headerOf(request, 'Call-ID') ?? ''} ${headerOf(request, 'CSeq') ?? ''}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    for (const demand of this.demands) {
      const credentials = this.credentialsFor(request, demand);
      const refusal = credentials === undefined ? {} : this.judge(request, demand, credentials);
      if (refusal !== undefined) return this.challenge(request, demand, refusal.stale === true);
    }
    this.accepted.push(method);
    if (this.onProved !== undefined) this.onProved(request);
    else this.peer.answer(request, '200 OK');
  }

  private challenge(request: string, { status, realm, algorithm, qop, expires }: Challenge, stale: boolean): void {
    this.challenges += 1;
    const nonce = `n,${randomBytes(6).toString('hex')}`;
    this.issued.set(nonce, {
      callId: headerOf(request, 'Call-ID') ?? '',
      expired: expires === true && !stale,
      counts: new Set(),
    });
    const value = [
      `Digest realm="${realm.replace(/["\\]/g, '\\$&')}"`,
      `nonce="${nonce}"`,
      'opaque="op,aque"',
      ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
      ...(qop === undefined ? [] : [`qop="${qop}"`]),
      ...(stale ? ['stale=TRUE'] : []),
    ].join(', ');
    const name = status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate';
    const phrase = status === 401 ? '401 Unauthorized' : '407 Proxy Authentication Required';
    this.peer.answer(request, phrase, { headers: [`${name}: ${value}`] });
  }

  private credentialsFor(request: string, { status, realm }: Challenge): ReadonlyMap<string, string> | undefined {
    const name = status === 401 ? 'authorization' : 'proxy-authorization';
    for (const line of request.split('\r\n')) {
      if (!line.toLowerCase().startsWith(`${name}:`)) continue;
      const params = new Map<string, string>();
      for (const [, key = '', quoted, bare] of line.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g))
        params.set(key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare ?? '');
      if (params.get('realm') === realm) return params;
    }
    return undefined;
  }

  /** Undefined: they are right. */
  private judge(
    request: string,
    demand: Challenge,
    params: ReadonlyMap<string, string>,
  ): { stale?: boolean } | undefined {
    const get = (name: string): string => params.get(name) ?? '';
    const issued = this.issued.get(get('nonce'));
    if (issued === undefined || issued.callId !== headerOf(request, 'Call-ID') || issued.expired)
      return { stale: true };
    const algorithm = demand.algorithm ?? 'MD5';
    const hash = (text: string): string =>
      createHash(HASHES[algorithm.replace(/-sess$/, '')] ?? 'md5')
        .update(text)
        .digest('hex');
    const { username, password } = this.account;
    const secret = hash(`${username}:${demand.realm}:${password}`);
    const first = algorithm.endsWith('-sess') ? hash(`${secret}:${get('nonce')}:${get('cnonce')}`) : secret;
    const method = methodOf(request) ?? '';
    const uri = request.split(' ')[1] ?? '';
    const second = hash(`${method}:${uri}${get('qop') === 'auth-int' ? `:${hash(bodyOf(request))}` : ''}`);
    const counted = demand.qop === undefined ? '' : `${get('nc')}:${get('cnonce')}:${get('qop')}:`;
    const problems = [
      ...(get('uri') === uri ? [] : [`uri ${get('uri')} of ${uri}`]),
      ...(get('opaque') === 'op,aque' ? [] : ['opaque']),
      ...(get('response') === hash(`${first}:${get('nonce')}:${counted}${second}`) ? [] : ['response']),
      ...(demand.qop !== undefined && issued.counts.has(get('nc')) ? [`nc ${get('nc')} again`] : []),
    ];
    issued.counts.add(get('nc'));
    if (problems.length === 0) return undefined;
    this.wrong.push(`${method}: ${problems.join(', ')}`);
    return {};
  }
}
