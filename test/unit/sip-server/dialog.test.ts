import { parseMessage } from '../../../src/sip-message/parse';
import type { SipRequest, SipResponse } from '../../../src/sip-message/message';
import {
  dialogAsClient,
  dialogAsServer,
  dialogHeaders,
  nextSequence,
  refreshTarget,
  routing,
  takeRemoteSequence,
  type DialogState,
} from '../../../src/sip-server/dialog/dialog';
import {
  sessionAsClient,
  sessionAsServer,
  sessionDelayMs,
  tooSmall,
} from '../../../src/sip-server/dialog/session-timer';
import type { Flow } from '../../../src/sip-server/layers';
import { ownContact, replaceLocalhost, rewriteContact, isOwnAddress } from '../../../src/sip-server/core/addresses';
import { parseUri } from '../../../src/sip-message/uri';

const local = { protocol: 'udp', address: '127.0.0.1', port: 5060 } as const;
const flow: Flow = { protocol: 'udp', remoteAddress: '192.0.2.1', remotePort: 5070, local };
const tcpFlow: Flow = { ...flow, protocol: 'tcp', connection: 7, local: { ...local, protocol: 'tcp' } };

function message(lines: string[]): SipRequest | SipResponse {
  const parsed = parseMessage(Buffer.from(`${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`));
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.message;
}

function invite(extra: string[] = ['Contact: <sip:alice@192.0.2.1:5070>']): SipRequest {
  const made = message([
    'INVITE sip:bob@example.com SIP/2.0',
    'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1',
    'From: "A" <sip:alice@example.com>;tag=a1',
    'To: <sip:bob@example.com>',
    'Call-ID: c1',
    'CSeq: 10 INVITE',
    'Max-Forwards: 70',
    ...extra,
  ]);
  if (made.kind !== 'request') throw new Error('no request');
  return made;
}

function ok(extra: string[]): SipResponse {
  const made = message([
    'SIP/2.0 200 OK',
    'Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1',
    'From: "A" <sip:alice@example.com>;tag=a1',
    'To: <sip:bob@example.com>;tag=b1',
    'Call-ID: c1',
    'CSeq: 10 INVITE',
    ...extra,
  ]);
  if (made.kind !== 'response') throw new Error('no response');
  return made;
}

const asServer = (request: SipRequest, on: Flow = flow): DialogState =>
  dialogAsServer({
    id: 'c1;from-tag=a1',
    request,
    flow: on,
    localTag: 'us',
    localContact: '<sip:127.0.0.1:5060>',
    confirmed: true,
    byFlow: false,
  });
const asClient = (response: SipResponse, on: Flow = flow): DialogState =>
  dialogAsClient({
    request: invite(),
    response,
    flow: on,
    localContact: '<sip:127.0.0.1:5060>',
    keepTo: undefined,
  });

