import { createHash } from 'node:crypto';
import {
  authorize,
  DigestClient,
  FIRST_ATTEMPT,
  NO_MEMORY,
  takeChallenge,
  type Attempts,
} from '../../../src/sip/digest-client';
import { parseCredentials } from '../../../src/sip-message/auth';
import { headerReader } from './support';

const account = { username: 'trunk', password: 'secret' };
const request = { method: 'INVITE', uri: 'sip:5551234@carrier.example', body: 'v=0\r\n' };

const www = (value: string) => headerReader({ 'WWW-Authenticate': value });
const proxy = (value: string) => headerReader({ 'Proxy-Authenticate': value });

/** What a server computes by RFC 7616 §3.4.1 of what it was sent, as text. */
function expected(params: ReadonlyMap<string, string>, hash: string, of = request): string {
  const h = (text: string): string => createHash(hash).update(text).digest('hex');
  const get = (name: string): string => params.get(name) ?? '';
  const sess = /-sess$/i.test(get('algorithm'));
  const secret = h(`trunk:${get('realm')}:secret`);
  const a1 = sess ? h(`${secret}:${get('nonce')}:${get('cnonce')}`) : secret;
  const a2 = h(`${of.method}:${get('uri')}${get('qop') === 'auth-int' ? `:${h(of.body)}` : ''}`);
  if (!params.has('qop')) return h(`${a1}:${get('nonce')}:${a2}`);
  return h(`${a1}:${get('nonce')}:${get('nc')}:${get('cnonce')}:${get('qop')}:${a2}`);
}

function answersTo(header: ReturnType<typeof www>, attempts: Attempts = FIRST_ATTEMPT) {
  const verdict = takeChallenge(NO_MEMORY, account, attempts, header);
  if (verdict.type === 'final') return [];
  return authorize(verdict.memory, account, verdict.attempts, request).headers.map(([name, value]) => ({
    name,
    value,
    params: parseCredentials(value)?.params ?? new Map<string, string>(),
  }));
}

