import { NODE_HEADER, NOT_MINE_HEADER, TIME_HEADER } from '../../../src/sip/node-signature';
import type { DeviceProcess, OutgoingCall } from '../../../src/device/device-process';
import type { Pid } from '../../../src/process/pid';
import { SimulatedClock } from '../../../src/process/clock';
import { ACCEPT } from '../../../src/sip/body';
import {
  answerOf,
  ALICE,
  carry,
  config,
  contextOf,
  DESCRIPTION,
  FakeSession,
  GATEWAY,
  headerReader,
  PHONE,
  settle,
  TestNode,
} from './support';

const GATEWAY_SOURCE = { protocol: 'udp', address: '10.9.9.9', port: 5090 };

const outgoing: OutgoingCall = {
  caller: ALICE,
  context: contextOf(ALICE),
  digits: '2000',
  sdp: DESCRIPTION,
  maxForwards: 68,
};

function started(): TestNode {
  return new TestNode().start();
}

/** Two nodes that know each other; bob is registered with the second. */
function twoNodes(): [TestNode, TestNode] {
  const clock = new SimulatedClock();
  const [one, two] = [new TestNode({ node: 1, clock }), new TestNode({ node: 2, clock })];
  one.peers.set(2, { sipAddress: '10.0.0.2:5060', boot: 200, live: true });
  two.peers.set(1, { sipAddress: '10.0.0.1:5060', boot: 100, live: true });
  one.start();
  two.start();
  two.register({ username: 'bob', source: { protocol: 'udp', address: '10.0.0.8', port: 5062 } });
  return [one, two];
}

function resolved(node: TestNode, pid: Pid, boot: number, digits = '2000'): DeviceProcess {
  const process = node.devices.router.resolve({ pid, boot, node: Number(pid.split('.')[0]), digits });
  if (process === undefined) throw new Error('not resolved');
  return process;
}

describe('claim R2: calls of a station', () => {
  test('an authenticated INVITE of a registered station becomes a call through its device process', () => {
    const node = started();
    node.register();
    const session = node.call('2000', { headers: { 'Max-Forwards': '42' } });
    expect(session.told).toEqual([]);
    expect(node.calls).toMatchObject([
      {
        session,
        from: { name: 'SEP-alice', kind: 'station', site: 'dallas', codecs: ['PCMU'] },
        pid: '1.dp.1',
        caller: { number: '1000', displayName: 'Alice' },
        dialled: '2000',
        sdp: DESCRIPTION,
        maxForwards: 42,
        target: undefined,
      },
    ]);
  });

  test('the caller number is the line that From names, else the first', () => {
    const node = started();
    node.call('2000', { from: '"Somebody" <sip:1001@acme.example>;tag=1' });
    node.call('2000', { from: '<sip:alice@10.0.0.1:5060>;tag=1' });
    expect(node.calls.map(({ caller }) => caller)).toEqual([
      { number: '1001', displayName: 'Alice' },
      { number: '1000', displayName: 'Alice' },
    ]);
  });

  test('RFC 3264 §5: an INVITE without SDP is a delayed offer', () => {
    const node = started();
    node.call('2000', { body: '', contentType: undefined });
    expect(node.calls[0]).toMatchObject({ sdp: undefined, maxForwards: 70 });
  });

  test.each([
    ['the number of another device', '<sip:2000@acme.example>;tag=1'],
    ['another domain', '<sip:alice@elsewhere.example>;tag=1'],
    ['nobody', '<sip:acme.example>;tag=1'],
    ['a malformed From', 'alice <'],
  ])('From with %s gets 403', (_, from) => {
    const node = started();
    expect(node.call('2000', { from }).told).toMatchObject([{ status: 403 }]);
    expect(node.calls).toEqual([]);
  });

  test('without credentials it is challenged with 407', () => {
    const session = started().invite({ uri: 'sip:2000@acme.example', headers: { From: '<sip:alice@acme.example>' } });
    expect(session.told).toMatchObject([{ status: 407 }]);
    expect(session.told[0]!.headers).toHaveProperty('Proxy-Authenticate');
  });

  test('credentials cannot be used a second time', () => {
    const node = started();
    const uri = 'sip:2000@acme.example';
    const headers = { ...node.credentials('INVITE', uri), From: '<sip:alice@acme.example>;tag=1' };
    expect(node.invite({ uri, headers }).told).toEqual([]);
    expect(node.invite({ uri, headers }).told).toMatchObject([{ status: 407 }]);
  });

  test.each([
    ['RFC 3261 §8.2.2.3: an unknown required extension', { headers: { Require: 'timer, precondition' } }, 420],
    ['RFC 3262 §3: reliable provisional responses, which it does not get', { headers: { Require: '100rel' } }, 420],
    ['RFC 3261 §16.3: no hop left', { headers: { 'Max-Forwards': '0' } }, 483],
    ['RFC 3261 §8.2.3: a body that is no SDP', { contentType: 'text/plain' }, 415],
    ['RFC 3261 §8.2.2.1: a URI of another scheme', { uri: 'mailto:bob@acme.example' }, 416],
    ['RFC 2046 §5.1: several bodies without a delimiter', { contentType: 'multipart/mixed;boundary=x' }, 400],
    ['RFC 3261 §20.12: an encoded body', { headers: { 'Content-Encoding': 'gzip' } }, 415],
    ['RFC 8866 §5.7: no address', { body: DESCRIPTION.replace(/c=.*\r\n/, '') }, 488],
    ['a malformed URI', { uri: 'sip:%zz@acme.example' }, 400],
    ['another domain', { uri: 'sip:2000@elsewhere.example' }, 404],
    ['no number', { uri: 'sip:acme.example' }, 484],
  ])('%s is refused', (_, options, status) => {
    const node = started();
    expect(node.call('2000', options).told).toMatchObject([{ status }]);
    expect(node.calls).toEqual([]);
  });

  test('call control that throws costs the call a 500, nothing else', () => {
    const node = new TestNode({
      onCall: () => {
        throw new Error('boom');
      },
    }).start();
    expect(node.call('2000').told).toMatchObject([{ status: 500 }]);
  });
});

