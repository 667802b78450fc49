import { DESCRIPTION, TestNode } from './support';

const GATEWAY_SOURCE = { protocol: 'udp', address: '10.9.9.9', port: 5090 };
const started = (): TestNode => new TestNode().start();

describe('RFC 3261 §7.1, §21.5.2: what is no method is refused before anybody is asked who he is', () => {
  test.each(['invite', 'Invite', 'register', 'options', 'bye', 'FOO', 'INVITES', 'PING', 'x'])('%s: 501', (method) => {
    for (const To of ['<sip:2000@acme.example>', '<sip:2000@acme.example>;tag=some']) {
      const answer = started().send({ method, headers: { To } });
      expect(answer).toMatchObject({ status: 501, headers: { Allow: expect.stringContaining('INVITE') as string } });
    }
  });

  test.each(['SUBSCRIBE', 'NOTIFY', 'PUBLISH', 'REFER', 'UPDATE', 'MESSAGE'])('%s: is a method', (method) => {
    expect(started().send({ method }).status).toBe(407);
  });
});

describe('RFC 3261 §21.4.1: a header that is there and cannot be read', () => {
  const rows: readonly (readonly [string, string, readonly string[]])[] = [
    ['Max-Forwards', '400', ['-1', '256', 'abc', '', '70,70']],
    ['Expires', '400', ['-1', 'soon', '', '4294967296']],
    ['Session-Expires', '400', ['-1', 'x;refresher=uac', '']],
    ['Min-SE', '400', ['-1', '1.5', '']],
    ['Contact', '400', ['', ' , ']],
    ['Require', '400', ['']],
    ['Route', '400', ['']],
    ['Content-Type', '400', ['']],
  ];
  test.each(rows)('%s in an INVITE', (name, status, values) => {
    for (const value of values) {
      const node = started();
      const told = node.invite({ uri: 'sip:2000@acme.example', headers: { [name]: value }, body: DESCRIPTION }).told;
      expect(told).toMatchObject([{ status: Number(status), reason: `Bad ${name} Header` }]);
      expect(node.calls).toEqual([]);
    }
  });

  test('in other requests', () => {
    for (const method of ['REGISTER', 'OPTIONS', 'MESSAGE'])
      for (const [name, value] of [
        ['Max-Forwards', '300'] as const,
        ['Contact', ''] as const,
        ['Require', ''] as const,
      ])
        expect([method, name, started().send({ method, headers: { [name]: value } }).status]).toEqual([
          method,
          name,
          400,
        ]);
    expect(started().register({ contact: '' })).toMatchObject({ status: 400 });
  });
});

describe('RFC 3891 §3: an INVITE that wants to take the place of a dialog', () => {
  const invite = (headers: Record<string, string>): TestNode => {
    const node = started();
    node.call('', { uri: 'sip:2000@acme.example', headers });
    return node;
  };

  test('the dialog is handed over with the call; without the header there is none', () => {
    expect(invite({ Replaces: 'x@y;from-tag=2;to-tag=1;early-only' }).calls).toMatchObject([
      { dialled: '2000', replaces: { callId: 'x@y', toTag: '1', fromTag: '2', earlyOnly: true } },
    ]);
    expect(invite({}).calls.map((call) => 'replaces' in call)).toEqual([false]);
  });

  test.each([
    ['x;to-tag=1;from-tag=2,y;to-tag=1;from-tag=2', 'Several Replaces Headers'],
    ['x;to-tag=1', 'Bad Replaces Header'],
    ['x;to-tag=1;from-tag=2;from-tag=2', 'Bad Replaces Header'],
    ['', 'Bad Replaces Header'],
  ])('Replaces: %s is refused, and nobody is called', (value, reason) => {
    const node = started();
    const told = node.call('', { uri: 'sip:2000@acme.example', headers: { Replaces: value } }).told;
    expect(told).toMatchObject([{ status: 400, reason }]);
    expect(node.calls).toEqual([]);
  });

  test.each(['OPTIONS', 'MESSAGE', 'REGISTER', 'REFER'])('in a %s it is refused', (method) => {
    const answer = started().send({ method, headers: { Replaces: 'x;to-tag=1;from-tag=2' } });
    expect(answer).toMatchObject({ status: 400, reason: 'Bad Replaces Header' });
  });
});