describe('a dialog', () => {
  test('RFC 3261 §12.1.1: as server it takes target, route and sequence from the request', () => {
    const state = asServer(invite(['Record-Route: <sip:p1;lr>, <sip:p2;lr>', 'Contact: <sip:alice@pc>']));
    expect(state).toMatchObject({
      id: 'c1;from-tag=a1',
      localParty: '<sip:bob@example.com>;tag=us',
      remoteParty: '"A" <sip:alice@example.com>;tag=a1',
      remoteTarget: 'sip:alice@pc',
      routeSet: ['<sip:p1;lr>', '<sip:p2;lr>'],
      localSequence: 10,
      remoteSequence: 10,
      nextHop: undefined,
    });
  });

  test('RFC 3261 §12.1.2: as client it reverses the route of the response', () => {
    const state = asClient(
      ok(['Record-Route: <sip:192.0.2.9;lr>', 'Record-Route: <sip:192.0.2.8;lr>', 'Contact: <sip:bob@pc>']),
    );
    expect(state.routeSet).toEqual(['<sip:192.0.2.8;lr>', '<sip:192.0.2.9;lr>']);
    expect(state).toMatchObject({ id: 'c1;from-tag=a1', remoteTag: 'b1', localTag: 'a1', remoteSequence: undefined });
  });

  test('RFC 3261 §12.2.1.1: a strict router takes the place of the request URI', () => {
    const state = asServer(invite(['Record-Route: <sip:strict>, <sip:p2;lr>', 'Contact: <sip:alice@pc>']));
    expect(routing(state)).toEqual({
      uri: 'sip:strict',
      routes: ['<sip:p2;lr>', '<sip:alice@pc>'],
      hop: 'sip:strict',
    });
    expect(routing({ ...state, routeSet: ['<sip:p1;lr>'] })).toEqual({
      uri: 'sip:alice@pc',
      routes: ['<sip:p1;lr>'],
      hop: 'sip:p1;lr',
    });
  });

  test('our requests count on from the sequence of the dialog', () => {
    const state = nextSequence(asServer(invite()));
    const { uri, headers } = dialogHeaders(state, 'BYE', state.localSequence);
    expect(uri).toBe('sip:alice@192.0.2.1:5070');
    expect(headers.map((field) => `${field.name}: ${field.value}`)).toEqual([
      'Max-Forwards: 70',
      'From: <sip:bob@example.com>;tag=us',
      'To: "A" <sip:alice@example.com>;tag=a1',
      'Call-ID: c1',
      'CSeq: 11 BYE',
    ]);
  });

  test('RFC 3261 §12.2.2: a lower CSeq is out of order, gaps are not', () => {
    const state = asServer(invite());
    expect(takeRemoteSequence(state, 9)).toBeUndefined();
    expect(takeRemoteSequence(state, 15)?.remoteSequence).toBe(15);
  });

  test('RFC 3261 §12.2.1.2: re-INVITE and UPDATE move the target, INFO and a NOTIFY in a call do not', () => {
    const state = asServer(invite());
    const moved = invite(['Contact: <sip:alice@192.0.2.1:5071>']);
    for (const method of ['INVITE', 'UPDATE']) {
      expect(refreshTarget(state, method, moved, flow).remoteTarget).toBe('sip:alice@192.0.2.1:5071');
    }
    for (const method of ['INFO', 'NOTIFY', 'REFER']) expect(refreshTarget(state, method, moved, flow)).toBe(state);
  });

  test.each([
    ['the Contact is the source', 'sip:a@192.0.2.1:5070', undefined],
    ['no port, same host', 'sip:a@192.0.2.1', undefined],
    ['another host', 'sip:a@10.0.0.5:5070', 5070],
    ['another port', 'sip:a@192.0.2.1:5060', 5070],
    ['a name that cannot be resolved', 'sip:a@x.invalid', 5070],
    ['a name', 'sip:a@phone.example', undefined],
  ])('NAT of a caller over UDP: %s', (_title, contact, port) => {
    const state = asServer(invite([`Contact: <${contact}>`]));
    expect(state.nextHop?.port).toBe(port);
    if (port !== undefined) expect(state.nextHop?.address).toBe('192.0.2.1');
  });

  test('a caller over TCP is reached on its connection', () => {
    expect(asServer(invite(), tcpFlow).nextHop).toMatchObject({ connection: 7, protocol: 'tcp' });
  });

  test.each([
    ['Contact elsewhere, no route', ['Contact: <sip:b@10.0.0.5>'], true],
    ['Contact where it came from', ['Contact: <sip:b@192.0.2.1>'], false],
    ['a public route', ['Record-Route: <sip:192.0.2.9;lr>', 'Contact: <sip:b@10.0.0.5>'], false],
    ['a private route', ['Record-Route: <sip:10.0.0.1;lr>', 'Contact: <sip:b@10.0.0.5>'], true],
  ])('NAT of a callee: %s', (_title, headers, natted) => {
    expect(asClient(ok(headers)).nextHop !== undefined).toBe(natted);
  });
});