describe('claim R2: calls to a station', () => {
  test('INVITE to its contact; From and P-Asserted-Identity show the caller’s line and name at our domain', () => {
    const node = started();
    node.register();
    resolved(node, '1.dp.1', 100).call({ ...outgoing, digits: '1000', headers: { Supported: 'timer' } });
    expect(node.userAgent.invites).toEqual([
      {
        uri: 'sip:alice@10.0.0.7:5062',
        nextHop: 'sip:10.0.0.7:5062;transport=udp',
        sdp: DESCRIPTION,
        headers: {
          Supported: 'timer',
          From: '"Alice" <sip:1000@acme.example>',
          To: '<sip:1000@acme.example>',
          'P-Asserted-Identity': '"Alice" <sip:1000@acme.example>',
          'Max-Forwards': '68',
          Contact: '<sip:1000@localhost>',
        },
        movedTo: expect.any(Function) as unknown,
      },
    ]);
  });

  test.each([
    ['another address', '<sip:alice@192.168.1.5:5062>'],
    ['another port', '<sip:alice@10.0.0.7:6000>'],
    ['a host name', '<sip:alice@phone.invalid:5062>'],
  ])('RFC 3581: a UDP phone whose Contact has %s is called where it registered from', (_, contact) => {
    const node = started();
    node.register({ contact });
    resolved(node, '1.dp.1', 100).call(outgoing);
    expect(node.userAgent.invites[0]).toMatchObject({
      uri: contact.slice(1, -1),
      nextHop: 'sip:10.0.0.7:5062;transport=udp',
    });
  });

  test('a phone on a connection is left to the SIP server, which knows the connection', () => {
    const node = started();
    const contact = '<sip:alice@abc.invalid;transport=ws>';
    node.register({ contact, source: { protocol: 'ws', address: '10.0.0.7', port: 40_000 } });
    resolved(node, '1.dp.1', 100).call(outgoing);
    expect(node.userAgent.invites[0]).toMatchObject({ uri: contact.slice(1, -1) });
    expect(node.userAgent.invites[0]).not.toHaveProperty('nextHop');
  });

  test('RFC 8827 §6.5: a phone on a WebSocket speaks DTLS-SRTP, also where the SIP server calls that TCP', () => {
    const node = started();
    const source = { protocol: 'tcp', address: '10.0.0.7', port: 40_000 };
    node.register({ contact: '<sip:alice@abc.invalid;transport=ws;ob>', source });
    expect(resolved(node, '1.dp.1', 100).profile.presumedSecurity).toBe('dtls');
    node.register({ contact: '<sip:alice@10.0.0.7:40000;transport=tcp>', source });
    expect(resolved(node, '1.dp.2', 100).profile.presumedSecurity).toBeUndefined();
  });

  test('a process that is gone, or of another incarnation, is not resolved', () => {
    const node = started();
    node.register();
    expect(node.devices.router.resolve({ pid: '1.dp.1', boot: 99, node: 1, digits: '1000' })).toBeUndefined();
    expect(node.devices.router.resolve({ pid: '1.dp.2', boot: 100, node: 1, digits: '1000' })).toBeUndefined();
    expect(node.devices.router.resolve({ pid: '7.dp.1', boot: 1, node: 7, digits: '1000' })).toBeUndefined();
  });
});

