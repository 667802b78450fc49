import type { CallerIdentity, OutgoingCall } from '../../../src/device/device-process';
import type { Party } from '../../../src/device/party';
import type { TandemConfig } from '../../../src/config/types';
import { SimulatedClock } from '../../../src/process/clock';
import { carry, config, contextOf, GATEWAY, PHONE, settle, TestNode } from './support';

const SOURCE = { protocol: 'udp', address: '10.9.9.9', port: 5090 };

function started(changed: Partial<TandemConfig> = {}): TestNode {
  return new TestNode({ config: config(changed) }).start();
}

function twoNodes(): [TestNode, TestNode] {
  const clock = new SimulatedClock();
  const [one, two] = [new TestNode({ node: 1, clock }), new TestNode({ node: 2, clock })];
  one.peers.set(2, { sipAddress: '10.0.0.2:5060', boot: 200, live: true });
  two.peers.set(1, { sipAddress: '10.0.0.1:5060', boot: 100, live: true });
  one.start();
  two.start();
  two.register({ username: 'bob', source: { protocol: 'udp', address: '10.0.0.8', port: 5062 } });
  one.register();
  return [one, two];
}

function fromGateway(node: TestNode, headers: Readonly<Record<string, string>>, uri = 'sip:1000@acme.example'): void {
  node.invite({ uri, source: SOURCE, headers: { From: '<sip:+14085550100@carrier.example>;tag=1', ...headers } });
}

const partyOf = (caller: CallerIdentity): Party => ({ ...caller, device: 'SEP-alice' });

const outgoing = (caller: CallerIdentity): OutgoingCall => ({
  caller: partyOf(caller),
  context: contextOf(partyOf(caller)),
  digits: '1000',
  sdp: undefined,
  maxForwards: 60,
});

/** What the device that the call is sent to sees. */
function seenBy(node: TestNode, pid: '1.dp.1' | '1.gp.1' | '2.dp.1', caller: CallerIdentity) {
  const owner = Number(pid.split('.')[0]);
  node.devices.router.resolve({ pid, boot: 100 * owner, node: owner, digits: '1000' })!.call(outgoing(caller));
  return node.userAgent.invites.at(-1)!.headers;
}

describe('who an outside caller is', () => {
  const anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1';
  const pai = (value: string) => ({ From: anonymous, 'P-Asserted-Identity': value });
  const number = '+14085550100';

  test.each<[string, Record<string, string>, { number: string; displayName?: string | undefined; privacy?: string }]>([
    ['From', { From: `"Outside" <sip:${number}@carrier.example>;tag=1` }, { number, displayName: 'Outside' }],
    ['user parameters', { From: `<sip:${number};cpc=ordinary;oli=0@carrier.example>` }, { number }],
    ['phone-context', { From: '<sip:5550100;phone-context=+1408@carrier.example;user=phone>' }, { number: '5550100' }],
    ['visual separators', { From: '<sip:+1(408)555-01.00@carrier.example>' }, { number }],
    ['escapes', { From: '<sip:%2B14085550100@carrier.example>' }, { number }],
    ['a tel URI', { From: '<tel:+1-408-555-0100;cpc=ordinary>' }, { number }],
    ['P-Asserted-Identity', pai(`"Ann" <sip:${number}@10.9.9.9>`), { number, displayName: 'Ann' }],
    ['its first value', pai(`<sip:${number}@10.9.9.9>, <tel:+1999>`), { number }],
    ['a tel URI in it', pai(`<tel:${number}>`), { number }],
    ['From, where it is malformed', { 'P-Asserted-Identity': '<sip:' }, { number }],
    ['Privacy beside it', { ...pai(`<sip:${number}@x>`), Privacy: 'id' }, { number, privacy: 'id' }],
    ['nobody', { From: anonymous }, { number: 'gw-dallas' }],
    ['no user', { From: '<sip:carrier.example>' }, { number: 'gw-dallas' }],
  ])('is told by %s', (_, headers, caller) => {
    const node = started();
    fromGateway(node, headers);
    expect(node.calls).toMatchObject([{ caller: { displayName: undefined, ...caller, outside: true } }]);
  });

  test.each([
    ['a line', '"Alice" <sip:1000@acme.example>'],
    ['a line at its own domain', '<sip:1000@carrier.example>'],
    ['a line with parameters', '<sip:1000;cpc=ordinary@acme.example>'],
    ['a line with separators', '<sip:1-000@acme.example>'],
    ['a line in escapes', '<sip:%31%30%30%30@acme.example>'],
    ['a line in full-width digits', '<sip:%EF%BC%91%EF%BC%90%EF%BC%90%EF%BC%90@acme.example>'],
    ['a line with an invisible character', '<sip:1%E2%80%8B000@acme.example>'],
    ['a line by tel', '<tel:1000>'],
    ['a username', '<sip:Alice@acme.example>'],
    ['the account of a gateway', '<sip:trunk@acme.example>'],
    ['a conference', '<sip:8000@acme.example>'],
    ['a number for devices to come', '<sip:3005@acme.example>'],
  ])('who claims %s of ours appears under the name of the gateway', (_, claimed) => {
    const numbers = ['3005'];
    const autoRegistration = { numbers, from: ['10.2.0.0/16'] } as unknown as TandemConfig['autoRegistration'];
    const conference = {
      number: '8000',
      name: 'c',
      type: 'meet-me',
      nodes: [1],
      maxMembers: 9,
      endPolicy: 'last-leaves',
    };
    const node = started({ autoRegistration, conferences: [conference as TandemConfig['conferences'][number]] });
    fromGateway(node, { From: claimed });
    fromGateway(node, { From: '<sip:x@y>', 'P-Asserted-Identity': claimed });
    for (const { caller } of node.calls) expect(caller).toEqual({ number: 'gw-dallas', outside: true });
    expect(node.calls).toHaveLength(2);
  });

  test.each(['Alice', ' ALICE ', 'Ａlice', 'Al\u200bice', '1000', 'Line 1000', '(10-00)', '2000 Bob'])(
    'the display name %j could be one of ours and is left out',
    (name) => {
      const node = started();
      fromGateway(node, { From: `"${name}" <sip:${number}@carrier.example>` });
      expect(node.calls).toMatchObject([{ caller: { number, displayName: undefined } }]);
    },
  );

  test.each(['Alicia', 'Ann 10000', '+1 408 555 0100'])('the display name %j could not', (displayName) => {
    const node = started();
    fromGateway(node, { From: `"${displayName}" <sip:${number}@carrier.example>` });
    expect(node.calls).toMatchObject([{ caller: { number, displayName } }]);
  });
});

