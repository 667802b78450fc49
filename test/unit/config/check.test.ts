import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';
import { CertificateAuthority } from '../../support/certificates';

/** A system that is right; each case below changes one thing. */
const good = `cluster:
  name: acme
  domain: acme.example
  secret: of-the-cluster
  redis: redis://10.0.0.5:6379
tls: { key: good.key, cert: good.pem }
sourceLimits: { ban: [] }
nodes:
  - { id: 1, name: one, site: dallas, listen: ['udp:10.0.0.1:5060', 'tcp:10.0.0.1:5060', 'tls:10.0.0.1:5061'], admin: '127.0.0.1:8080' }
  - { id: 2, name: two, site: dallas, listen: ['udp:10.0.0.2:5060', 'tcp:10.0.0.2:5060'], admin: '127.0.0.1:8080' }
sites:
  dallas: { codecs: [PCMU, telephone-event] }
devices:
  - { name: SEP-alice, username: alice, password: of-alice, lines: ['1000'], site: dallas }
gateways:
  - { name: gw, uri: 'sip:10.0.0.9', nodes: [1, 2] }
routes:
  - { pattern: '911', targets: [gw] }
  - { pattern: '9.@', targets: [gw] }
mediaResources:
  - { name: moh, type: moh, engine: rtpengine, control: 'udp:127.0.0.1:22222', node: 1, capacity: 10 }
musicSources:
  - { name: jazz, file: jazz.wav }
`;

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tandem-check-'));
  const authority = new CertificateAuthority(folder);
  authority.issue('good', ['DNS:pbx.example']);
  authority.issue('other', ['DNS:pbx.example']);
  const file = (name: string): string => join(folder, name);
  writeFileSync(file('jazz.wav'), 'RIFF');
  writeFileSync(file('empty.wav'), '');
  writeFileSync(file('text.pem'), 'no certificate\n');
  const until = [
    'x509',
    '-in',
    file('good.pem'),
    '-signkey',
    file('good.key'),
    '-days',
    '-1',
    '-out',
    file('expired.pem'),
  ];
  execFileSync('openssl', until, { stdio: 'pipe' });
  writeFileSync(file('secret.key'), '');
  chmodSync(file('secret.key'), 0);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function check(text: string | Buffer, node: number | 'all' = 'all'): string[] {
  const path = join(folder, 'tandem.yaml');
  writeFileSync(path, text);
  const result = loadConfig(path, {}, node);
  return (result.ok ? result.warnings : result.problems)
    .map(formatProblem)
    .map((line) => line.slice(folder.length + 1));
}

/** Where `needle` begins, as `line:column`. */
function placeOf(text: string, needle: string): string {
  const before = text.slice(0, text.indexOf(needle)).split('\n');
  return `${before.length}:${(before.at(-1)?.length ?? 0) + 1}`;
}

test('what is right is good, for all nodes and for one', () => {
  expect(check(good)).toEqual([]);
  expect(check(good, 1)).toEqual([]);
});

test('a listener on loopback is good beside one that other nodes reach, in either order', () => {
  for (const both of ["'tcp:127.0.0.1:5060', 'tcp:10.0.0.2:5060'", "'tcp:10.0.0.2:5060', 'tcp:127.0.0.1:5060'"])
    expect(check(good.replace("'tcp:10.0.0.2:5060'", both))).toEqual([]);
});

