import type { SipPeer } from '../../support/sip-peer';
import { digestAnswer, headerOf, randomToken, statusOf } from '../../support/sip-text';

/** One request, in the parts that a test wants to be odd. */
export interface Odd {
  readonly method: string;
  readonly uri: string;
  readonly from?: string;
  readonly to?: string;
  readonly contact?: string;
  readonly cseq?: string;
  readonly headers?: readonly string[];
  readonly type?: string;
  readonly body?: string | Buffer;
}

const CRLF = '\r\n';

/** The octets of it; the Via is that of the peer, so that answers come back. */
export function oddRequest(peer: SipPeer, odd: Odd, credentials?: string): Buffer {
  const model = peer.request({ method: odd.method, uri: odd.uri, from: '<sip:alice@tandem.test>' });
  const via = headerOf(model, 'Via') ?? '';
  const body = odd.body === undefined ? Buffer.alloc(0) : Buffer.from(odd.body);
  const head = [
    `${odd.method} ${odd.uri} SIP/2.0`,
    `Via: ${via}`,
    'Max-Forwards: 70',
    `From: ${odd.from ?? `<sip:alice@tandem.test>;tag=${randomToken()}`}`,
    `To: ${odd.to ?? `<${odd.uri}>`}`,
    `Call-ID: ${randomToken()}`,
    `CSeq: ${odd.cseq ?? `7 ${odd.method}`}`,
    ...(odd.contact === '' ? [] : [`Contact: ${odd.contact ?? headerOf(model, 'Contact') ?? ''}`]),
    ...(odd.headers ?? []),
    ...(credentials === undefined ? [] : [credentials]),
    ...(body.length === 0 && odd.type === undefined ? [] : [`Content-Type: ${odd.type ?? 'application/sdp'}`]),
    `Content-Length: ${body.length}`,
    '',
    '',
  ].join(CRLF);
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** Digest credentials for one request after another, from a challenge that is asked for again when it is used up. */
export class Credentials {
  private count = 0;
  private challenge = '';

  constructor(
    private readonly peer: SipPeer,
    private readonly username: string,
    private readonly password: string,
  ) {}

  async for(method: string, uri: string): Promise<string> {
    if (this.count % 50 === 0) await this.ask();
    this.count += 1;
    const answer = digestAnswer(this.challenge, method, uri, this.username, this.password, ((this.count - 1) % 50) + 1);
    return `${method === 'REGISTER' ? 'Authorization' : 'Proxy-Authorization'}: ${answer}`;
  }

  private async ask(): Promise<void> {
    const from = `<sip:${this.username}@tandem.test>`;
    const response = await this.peer.ask({ method: 'REGISTER', uri: 'sip:tandem.test', from, to: from });
    if (statusOf(response) !== 401) throw new Error(`no challenge: ${response}`);
    this.challenge = headerOf(response, 'WWW-Authenticate') ?? '';
  }
}

const OFFER =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n';
const big = (text: string, length: number): string => text.repeat(Math.ceil(length / text.length)).slice(0, length);

/** Bodies of an INVITE. */
export function oddBodies(): Pick<Odd, 'type' | 'body' | 'headers'>[] {
  const sdp = [
    'v=0',
    'v=0\r\n',
    '\0',
    big('\0', 2000),
    'm=audio 1 RTP/AVP 0\r\n',
    OFFER.replace('m=audio 4000', 'm=audio -1'),
    OFFER.replace('m=audio 4000', 'm=audio 99999999999999999999'),
    OFFER.replace('RTP/AVP 0', 'RTP/AVP'),
    OFFER.replace('RTP/AVP 0', `RTP/AVP ${big('0 ', 3000)}`),
    OFFER.replace('RTP/AVP 0', 'RTP/SAVPF -1 1e9 NaN __proto__'),
    OFFER.replace('IP4 127.0.0.1\r\nt', 'IP6 ::1\r\nt'),
    OFFER.replace('c=IN IP4 127.0.0.1', 'c=IN IP4 255.255.255.255/127/3'),
    OFFER.replace('c=IN IP4 127.0.0.1', 'c=IN IP4 999.999.999.999'),
    OFFER.replace('o=- 1 1', 'o=- -1 999999999999999999999999999999'),
    OFFER.replace('o=- 1 1 IN IP4 127.0.0.1', 'o='),
    OFFER.replace('s=-', `s=${big('я', 9000)}`),
    OFFER + 'a=rtpmap:__proto__ constructor/prototype\r\na=fmtp:0 __proto__=1\r\n',
    OFFER + 'a=sendonly\r\na=inactive\r\na=recvonly\r\na=sendrecv\r\n',
    OFFER + big('a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x\r\n', 40_000),
    OFFER + big('m=video 0 RTP/AVP 31\r\n', 40_000),
    OFFER + big('m=audio 5000 RTP/AVP 0\r\n', 2500),
    OFFER + `a=${big('x', 30_000)}`,
    OFFER.replaceAll('\r\n', '\n'),
    OFFER.replaceAll('\r\n', '\r'),
    OFFER.replaceAll('\r\n', ''),
    `${OFFER}${OFFER}`,
  ].map((body) => ({ body }));
  const boundary = 'multipart/mixed;boundary=b';
  return [
    {},
    ...sdp,
    { body: Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]) },
    { body: OFFER, type: 'text/plain' },
    { body: OFFER, type: '' },
    { body: OFFER, type: 'application/sdp;charset="' },
    { body: `--b\r\nContent-Type: application/sdp\r\n\r\n${OFFER}\r\n--b--\r\n`, type: boundary },
    { body: `--b\r\nContent-Type: application/sdp\r\n\r\n${OFFER}`, type: boundary },
    { body: big('--b\r\n', 5000), type: boundary },
    { body: '--b', type: 'multipart/mixed' },
    { body: OFFER, headers: ['Content-Encoding: gzip'] },
    { body: OFFER, headers: ['Content-Disposition: render;handling=required'] },
    { body: OFFER, headers: ['Require: 100rel, timer, nonsense'] },
    { body: OFFER, headers: ['Session-Expires: 1', 'Min-SE: 99999999999'] },
    { body: OFFER, headers: ['Session-Expires: ;;;'] },
    { body: OFFER, headers: ['Replaces: x;to-tag=1;from-tag=2'] },
  ];
}