describe('what a phone without a configured name calls itself', () => {
  const shown = (name: string): string | undefined => {
    const node = started();
    node.register({ username: 'bob' });
    node.call('1000', { username: 'bob', from: `"${name}" <sip:bob@acme.example>;tag=1` });
    expect(node.calls).toMatchObject([{ caller: { number: '2000' } }]);
    return node.calls[0]?.caller.displayName;
  };

  test.each(['Alice', ' ALICE ', 'Ａlice', 'Al\u200bice', 'alice', '1000', 'Line 1000', '(10-00)', '1000 Bob'])(
    '%j is somebody else of us: left out',
    (name) => expect(shown(name)).toBeUndefined(),
  );

  test.each(['Bob', 'bob', '2000', 'Bob 2000', 'Alicia', 'Room 10000'])('%j is shown', (name) =>
    expect(shown(name)).toBe(name),
  );
});

describe('the name of a line', () => {
  const nothing = { busyTrigger: undefined, maxCalls: undefined, noAnswerSeconds: undefined, pickupGroup: undefined };
  const numbers = ['1001', '2000'].map((line) => ({ ...nothing, number: line, displayName: `Line ${line}` }));
  const callerOf = (username: string, from: string): CallerIdentity | undefined => {
    const node = started({ numbers });
    node.register({ username });
    node.call('3000', { username, from });
    return node.calls[0]?.caller;
  };

  test('is that of a caller whose device has none, whatever the phone calls itself', () => {
    const shown = callerOf('bob', '"Bob" <sip:bob@acme.example>;tag=1');
    expect(shown).toEqual({ number: '2000', displayName: 'Line 2000' });
  });

  test('does not go before that of the device', () => {
    const shown = callerOf('alice', '<sip:1001@acme.example>;tag=1');
    expect(shown).toEqual({ number: '1001', displayName: 'Alice' });
  });

  test('is nobody else of us, and nobody outside', () => {
    const node = started({ numbers: [{ ...nothing, number: '1000', displayName: 'Sales' }] });
    node.register({ username: 'bob' });
    node.call('1000', { username: 'bob', from: '"Sales" <sip:bob@acme.example>;tag=1' });
    fromGateway(node, { From: '"SALES" <sip:+14085550100@carrier.example>' });
    expect(node.calls.map(({ caller }) => caller.displayName)).toEqual([undefined, undefined]);
  });
});