describe('claim R10: calls between nodes', () => {
  test('go to the PID, its incarnation and number, over TCP, signed, and arrive at the device process', () => {
    const [one, two] = twoNodes();
    resolved(one, '2.dp.1', 200).call(outgoing);
    expect(one.userAgent.invites[0]!.uri).toBe('sip:2000@10.0.0.2:5060;transport=tcp;pid=2.dp.1;boot=200');
    const session = carry(one, two);
    expect(session.told).toEqual([{ status: 183 }]);
    expect(two.calls).toMatchObject([
      {
        from: { name: 'node-1', kind: 'node' },
        pid: undefined,
        caller: { number: '1000', displayName: 'Alice', device: 'SEP-alice', site: 'dallas', node: 1 },
        context: { call: '1.cp.7-100', passed: [1], half: { process: { pid: '1.cp.7', boot: 100 } } },
        dialled: '2000',
        sdp: DESCRIPTION,
        maxForwards: 68,
        target: { pid: '2.dp.1' },
      },
    ]);
  });

  test('claim R14: without PID there is no target: the node does its own digit analysis', () => {
    const [one, two] = twoNodes();
    one.devices.router.resolve({ pid: undefined, boot: 0, node: 2, digits: '2000' })!.call(outgoing);
    const session = carry(one, two);
    expect(session.told).toEqual([{ status: 183 }]);
    expect(two.calls).toMatchObject([{ dialled: '2000', target: undefined }]);
    expect(one.userAgent.invites.at(-1)!.uri).toBe('sip:2000@10.0.0.2:5060;transport=tcp');
  });

  test('claims R13, R14: a node that has nothing for the number says so signed, for this call only', () => {
    const [one, two] = twoNodes();
    one.devices.router.resolve({ pid: undefined, boot: 0, node: 2, digits: '2000' })!.call(outgoing);
    carry(one, two);
    const answer = headerReader(two.calls[0]!.notMine!());
    expect(one.devices.router.readNotMine(2, 'between', answer)).toEqual({ pid: undefined, boot: 0 });
    expect(one.devices.router.readNotMine(2, 'another-call', answer)).toBeUndefined();
    expect(one.devices.router.readNotMine(3, 'between', answer)).toBeUndefined();
    expect(one.devices.router.readNotMine(2, 'between', headerReader({ [NOT_MINE_HEADER]: 'number' }))).toBeUndefined();
  });

  test('a node alone is never our own node', () => {
    expect(started().devices.router.resolve({ pid: undefined, boot: 100, node: 1, digits: '1000' })).toBeUndefined();
  });

  test('a delayed offer is signed too', () => {
    const [one, two] = twoNodes();
    resolved(one, '2.dp.1', 200).call({ ...outgoing, sdp: undefined });
    carry(one, two);
    expect(two.calls).toMatchObject([{ sdp: undefined }]);
  });

  test.each<[string, Pid, number, string]>([
    ['a PID that is gone', '2.dp.7', 200, '2000'],
    ['another incarnation', '2.dp.1', 199, '2000'],
    ['a number that the device has not', '2.dp.1', 200, '3000'],
  ])('claim R13: %s is answered 410 with a signed header that only the caller’s node takes', (_, pid, boot, digits) => {
    const [one, two] = twoNodes();
    resolved(one, pid, boot).call({ ...outgoing, digits });
    const session = carry(one, two);
    expect(session.told).toMatchObject([{ status: 410 }]);
    expect(two.calls).toEqual([]);
    const answer = headerReader(session.told[0]!.headers ?? {});
    expect(one.devices.router.readNotMine(2, 'between', answer)).toEqual({ pid, boot });
    expect(one.devices.router.readNotMine(2, 'another-call', answer)).toBeUndefined();
    expect(
      one.devices.router.readNotMine(2, 'between', headerReader({ [NOT_MINE_HEADER]: `${pid};boot=${boot}` })),
    ).toBeUndefined();
  });

  test('a gateway of ours takes whatever digits the route leaves', () => {
    const [one, two] = twoNodes();
    resolved(two, '1.gp.1', 100).call({ ...outgoing, digits: '12145550100' });
    carry(two, one);
    expect(one.calls).toMatchObject([{ dialled: '12145550100', target: { pid: '1.gp.1' } }]);
  });

  test('a captured INVITE cannot be sent again', () => {
    const [one, two] = twoNodes();
    resolved(one, '2.dp.1', 200).call(outgoing);
    carry(one, two);
    expect(carry(one, two).told).toMatchObject([{ status: 403 }]);
    expect(two.calls).toHaveLength(1);
  });

  test('a node whose clock is wrong is told our time', () => {
    const [one, two] = twoNodes();
    const late = new TestNode({ node: 1, clock: new SimulatedClock(two.clock.now() - 200_000) });
    late.peers.set(2, { sipAddress: '10.0.0.2:5060', boot: 200, live: true });
    resolved(late.start(), '2.dp.1', 200).call(outgoing);
    expect(carry(late, two).told).toMatchObject([{ status: 403, headers: { [TIME_HEADER]: String(one.clock.now()) } }]);
  });

  test.each([
    ['a PID without signature', {}, 'sip:2000@10.0.0.2:5060;pid=2.dp.1;boot=200'],
    ['a made-up node', { [NODE_HEADER]: '1;to=2;boot=200;time=1' }, 'sip:2000@acme.example'],
    ['a header of ours', { [NOT_MINE_HEADER]: 'x' }, 'sip:2000@acme.example'],
  ])('%s is refused with 403, also with the credentials of a station', (_, headers, uri) => {
    const [, two] = twoNodes();
    expect(two.invite({ uri, headers }).told).toMatchObject([{ status: 403 }]);
    const from = '<sip:alice@acme.example>';
    const session = two.invite({
      uri,
      headers: { ...two.credentials('INVITE', 'sip:2000@acme.example'), From: from, ...headers },
    });
    expect(session.told).toMatchObject([{ status: 403 }]);
    expect(two.invite({ uri, headers, source: GATEWAY_SOURCE }).told).toMatchObject([{ status: 403 }]);
    expect(two.calls).toEqual([]);
  });
});

