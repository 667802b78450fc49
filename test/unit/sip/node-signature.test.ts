import { ClockOffsets } from '../../../src/process/clock-offsets';
import {
  CONTEXT_HEADER,
  hasNodeHeader,
  NODE_HEADER,
  NodeSignature,
  NOT_MINE_HEADER,
  SIGNATURE_HEADER,
  TIME_HEADER,
  type SignedRequest,
} from '../../../src/sip/node-signature';
import type { ReceivedRequest } from '../../../src/sip/user-agent';
import { headerReader, receivedRequest } from './support';

const secret = 'cluster-secret';
const NOW = 1_700_000_000_000;
const BOOT = 1000;
const TWO = { node: 2, boot: BOOT + 2 };

function node(
  number: number,
  now = (): number => NOW,
  other: { secret?: string; capacity?: number; boot?: number } = {},
) {
  return new NodeSignature({ secret, node: number, boot: BOOT + number, now, ...other });
}

const invite: SignedRequest = {
  method: 'INVITE',
  uri: 'sip:2000@10.0.0.2:5060;transport=tcp;pid=2.dp.1;boot=7',
  callId: 'abc@10.0.0.1',
  assertedIdentity: '"Alice" <sip:1000@acme.example>',
  context: 'call=1.cp.7-1001;why=transfer;device=SEP-alice',
  replaces: 'held@10.0.0.2;to-tag=t1;from-tag=f1',
  body: 'v=0\r\no=- 1 1 IN IP4 10.0.0.7\r\n',
};

interface Tampering {
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly uri?: string;
  readonly callId?: string;
  readonly body?: string;
}

function received(signed: Readonly<Record<string, string>>, changed: Tampering = {}): ReceivedRequest {
  return receivedRequest({
    ...invite,
    ...changed,
    headers: {
      'P-Asserted-Identity': invite.assertedIdentity ?? '',
      [CONTEXT_HEADER]: invite.context ?? '',
      Replaces: invite.replaces ?? '',
      ...signed,
      ...changed.headers,
    },
  });
}

const signature = (): Readonly<Record<string, string>> => node(1).sign(invite, TWO);

