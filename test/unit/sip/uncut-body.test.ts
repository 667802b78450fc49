import Srf from 'drachtio-srf';
import { withUncutBody } from '../../../src/sip/drachtio/srf';

interface Read {
  readonly body: string;
  readonly payload: readonly { readonly type: string; readonly content: string }[];
  get(name: string): string;
}
const { SipMessage } = Srf as unknown as { SipMessage: new (text: string) => Read };

function message(header: string, body: string): string {
  const head = ['INVITE sip:b@x SIP/2.0', 'Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx', 'From: <sip:a@x>;tag=1'];
  return [
    ...head,
    'To: <sip:b@x>',
    'Call-ID: multipart/x',
    'CSeq: 1 INVITE',
    header,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

const parts = '--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--x--\r\n';

/** Each takes drachtio-srf from a second to a minute when it cuts it. */
const hostile: readonly (readonly [kind: string, header: string, body: string])[] = [
  ['spaces', 'Content-Type: multipart/mixed;boundary=x', `--x\r\n\r\n\r\nContent-Type:${' '.repeat(60_000)}`],
  ['names', 'Content-Type: multipart/mixed;boundary=x', `--x\r\n\r\n\r\n${'Content-Type:'.repeat(4_600)}`],
  ['semicolons', `Content-Type: multipart/mixed${';'.repeat(8_000)}`, `\r\n\r\n${parts}`],
  ['spaces in the header', `Content-Type: multipart/mixed${'; '.repeat(4_000)}`, `\r\n\r\n${parts}`],
  ['the compact form', 'c: multipart/mixed;boundary=x', `${parts}\r\n\r\n`],
  ['odd case of the name', 'CONTENT-type : multipart/related;boundary=x', `${parts}\r\n\r\n`],
  ['a folded line', 'Content-Type:\r\n multipart/mixed;boundary=x', `${parts}\r\n\r\n`],
  ['a colon on the next line', 'Content-Type\r\n :multipart/mixed;boundary=x', `${parts}\r\n\r\n`],
  ['twice', 'Content-Type: text/plain\r\nc: multipart/mixed;boundary=x', `${parts}\r\n\r\n`],
];

test.each(hostile)('drachtio-srf leaves a body of several parts alone: %s', (_kind, header, body) => {
  const read = new SipMessage(withUncutBody(message(header, body)));
  expect(read.payload).toHaveLength(1);
  expect(read.body).toBe(body);
  expect(read.get('content-type').toLowerCase()).toContain('multipart/');
  expect(read.get('call-id')).toBe('multipart/x');
});

test('all else stays as it is', () => {
  for (const text of [
    'x|1|2',
    message('Accept: multipart/mixed', 'multipart/'),
    message('Content-Type: text/plain', 'c: multipart/'),
  ])
    expect(withUncutBody(text)).toBe(text);
});