describe('digest client', () => {
  const algorithms: [string | undefined, string][] = [
    [undefined, 'md5'],
    ['MD5', 'md5'],
    ['md5', 'md5'],
    ['"MD5"', 'md5'],
    ['MD5-sess', 'md5'],
    ['SHA-256', 'sha256'],
    ['SHA-256-sess', 'sha256'],
    ['SHA-512-256', 'sha512-256'],
    ['SHA-512-256-sess', 'sha512-256'],
  ];
  const qops: [string | undefined, string | undefined][] = [
    [undefined, undefined],
    ['""', undefined],
    ['"auth"', 'auth'],
    ['auth', 'auth'],
    ['"auth-int,auth"', 'auth'],
    ['"auth, auth-int"', 'auth'],
    ['auth-int,auth', 'auth-int'],
    ['"auth-int"', 'auth-int'],
    ['"token,auth"', 'auth'],
  ];
  const realms = ['carrier', 'Acme, Inc.', 'a "quoted", one', 'back\\slash', 'schlüssel=1, x'];

  test.each(
    algorithms.flatMap(([algorithm, hash]) => qops.map(([qop, chosen]) => [algorithm, hash, qop, chosen] as const)),
  )('algorithm %s (%s) with qop %s is answered with %s, for any realm', (algorithm, hash, qop, chosen) => {
    for (const realm of realms) {
      const challenge = [
        `Digest realm="${realm.replace(/["\\]/g, '\\$&')}"`,
        'nonce="n,1=="',
        'opaque="o,1"',
        ...(algorithm === undefined ? [] : [`algorithm=${algorithm}`]),
        ...(qop === undefined ? [] : [`qop=${qop}`]),
      ].join(', ');
      const [answer, ...more] = answersTo(www(challenge));
      expect(more).toEqual([]);
      expect(answer?.name).toBe('Authorization');
      const params = answer?.params ?? new Map<string, string>();
      expect(Object.fromEntries(params)).toMatchObject({
        username: 'trunk',
        realm,
        nonce: 'n,1==',
        opaque: 'o,1',
        uri: request.uri,
      });
      expect(params.get('qop')).toBe(chosen);
      expect(params.get('nc')).toBe(chosen === undefined ? undefined : '00000001');
      expect(params.get('response')).toBe(expected(params, hash));
      // RFC 7616 §3.4: bare.
      if (chosen !== undefined) expect(answer?.value).toMatch(new RegExp(`qop=${chosen}, nc=00000001`));
    }
  });

  test('RFC 7616 §3.9.1: MD5 and SHA-256 of the example', () => {
    const mufasa = { username: 'Mufasa', password: 'Circle of Life' };
    const get = { method: 'GET', uri: '/dir/index.html', body: '' };
    const challenge = (algorithm: string) =>
      `Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=${algorithm}, ` +
      'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"';
    const responses = ['SHA-256', 'MD5'].map((algorithm) => {
      const cnonce = () => 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ';
      const verdict = takeChallenge(NO_MEMORY, mufasa, FIRST_ATTEMPT, www(challenge(algorithm)), cnonce);
      if (verdict.type === 'final') return verdict.why;
      return /response="(\w+)"/.exec(
        authorize(verdict.memory, mufasa, verdict.attempts, get).headers[0]?.[1] ?? '',
      )?.[1];
    });
    expect(responses).toEqual([
      '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1',
      '8ca523f5e9506fed4657c9700eebdbec',
    ]);
  });

  test('of several challenges of a realm the first that we can answer is taken, of several realms each', () => {
    const several = [
      'Digest realm="a", nonce="n1", algorithm=SHA-1024',
      'Digest realm="a", nonce="n2", algorithm=SHA-256, qop="auth"',
      'Digest realm="a", nonce="n3", algorithm=MD5',
      'Basic realm="a"',
      'Negotiate',
      'Digest realm="b, c", nonce="n4"',
    ].join(', ');
    const answers = answersTo(proxy(several));
    expect(answers.map(({ name, params }) => [name, params.get('realm'), params.get('nonce')])).toEqual([
      ['Proxy-Authorization', 'a', 'n2'],
      ['Proxy-Authorization', 'b, c', 'n4'],
    ]);
  });

  test('both headers of one response are answered (RFC 3261 §22.3)', () => {
    const both = headerReader({
      'WWW-Authenticate': 'Digest realm="a", nonce="n1"',
      'Proxy-Authenticate': 'Digest realm="a", nonce="n2"',
    });
    expect(answersTo(both).map(({ name, params }) => [name, params.get('nonce')])).toEqual([
      ['Authorization', 'n1'],
      ['Proxy-Authorization', 'n2'],
    ]);
  });

  test.each([
    ['no challenge', headerReader({})],
    ['another scheme', www('Basic realm="a"')],
    ['an unknown algorithm', www('Digest realm="a", nonce="n", algorithm=SHA-1024')],
    ['an unknown qop', www('Digest realm="a", nonce="n", qop="token"')],
    ['no nonce', www('Digest realm="a"')],
    ['no realm', www('Digest nonce="n"')],
    ['garbage', www('Digest ,,,="')],
    ['more than anybody reads', www(`Digest realm="a", nonce="${'n'.repeat(9000)}"`)],
  ])('%s is final', (_what, header) => {
    expect(answersTo(header)).toEqual([]);
  });

  test('nothing is sent to a realm that is not of the account', () => {
    const bound = { ...account, realms: ['carrier.example'] };
    const foreign = www('Digest realm="evil.example", nonce="n"');
    expect(takeChallenge(NO_MEMORY, bound, FIRST_ATTEMPT, foreign)).toMatchObject({ type: 'final' });
    const mixed = www('Digest realm="evil.example", nonce="n1", Digest realm="carrier.example", nonce="n2"');
    const verdict = takeChallenge(NO_MEMORY, bound, FIRST_ATTEMPT, mixed);
    if (verdict.type === 'final') throw new Error(verdict.why);
    const { headers } = authorize(verdict.memory, bound, verdict.attempts, request);
    expect(headers).toHaveLength(1);
    expect(headers[0]?.[1]).toContain('realm="carrier.example"');
  });

  class Client extends DigestClient {
    refusal: string | undefined;

    constructor() {
      super(account, { onRefused: (why) => (this.refusal = why) });
    }
  }

  /** How many times a request is sent when the server answers as `challenges` says; `undefined` in it: 200. */
  function sendings(
    client: Client,
    challenges: readonly (ReturnType<typeof www> | undefined)[],
  ): { readonly headers: string[][]; readonly why: string | undefined } {
    const headers: string[][] = [];
    client.refusal = undefined;
    let attempts = FIRST_ATTEMPT;
    for (const challenge of challenges) {
      const authorized = client.authorize(attempts, request);
      headers.push(authorized.headers.map(([, value]) => value));
      if (challenge === undefined) return { headers, why: undefined };
      const next = client.challenged(authorized.attempts, challenge);
      if (next === undefined) return { headers, why: client.refusal };
      attempts = next;
    }
    return { headers, why: undefined };
  }

  const nonce = (value: string, more = '') => www(`Digest realm="a", nonce="${value}", qop="auth"${more}`);

  test('a second refusal of what was answered is final, with the same nonce and with a new one', () => {
    for (const second of [nonce('n1'), nonce('n2'), nonce('n1', ', stale=true')]) {
      const { headers, why } = sendings(new Client(), [nonce('n1'), second, undefined]);
      expect(headers).toHaveLength(2);
      expect(why).toMatch(/refused/);
    }
  });

  test('stale: the request goes again with the new nonce, and not for ever', () => {
    const stale = Array.from({ length: 50 }, (_, i) => nonce(`n${i}`, ', stale=TRUE'));
    const { headers } = sendings(new Client(), [...stale.slice(0, 2), undefined]);
    expect(headers).toHaveLength(3);
    const endless = sendings(new Client(), stale);
    expect(endless.headers.length).toBeLessThanOrEqual(6);
    expect(endless.why).toBeDefined();
  });

  test('407 then 401: the third sending carries both', () => {
    const { headers, why } = sendings(new Client(), [
      proxy('Digest realm="p", nonce="n1", qop="auth"'),
      www('Digest realm="u", nonce="n2"'),
      undefined,
    ]);
    expect(why).toBeUndefined();
    expect(headers.map((values) => values.length)).toEqual([0, 1, 2]);
    expect(headers[2]?.join()).toContain('nc=00000002');
  });

  test('later requests carry credentials unasked, with the next nonce count; these may be refused once', () => {
    const client = new Client();
    sendings(client, [nonce('n1'), undefined]);
    const later = sendings(client, [undefined]);
    expect(later.headers[0]?.[0]).toMatch(/nonce="n1".*nc=00000002/);
    const oneTime = sendings(client, [nonce('n2'), undefined]);
    expect(oneTime.headers[1]?.[0]).toMatch(/nonce="n2".*nc=00000001/);
    // One nonce for all, and every request is challenged.
    const sameAgain = sendings(client, [nonce('n2'), undefined]);
    expect(sameAgain.headers.map(([value]) => /nc=(\d+)/.exec(value ?? '')?.[1])).toEqual(['00000002', '00000003']);
    expect(sendings(client, [nonce('n2'), nonce('n2'), undefined]).why).toMatch(/refused/);
  });

  test('nonce counts are hexadecimal, and never used twice by requests that cross', () => {
    const client = new Client();
    sendings(client, [nonce('n1'), undefined]);
    const counts = Array.from({ length: 20 }, () => {
      const [header] = client.authorize(FIRST_ATTEMPT, request).headers;
      return /nc=(\w+)/.exec(header?.[1] ?? '')?.[1];
    });
    expect(new Set(counts).size).toBe(20);
    expect(counts[14]).toBe('00000010');
  });

  test('a peer that invents realms is not remembered without end', () => {
    const client = new Client();
    for (let i = 0; i < 100; i += 1) sendings(client, [www(`Digest realm="r${i}", nonce="n"`), undefined]);
    expect(client.authorize(FIRST_ATTEMPT, request).headers.length).toBeLessThanOrEqual(8);
  });
});