describe('the signature of a request between nodes', () => {
  test('is accepted by the node that it is for, and tells the sender', () => {
    expect(node(2).verify(received(signature()))).toEqual({ type: 'node', node: 1, outside: false });
  });

  test('survives what SIP servers do to spelling', () => {
    const changed = {
      uri: 'sip:2000@10.0.0.2:5060;boot=7;pid=2.dp.1;transport=TCP',
      body: invite.body.trimEnd().replace(/\r\n/g, '\n'),
      headers: {
        'P-Asserted-Identity': 'Alice <sip:1000@ACME.example>',
        [CONTEXT_HEADER]: ' call=1.cp.7-1001;why=transfer;\r\n device=SEP-alice ',
        Replaces: 'held@10.0.0.2 ; FROM-TAG=f1; to-tag = t1',
      },
    };
    expect(node(2).verify(received(signature(), changed)).type).toBe('node');
  });

  test.each<[string, Tampering]>([
    ['method', { method: 'OPTIONS' }],
    ['number', { uri: invite.uri.replace('2000', '2001') }],
    ['PID', { uri: invite.uri.replace('2.dp.1', '2.dp.2') }],
    ['incarnation', { uri: invite.uri.replace('boot=7', 'boot=8') }],
    ['Call-ID', { callId: 'other' }],
    ['caller', { headers: { 'P-Asserted-Identity': '"Alice" <sip:1001@acme.example>' } }],
    ['display name', { headers: { 'P-Asserted-Identity': '"Boss" <sip:1000@acme.example>' } }],
    ['body', { body: invite.body.replace('10.0.0.7', '10.6.6.6') }],
    ['sending node', { headers: { [NODE_HEADER]: `3;to=2;boot=${TWO.boot};time=${NOW}` } }],
    ['time', { headers: { [NODE_HEADER]: `1;to=2;boot=${TWO.boot};time=${NOW + 1}` } }],
    ['receiving incarnation', { headers: { [NODE_HEADER]: `1;to=2;boot=7;time=${NOW}` } }],
    ['origin', { headers: { [NODE_HEADER]: `1;to=2;boot=${TWO.boot};time=${NOW};caller=outside` } }],
    ['privacy', { headers: { Privacy: 'id' } }],
    ['call', { headers: { [CONTEXT_HEADER]: invite.context?.replace('1.cp.7', '1.cp.8') ?? '' } }],
    ['party', { headers: { [CONTEXT_HEADER]: invite.context?.replace('alice', 'boss') ?? '' } }],
    ['reason', { headers: { [CONTEXT_HEADER]: invite.context?.replace('transfer', 'call') ?? '' } }],
    ['context, none,', { headers: { [CONTEXT_HEADER]: '' } }],
    ['dialog to replace', { headers: { Replaces: invite.replaces?.replace('t1', 't2') ?? '' } }],
    ['end of the dialog to replace', { headers: { Replaces: 'held@10.0.0.2;to-tag=f1;from-tag=t1' } }],
    ['dialog to replace, early-only,', { headers: { Replaces: `${invite.replaces ?? ''};early-only` } }],
    ['dialog to replace, none,', { headers: { Replaces: '' } }],
    ['signature', { headers: { [SIGNATURE_HEADER]: 'A'.repeat(43) } }],
    ['empty signature', { headers: { [SIGNATURE_HEADER]: '' } }],
    ['malformed node header', { headers: { [NODE_HEADER]: '1' } }],
  ])('is refused when another %s comes with it', (_, changed) => {
    expect(node(2).verify(received(signature(), changed))).toMatchObject({
      type: 'refused',
      status: 403,
      cause: 'forged',
    });
  });

  test('is refused when it is missing, or made with another secret', () => {
    expect(node(2).verify(received({}))).toMatchObject({ cause: 'forged' });
    const foreign = node(1, undefined, { secret: 'other' }).sign(invite, TWO);
    expect(node(2).verify(received(foreign))).toMatchObject({ cause: 'forged' });
  });

  test('is refused by another node than the one it is for', () => {
    expect(node(3).verify(received(signature()))).toMatchObject({ type: 'refused', cause: 'other-node' });
  });

  test.each([
    ['withheld', { privacy: 'user;id' }, { Privacy: 'id; user' }, {}],
    ['withheld no more', { privacy: 'id' }, {}, { type: 'refused', cause: 'forged' }],
    ['from outside', { outside: true }, {}, { type: 'node', outside: true }],
  ])('carries that the caller is %s', (_, facts, headers, verdict) => {
    const signed = node(1).sign({ ...invite, ...facts }, TWO);
    expect(node(2).verify(received(signed, { headers }))).toMatchObject(verdict);
  });

  test('that a call is from outside cannot be taken away', () => {
    const signed = { ...node(1).sign({ ...invite, outside: true }, TWO) };
    signed[NODE_HEADER] = signed[NODE_HEADER]?.replace(';caller=outside', '') ?? '';
    expect(node(2).verify(received(signed))).toMatchObject({ type: 'refused', cause: 'forged' });
  });

  test.each([-119_000, 0, 119_000])(
    'nothing signed before our start is believed, whatever the clocks show (skew %i ms); it is told, sealed, what is not here',
    (skew) => {
      const captured = node(1, () => NOW + skew).sign(invite, TWO);
      const restarted = node(2, undefined, { boot: TWO.boot + 1 });
      const verdict = restarted.verify(received(captured));
      expect(verdict).toMatchObject({ type: 'refused', status: 410, cause: 'earlier-life' });
      const { headers = {} } = verdict as { headers?: Record<string, string> };
      expect(node(1).readNotMine(2, invite.callId, headerReader(headers))).toEqual({ pid: '2.dp.1', boot: 7 });
      // Who signs for the new incarnation is believed at once, also by a clock that is behind.
      const fresh = node(1, () => NOW + skew).sign(invite, { node: 2, boot: TWO.boot + 1 });
      expect(restarted.verify(received(fresh)).type).toBe('node');
    },
  );

  test('is good once', () => {
    const receiver = node(2);
    expect(receiver.verify(received(signature())).type).toBe('node');
    expect(receiver.verify(received(signature()))).toMatchObject({ type: 'refused', cause: 'replayed' });
  });

  test.each([120_001, -120_001])(
    'is refused when the clocks differ by %i ms, with the time of the receiver',
    (skew) => {
      const verdict = node(2, () => NOW + skew).verify(received(signature()));
      expect(verdict).toMatchObject({ cause: 'skew', headers: { [TIME_HEADER]: String(NOW + skew) } });
    },
  );

  test('a forged signature learns nothing of our clock', () => {
    const verdict = node(2, () => NOW + 500_000).verify(received(signature(), { callId: 'x' }));
    expect(verdict).toMatchObject({ cause: 'forged', headers: {} });
  });

  test('memory is bounded, and what was forgotten cannot be replayed', () => {
    let now = NOW;
    const sender = node(1, () => now);
    const receiver = node(2, () => now, { capacity: 2 });
    const requests = ['a', 'b', 'c', 'd'].map((callId) => {
      now += 10;
      return received(sender.sign({ ...invite, callId }, TWO), { callId });
    });
    expect(requests.map((request) => receiver.verify(request).type)).toEqual(['node', 'node', 'node', 'node']);
    expect(requests.map((request) => receiver.verify(request).type)).toEqual(Array(4).fill('refused'));
  });
});

