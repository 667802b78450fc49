import type { DigestAlgorithm } from '../../../src/config/types';
import { DigestAuthenticator, digestResponse, type AuthenticationResult } from '../../../src/sip/digest';
import { SipDomain } from '../../../src/sip/domain';
import { Guesses } from '../../../src/sip/guesses';
import { NonceSource } from '../../../src/sip/nonce';
import { credentialsFor, receivedRequest, type ClientOptions } from './support';

const SECRET = 'cluster-secret';
const domain = new SipDomain('acme.example', ['10.0.0.1', '10.0.0.2']);

class Server {
  now = 1_700_000_000_000;
  readonly digest: DigestAuthenticator;

  constructor(node = 1, boot = 100, secret = SECRET) {
    this.digest = new DigestAuthenticator({
      accounts: [
        { username: 'alice', password: 'wonder', algorithms: ['MD5'] },
        { username: 'secure', password: 'wonder', algorithms: ['SHA-256', 'MD5'] },
        { username: 'strict', password: 'wonder', algorithms: ['SHA-256'] },
      ],
      domain,
      nonces: new NonceSource({ secret, node, boot, now: () => this.now }),
      guesses: new Guesses({ now: () => this.now }),
    });
  }

  send(
    authorization: string | undefined,
    method = 'REGISTER',
    uri = 'sip:acme.example',
    address = '10.0.0.7',
  ): AuthenticationResult {
    const name = method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization';
    const headers: Record<string, string> = authorization === undefined ? {} : { [name]: authorization };
    return this.digest.authenticate(
      receivedRequest({ method, uri, headers, source: { protocol: 'udp', address, port: 5062 } }),
    );
  }

  challenge(method = 'REGISTER'): string {
    return challengeOf(this.send(undefined, method));
  }
}

function challengeOf(result: AuthenticationResult): string {
  if (result.type !== 'challenge') throw new Error(`not a challenge: ${result.type}`);
  return result.headers['WWW-Authenticate'] ?? result.headers['Proxy-Authenticate'] ?? '';
}

const alice: ClientOptions = { username: 'alice', password: 'wonder', method: 'REGISTER', uri: 'sip:acme.example' };

function causeOf(result: AuthenticationResult): string {
  return result.type === 'challenge' ? result.cause : result.type;
}