describe('From of a phone', () => {
  test.each<[string, boolean]>([
    ['<sip:bob@acme.example>', true],
    ['<sip:2000@acme.example>', true],
    ['<tel:2000>', true],
    ['<tel:20-00;phone-context=acme.example>', true],
    ['<tel:2000;phone-context=+44>', false],
    ['<tel:2000;phone-context=elsewhere.example>', false],
    ['<sip:2000;phone-context=+44@acme.example;user=phone>', true],
    ['<tel:1000>', false],
    ['<sip:1000@acme.example>', false],
    ['<sip:2000@elsewhere.example>', false],
  ])('%s: %p', (from, isItsOwn) => {
    const node = started();
    node.register({ username: 'bob' });
    const session = node.call('1000', { username: 'bob', from: `${from};tag=1` });
    expect(node.calls.map(({ caller }) => caller.number)).toEqual(isItsOwn ? ['2000'] : []);
    expect(session.told.map(({ status }) => status)).toEqual(isItsOwn ? [] : [403]);
  });
});

describe('who is shown to whom (RFC 3323, 3325)', () => {
  const alice = { number: '1000', displayName: 'Alice' };
  const hidden = { ...alice, privacy: 'id' };
  const outside = { number: '+14085550100', displayName: 'Ann', outside: true } as const;

  test.each<[string, CallerIdentity, '1.dp.1' | '1.gp.1', Record<string, string | undefined>]>([
    ['ours to a phone', alice, '1.dp.1', { From: 'shown', PAI: 'ours', Privacy: undefined }],
    ['ours to a gateway', alice, '1.gp.1', { From: 'shown', PAI: 'ours', Privacy: undefined }],
    ['ours, hidden, to a phone', hidden, '1.dp.1', { From: 'anonymous', PAI: undefined, Privacy: undefined }],
    ['ours, hidden, to a gateway', hidden, '1.gp.1', { From: 'anonymous', PAI: 'ours', Privacy: 'id' }],
    ['outside to a phone', outside, '1.dp.1', { From: 'shown', PAI: undefined, Privacy: undefined }],
    ['outside, hidden, to a phone', { ...outside, privacy: 'id' }, '1.dp.1', { From: 'anonymous', PAI: undefined }],
  ])('%s', (_, caller, pid, expected) => {
    const node = started();
    node.register();
    const headers = seenBy(node, pid, caller);
    const { number } = caller;
    const kind = (value: string | undefined) =>
      value === undefined
        ? undefined
        : value === '"Anonymous" <sip:anonymous@anonymous.invalid>'
          ? 'anonymous'
          : value.endsWith(`<sip:${number}@acme.example>`)
            ? 'shown'
            : value;
    const asserted = headers['P-Asserted-Identity'];
    const ours = asserted === '"Alice" <sip:1000@acme.example>' ? 'ours' : asserted;
    expect({ From: kind(headers.From), PAI: ours, Privacy: headers.Privacy }).toEqual({
      Privacy: undefined,
      ...expected,
    });
    if (caller.privacy !== undefined && pid === '1.dp.1')
      expect(JSON.stringify(headers).replace(headers.To!, '')).not.toMatch(/1000|5550100|Alice|Ann\b/);
  });

  test.each([
    ['Privacy: id', { Privacy: 'id' }, '1000', 'id'],
    ['several values', { Privacy: 'user; Header,id;critical' }, '1000', 'header;user;id;critical'],
    ['user', { Privacy: 'user' }, '1000', 'user;id'],
    ['what cannot be read', { Privacy: 'x"y' }, '1000', 'id'],
    ['none', { Privacy: 'none' }, '1000', undefined],
    ['session only', { Privacy: 'session' }, '1000', undefined],
    ['an anonymous From', { From: '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1' }, '1000', 'id'],
    ['an anonymous From at our domain', { From: '<sip:Anonymous@acme.example>;tag=1' }, '1000', 'id'],
    [
      'a line chosen beside it',
      { From: '<sip:anonymous@anonymous.invalid>', 'P-Preferred-Identity': '<sip:1001@x>' },
      '1001',
      'id',
    ],
    ['an anonymous From and none', { From: '<sip:anonymous@anonymous.invalid>', Privacy: 'none' }, '1000', undefined],
    ['user parameters', { From: '<sip:1001;cpc=ordinary@acme.example>;tag=1' }, '1001', undefined],
    ['separators', { From: '<sip:1-0-01@acme.example;user=phone>;tag=1' }, '1001', undefined],
  ])('a phone asks for it by %s', (_, headers, number, privacy) => {
    const node = started();
    node.register();
    expect(node.call('2000', { headers }).told).toEqual([]);
    expect(node.calls).toMatchObject([{ caller: { number, ...(privacy === undefined ? {} : { privacy }) } }]);
    expect(node.calls[0]!.caller.privacy).toBe(privacy);
  });

  test('between nodes identity, privacy and origin go along, signed', () => {
    const [one, two] = twoNodes();
    for (const caller of [alice, hidden, { ...outside, privacy: 'user;id' }, outside]) {
      const headers = seenBy(one, '2.dp.1', { ...caller });
      if ('outside' in caller) expect(headers['P-Asserted-Identity']).not.toContain('acme.example');
    }
    // Each is carried with a Call-ID of its own.
    for (const [index, caller] of [alice, hidden, { ...outside, privacy: 'user;id' }, outside].entries()) {
      one.devices.router
        .resolve({ pid: undefined, boot: 0, node: 2, digits: '2000' })!
        .call({ ...outgoing(caller), digits: '2000' });
      carry(one, two, `call-${index}`);
      expect(two.calls.at(-1)!.caller).toEqual({ ...partyOf(caller), node: 1, process: { pid: '1.cp.7', boot: 100 } });
    }
  });
});