describe('claim R17: calls through gateways', () => {
  test('an INVITE from the address and port of a gateway is a call of the gateway', () => {
    const node = started();
    const session = node.invite({
      uri: 'sip:1000@10.0.0.1:5060',
      source: GATEWAY_SOURCE,
      headers: { From: '"Outside" <sip:+12145550100@10.9.9.9>;tag=1' },
    });
    expect(session.told).toEqual([]);
    expect(node.calls).toMatchObject([
      {
        from: { name: 'gw-dallas', kind: 'gateway', site: 'dallas' },
        pid: '1.gp.1',
        caller: { number: '+12145550100', displayName: 'Outside' },
        dialled: '1000',
      },
    ]);
  });

  test.each([
    ['another port', { ...GATEWAY_SOURCE, port: 5091 }],
    ['another address', { ...GATEWAY_SOURCE, address: '10.9.9.8' }],
  ])('from %s it is challenged once, and known by its digest', (_, source) => {
    const node = started();
    const uri = 'sip:1000@10.0.0.1:5060';
    expect(node.invite({ uri, source }).told).toMatchObject([{ status: 407 }]);
    const headers = { ...node.credentials('INVITE', uri, 'trunk', source), From: '<sip:5550100@10.9.9.9>;tag=1' };
    node.invite({ uri, source, headers });
    expect(node.calls).toMatchObject([{ from: { name: 'gw-dallas' }, caller: { number: '5550100' } }]);
  });

  test('a gateway that is named by a host name is known by its looked-up addresses', async () => {
    const named = { ...GATEWAY, uri: 'sip:gw.example:5090' };
    const node = new TestNode({
      config: config({ gateways: [named] }),
      locate: ({ host, port = 0 }) => Promise.resolve(host === 'gw.example' ? [{ ...GATEWAY_SOURCE, port }] : []),
    }).start();
    await settle();
    node.invite({ uri: 'sip:1000@10.0.0.1', source: GATEWAY_SOURCE, headers: { From: '<sip:555@x>' } });
    expect(node.calls).toHaveLength(1);
  });

  test('a call to it has the digits at its URI, and our credentials', () => {
    const node = started();
    resolved(node, '1.gp.1', 100).call({ ...outgoing, digits: '12145550100' });
    expect(node.userAgent.invites).toMatchObject([
      {
        uri: 'sip:12145550100@10.9.9.9:5090',
        headers: { From: '"Alice" <sip:1000@acme.example>', To: '<sip:12145550100@acme.example>' },
      },
    ]);
    expect(answerOf(node.userAgent.invites[0]!.digest)).toContain('username="trunk"');
  });

  test('a gateway cannot register', () => {
    expect(started().send({ source: GATEWAY_SOURCE }).status).toBe(403);
  });
});

