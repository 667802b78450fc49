import fc from 'fast-check';
import { formatProblem } from '../../../src/config/problem';
import { loadConfig, parseConfig } from '../../../src/config/load';
import type { TandemConfig } from '../../../src/config/types';

const env = { TANDEM_SECRET: 'cluster-secret', ALICE_PASSWORD: 'alice-password', BOB_PASSWORD: 'bob-password' };

const example = `cluster:
  name: acme
  domain: acme.example            # SIP realm
  secret: \${TANDEM_SECRET}        # signs requests and messages between nodes
  redis: redis://127.0.0.1:6379   # leave out: a single node
registrar: { minExpires: 30, defaultExpires: 120, maxExpires: 3600 }   # optional
nodes:
  - id: 1
    name: dallas-1
    site: dallas
    listen: [udp:127.0.0.1:5060, tcp:127.0.0.1:5060, ws:127.0.0.1:5066]
    drachtio: embedded            # or {host, port, secret}: then its announced addresses replace listen
    admin: 127.0.0.1:8080         # optional: address (announced), capacity (devices), drainSeconds, stateDir
  - id: 2
    name: san-jose-1
    site: san-jose
    listen: [udp:127.0.0.1:5070, tcp:127.0.0.1:5070, ws:127.0.0.1:5076]
    drachtio: embedded
    admin: 127.0.0.1:8081
sites:
  dallas:   { mediaResourceGroupList: dallas,   codecs: [PCMU, PCMA, telephone-event] }
  san-jose: { mediaResourceGroupList: san-jose, codecs: [PCMU, PCMA, telephone-event] }
devices:
  - name: SEP-alice
    username: alice
    password: \${ALICE_PASSWORD}
    lines: ["1000"]
    site: dallas
  - name: SEP-bob
    username: bob
    password: \${BOB_PASSWORD}
    lines: ["2000"]
    site: san-jose
gateways:
  - { name: gw-dallas, uri: "sip:127.0.0.1:5090", site: dallas, nodes: [1, 2] }
routes:
  - { pattern: "9.@", targets: [gw-dallas] }
mediaResources:
  - { name: moh-dallas, type: moh, engine: rtpengine, control: "udp:127.0.0.1:22222", node: 1, site: dallas, capacity: 250 }
  - { name: xcode-dallas, type: transcoder, engine: rtpengine, control: "udp:127.0.0.1:22222", node: 1, site: dallas, capacity: 50 }
mediaResourceGroups:
  - { name: dallas-media, devices: [moh-dallas, xcode-dallas] }     # optional: site, userClasses, selection
  - { name: san-jose-media, devices: [] }
mediaResourceGroupLists:
  - { name: dallas, groups: [dallas-media, san-jose-media] }
  - { name: san-jose, groups: [san-jose-media, dallas-media] }
`;

function load(text: string, environment: Record<string, string> = env): TandemConfig {
  const result = parseConfig(text, { file: '/etc/tandem/tandem.yaml', env: environment });
  if (!result.ok) throw new Error(result.problems.map(formatProblem).join('\n'));
  return result.config;
}

function problems(text: string, environment: Record<string, string> = env): string[] {
  const result = parseConfig(text, { file: 't.yaml', env: environment });
  return result.ok ? [] : result.problems.map(formatProblem);
}

/** The example with one text replaced, and the number of the line where it stood. */
function changed(from: string | RegExp, to: string): { text: string; line: number } {
  const at = typeof from === 'string' ? example.indexOf(from) : example.search(from);
  if (at < 0) throw new Error(`the example has no ${String(from)}`);
  return { text: example.replace(from, to), line: example.slice(0, at).split('\n').length };
}

