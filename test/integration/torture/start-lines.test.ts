import { setTimeout as pause } from 'node:timers/promises';
import type { RunningSipServer } from '../../../src/sip-server';
import { startServer } from '../sip-server/harness';
import { eventually } from '../../support/eventually';
import { Scope } from '../../support/scope';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';

const START = 'OPTIONS sip:bob@127.0.0.1 SIP/2.0';
const [METHOD, URI, VERSION] = START.split(' ') as [string, string, string];

/** Every way in which a start line may be damaged while all else is whole; what is before the first colon may look like a header. */
const damaged: readonly (readonly [kind: string, line: string])[] = [
  ...Array.from(START, (character, at) => [`without ${JSON.stringify(character)} at ${at}`, without(at)] as const),
  ...[1, 7, 8, 9, 20, 26, 30, 32].map((length) => [`cut to ${length}`, START.slice(0, length)] as const),
  ...Array.from('\t\0\x01\x7f"<>(){}\\,;:@/ é\u202e').flatMap((character) =>
    [0, 3, 7, 8, 12, 26, 30].map((at) => [`${JSON.stringify(character)} at ${at}`, insert(character, at)] as const),
  ),
  ['tabs', START.replaceAll(' ', '\t')],
  ['two spaces', START.replaceAll(' ', '  ')],
  ['no spaces', START.replaceAll(' ', '')],
  ['other spaces', START.replaceAll(' ', '\u00a0')],
  ['spaces before', `  ${START}`],
  ['spaces behind', `${START}  `],
  ['words exchanged', `${URI} ${METHOD} ${VERSION}`],
  ['no method', `${URI} ${VERSION}`],
  ['no URI', `${METHOD} ${VERSION}`],
  ['no version', `${METHOD} ${URI}`],
  ['a version only', 'SIP2.0'],
  ['twice the URI', `${METHOD} ${URI} ${URI} ${VERSION}`],
  ['twice itself', `${START} ${START}`],
  ['of HTTP', 'GET / HTTP/1.1'],
  ['small letters', START.toLowerCase()],
  ['another version', `${METHOD} ${URI} SIP/3.0`],
  ['a long method', `${'M'.repeat(5_000)} ${URI} ${VERSION}`],
  ['a long URI', `${METHOD} sip:${'u'.repeat(9_000)}@x ${VERSION}`],
  ['a header line in its place', 'Subject: none'],
  ['a word', 'hello'],
  ['a colon', ':'],
  ['a lone carriage return in it', `${METHOD}\r${URI} ${VERSION}`],
];

function without(at: number): string {
  return START.slice(0, at) + START.slice(at + 1);
}

function insert(character: string, at: number): string {
  return START.slice(0, at) + character + START.slice(at);
}

let scope: Scope;
let server: RunningSipServer;

beforeAll(async () => {
  scope = new Scope();
  const listen = (['udp', 'tcp', 'ws'] as const).map((protocol) => ({ protocol, address: '127.0.0.1', port: 0 }));
  ({ server } = await startServer(scope, { listen }));
});
afterAll(() => scope.close());

const portOf = (protocol: string): number => server.points.find((point) => point.protocol === protocol)?.port ?? 0;

const wires: readonly (readonly [string, () => Promise<SipPeer>])[] = [
  ['UDP', () => SipPeer.udp(scope, '127.0.0.1', portOf('udp'))],
  ['TCP', () => SipPeer.tcp(scope, '127.0.0.1', portOf('tcp'))],
  ['WS', () => SipPeer.webSocket(scope, `ws://127.0.0.1:${portOf('ws')}`)],
];

/** A request whose all but the start line is whole. */
function request(peer: SipPeer, line: string, callId: string): string {
  const whole = peer.request({ method: METHOD, uri: URI, from: '<sip:a@127.0.0.1>', callId });
  return line === '' ? whole.slice(whole.indexOf('\r\n') + 2) : whole.replace(/^.*/, () => line);
}

describe.each(wires)('over %s', (_name, connect) => {
  test('a request with a damaged start line is answered, for its Via says where the answer goes', async () => {
    const all = [...damaged, ['missing', ''] as const];
    const peers: SipPeer[] = [];
    for (const [index, [, line]] of all.entries()) {
      // What cannot be framed ends a connection.
      const peer = await connect();
      peers.push(peer);
      peer.send(request(peer, line, `call-${index}`));
    }
    const answered = (): readonly string[] => peers.flatMap(({ received }) => received);
    const silent = (): string[] =>
      all.flatMap(([kind], index) =>
        answered().some((response) => headerOf(response, 'Call-ID') === `call-${index}` && statusOf(response) >= 300)
          ? []
          : [kind],
      );
    expect(
      await eventually('all are answered', silent, (kinds) => kinds.length === 0, { cap: 3_000 }).catch(silent),
    ).toEqual([]);
  });

  test('a damaged response, or ACK, is never answered', async () => {
    const peer = await connect();
    const lines = [
      'SIP/2.0 2OO OK',
      'SIP/2.0 200',
      'SIP/2.0',
      'SIP /2.0 200 OK',
      'sip/2.0  200 OK',
      ' SIP/2.0 200 OK',
      'SIP/2.0200 OK',
    ];
    for (const line of lines) peer.send(request(peer, line, 'response'));
    for (const line of ['ACKsip:bob@127.0.0.1 SIP/2.0', 'ACK', 'hello'])
      peer.send(request(peer, line, 'ack').replace(/^CSeq: .*/m, 'CSeq: 1 ACK'));
    await pause(200);
    expect(peer.received).toEqual([]);
  });
});
