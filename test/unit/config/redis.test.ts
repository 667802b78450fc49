import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';

/** `redis` as it stands behind the key, on line 6 and those below it. */
function redis(text: string, env: Record<string, string> = {}): unknown {
  const file = `
cluster:
  name: acme
  domain: acme.example
  secret: s
  redis: ${text}
nodes: [{ id: 1, name: one, site: dallas, listen: ['udp:127.0.0.1:5060'] }]
sites: { dallas: {} }
`;
  const result = parseConfig(file, { file: '/etc/tandem/t.yaml', env });
  return result.ok ? result.config.cluster.redis : result.problems.map(formatProblem);
}

const escaped = (text: string): string => text.replace(/[\^$.*+?()[\]{}|]/g, '\\$&');
const sentinel = "sentinel: { master: mymaster, nodes: ['10.0.1.5:26379', '[::1]:26379'] }";

test('a URL alone, with user and password or without', () => {
  for (const url of ['redis://h:6379', 'rediss://u:p%2Fq@h:6380/3', 'redis://:p@[::1]:6379', 'unix:///run/redis.sock'])
    expect(redis(url)).toEqual({ url, username: undefined, password: undefined, tls: undefined, sentinel: undefined });
});

test('a table with user, certificates (paths from the folder of the file) and sentinels', () => {
  expect(
    redis('{ url: "rediss://h:6380", password: "${P}", tls: { ca: ca.pem, serverName: r.example } }', { P: 'x/y' }),
  ).toEqual({
    url: 'rediss://h:6380',
    username: undefined,
    password: 'x/y',
    tls: { ca: '/etc/tandem/ca.pem', cert: undefined, key: undefined, serverName: 'r.example' },
    sentinel: undefined,
  });
  expect(redis(`{ username: u, password: p, tls: {}, ${sentinel} }`)).toMatchObject({
    url: undefined,
    username: 'u',
    password: 'p',
    tls: { ca: undefined },
    sentinel: {
      master: 'mymaster',
      nodes: [
        { address: '10.0.1.5', port: 26379 },
        { address: '::1', port: 26379 },
      ],
      username: undefined,
      password: undefined,
    },
  });
});

test.each([
  ['{ password: p }', 'cluster.redis: must have either "url" or "sentinel"'],
  [`{ url: "redis://h:1", ${sentinel} }`, 'cluster.redis: must have either "url" or "sentinel"'],
  ['{ url: "redis://h:1", pasword: p }', 'cluster.redis.pasword: unknown key "pasword" (did you mean "password"?)'],
  ['{ url: "redis://h:1", username: u }', 'cluster.redis.username: needs a "password"'],
  ['{ url: "redis://u:p@h:1", password: q }', 'cluster.redis.password: is in the "url" already'],
  ['{ url: "redis://h:1", tls: {} }', 'cluster.redis.tls: needs a "rediss://" URL'],
  ['{ url: "rediss://h:1", tls: { cert: c } }', 'cluster.redis.tls: "cert" and "key" go together'],
  ['{ url: "rediss://h:1", tls: { cafile: c } }', 'cluster.redis.tls.cafile: unknown key "cafile"'],
  ['{ sentinel: { master: m, nodes: [] } }', 'cluster.redis.sentinel.nodes: must name at least one sentinel'],
  ['{ sentinel: { master: m, nodes: ["h"] } }', 'cluster.redis.sentinel.nodes[0]: must be ADDRESS:PORT'],
  ['{ sentinel: { nodes: ["h:1"] } }', 'cluster.redis.sentinel.master: "master" is missing'],
  ['{ sentinel: { master: m, nodes: ["h:1"], quorum: 2 } }', 'cluster.redis.sentinel.quorum: unknown key "quorum"'],
  ['http://h', 'cluster.redis: must be a URL such as redis://127.0.0.1:6379'],
  ['7', 'cluster.redis: '],
])('%s is refused, with its line', (text, message) => {
  const problems = redis(text) as string[];
  expect(problems.map((problem) => problem.replace(/^.*t\.yaml:6:\d+: /, ''))).toEqual([
    expect.stringMatching(new RegExp(`^${escaped(message)}`)),
  ]);
});

test('a password that cannot be read out of its URL is refused, and never shown', () => {
  const [problem, ...others] = redis('${URL}', { URL: 'redis://u:geheim%zz@h:6379' }) as string[];
  expect(others).toEqual([]);
  expect(problem).toContain('write special characters of a password as %XX');
  expect(problem).not.toContain('geheim');
});
