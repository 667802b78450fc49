import { parseConfig } from '../../../src/config/load';
import { formatProblem } from '../../../src/config/problem';

/** The problems of `mediaResources` (from line 9 on) and `conferences`, or the configuration. */
function check(resources: readonly string[], conferences: readonly string[] = []) {
  const list = (entries: readonly string[]): string => entries.map((entry) => `\n  - ${entry}`).join('');
  const file = `
cluster: { name: acme, domain: acme.example, secret: s }
nodes:
  - { id: 2, name: two, site: dallas, listen: ['udp:127.0.0.1:5070'] }
  - { id: 1, name: one, site: dallas, listen: ['udp:127.0.0.1:5060'] }
sites: { dallas: {} }
devices: [{ name: SEP-alice, username: alice, password: p, lines: ['1000'] }]
mediaResources:${resources.length === 0 ? ' []' : list(resources)}
conferences:${conferences.length === 0 ? ' []' : list(conferences)}
`;
  const result = parseConfig(file, { file: 't.yaml', env: {} });
  return result.ok ? { config: result.config, problems: [] } : { problems: result.problems.map(formatProblem) };
}

const bridge = (more: string): string => `{ name: b, type: conference, node: 1, capacity: 9, ${more} }`;
const janus = 'engine: janus, control: "http:127.0.0.1:8088", rtpengine: "udp:127.0.0.1:22222"';

test('janus has an HTTP address, an rtpengine and perhaps secrets', () => {
  const { config } = check([
    bridge(`${janus}, adminKey: 0123456789, apiSecret: abcdefgh`.replace('0123456789', 'k123456789')),
  ]);
  expect(config?.mediaResources[0]).toMatchObject({
    engine: 'janus',
    control: { protocol: 'http', address: '127.0.0.1', port: 8088 },
    rtpengine: { protocol: 'udp', address: '127.0.0.1', port: 22_222 },
    adminKey: 'k123456789',
    apiSecret: 'abcdefgh',
  });
});

test.each([
  [bridge('engine: janus, control: "udp:127.0.0.1:8088", rtpengine: "udp:127.0.0.1:1"'), 'controlled over HTTP'],
  [bridge('engine: janus, control: "http:127.0.0.1:8088"'), '"rtpengine" is missing'],
  [bridge('engine: janus, control: "http:127.0.0.1:8088", rtpengine: "tcp:127.0.0.1:1"'), 'must begin with udp:'],
  [bridge(`${janus}, adminKey: 'a"b c'`), 'must be 8 to 128'],
  [
    '{ name: m, type: moh, engine: rtpengine, control: "udp:h:1", node: 1, capacity: 1, adminKey: 12345678a }',
    'janus only',
  ],
  ['{ name: m, type: moh, engine: rtpengine, control: "http:h:1", node: 1, capacity: 1 }', 'controlled over UDP'],
  [
    '{ name: m, type: moh, engine: rtpengine, control: "udp:h:1", node: 1, capacity: 1, sharedMusic: 3 }',
    'must be true or false',
  ],
  [
    '{ name: m, type: mtp, engine: rtpengine, control: "udp:h:1", node: 1, capacity: 1, sharedMusic: true }',
    'is for the type moh only',
  ],
])('%s is refused with its line', (resource, message) => {
  const { problems } = check([resource]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^t\.yaml:9:\d+: /);
  expect(problems[0]).toContain(message);
});

test('two entries for one janus must agree on what stands before it', () => {
  const other = bridge(janus.replace('22222', '22223')).replace('name: b', 'name: c');
  expect(check([bridge(janus), other]).problems).toEqual([
    expect.stringMatching(/^t\.yaml:10:.*another rtpengine or key/),
  ]);
});

test('music is shared or not for each music server, and those of one rtpengine must agree', () => {
  const music = (name: string, rest: string): string =>
    `{ name: ${name}, type: moh, engine: rtpengine, node: 1, capacity: 1, ${rest} }`;
  const alone = music('m', 'control: "udp:h:1", sharedMusic: false');
  expect(check([alone, music('n', 'control: "udp:h:2"')]).config?.mediaResources).toMatchObject([
    { sharedMusic: false },
    {},
  ]);
  expect(check([alone, music('n', 'control: "udp:h:1"')]).problems).toEqual([
    expect.stringMatching(/^t\.yaml:10:.*mediaResources\[0\] is at the same rtpengine, with another sharedMusic/),
  ]);
});

test('a conference has all nodes, fifty members and lasts until the last one leaves, unless it says otherwise', () => {
  const { config } = check(
    [],
    ["{ number: '8000', name: team }", "{ number: '8001', name: f, type: factory, nodes: [2] }"],
  );
  expect(config?.conferences).toEqual([
    { number: '8000', name: 'team', type: 'meet-me', nodes: [1, 2], maxMembers: 50, endPolicy: 'last-leaves' },
    { number: '8001', name: 'f', type: 'factory', nodes: [2], maxMembers: 50, endPolicy: 'last-leaves' },
  ]);
});

test.each([
  ["{ number: '1000', name: team }", 'is a line of SEP-alice'],
  ["{ number: '8000', name: SEP-alice }", 'device name'],
  ["{ number: '8000', name: team, nodes: [3] }", 'unknown node "3"'],
  ["{ number: '8000', name: team, maxMembers: 1 }", 'from 2 to 10000'],
  ["{ number: '8000', name: team, endPolicy: never }", 'last-leaves or initiator-leaves'],
  ["{ number: '8000', name: team, colour: red }", 'unknown key'],
])('%s is refused with its line', (conference, message) => {
  const { problems } = check([], [conference]);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatch(/^t\.yaml:10:\d+: /);
  expect(problems[0]).toContain(message);
});