describe('a configuration file', () => {
  it('loads the example of the documentation, with its defaults', () => {
    const config = load(example);
    expect(config.cluster).toEqual({
      name: 'acme',
      domain: 'acme.example',
      secret: 'cluster-secret',
      signalling: 'direct',
      surviveSeconds: 300,
      redis: {
        url: 'redis://127.0.0.1:6379',
        username: undefined,
        password: undefined,
        tls: undefined,
        sentinel: undefined,
      },
      adminToken: undefined,
    });
    expect(config.nodes[0]).toEqual({
      id: 1,
      name: 'dallas-1',
      site: 'dallas',
      listen: [
        { protocol: 'udp', address: '127.0.0.1', port: 5060 },
        { protocol: 'tcp', address: '127.0.0.1', port: 5060 },
        { protocol: 'ws', address: '127.0.0.1', port: 5066 },
      ],
      drachtio: 'embedded',
      admin: { address: '127.0.0.1', port: 8080 },
      address: undefined,
      capacity: undefined,
      drainSeconds: 10,
      forceRport: false,
      stateDir: '/etc/tandem/var/node-1',
    });
    expect(config.devices[0]).toMatchObject({ password: 'alice-password', digest: ['MD5'], mtpRequired: false });
    expect(config.mediaResources[0]?.control).toEqual({ protocol: 'udp', address: '127.0.0.1', port: 22222 });
    expect(config.mediaResourceGroups[0]?.selection).toBe('ordered');
  });

  it('is frozen to the last leaf', () => {
    const config = load(example);
    expect(() => Object.assign(config.nodes[0]!.listen[0]!, { port: 1 })).toThrow();
    expect(() => (config.devices[0]!.lines as string[]).push('1')).toThrow();
    expect(Object.isFrozen(config.sites.dallas)).toBe(true);
  });

  it('has only cluster, nodes and sites as mandatory sections', () => {
    const config = load(
      'cluster: {name: a, domain: a.example, secret: s}\nnodes:\n  - {id: 1, name: n, site: s, listen: ["udp:127.0.0.1:0"]}\nsites:\n  s:\n',
    );
    expect(config.registrar).toEqual({
      minExpires: 30,
      defaultExpires: 120,
      maxExpires: 3600,
      pollSeconds: 30,
      pollMisses: 3,
      pollsPerSecond: 100,
      turnAway: 'refuse',
    });
    expect(config.cluster.redis).toBeUndefined();
    expect(config.nodes[0]?.admin).toBeUndefined();
    expect(config.devices).toEqual([]);
  });

  it('bounds what one source address may send, and bans networks', () => {
    expect(load(example).sourceLimits).toEqual({ requestsPerSecond: 5000, ban: [] });
    const limits = 'sourceLimits: { requestsPerSecond: 100, ban: [192.0.2.0/24, "2001:db8::/32", 198.51.100.7] }\n';
    expect(load(example + limits).sourceLimits).toEqual({
      requestsPerSecond: 100,
      ban: ['192.0.2.0/24', '2001:db8::/32', '198.51.100.7'],
    });
    expect(problems(`${example}sourceLimits: { ban: [192.0.2.0/33] }\n`)).toEqual([
      expect.stringContaining('sourceLimits.ban[0]: must be an address or a network'),
    ]);
  });

  it('takes relative paths from its own folder', () => {
    const config = load(
      `${example.replace('drachtio: embedded  ', 'stateDir: ../state\n    drachtio: embedded  ')}musicSources:\n  - {name: jazz, file: music/jazz.mp3}\n`,
    );
    expect(config.nodes[0]?.stateDir).toBe('/etc/state');
    expect(config.musicSources).toEqual([{ name: 'jazz', file: '/etc/tandem/music/jazz.mp3', lines: [] }]);
  });

  it('that cannot be read is a problem, not an exception', () => {
    expect(loadConfig('/nonexistent/tandem.yaml', env)).toMatchObject({
      ok: false,
      problems: [{ file: '/nonexistent/tandem.yaml', line: 1, path: '' }],
    });
  });
});