describe('a request that was on its way for longer than its caller waits', () => {
  const ways = [0, 2_000, 5_499, 5_500, 5_501, 8_000, 30_000, 60_000];
  const ahead = [0, 3_000, -3_000, 90_000, -90_000];
  test.each(ahead.flatMap((offset) => ways.map((way) => [way, offset] as const)))(
    'on its way for %i ms, of a node whose clock is %i ms ahead',
    (way, offset) => {
      if (Math.abs(way - offset) > 120_000) return;
      const sent = node(1, () => NOW + offset).sign(invite, TWO);
      const receiver = (known: boolean): NodeSignature =>
        new NodeSignature({
          ...{ secret, node: 2, boot: TWO.boot, now: () => NOW + way },
          clockOffsetOf: (other) => (known && other === 1 ? offset : undefined),
        });
      // Where nothing is known of the other clock, nobody is refused for it.
      expect(receiver(false).verify(received(sent)).type).toBe('node');
      expect(receiver(true).verify(received(sent))).toMatchObject(
        way > 5_500 ? { type: 'refused', status: 408, cause: 'late' } : { type: 'node' },
      );
    },
  );

  test('is no sign that the clocks differ when what is known of them came late itself', () => {
    const offsets = new ClockOffsets();
    expect(offsets.of(1)).toBeUndefined();
    for (const delay of [40, 20_000, 300]) offsets.heard(1, NOW + 5_000, NOW + delay);
    expect(offsets.of(1)).toBe(4_960);
    // Its clock was set back: believed after three of its messages.
    for (const delay of [40, 50, 60]) offsets.heard(1, NOW - 60_000, NOW + delay);
    expect(offsets.of(1)).toBe(-60_040);
    expect(offsets.of(2)).toBeUndefined();
  });
});

describe('claim R13: the signed answer "not mine"', () => {
  const headers = node(2).notMine('call-1', 1, { pid: '2.dp.1', boot: 7 });

  test('names PID and incarnation to the node that asked', () => {
    expect(node(1).readNotMine(2, 'call-1', headerReader(headers))).toEqual({ pid: '2.dp.1', boot: 7 });
  });

  test.each([
    ['another call', 2, 'call-2', headers],
    ['another node', 3, 'call-1', headers],
    ['a 410 without the header', 2, 'call-1', {}],
    ['a header of somebody else', 2, 'call-1', { [NOT_MINE_HEADER]: '2.dp.1;boot=7' }],
    [
      'a changed header',
      2,
      'call-1',
      { [NOT_MINE_HEADER]: headers[NOT_MINE_HEADER]?.replace('2.dp.1', '2.dp.2') ?? '' },
    ],
  ])('does not count for %s', (_, from, callId, answered) => {
    expect(node(1).readNotMine(from, callId, headerReader(answered))).toBeUndefined();
  });
});

describe('headers of nodes', () => {
  test('are found in a request', () => {
    expect(hasNodeHeader(headerReader({ 'x-tandem-node': '' }))).toBe(true);
    expect(hasNodeHeader(headerReader({ 'X-Other': '' }))).toBe(false);
  });
});