const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

/** Values for From, To and Contact. */
export const oddAddresses: readonly string[] = [
  '',
  ' ',
  '*',
  '<>',
  '<sip:>',
  '<sip:@>',
  '<sip:alice@>',
  '<sip:alice@tandem.test',
  'sip:alice@tandem.test>',
  '<sip:alice@tandem.test>',
  '<sip:alice@tandem.test>;tag=',
  '<sip:alice@tandem.test>;tag=a;tag=b',
  '<sip:alice@tandem.test>;tag="a|b"',
  '<sip:alice@tandem.test>;tag=a|b',
  '<sip:alice@tandem.test>;tag=__proto__',
  '"" <sip:alice@tandem.test>;tag=1',
  '"unended <sip:alice@tandem.test>;tag=1',
  `"${big('x', 8000)}" <sip:alice@tandem.test>;tag=1`,
  `<sip:${big('x', 8000)}@tandem.test>;tag=1`,
  `<sip:alice@${big('x.', 8000)}>;tag=1`,
  `<sip:alice@tandem.test>;tag=${big('x', 8000)}`,
  '"a\0b" <sip:alice@tandem.test>;tag=1',
  '<sip:al\0ice@tandem.test>;tag=1',
  '<sip:al%00ice@tandem.test>;tag=1',
  '<sip:%ff%fe@tandem.test>;tag=1',
  '"\xff\xfe\xc3\x28" <sip:alice@tandem.test>;tag=1',
  `"${utf8('🎷 علي \u202e')}" <sip:alice@tandem.test>;tag=1`,
  `<sip:${utf8('🎷')}@tandem.test>;tag=1`,
  '<sip:alice@[::1]:5060>;tag=1',
  '<sip:alice@[::1>;tag=1',
  '<sip:alice@999.999.999.999:99999>;tag=1',
  '<sip:alice@tandem.test:0>;tag=1',
  '<sip:alice@tandem.test:-1>;tag=1',
  '<tel:+1;phone-context=x>;tag=1',
  '<http://x/>;tag=1',
  '<sips:alice@tandem.test;transport=carrier-pigeon>;tag=1',
  '<sip:alice@tandem.test;lr;maddr=0.0.0.0;ttl=999?Route=%3Csip:x%3E&X-Tandem-Node=1>;tag=1',
  '<sip:127.0.0.1:1>;expires=-1;q=9;tag=1',
  '<sip:127.0.0.1:1>;expires=99999999999999999999;tag=1',
  '<sip:127.0.0.1:1>, <sip:127.0.0.1:2>, *;tag=1',
];