describe('references to the environment', () => {
  it('are replaced inside text, and have defaults', () => {
    const text = example.replace('redis://127.0.0.1:6379', 'redis://${REDIS_HOST:-127.0.0.9}:${REDIS_PORT}');
    expect(load(text, { ...env, REDIS_PORT: '6390' }).cluster.redis?.url).toBe('redis://127.0.0.9:6390');
    expect(load(text, { ...env, REDIS_PORT: '6390', REDIS_HOST: 'r' }).cluster.redis?.url).toBe('redis://r:6390');
  });

  it('give numbers where a number is wanted, and text where digits are text', () => {
    const text = example.replace('id: 1', 'id: ${NODE}');
    const config = load(text, { ...env, NODE: '1', ALICE_PASSWORD: '0123' });
    expect(config.nodes[0]?.id).toBe(1);
    expect(config.devices[0]?.password).toBe('0123');
  });

  it('leave an optional key out when they are empty', () => {
    const text = example.replace('redis://127.0.0.1:6379', '${TANDEM_REDIS:-}');
    expect(load(text).cluster.redis).toBeUndefined();
    expect(problems(example, { ...env, TANDEM_SECRET: '' })).toEqual([
      't.yaml:4:11: cluster.secret: "secret" is missing',
    ]);
  });

  it('cannot change the structure of the file', () => {
    const password = 'x"\n  - {name: evil}\n#';
    expect(problems(example, { ...env, ALICE_PASSWORD: password })).toEqual([
      expect.stringContaining('devices[0].password: must not contain control characters'),
    ]);
    expect(load(example, { ...env, ALICE_PASSWORD: '{a: b}' }).devices[0]?.password).toBe('{a: b}');
  });

  it('are reported with their line when the variable is missing, once, and all of them', () => {
    expect(problems(example, { BOB_PASSWORD: 'b' })).toEqual([
      't.yaml:4:11: cluster.secret: environment variable TANDEM_SECRET is not set',
      't.yaml:26:15: devices[0].password: environment variable ALICE_PASSWORD is not set',
    ]);
  });

  it('never show a value', () => {
    const text = example.replaceAll('site: dallas\n', 'site: ${HIDDEN}\n').replace('"9.@"', '"${HIDDEN}"');
    const all = problems(text, { ...env, HIDDEN: 'top-secret-value' });
    expect(all.length).toBeGreaterThan(2);
    expect(all.join('\n')).not.toContain('top-secret-value');
    expect(all.join('\n')).toContain('unknown site "${HIDDEN}"');
  });
});