/** What, what is replaced by what, where it is reported (the beginning of this text), and what is said. */
const cases: [string, string, string, string, RegExp][] = [
  ['no TCP listener in a cluster', ", 'tcp:10.0.0.2:5060'", '', "['udp:10.0.0.2", /needs a tcp listener/],
  ['several nodes without Redis', '  redis: redis://10.0.0.5:6379\n', '', 'name: acme', /know nothing of each other/],
  ['a wildcard that other nodes are told', 'tcp:10.0.0.2', 'tcp:0.0.0.0', "'tcp:0.0.0.0", /set "address" of this node/],
  ['loopback towards other machines', 'tcp:10.0.0.2', 'tcp:127.0.0.1', "'tcp:127.0.0.1", /could not call this address/],
  ['a missing key', 'key: good.key', 'key: none.key', 'none.key', /none\.key cannot be read: there is no such file/],
  ['a missing certificate', 'cert: good.pem', 'cert: none.pem', 'none.pem', /none\.pem cannot be read/],
  ['a folder as certificate', 'cert: good.pem', 'cert: .', '. }', /it is a folder/],
  ['a key of another certificate', 'key: good.key', 'key: other.key', 'other.key', /not the key of the certificate/],
  ['no key in the file', 'key: good.key', 'key: text.pem', 'text.pem', /holds no private key/],
  ['no certificate in the file', 'cert: good.pem', 'cert: text.pem', 'text.pem', /holds no certificate/],
  ['an expired certificate', 'cert: good.pem', 'cert: expired.pem', 'expired.pem', /has expired/],
  ['a missing authority', 'cert: good.pem', 'cert: good.pem, ca: none.pem', 'none.pem', /cannot be read/],
  [
    'a missing file of Redis',
    'redis://10.0.0.5:6379',
    '{ url: "rediss://r:1", tls: { ca: no.pem } }',
    'no.pem',
    /cannot be/,
  ],
  ['a missing music file', 'jazz.wav', 'blues.wav', 'blues.wav', /cannot be read: there is no such file/],
  ['an empty music file', 'jazz.wav', 'empty.wav', 'empty.wav', /is empty/],
  [
    'an unknown codec of a site',
    'codecs: [PCMU,',
    'codecs: [PCMu2,',
    'PCMu2',
    /unknown codec "PCMu2" \(did you mean "PCMU"/,
  ],
  ['an unknown codec of a device', "['1000'],", "['1000'], codecs: [G722x],", 'G722x', /unknown codec/],
  ['an unknown codec of a gateway', 'nodes: [1, 2]', 'nodes: [1, 2], codecs: [OPUSS]', 'OPUSS', /unknown codec/],
  ['codecs without speech', 'codecs: [PCMU,', 'codecs: [CN,', '[CN', /must name a codec that carries speech/],
  [
    'a gateway at an own listener',
    'sip:10.0.0.9',
    'sip:10.0.0.2',
    "'sip:10.0.0.2'",
    /our own listener nodes\[1\]\.listen\[0\]/,
  ],
  [
    '... by TCP',
    'sip:10.0.0.9',
    'sip:x@10.0.0.2:5060;transport=tcp',
    "'sip:x@",
    /our own listener nodes\[1\]\.listen\[1\]/,
  ],
  ['... by TLS', 'sip:10.0.0.9', 'sips:10.0.0.1', "'sips:10", /our own listener/],
  ['an emergency number that is a line', "['1000']", "['1000', '911']", "'911', targets", /911 is a line of SEP-alice/],
  ['... with a digit in front', "'911'", "'1.000'", "'1.000'", /1000 is a line/],
  ['... or one of a few', "'911'", "'100[0-4]'", "'100[0-4]'", /1000 is a line/],
  [
    'an emergency number that is a username',
    'username: alice',
    "username: '911'",
    "'911', targets",
    /the username of SEP-alice/,
  ],
  ['a ban of an own node', 'ban: []', 'ban: [10.0.0.0/30]', '10.0.0.0/30', /bans nodes\[0\]/],
  ['a ban of a gateway', 'ban: []', 'ban: [10.0.0.8/29]', '10.0.0.8/29', /bans gateways\[0\]/],
  [
    'one folder for two nodes of a machine',
    "admin: '127.0.0.1:8080' }\n  - { id: 2",
    "admin: '127.0.0.1:8080', stateDir: s }\n  - { stateDir: ./s, id: 2",
    './s',
    /is that of nodes\[0\]/,
  ],
  ['a file as state folder', 'name: two', 'stateDir: jazz.wav, name: two', 'jazz.wav, name', /is no folder/],
  ['a character that was lost', 'of-alice', 'of-al\ufffdce', 'of-al', /a character was lost/],
];

test.each(cases)('%s is found, at its place', (what, from, to, at, message) => {
  expect(good).toContain(from);
  let text = good.replace(from, to);
  // On one machine, so that the two nodes are known to share it.
  if (what.startsWith('one folder'))
    text = text.replaceAll('10.0.0.2:5060', '10.0.0.1:5070').replace(/(.*)8080/s, '$18081');
  const found = check(text);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(message);
  expect(found[0]).toMatch(new RegExp(`^tandem\\.yaml:${placeOf(text, at)}: `));
});

test('a secret for drachtio that its protocol cannot say is found', () => {
  const text = good.replace(
    "listen: ['udp:10.0.0.2:5060', 'tcp:10.0.0.2:5060']",
    "drachtio: { host: 10.0.0.2, port: 9022, secret: 'a|b' }",
  );
  expect(check(text)).toEqual([expect.stringContaining('nodes[1].drachtio.secret: must not contain "|"')]);
});

test('the files of other nodes are not those of this one', () => {
  const text = good.replace('key: good.key', 'key: none.key').replace('jazz.wav', 'blues.wav');
  expect(check(text, 2)).toEqual([]);
  expect(check(text, 1)).toHaveLength(2);
});

test.each([
  ['Latin-1', Buffer.from([0x66, 0xfc, 0x72]), 'no UTF-8 (0xfc)'],
  ['a cut character', Buffer.from([0x66, 0xe2, 0x82, 0x72]), 'no UTF-8 (0xe2)'],
  ['a surrogate', Buffer.from([0xed, 0xa0, 0x80]), 'no UTF-8 (0xed)'],
])('bytes that are no UTF-8 (%s) are found at their place', (_what, bytes, message) => {
  const [before = '', after = ''] = good.split('of-alice');
  const found = check(Buffer.concat([Buffer.from(`${before}ä`), bytes, Buffer.from(after)]));
  expect(found).toEqual([expect.stringContaining(message)]);
  const column = (before.split('\n').at(-1)?.length ?? 0) + 2 + bytes.indexOf(bytes.find((byte) => byte > 0x7f) ?? 0);
  expect(found[0]).toMatch(new RegExp(`^tandem\\.yaml:${before.split('\n').length}:${column}: `));
});

test('UTF-16 is named', () => {
  expect(check(Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(good, 'utf16le')]))[0]).toContain('is UTF-16');
});