/** Headers that only nodes may send, forged, and others that an attacker may try. */
export const forgedHeaders: readonly (readonly string[])[] = [
  ...[
    'X-Tandem-Node',
    'X-Tandem-Signature',
    'X-Tandem-Time',
    'X-Tandem-Not-Mine',
    'X-Tandem-Context',
    'X-Tandem-Word',
  ].flatMap((name) =>
    ['1', '', '-1', '99999999999999999999', 'NaN', '1.dp.1', '__proto__', 'a|b', '\xff\0', big('9', 8000)].map(
      (value) => [`${name}: ${value}`],
    ),
  ),
  ['X-Tandem-Node: 1', 'X-Tandem-Time: 1', `X-Tandem-Signature: ${big('ab', 64)}`],
  ['X-Tandem-Node: 2', `X-Tandem-Time: ${Date.now()}`, `X-Tandem-Signature: ${big('ab', 64)}`, 'X-Tandem-Not-Mine: 1'],
  ['X-Tandem-Node: 1', 'X-Tandem-Node: 2', 'X-Tandem-Signature: x', 'X-Tandem-Signature: y'],
  Array.from({ length: 60 }, (_, i) => `Route: <sip:127.0.0.1:${i + 1};lr>`),
  [`Route: ${big('<sip:x;lr>,', 7000)}<sip:x;lr>`],
  ['Route: <', 'Record-Route: <sip:x'],
  Array.from({ length: 60 }, (_, i) => `Record-Route: <sip:127.0.0.1:${i + 1};lr>`),
  Array.from({ length: 60 }, (_, i) => `Via: SIP/2.0/UDP 127.0.0.1:${i + 1};branch=z9hG4bK${i}`),
  ['Authorization: Digest', 'Proxy-Authorization: Basic x'],
  [`Authorization: Digest username="alice", realm="tandem.test", nonce="${big('0', 7000)}", uri="", response="x"`],
  ['Authorization: Digest username="__proto__", realm="tandem.test", nonce="x", uri="x", response="x"'],
  ['P-Asserted-Identity: "x" <sip:boss@tandem.test>, <tel:1', 'Remote-Party-ID: ;;;', 'Diversion: <'],
  ['Expires: -1', 'Expires: x'],
  ['Max-Forwards: 9999999', 'Max-Forwards: -1'],
  ['Date: yesterday', 'Timestamp: x', 'RAck: x', 'RSeq: -1', 'Event: ;', 'Subscription-State: ;'],
];

/** Request-URIs. */
export const oddUris: readonly string[] = [
  'sip:2000@tandem.test;pid=1.dp.1',
  'sip:2000@tandem.test;pid=1.gp.1',
  'sip:2000@tandem.test;pid=9.cp.999999999999999999',
  'sip:2000@tandem.test;pid=',
  'sip:2000@tandem.test;pid=-1.-1.-1',
  'sip:2000@tandem.test;pid=__proto__',
  'sip:2000@tandem.test;pid=1.dp.1;pid=1.dp.2',
  `sip:2000@tandem.test;pid=${big('1.', 5000)}`,
  'sip:1.dp.1@tandem.test',
  'sip:%00@tandem.test',
  'sip:%ff@tandem.test',
  `sip:${big('9', 5000)}@tandem.test`,
  'sip:@tandem.test',
  'sip:tandem.test',
  'sips:2000@tandem.test',
  'tel:2000',
  'tel:;;;',
  'sip:2000@[::1]',
  'sip:2000@nowhere.invalid',
  'sip:2000@tandem.test?Route=x&X-Tandem-Node=1',
  'urn:service:sos',
  'x:',
  'sip:*@tandem.test',
  'sip:1000@tandem.test',
];