describe('digest authentication', () => {
  test('RFC 2617 §3.5: the example gives the response of the example', () => {
    const response = digestResponse({
      algorithm: 'MD5',
      username: 'Mufasa',
      realm: 'testrealm@host.com',
      password: 'Circle Of Life',
      method: 'GET',
      uri: '/dir/index.html',
      nonce: 'dcd98b7102dd2f0e8b11d0f600bfb0c093',
      nc: '00000001',
      cnonce: '0a4f113b',
    });
    expect(response).toBe('6629fae49393a05397450978507c4ef1');
  });

  test.each([
    ['MD5', '8ca523f5e9506fed4657c9700eebdbec'],
    ['SHA-256', '753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1'],
  ] as const)('RFC 7616 §3.9.1: the %s example gives the response of the example', (algorithm, expected) => {
    const response = digestResponse({
      algorithm,
      username: 'Mufasa',
      realm: 'http-auth@example.org',
      password: 'Circle of Life',
      method: 'GET',
      uri: '/dir/index.html',
      nonce: '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v',
      nc: '00000001',
      cnonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
    });
    expect(response).toBe(expected);
  });

  test('RFC 3261 §22.2: a REGISTER without credentials gets 401 and WWW-Authenticate with qop', () => {
    const result = new Server().send(undefined);
    expect(result).toMatchObject({ type: 'challenge', status: 401, cause: 'no-credentials' });
    expect(challengeOf(result)).toMatch(/^Digest realm="acme\.example", nonce="[^"]+", algorithm=SHA-256, qop="auth"$/);
  });

  test('RFC 3261 §22.3: an INVITE without credentials gets 407 and Proxy-Authenticate', () => {
    const result = new Server().send(undefined, 'INVITE');
    expect(result).toMatchObject({ status: 407 });
    expect(result).toHaveProperty(['headers', 'Proxy-Authenticate']);
  });

  test('right credentials are taken, and again with a higher nonce count', () => {
    const server = new Server();
    const challenge = server.challenge();
    const first = server.send(credentialsFor(challenge, alice));
    expect(first).toEqual({ type: 'authenticated', username: 'alice', nonceIssuedAt: server.now });
    expect(server.send(credentialsFor(challenge, { ...alice, nc: 2 })).type).toBe('authenticated');
    expect(server.send(credentialsFor(challenge, { ...alice, nc: 9 })).type).toBe('authenticated');
  });

  test.each([1, 2])('RFC 7616 §3.4: nonce count %i after 2 is a replay, and refused', (nc) => {
    const server = new Server();
    const challenge = server.challenge();
    server.send(credentialsFor(challenge, { ...alice, nc: 2 }));
    expect(causeOf(server.send(credentialsFor(challenge, { ...alice, nc })))).toBe('replayed');
  });

  test('RFC 7616 §3.3: right credentials for an expired nonce get stale=true', () => {
    const server = new Server();
    const challenge = server.challenge();
    server.now += 300_001;
    const result = server.send(credentialsFor(challenge, alice));
    expect(causeOf(result)).toBe('stale');
    expect(challengeOf(result)).toContain('stale=true');
  });

  test('another node, or another incarnation, answers a well-signed foreign nonce with stale=true, not as a failure', () => {
    const challenge = new Server(1, 100).challenge();
    for (const other of [new Server(2, 100), new Server(1, 101)]) {
      const result = other.send(credentialsFor(challenge, alice));
      expect(causeOf(result)).toBe('stale');
      expect(other.send(credentialsFor(challengeOf(result), alice)).type).toBe('authenticated');
    }
  });

  test('a nonce that no node of the cluster has made is a failure, however right the password', () => {
    const challenge = new Server(1, 100, 'other-secret').challenge();
    expect(causeOf(new Server().send(credentialsFor(challenge, alice)))).toBe('wrong');
    const madeUp = 'Digest realm="acme.example", nonce="abc"';
    expect(causeOf(new Server().send(credentialsFor(madeUp, alice)))).toBe('wrong');
  });

  test('an unknown user and a wrong password get the same answer, byte for byte but for the nonce', () => {
    const server = new Server();
    const answers = [
      { ...alice, password: 'guess' },
      { ...alice, username: 'nobody', password: '' },
    ].map((client) => server.send(credentialsFor(server.challenge(), client)));
    const [wrong, unknown] = answers.map((answer) =>
      JSON.stringify({ ...answer, guess: undefined }).replace(/nonce=\\"[^"]+"/g, 'nonce'),
    );
    expect(unknown).toBe(wrong);
    expect(answers.map(causeOf)).toEqual(['wrong', 'wrong']);
  });

  test('an expired nonce with a wrong password is a failure, not stale', () => {
    const server = new Server();
    const challenge = server.challenge();
    server.now += 300_001;
    const result = server.send(credentialsFor(challenge, { ...alice, password: 'guess' }));
    expect(causeOf(result)).toBe('wrong');
    expect(challengeOf(result)).not.toContain('stale');
  });

  test.each([
    ['RFC 2069 style, without qop', (text: string) => text.replace(', qop=auth', '')],
    ['with another qop', (text: string) => text.replace('qop=auth', 'qop=auth-int')],
    ['without cnonce', (text: string) => text.replace(/, cnonce="[^"]*"/, '')],
    ['with a malformed nonce count', (text: string) => text.replace(/nc=\d+/, 'nc=xyz')],
    ['that are too long', (text: string) => `${text}, x="${'y'.repeat(4096)}"`],
    ['with an algorithm that we do not have', (text: string) => text.replace('=MD5', '=SHA-512-256')],
  ])('credentials %s are refused', (_, damage) => {
    const server = new Server();
    expect(causeOf(server.send(damage(credentialsFor(server.challenge(), alice))))).toBe('malformed');
  });

  test.each(['', 'Basic YWxpY2U6d29uZGVy', 'Digest', 'Digest ,,,', '\u0000'.repeat(20), 'Digest realm="elsewhere"'])(
    'credentials that are none (%j) are as no credentials',
    (text) => {
      expect(causeOf(new Server().send(text))).toBe('no-credentials');
    },
  );

  test('of the credentials for several realms those for ours are taken', () => {
    const server = new Server();
    const ours = credentialsFor(server.challenge(), alice);
    const other = 'Digest username="alice", realm="elsewhere", nonce="x", uri="sip:x", response="y"';
    expect(server.send(`${other}, ${ours}`).type).toBe('authenticated');
  });

  test.each(['sip:10.0.0.1:5060', 'sip:10.0.0.2', 'sip:acme.example', 'sip:ACME.example;transport=tcp'])(
    'the uri of the credentials may name the domain or any node: %s',
    (uri) => {
      const server = new Server();
      const credentials = credentialsFor(server.challenge('INVITE'), { ...alice, method: 'INVITE', uri });
      expect(server.send(credentials, 'INVITE', 'sip:2000@10.0.0.1:5060').type).toBe('authenticated');
    },
  );

  test.each(['sip:3000@acme.example', 'sip:2000@elsewhere.example', 'tel:2000', 'nonsense'])(
    'RFC 7616 §3.4.6: credentials made for %s are forbidden for another request URI',
    (uri) => {
      const server = new Server();
      const credentials = credentialsFor(server.challenge('INVITE'), { ...alice, method: 'INVITE', uri });
      expect(server.send(credentials, 'INVITE', 'sip:2000@acme.example')).toMatchObject({ type: 'forbidden' });
    },
  );

  test.each<[string, DigestAlgorithm[][], DigestAlgorithm[]]>([
    ['nobody has an account', [], ['MD5']],
    ['all do MD5', [['MD5'], ['MD5']], ['MD5']],
    ['all do SHA-256', [['SHA-256']], ['SHA-256']],
    ['one may do both', [['MD5'], ['SHA-256', 'MD5']], ['SHA-256', 'MD5']],
    ['some do one, some the other', [['MD5'], ['SHA-256']], ['SHA-256', 'MD5']],
    ['MD5 is wanted first', [['SHA-256'], ['MD5', 'SHA-256']], ['MD5', 'SHA-256']],
  ])(
    'RFC 8760 §2.3: when %s, everybody is offered the same, one header field each, in order',
    (_, accounts, offered) => {
      const digest = new DigestAuthenticator({
        accounts: accounts.map((algorithms, index) => ({ username: `u${index}`, password: 'x', algorithms })),
        domain,
        nonces: new NonceSource({ secret: SECRET, node: 1, boot: 1, now: () => 1 }),
        guesses: new Guesses({ now: () => 1 }),
      });
      for (const method of ['REGISTER', 'INVITE'])
        for (const user of ['u0', 'u1', 'nobody']) {
          const headers = { From: `<sip:${user}@acme.example>`, To: `<sip:${user}@acme.example>` };
          const result = digest.authenticate(receivedRequest({ method, headers }));
          if (result.type !== 'challenge') throw new Error(result.type);
          const name = method === 'REGISTER' ? 'WWW-Authenticate' : 'Proxy-Authenticate';
          const lines = [result.headers[name] ?? '', ...(result.moreLines[name] ?? [])];
          expect(lines.map((line) => /algorithm=([^,]+)/.exec(line)?.[1])).toEqual(offered);
          expect(new Set(lines.map((line) => /nonce="([^"]+)/.exec(line)?.[1])).size).toBe(1);
        }
    },
  );

  test.each(['SHA-256', 'MD5'] as const)('RFC 8760 §2.4: it may answer with %s', (algorithm) => {
    const server = new Server();
    const client: ClientOptions = { ...alice, username: 'secure', algorithm };
    expect(server.send(credentialsFor(server.challenge(), client)).type).toBe('authenticated');
  });

  test('SHA-256 is taken for a device that is configured for MD5, MD5 is not for one of SHA-256 alone', () => {
    const server = new Server();
    const ask = (client: ClientOptions) => causeOf(server.send(credentialsFor(server.challenge(), client)));
    expect(ask({ ...alice, algorithm: 'SHA-256' })).toBe('authenticated');
    expect(ask({ ...alice, username: 'strict', algorithm: 'SHA-256' })).toBe('authenticated');
    expect(ask({ ...alice, username: 'strict', algorithm: 'MD5' })).toBe('wrong');
  });
});