/** Words of the parser and the schema library that say nothing about the file. */
const INNER =
  /YAML\.|parseAll|Invalid input|expected [a-z]+[,]? received|Too (big|small)|Unresolved|Implicit|Block |[Ff]low |mapping|scalar|\bnode at|zod|undefined|NaN|\[object|toJS/;

test.each([
  'a: 1\n---\nb: 2\n',
  'a: *b\n',
  'a: !!js/function x\n',
  'a: !!int x\n',
  'a: !!set [1]\n',
  '%FOO\n---\na: 1\n',
  'a: "\\q"\n',
  'a:\n  b: 1\n c: 2\n',
  'a: @x\n',
  'a: b: c\n',
  'a: {b: \n- c}\n',
  'a: [1, 2\n',
  'a: "x\n',
  '? [a, b]\n: c\n',
  'a: &x &y 1\n',
  'a\nb: 1\n',
  'a: ]\n',
  'a: |x\n  b\n',
  '\ta: 1\n',
  'a: {{b: 1}}\n',
  '- a\nb: 1\n',
  'a: 1 2: 3\n',
  '"a"b: 1\n',
])('%j is refused in words of the file', (text) => {
  const found = check(text);
  expect(found.length).toBeGreaterThan(0);
  for (const line of found) {
    expect(line).toMatch(/^tandem\.yaml:\d+:\d+: /);
    expect(line).not.toMatch(INNER);
  }
});

test('whatever stands in the place of a value, messages speak of the file', () => {
  const odd: unknown[] = [
    null,
    true,
    -1,
    1e300,
    'x'.repeat(2000),
    '',
    [],
    {},
    [[]],
    [{}],
    { a: 1 },
    ['a', 'a'],
    '\u200b',
    1.5,
  ];
  const walk = (value: unknown, change: (held: unknown) => unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    const table = value as Record<string, unknown>;
    for (const key of Object.keys(table)) {
      const held = table[key];
      for (const other of odd) {
        table[key] = other;
        change(held);
      }
      table[key] = held;
      walk(held, change);
    }
  };
  const full = parse(good) as Record<string, unknown>;
  full.autoRegistration = { numbers: ['3000-3009'], from: ['10.0.0.0/8'] };
  full.conferences = [{ number: '8000', name: 'meet', nodes: [1] }];
  full.numbers = [{ number: '1000', displayName: 'Sales', busyTrigger: 1, maxCalls: 2, noAnswerSeconds: 20 }];
  full.codecPolicies = [{ within: 'dallas', codecs: ['PCMU'] }];
  full.registrar = { minExpires: 30 };
  let seen = 0;
  walk(full, () => {
    for (const line of check(stringify(full))) {
      seen += 1;
      expect(line).not.toMatch(INNER);
    }
  });
  expect(seen).toBeGreaterThan(500);
});