describe('session timers', () => {
  test.each([
    ['nobody asks', undefined, undefined, undefined, undefined],
    ['the caller asks without refresher', '1800', undefined, undefined, undefined],
    ['the caller refreshes', '1800;refresher=uac', undefined, '1800;refresher=uac', 'remote'],
    ['we refresh', '1800;refresher=uas', undefined, '1800;refresher=uas', 'local'],
    ['a small interval is raised', '20;refresher=uac', undefined, '90;refresher=uac', 'remote'],
    ['the application says', '1800;refresher=uac', '600;refresher=uas', undefined, 'local'],
  ])('RFC 4028 §9, as server: %s', (_title, requested, answered, add, refresher) => {
    const session = sessionAsServer(requested, answered);
    expect(session.add).toBe(add);
    expect(session.interval?.refresher).toBe(refresher);
  });

  test('RFC 4028 §7.2, as client: uac or nothing is us', () => {
    expect(sessionAsClient('120;refresher=uac')).toEqual({ seconds: 120, refresher: 'local' });
    expect(sessionAsClient('120')).toEqual({ seconds: 120, refresher: 'local' });
    expect(sessionAsClient('20;refresher=uas')).toEqual({ seconds: 90, refresher: 'remote' });
    expect(sessionAsClient('soon')).toBeUndefined();
  });

  test('RFC 4028 §6: less than 90 s is too small', () => {
    expect([tooSmall('89'), tooSmall('90'), tooSmall(undefined)]).toEqual([true, false, false]);
  });

  test('we refresh around half the interval; the peer has until shortly before its end', () => {
    expect(sessionDelayMs({ seconds: 120, refresher: 'local' }, 0)).toBe(55_000);
    expect(sessionDelayMs({ seconds: 120, refresher: 'local' }, 1)).toBe(65_000);
    expect(sessionDelayMs({ seconds: 90, refresher: 'remote' }, 0)).toBe(60_000);
    expect(sessionDelayMs({ seconds: 1800, refresher: 'remote' }, 0)).toBe(1_768_000);
  });
});

describe('our addresses in messages', () => {
  const tcp = { protocol: 'tcp', address: '192.0.2.7', port: 5061 } as const;
  test('Contact of a listener', () => {
    expect(ownContact(local)).toBe('<sip:127.0.0.1:5060>');
    expect(ownContact(tcp)).toBe('<sip:192.0.2.7:5061;transport=tcp>');
    expect(ownContact({ ...tcp, announced: { address: '198.51.100.1', port: 1 } })).toBe(
      '<sip:198.51.100.1:1;transport=tcp>',
    );
  });

  test.each([
    ['From', 'sip:alice@localhost', '<sip:alice@192.0.2.7:5061>'],
    ['From', '"A" <sip:alice@localhost:9>;tag=x', '"A" <sip:alice@192.0.2.7:5061>;tag=x'],
    ['From', 'sip:localhost', '<sip:192.0.2.7:5061>'],
    ['Contact', 'sip:alice@localhost;x=1', '<sip:alice@192.0.2.7:5061;transport=tcp>;x=1'],
    ['To', 'sip:alice@example.com', 'sip:alice@example.com'],
    ['Subject', 'sip:alice@localhost', 'sip:alice@localhost'],
  ])('localhost in %s: %s', (name, value, replaced) => {
    expect(replaceLocalhost({ name, value }, tcp)).toEqual({ name, value: replaced });
  });

  test('a From with localhost that cannot be understood is told apart', () => {
    expect(replaceLocalhost({ name: 'From', value: '<sip:a@localhost' }, tcp)).toBeUndefined();
  });

  test.each([
    ['<sip:a@1.2.3.4:5>;q=1', '<sip:a@192.0.2.7:5061;transport=tcp>;q=1'],
    ['<sip:a@192.0.2.7>', '<sip:a@192.0.2.7>'],
    ['<sip:a@name.example>', '<sip:a@name.example>'],
  ])('Contact of a request: %s', (value, rewritten) => {
    expect(rewriteContact(value, tcp)).toBe(rewritten);
  });

  test('own addresses are known by port and name', () => {
    const own = (text: string): boolean => isOwnAddress(parseUri(text)!, [local]);
    expect(['sip:127.0.0.1', 'sip:a@localhost:5060', 'sip:127.0.0.1:5061', 'sip:192.0.2.1'].map(own)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });
});