describe('a problem of a configuration file', () => {
  it('names an unknown key, its line, and the nearest known key', () => {
    const { text, line } = changed('    listen: [udp:127.0.0.1:5060', '    lisen: [udp:127.0.0.1:5060');
    expect(problems(text)).toContain(`t.yaml:${line}:5: nodes[0].lisen: unknown key "lisen" (did you mean "listen"?)`);
    expect(problems(example.replace('gateways:', 'gatewayz:'))[0]).toContain(
      'unknown key "gatewayz" (did you mean "gateways"?)',
    );
    const nested = problems(example.replace('drachtio: embedded ', 'drachtio: {host: h, prt: 9022, secret: s} '));
    expect(nested).toEqual([
      expect.stringContaining('nodes[0].drachtio.port: "port" is missing'),
      expect.stringContaining('nodes[0].drachtio.prt: unknown key "prt" (did you mean "port"?)'),
    ]);
  });

  it('is reported with all the others', () => {
    const text = example
      .replace('id: 2', 'id: 0')
      .replace('site: san-jose\ngateways', 'site: san-josee\ngateways')
      .replace('targets: [gw-dallas]', 'targets: []')
      .replace('capacity: 250', 'capacity: many')
      .replace('groups: [dallas-media, ', 'groups: [dallas-medium, ');
    expect(problems(text)).toEqual([
      expect.stringContaining('nodes[1].id: must be a whole number from 1 to 999999'),
      expect.stringContaining('devices[1].site: unknown site "san-josee" (did you mean "san-jose"?)'),
      expect.stringContaining('gateways[0].nodes[1]: unknown node "2"'),
      expect.stringContaining('routes[0].targets: a route without target leads nowhere'),
      expect.stringContaining('mediaResources[0].capacity: must be a whole number from 1 to 100000'),
      expect.stringContaining('mediaResourceGroupLists[0].groups[0]: unknown media resource group "dallas-medium"'),
    ]);
  });

  const wrong: [string, string | RegExp, string, string][] = [
    ['a duplicate node number', 'id: 2', 'id: 1', 'node number "1" is taken by nodes[0]'],
    ['a duplicate node name', 'name: san-jose-1', 'name: dallas-1', 'node name "dallas-1" is taken by nodes[0]'],
    ['a duplicate device name', 'name: SEP-bob', 'name: SEP-alice', 'device name "SEP-alice" is taken by devices[0]'],
    [
      "a gateway with a device's name",
      '{ name: gw-dallas',
      '{ name: SEP-bob',
      'device name "SEP-bob" is taken by devices[1]',
    ],
    ['a duplicate username', 'username: bob', 'username: alice', 'username "alice" is taken by devices[0]'],
    [
      'an unknown gateway',
      'targets: [gw-dallas]',
      'targets: [gw-dalas]',
      'unknown gateway "gw-dalas" (did you mean "gw-dallas"?)',
    ],
    [
      'an unknown node of a site',
      'san-jose: { mediaResourceGroupList',
      'san-jose: { nodes: [1, 7], mediaResourceGroupList',
      'sites.san-jose.nodes[1]: unknown node "7"',
    ],
    [
      'a node twice in the list of a site',
      'san-jose: { mediaResourceGroupList',
      'san-jose: { nodes: [1, 1], mediaResourceGroupList',
      'node "1" is taken by',
    ],
    [
      'another way to turn a phone away',
      'minExpires: 30',
      'turnAway: 305, minExpires: 30',
      'must be refuse or redirect',
    ],
    ['an unknown node of a gateway', 'nodes: [1, 2]', 'nodes: [1, 3]', 'gateways[0].nodes[1]: unknown node "3"'],
    [
      'a gateway without address and without a way to prove who it is',
      'uri: "sip:127.0.0.1:5090", site: dallas, nodes: [1, 2]',
      'site: dallas',
      'gateways[0]: needs a uri, or a username and password to register with',
    ],
    [
      'nodes of a gateway that registers',
      'uri: "sip:127.0.0.1:5090", site: dallas,',
      'username: trunk, password: x,',
      'gateways[0].nodes: a gateway without uri registers',
    ],
    [
      'a gateway with an address and without nodes',
      'site: dallas, nodes: [1, 2]',
      'site: dallas',
      '"nodes" is missing',
    ],
    [
      "a gateway with a phone's username",
      'site: dallas, nodes: [1, 2]',
      'nodes: [1, 2], username: bob, password: x',
      'username "bob" is taken by devices[1]',
    ],
    [
      'a pool that nobody may ask',
      'gateways:',
      'autoRegistration: { numbers: "3000-3099" }\ngateways:',
      'autoRegistration: needs a username and password, or the networks that devices are trusted in: from',
    ],
    [
      'a pool with a configured line',
      'lines: ["2000"]\n    site: san-jose\n',
      'lines: ["2000"]\n    site: san-jose\nautoRegistration: { numbers: ["3000", "1990-2010"], from: [10.0.0.0/8] }\n',
      'devices[1].lines[0]: is a number of autoRegistration',
    ],
    [
      'a pool with numbers that a route takes',
      'routes:\n  - { pattern',
      'autoRegistration: { numbers: "8999-9001", from: [10.0.0.0/8] }\nroutes:\n  - { pattern',
      'routes[0].pattern: matches "9000", a number of autoRegistration',
    ],
    [
      'a pool that is no range',
      'gateways:',
      'autoRegistration: { numbers: "3000-299", from: [10.0.0.0/8] }\ngateways:',
      'must be a number or a range of numbers of one length',
    ],
    [
      'an unknown key of automatic registration',
      'gateways:',
      'autoRegistration: { numbers: "3000", form: [10.0.0.0/8] }\ngateways:',
      'unknown key "form" (did you mean "from"?)',
    ],
    ['another signalling', 'name: acme', 'name: acme\n  signalling: tunneled', 'must be direct or tunnelled'],
    ['an unknown device of a group', 'devices: []', 'devices: [moh-austin]', 'unknown media resource "moh-austin"'],
    [
      'an unknown list',
      'mediaResourceGroupList: dallas,',
      'mediaResourceGroupList: austin,',
      'unknown media resource group list "austin"',
    ],
    ['a pattern that is none', '"9.@"', '"9.@["', 'not a pattern: "[" without "]"'],
    [
      'two equal patterns',
      '  - { pattern: "9.@", targets: [gw-dallas] }',
      '  - { pattern: "9.@", targets: [gw-dallas] }\n  - { pattern: "9.!", targets: [gw-dallas] }',
      'matches the same digits as routes[0].pattern',
    ],
    ['a listener of another node', 'udp:127.0.0.1:5070', 'udp:127.0.0.1:5060', 'listens where nodes[0].listen[0] does'],
    [
      'an API where the other node has its own',
      '127.0.0.1:8081',
      '127.0.0.1:8080',
      'nodes[1].admin: listens where nodes[0].admin does',
    ],
    [
      'an API open to everybody',
      '127.0.0.1:8081',
      '0.0.0.0:8081',
      'must be a loopback address, unless cluster.adminToken is set',
    ],
    ['a listener that is none', 'udp:127.0.0.1:5070', 'sctp:127.0.0.1:5070', 'must be PROTOCOL:ADDRESS:PORT'],
    ['a listener with a host name', 'udp:127.0.0.1:5070', 'udp:example.net:5070', 'must name an IP address'],
    ['a line that YAML reads as a number', '["2000"]', '[2000]', 'devices[1].lines[0]: must be text: put it in quotes'],
    ['a mapping twice', 'username: bob', 'name: bob', 'keys must be unique'],
    ['registrar times out of order', 'minExpires: 30', 'minExpires: 300', 'must not be more than defaultExpires (120)'],
    ['a number out of bounds', 'maxExpires: 3600', 'maxExpires: 36000000', 'must be a whole number from 1 to 604800'],
    [
      'a wrong word for drachtio',
      /drachtio: embedded\n/,
      'drachtio: embeded\n',
      'must be "embedded" or {host, port, secret}',
    ],
    ['an unknown algorithm', 'username: bob', 'username: bob\n    digest: [SHA1]', 'must be MD5 or SHA-256'],
    [
      'claim M8: a group of a site with a resource of another',
      'devices: [] }',
      'devices: [moh-dallas], site: san-jose }',
      '"moh-dallas" belongs to site "dallas", and this group is for site "san-jose" only',
    ],
    [
      'a group that is in no list',
      '  - { name: san-jose-media, devices: [] }',
      '  - { name: san-jose-media, devices: [] }\n  - { name: forgotten, devices: [] }',
      'mediaResourceGroups[2].name: group "forgotten" is in no media resource group list',
    ],
    [
      'a device twice in a group',
      'devices: []',
      'devices: [moh-dallas, moh-dallas]',
      'device "moh-dallas" is taken by',
    ],
    [
      'a group twice in a list',
      'name: dallas, groups: [dallas-media, ',
      'name: dallas, groups: [dallas-media, dallas-media, ',
      'group "dallas-media" is taken by',
    ],
    [
      'a media resource with the name of a phone',
      'name: moh-dallas, type',
      'name: SEP-bob, type',
      'device name "SEP-bob" is taken by devices[1]',
    ],
    [
      'a media resource with the name of a gateway',
      'name: gw-dallas, uri',
      'name: SEP-bob, uri',
      'device name "SEP-bob"',
    ],
    [
      'an engine that cannot serve as that',
      'name: xcode-dallas, type: transcoder',
      'name: xcode-dallas, type: conference',
      'mediaResources[1].type: rtpengine cannot serve as conference, only as moh or transcoder or mtp',
    ],
    [
      'another engine that cannot serve as that',
      'type: transcoder, engine: rtpengine',
      'type: transcoder, engine: janus',
      'mediaResources[1].type: janus cannot serve as transcoder, only as conference',
    ],
    [
      'an rtpengine that is not controlled over UDP',
      'type: transcoder, engine: rtpengine, control: "udp:',
      'type: transcoder, engine: rtpengine, control: "tcp:',
      'rtpengine is controlled over UDP',
    ],
    [
      'FreeSWITCH without its event socket',
      'mediaResourceGroups:',
      '  - { name: bridge, type: conference, engine: freeswitch, node: 1, capacity: 9, control: "udp:127.0.0.30:5060" }\nmediaResourceGroups:',
      'mediaResources[2]: FreeSWITCH needs eventSocket',
    ],
    [
      'an event socket with an unknown key',
      'mediaResourceGroups:',
      '  - { name: bridge, type: conference, engine: freeswitch, node: 1, capacity: 9, control: "udp:127.0.0.30:5060", eventSocket: { address: "127.0.0.30:8021", password: x, passwd: y } }\nmediaResourceGroups:',
      'mediaResources[2].eventSocket.passwd: unknown key "passwd"',
    ],
    [
      'an event socket without a password',
      'mediaResourceGroups:',
      '  - { name: bridge, type: conference, engine: freeswitch, node: 1, capacity: 9, control: "udp:127.0.0.30:5060", eventSocket: { address: "127.0.0.30:8021" } }\nmediaResourceGroups:',
      '"password" is missing',
    ],
    [
      'an event socket without a port',
      'mediaResourceGroups:',
      '  - { name: bridge, type: conference, engine: freeswitch, node: 1, capacity: 9, control: "udp:127.0.0.30:5060", eventSocket: { address: "127.0.0.30", password: x } }\nmediaResourceGroups:',
      'mediaResources[2].eventSocket.address: must be ADDRESS:PORT',
    ],
    [
      'FreeSWITCH that is called over TLS',
      'mediaResourceGroups:',
      '  - { name: bridge, type: conference, engine: freeswitch, node: 1, capacity: 9, control: "tls:127.0.0.30:5061", eventSocket: { address: "127.0.0.30:8021", password: x } }\nmediaResourceGroups:',
      'FreeSWITCH is called over UDP or TCP',
    ],
    [
      'an event socket of what has none',
      'control: "udp:127.0.0.1:22222", node: 1, site: dallas, capacity: 50',
      'control: "udp:127.0.0.1:22222", node: 1, site: dallas, capacity: 50, eventSocket: { address: "127.0.0.30:8021", password: x }',
      'mediaResources[1].eventSocket: rtpengine has no event socket',
    ],
    [
      "a site's music that nobody knows",
      'mediaResourceGroupList: san-jose, codecs',
      'mediaResourceGroupList: san-jose, musicSource: jazz, codecs',
      'sites.san-jose.musicSource: unknown music source "jazz"',
    ],
    [
      "a phone's music that nobody knows",
      'username: bob',
      'username: bob\n    musicSource: jazz',
      'devices[1].musicSource: unknown music source "jazz"',
    ],
    [
      'music for a line that no device has',
      'mediaResourceGroupLists:',
      'musicSources: [{ name: jazz, file: a.mp3, lines: ["1000", "1999"] }]\nmediaResourceGroupLists:',
      'musicSources[0].lines[1]: no device has the line "1999"',
    ],
    [
      'music twice for one line',
      'mediaResourceGroupLists:',
      'musicSources: [{ name: a, file: a.mp3, lines: ["1000"] }, { name: b, file: b.mp3, lines: ["1000"] }]\nmediaResourceGroupLists:',
      'music of line "1000" is taken by musicSources[0]',
    ],
    [
      'a codec policy for a site that nobody knows',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ between: [dallas, san-josé], codecs: [PCMU] }]\nmediaResourceGroupLists:',
      'codecPolicies[0].between[1]: unknown site "san-josé"',
    ],
    [
      'two codec policies for one pair of sites',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ between: [dallas, san-jose], codecs: [PCMU] }, { between: [san-jose, dallas], codecs: [PCMA] }]\nmediaResourceGroupLists:',
      'codecPolicies[1].between: has the same sites as codecPolicies[0]',
    ],
    [
      'a codec policy between a site and itself',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ between: [dallas, dallas], codecs: [PCMU] }]\nmediaResourceGroupLists:',
      'codecPolicies[0].between: names one site twice; for calls inside it write within: dallas',
    ],
    [
      'a codec policy for nobody',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ codecs: [PCMU] }]\nmediaResourceGroupLists:',
      'codecPolicies[0]: needs either between: [SITE, SITE] or within: SITE',
    ],
    [
      'a misspelt codec of a codec policy',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ within: dallas, codecs: [PCMU, PCNA] }]\nmediaResourceGroupLists:',
      'codecPolicies[0].codecs[1]: unknown codec "PCNA"',
    ],
    [
      'a codec policy that allows no speech',
      'mediaResourceGroupLists:',
      'codecPolicies: [{ within: dallas, codecs: [telephone-event] }]\nmediaResourceGroupLists:',
      'codecPolicies[0].codecs: must name a codec that carries speech',
    ],
    [
      'music with the name of the default',
      'mediaResourceGroupLists:',
      'musicSources: [{ name: default, file: a.mp3 }]\nmediaResourceGroupLists:',
      'must not be "default"',
    ],
  ];
  it('a codec policy is between two sites, or within one', () => {
    const policies = '[{ between: [dallas, san-jose], codecs: [g729, PCMU] }, { within: dallas, codecs: [opus] }]';
    const text = example.replace('mediaResourceGroups:', `codecPolicies: ${policies}\nmediaResourceGroups:`);
    expect(load(text, env).codecPolicies).toEqual([
      { sites: ['dallas', 'san-jose'], codecs: ['g729', 'PCMU'] },
      { sites: ['dallas', 'dallas'], codecs: ['opus'] },
    ]);
  });

  it('FreeSWITCH as a conference bridge has its SIP address and its event socket; the password comes from the environment', () => {
    const bridge =
      '{ name: bridge, type: conference, engine: freeswitch, control: "udp:127.0.0.30:5060", node: 1, capacity: 60, ' +
      'eventSocket: { address: "127.0.0.30:8021", password: "${EVENT_SOCKET}" } }';
    const text = example.replace('mediaResourceGroups:', `  - ${bridge}\nmediaResourceGroups:`);
    expect(load(text, { ...env, EVENT_SOCKET: 'hush' }).mediaResources[2]).toMatchObject({
      control: { protocol: 'udp', address: '127.0.0.30', port: 5060 },
      eventSocket: { address: '127.0.0.30', port: 8021, password: 'hush' },
    });
  });

  it.each(wrong)('%s is reported with its line', (_title, from, to, message) => {
    const { text, line } = changed(from, to);
    const found = problems(text).filter((problem) => problem.includes(message));
    expect(found).toHaveLength(1);
    const extra = to.split('\n').length - 1;
    expect(Number(found[0]?.split(':')[1])).toBeGreaterThanOrEqual(line);
    expect(Number(found[0]?.split(':')[1])).toBeLessThanOrEqual(line + extra);
  });

  it('is no exception for any text', () => {
    for (const text of [
      '',
      '[]',
      'cluster',
      '- 1',
      'a: [',
      '\u0000',
      '{cluster: {}, nodes: 1, sites: [], devices: {}}',
      '&a [*a]',
      '__proto__: {x: 1}',
      '? [a]\n: b',
    ])
      expect(problems(text, {})).not.toEqual([]);
  });

  it('is no exception for any damage to a good text', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ': ',
      '- ',
      '&a ',
      '*a',
      '!!set ',
      '"',
      "'",
      '\n',
      '|',
      '${',
      '\t',
      '#',
      '? ',
      '<<: ',
      '~',
      '0x',
      '.',
    ];
    const damage = fc.tuple(fc.nat({ max: example.length }), fc.nat({ max: 12 }), fc.constantFrom(...pieces));
    fc.assert(
      fc.property(fc.array(damage, { minLength: 1, maxLength: 4 }), (damages) => {
        const text = damages.reduce(
          (held, [at, gone, put]) => held.slice(0, at) + put + held.slice(at + gone),
          example,
        );
        const result = parseConfig(text, { file: 't.yaml', env });
        if (!result.ok) expect(result.problems.every(({ line, column }) => line > 0 && column > 0)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is no exception for anchors that multiply', () => {
    const bomb = Array.from({ length: 12 }, (_, level) => `a${level}: &a${level} [${`*a${level - 1},`.repeat(9)}]`);
    const text = ['a: &a-1 [x]', ...bomb].join('\n').replaceAll('a-1', 'b');
    expect(problems(text).join('\n')).toContain('nested too deeply or repeated too often');
  });

  it('does not speak of the API address when a token is set', () => {
    const text = example
      .replace('admin: 127.0.0.1:8081', 'admin: 0.0.0.0:8081')
      .replace('  domain:', '  adminToken: ${TOKEN}\n  domain:');
    expect(load(text, { ...env, TOKEN: '0123456789abcdef' }).cluster.adminToken).toBe('0123456789abcdef');
    expect(problems(text, { ...env, TOKEN: 'short' })).toEqual([
      expect.stringContaining('cluster.adminToken: must be at least 16 characters'),
    ]);
  });

  it('lets several devices share a line, and nodes of different machines share a loopback API address', () => {
    expect(problems(example.replace('["2000"]', '["1000"]'))).toEqual([]);
    const text = example.replaceAll('127.0.0.1:507', '127.0.0.2:507').replace('127.0.0.1:8081', '127.0.0.1:8080');
    expect(problems(text)).toEqual([]);
  });
});