describe('from gateway to gateway there is no way', () => {
  test('a node does not let a call from outside through to its gateway, whatever PID it names', () => {
    const [one, two] = twoNodes();
    for (const [outside, status] of [
      [true, 403],
      [undefined, 183],
    ] as const) {
      const caller = { number: '5550100', displayName: undefined, ...(outside === undefined ? {} : { outside }) };
      two.devices.router
        .resolve({ pid: '1.gp.1', boot: 100, node: 1, digits: '9' })!
        .call({ ...outgoing(caller), digits: '1408' });
      expect(carry(two, one, `call-${status}`).told).toMatchObject([{ status }]);
    }
    expect(one.calls).toHaveLength(1);
  });
});

describe('is this the gateway?', () => {
  const at = (uri: string) => ({ gateways: [{ ...GATEWAY, uri }] });
  const lookedUp = [
    { protocol: 'udp', address: '10.9.9.1', port: 5070 },
    { protocol: 'udp', address: '10.9.9.2', port: 5080 },
    { protocol: 'tcp', address: '2001:db8::9', port: 5060 },
  ];

  test.each<[string, string, string, boolean]>([
    ['sip:10.9.9.9:5090', 'udp', '10.9.9.9:5090', true],
    ['sip:10.9.9.9:5090', 'UDP', '::ffff:10.9.9.9:5090', true],
    ['sip:10.9.9.9:5090', 'udp', '10.9.9.9:5091', false],
    ['sip:10.9.9.9:5090', 'tcp', '10.9.9.9:5090', false],
    ['sip:10.9.9.9:5090', 'ws', '10.9.9.9:5090', false],
    ['sip:10.9.9.9', 'udp', '10.9.9.9:5060', true],
    ['sip:10.9.9.9:5090;transport=tcp', 'tcp', '10.9.9.9:40000', true],
    ['sip:10.9.9.9:5090;transport=TCP', 'tcp', '10.9.9.9:40000', true],
    ['sip:10.9.9.9:5090;transport=tcp', 'udp', '10.9.9.9:5090', false],
    ['sip:10.9.9.9:5090;transport=tcp', 'tls', '10.9.9.9:40000', false],
    ['sip:10.9.9.9:5090;transport=tcp', 'tcp', '10.9.9.8:5090', false],
    ['sips:10.9.9.9', 'tls', '10.9.9.9:40000', true],
    ['sips:10.9.9.9;transport=tcp', 'tls', '10.9.9.9:40000', true],
    ['sips:10.9.9.9', 'tcp', '10.9.9.9:40000', false],
    ['sip:[2001:DB8:0:0::9]', 'udp', '2001:db8::9:5060', true],
    ['sip:trunk.example', 'udp', '10.9.9.1:5070', true],
    ['sip:trunk.example', 'udp', '10.9.9.2:5080', true],
    ['sip:trunk.example', 'udp', '10.9.9.1:5080', false],
    ['sip:trunk.example', 'tcp', '2001:0db8::9:50000', true],
    ['sip:other.example', 'udp', '10.9.9.1:5070', false],
  ])('%s: by %s from %s: %s', async (uri, protocol, place, expected) => {
    const colon = place.lastIndexOf(':');
    const source = { protocol, address: place.slice(0, colon), port: Number(place.slice(colon + 1)) };
    const asked: unknown[] = [];
    const node = new TestNode({
      config: config(at(uri)),
      locate: (target) => {
        asked.push(target);
        return Promise.resolve(target.host === 'trunk.example' ? lookedUp : []);
      },
    }).start();
    await settle();
    const session = node.invite({ uri: 'sip:1000@acme.example', source, headers: { From: '<sip:555@x>;tag=1' } });
    expect(session.told).toMatchObject(expected ? [] : [{ status: 407 }]);
    if (uri.includes('example')) expect(asked).toEqual([{ host: uri.slice(4), port: undefined, protocol: undefined }]);
  });

  test('what was found stays while nobody can tell', async () => {
    let found = lookedUp;
    const node = new TestNode({
      config: config(at('sip:trunk.example')),
      locate: () => Promise.resolve(found),
    }).start();
    await settle();
    found = [];
    node.clock.advance(31_000);
    await settle();
    fromGateway(node, {});
    node.invite({ uri: 'sip:1000@acme.example', source: lookedUp[0]!, headers: { From: '<sip:555@x>' } });
    expect(node.calls).toHaveLength(1);
  });

  test('two gateways on one address over TCP are told apart by the port, else by digest', () => {
    const gateways = [5090, 5091].map((port) => ({
      ...GATEWAY,
      name: `gw-${port}`,
      uri: `sip:10.9.9.9:${port};transport=tcp`,
      username: `u${port}`,
    }));
    const node = started({ gateways });
    const invite = (port: number) =>
      node.invite({
        uri: 'sip:1000@acme.example',
        source: { ...SOURCE, protocol: 'tcp', port },
        headers: { From: '<sip:5@x>' },
      });
    expect(invite(5091).told).toEqual([]);
    expect(node.calls.at(-1)).toMatchObject({ from: { name: 'gw-5091' } });
    expect(invite(40_000).told).toMatchObject([{ status: 407 }]);
  });

  test('a phone at the address of a gateway is itself: it has registered over its connection, or sends credentials', () => {
    const node = started(at('sip:10.0.0.7:5090;transport=tcp'));
    const source = { ...PHONE, protocol: 'tcp', port: 40_000 };
    const invite = () =>
      node.invite({ uri: 'sip:2000@acme.example', source, headers: { From: '<sip:alice@acme.example>' } });
    expect(invite().told).toEqual([]);
    expect(node.calls.at(-1)).toMatchObject({ from: { kind: 'gateway' } });
    expect(node.register({ source }).status).toBe(200);
    expect(invite().told).toMatchObject([{ status: 407 }]);
  });

  test('a gateway that must authenticate is challenged wherever it comes from', () => {
    const node = started({ gateways: [{ ...GATEWAY, authenticate: true }] });
    const uri = 'sip:1000@acme.example';
    const from = { From: '<sip:5550100@x>;tag=1' };
    expect(node.invite({ uri, source: SOURCE, headers: from }).told).toMatchObject([{ status: 407 }]);
    const headers = { ...node.credentials('INVITE', uri, 'trunk', SOURCE), ...from };
    expect(node.invite({ uri, source: SOURCE, headers }).told).toEqual([]);
    expect(node.calls).toMatchObject([{ from: { name: 'gw-dallas' }, caller: { number: '5550100', outside: true } }]);
  });

  test.each([
    'sip:1000@203.0.113.7',
    'sip:+14085551000@carrier.example;user=phone',
    'tel:1000',
    'tel:+1-408-555-1000',
    'sip:1000@127.0.0.1',
    'sip:1000;phone-context=acme.example@acme.example',
    'sip:1000@10.0.0.1:5999',
  ])('it may call %s; a phone may not by a name that is not ours', (uri) => {
    const node = started();
    fromGateway(node, {}, uri);
    expect(node.calls).toMatchObject([{ dialled: uri.includes('5') && uri.includes('+') ? '+14085551000' : '1000' }]);
    node.register();
    const foreign = /203|carrier|127/.test(uri);
    expect(node.call('', { uri }).told).toMatchObject(foreign ? [{ status: 404 }] : []);
  });
});