describe('other requests', () => {
  test.each([
    ['SUBSCRIBE', 489],
    ['MESSAGE', 405],
    ['PUBLISH', 405],
    ['REFER', 603],
  ])('RFC 3261 §8.2: %s of a station is challenged, then answered %i', (method, status) => {
    const node = started();
    const uri = 'sip:acme.example';
    expect(node.send({ method }).status).toBe(407);
    const headers = { ...node.credentials(method, uri), From: '<sip:alice@acme.example>;tag=1' };
    const answer = node.send({ method, headers });
    expect(answer.status).toBe(status);
    if (status === 405) expect(answer.headers?.Allow).toContain('INVITE');
  });

  test('RFC 3261 §11.2: OPTIONS to the node is answered 200 with what we take, whoever asks', () => {
    expect(started().send({ method: 'OPTIONS', uri: 'sip:acme.example' })).toMatchObject({
      status: 200,
      headers: { Accept: ACCEPT, Supported: 'timer, replaces, norefersub' },
    });
  });

  test('OPTIONS to a user is challenged like everything else: its answer would tell who there is', () => {
    expect(started().send({ method: 'OPTIONS', uri: 'sip:2000@acme.example' }).status).toBe(407);
  });

  test('a foreign From gets 403 there too', () => {
    const node = started();
    const headers = { ...node.credentials('MESSAGE', 'sip:acme.example'), From: '<sip:2000@acme.example>;tag=1' };
    expect(node.send({ method: 'MESSAGE', headers }).status).toBe(403);
  });

  test('RFC 3261 §12.2.2: a request of a dialog that is not there gets 481', () => {
    const headers = { To: '<sip:2000@acme.example>;tag=gone' };
    for (const method of ['INFO', 'MESSAGE', 'NOTIFY', 'OPTIONS'])
      expect(started().send({ method, headers }).status).toBe(481);
  });

  test('nothing received throws', () => {
    const node = started();
    const odd = ['', '\u0000', '<', '"', 'sip:', '*', ','.repeat(1000), '<'.repeat(1000), '%', 'Digest'];
    const names = ['From', 'To', 'Contact', 'CSeq', 'Authorization', 'Proxy-Authorization', NODE_HEADER, 'Require'];
    for (const value of odd)
      for (const name of names)
        for (const method of ['REGISTER', 'OPTIONS', '']) {
          const status = node.send({ method, uri: value, headers: { [name]: value } }).status;
          expect(status).toBeGreaterThanOrEqual(400);
          expect(status).not.toBe(500);
          const session: FakeSession = node.invite({ uri: value, headers: { [name]: value }, source: PHONE });
          expect(session.told[0]!.status).not.toBe(500);
        }
  });
});