describe('RFC 3966 §5.1.5: a local number is one of ours when its context is ours', () => {
  const ours = [
    'tel:2000',
    'tel:20-00;phone-context=acme.example',
    'sip:2000;phone-context=ACME.example@acme.example;user=phone',
    'sip:2000@acme.example;user=phone',
  ];
  const prefixes = [
    'tel:2000;phone-context=+44',
    'tel:2000;ext=1;phone-context=+1-214',
    'tel:2000;phone-context',
    'sip:2000;phone-context=+44@acme.example;user=phone',
    'sip:2000;phone-context=%2B44@acme.example',
    'sip:2000;ext=1;PHONE-CONTEXT=+44@acme.example;user=phone',
  ];
  const domains = ['tel:2000;phone-context=elsewhere.example', 'sip:2000;phone-context=elsewhere.example@acme.example'];

  test.each(ours)('%s is', (uri) => {
    const node = started();
    expect(node.call('', { uri }).told).toEqual([]);
    expect(node.calls).toMatchObject([{ dialled: '2000' }]);
    expect(node.send({ method: 'OPTIONS', uri }).status).toBe(407);
  });

  test.each([...prefixes, ...domains])('%s is not: 404, also for OPTIONS', (uri) => {
    const node = started();
    expect(node.call('', { uri }).told).toMatchObject([{ status: 404, reason: 'Number Of Another Context' }]);
    expect(node.send({ method: 'OPTIONS', uri }).status).toBe(404);
    expect(node.calls).toEqual([]);
  });

  const fromGateway = (node: TestNode, uri: string) =>
    node.invite({ uri, source: GATEWAY_SOURCE, headers: { From: '<sip:+14085550100@carrier.example>;tag=1' } }).told;

  test.each(prefixes)('nor for a gateway: %s', (uri) => {
    expect(fromGateway(started(), uri)).toMatchObject([{ status: 404 }]);
  });

  test.each([...ours, ...domains])('a gateway may name us, and our context, as its network does: %s', (uri) => {
    expect(fromGateway(started(), uri)).toEqual([]);
  });
});

describe('RFC 5630 §3.1, §5.3: sips is TLS on every hop, or refused', () => {
  const over = (protocol: string) => ({ protocol, address: '10.0.0.7', port: 5061 });
  const uri = 'sips:2000@acme.example';

  test.each(['udp', 'tcp', 'ws'])('what comes over %s is no such request', (protocol) => {
    const node = started();
    const source = over(protocol);
    for (const told of [node.invite({ uri, source }).told[0], node.send({ method: 'OPTIONS', uri, source })])
      expect(told).toMatchObject({ status: 480, headers: { Warning: '380 acme.example "SIPS Not Allowed"' } });
    expect(
      node.invite({ uri: 'sip:2000@acme.example', source, headers: { Contact: '<sips:a@b>' } }).told,
    ).toMatchObject([{ status: 400, reason: 'SIPS Without TLS' }]);
    for (const contact of ['<sips:alice@10.0.0.7>', '<sip:alice@10.0.0.7>, <sips:alice@10.0.0.7>'])
      expect(node.register({ source, contact })).toMatchObject({ status: 400, reason: 'SIPS Without TLS' });
    expect(node.send({ method: 'REGISTER', uri: 'sips:acme.example', source }).status).toBe(400);
    expect(node.register({ source }).status).toBe(200);
  });

  test.each(['tls', 'wss', 'TLS'])('over %s it goes to who has a sips address', (protocol) => {
    const node = started();
    const source = over(protocol);
    for (const [contact, takes] of [
      ['<sip:alice@10.0.0.7;transport=tls>', false],
      ['<sips:alice@10.0.0.7>', true],
    ] as const) {
      expect(node.register({ source, contact }).status).toBe(200);
      const station = node.devices.stations().at(-1);
      expect(station?.takesSips).toBe(takes);
      station?.call({
        caller: { number: '2000', displayName: undefined, device: 'SEP-bob' },
        digits: '1000',
        sdp: undefined,
        maxForwards: 9,
      });
      expect(node.userAgent.invites.at(-1)?.headers.Contact).toMatch(takes ? /^<sips:/ : /^<sip:/);
      node.register({ source, contact, expires: '0' });
    }
    node.call('', { uri, source });
    node.call('2000', { source });
    expect(node.calls.map(({ secure }) => secure?.Warning)).toEqual(['380 acme.example "SIPS Not Allowed"', undefined]);
  });
});

describe('RFC 3323 §5: privacy that is critical and not done', () => {
  test.each(['session;critical', 'critical;session;id', 'id;unheard-of;critical', 'SESSION, critical'])(
    '%s: 500',
    (Privacy) => {
      const node = started();
      const told = node.call('2000', { headers: { Privacy } }).told;
      expect(told).toMatchObject([{ status: 500, reason: expect.stringContaining('Privacy Not Provided') as string }]);
      const headers = { From: '<sip:+14085550100@carrier.example>;tag=1', Privacy };
      expect(node.invite({ uri: 'sip:2000@acme.example', source: GATEWAY_SOURCE, headers }).told).toMatchObject([
        { status: 500 },
      ]);
      expect(node.calls).toEqual([]);
    },
  );

  test.each(['session', 'id;critical', 'header;user;critical', 'none;critical'])('%s: the call goes on', (Privacy) => {
    expect(started().call('2000', { headers: { Privacy } }).told).toEqual([]);
  });
});