describe('guessing passwords', () => {
  const guess = (server: Server, username: string, address: string, password = 'guess'): AuthenticationResult => {
    const challenge = challengeOf(server.send(undefined, 'REGISTER', 'sip:acme.example', address));
    const credentials = credentialsFor(challenge, { ...alice, username, password });
    return server.send(credentials, 'REGISTER', 'sip:acme.example', address);
  };
  const held = (result: AuthenticationResult) => result.type === 'forbidden' && result.cause === 'held-up';

  test.each(['alice', 'nobody'])(
    'is held up for account %s after five, ever longer, and the right one too',
    (username) => {
      const server = new Server();
      const looked = (seconds: number): number => {
        let count = 0;
        for (let at = 0; at < seconds * 10; at += 1, server.now += 100)
          if (!held(guess(server, username, '192.0.2.1'))) count += 1;
        return count;
      };
      expect(looked(60)).toBeLessThanOrEqual(11);
      expect(looked(3600)).toBeLessThanOrEqual(16);
      const result = guess(server, username, '192.0.2.1', 'wonder');
      expect(result).toMatchObject({
        type: 'forbidden',
        status: 403,
        headers: { 'Retry-After': expect.stringMatching(/^\d+$/) as string },
      });
    },
  );

  test('does not lock out the phone at its own address, nor what is beside the attacker and was right before', () => {
    const server = new Server();
    expect(guess(server, 'secure', '192.0.2.1', 'wonder').type).toBe('authenticated');
    for (let index = 0; index < 500; index += 1) {
      guess(server, 'alice', '192.0.2.1');
      guess(server, `user-${index}`, '192.0.2.1');
    }
    expect(held(guess(server, 'alice', '192.0.2.1', 'wonder'))).toBe(true);
    expect(guess(server, 'alice', '192.0.2.2', 'wonder').type).toBe('authenticated');
    expect(guess(server, 'secure', '192.0.2.1', 'wonder').type).toBe('authenticated');
  });

  test.each([
    ['one IPv4 address in two spellings', ['192.0.2.1', '::ffff:192.0.2.1'], true],
    ['two IPv4 addresses', ['192.0.2.1', '192.0.2.2'], false],
    ['one /64', ['2001:db8::1', '2001:DB8:0:0:ffff::2'], true],
    ['two /64s', ['2001:db8::1', '2001:db8:0:1::1'], false],
  ])('%s', (_, [first = '', second = ''], together) => {
    const server = new Server();
    for (let index = 0; index < 6; index += 1) guess(server, 'alice', first);
    expect(held(guess(server, 'alice', second))).toBe(together);
  });

  test('many accounts from one place are held up as well: a password tried everywhere', () => {
    const server = new Server();
    let looked = 0;
    for (let index = 0; index < 3000; index += 1, server.now += 20)
      if (!held(guess(server, `user-${index}`, '192.0.2.1'))) looked += 1;
    expect(looked).toBeLessThanOrEqual(50 + 60 / 5 + 1);
  });

  test('a nonce that was made for another place, or that nobody made, is no guess: who claims an address of others locks nobody out', () => {
    const server = new Server();
    const stolen = challengeOf(server.send(undefined, 'REGISTER', 'sip:acme.example', '198.51.100.9'));
    for (let index = 0; index < 50; index += 1) {
      for (const password of ['guess', 'wonder']) {
        const credentials = credentialsFor(stolen, { ...alice, password });
        // Right and wrong look alike.
        expect(causeOf(server.send(credentials, 'REGISTER', 'sip:acme.example', '192.0.2.1'))).toBe('stale');
      }
      const made = credentialsFor('Digest realm="acme.example", nonce="a.b.c.d.e.f"', alice);
      expect(causeOf(server.send(made, 'REGISTER', 'sip:acme.example', '192.0.2.1'))).toBe('wrong');
    }
    expect(guess(server, 'alice', '192.0.2.1', 'wonder').type).toBe('authenticated');
  });

  test('old nonces and those of other nodes are no way round it', () => {
    const server = new Server();
    const challenges = [new Server(2).challenge(), new Server(1, 99).challenge(), server.challenge()];
    server.now += 400_000;
    const results = Array.from({ length: 12 }, (_, index) =>
      server.send(credentialsFor(challenges[index % 3]!, { ...alice, password: 'guess' })),
    );
    expect(results.filter(held)).toHaveLength(7);
  });

  test('memory is bounded', () => {
    const guesses = new Guesses({ now: () => 0, capacity: 10 });
    for (let index = 0; index < 100; index += 1) guesses.failed(`10.0.0.${index}`, 'alice');
    expect(guesses.failed('10.0.0.0', 'alice').failures).toBe(1);
    expect(guesses.failed('10.0.0.99', 'alice').failures).toBe(2);
  });
});

describe('nonces', () => {
  test('memory is bounded, and what was forgotten cannot be replayed', () => {
    let now = 1_700_000_000_000;
    const source = new NonceSource({ secret: SECRET, node: 1, boot: 1, now: () => now, capacity: 3 });
    const nonces = Array.from({ length: 5 }, () => {
      now += 10;
      const nonce = source.issue('here');
      expect(source.take(nonce, now, 1)).toBe(true);
      return nonce;
    });
    expect(nonces.map((nonce) => source.check(nonce, 'here').state)).toEqual([
      'expired',
      'expired',
      'good',
      'good',
      'good',
    ]);
    expect(source.take(nonces[4]!, now, 1)).toBe(false);
  });
});
