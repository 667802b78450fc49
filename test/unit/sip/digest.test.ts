import { DigestAuthenticator, digestResponse, type AuthenticationResult } from '../../../src/sip/digest';
import { SipDomain } from '../../../src/sip/domain';
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
      ],
      domain,
      nonces: new NonceSource({ secret, node, boot, now: () => this.now }),
    });
  }

  send(authorization: string | undefined, method = 'REGISTER', uri = 'sip:acme.example'): AuthenticationResult {
    const name = method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization';
    const headers: Record<string, string> = authorization === undefined ? {} : { [name]: authorization };
    return this.digest.authenticate(receivedRequest({ method, uri, headers }));
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
    expect(challengeOf(result)).toMatch(/^Digest realm="acme\.example", nonce="[^"]+", algorithm=MD5, qop="auth"$/);
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
    const [wrong, unknown] = answers.map((answer) => JSON.stringify(answer).replace(/nonce=\\"[^"]+"/g, 'nonce'));
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

  test('RFC 8760 §2.3: a device configured for it is offered SHA-256 first, and MD5; others see MD5 only', () => {
    const { digest } = new Server();
    const offered = (user: string): string[] => {
      const result = digest.authenticate(receivedRequest(), user);
      return result.type === 'challenge'
        ? result.challenges.map((text) => /algorithm=([^,]+)/.exec(text)?.[1] ?? '')
        : [];
    };
    expect(offered('secure')).toEqual(['SHA-256', 'MD5']);
    expect(offered('alice')).toEqual(['MD5']);
    expect(offered('nobody')).toEqual(['MD5']);
  });

  test.each(['SHA-256', 'MD5'] as const)('RFC 8760 §2.4: it may answer with %s', (algorithm) => {
    const server = new Server();
    const client: ClientOptions = { ...alice, username: 'secure', algorithm };
    expect(server.send(credentialsFor(server.challenge(), client)).type).toBe('authenticated');
  });

  test('SHA-256 is refused for a device that is not configured for it', () => {
    const server = new Server();
    expect(causeOf(server.send(credentialsFor(server.challenge(), { ...alice, algorithm: 'SHA-256' })))).toBe('wrong');
  });
});

describe('nonces', () => {
  test('memory is bounded, and what was forgotten cannot be replayed', () => {
    let now = 1_700_000_000_000;
    const source = new NonceSource({ secret: SECRET, node: 1, boot: 1, now: () => now, capacity: 3 });
    const nonces = Array.from({ length: 5 }, () => {
      now += 10;
      const nonce = source.issue();
      expect(source.take(nonce, now, 1)).toBe(true);
      return nonce;
    });
    expect(nonces.map((nonce) => source.check(nonce).state)).toEqual(['expired', 'expired', 'good', 'good', 'good']);
    expect(source.take(nonces[4]!, now, 1)).toBe(false);
  });
});
