import { formatChallenge, formatCredentials, parseCredentials } from '../../../src/sip-message/auth';
import { parseCSeq } from '../../../src/sip-message/cseq';
import {
  addHeader,
  canonicalName,
  getHeader,
  getHeaders,
  prependHeader,
  removeHeader,
  replaceFirst,
  setHeader,
} from '../../../src/sip-message/headers';
import type { SipRequest } from '../../../src/sip-message/message';
import { formatNameAddr, parseNameAddr, parseNameAddrList } from '../../../src/sip-message/name-addr';
import { createResponse, reasonPhrase } from '../../../src/sip-message/response';
import { serialize } from '../../../src/sip-message/serialize';
import { canonicalUri, formatUri, parseUri, uriEquals } from '../../../src/sip-message/uri';
import { formatVia, parseVia } from '../../../src/sip-message/via';

function request(headers: SipRequest['headers'] = [], body = ''): SipRequest {
  return { kind: 'request', method: 'INVITE', uri: 'sip:b@example.com', headers, body: Buffer.from(body) };
}

describe('headers', () => {
  test.each([
    ['v', 'Via'],
    ['CALL-ID', 'Call-ID'],
    ['cseq', 'CSeq'],
    ['www-authenticate', 'WWW-Authenticate'],
    ['x', 'Session-Expires'],
    ['x-my-header', 'X-My-Header'],
    ['p-asserted-identity', 'P-Asserted-Identity'],
  ])('RFC 3261 §7.3.3: %s is %s', (name, canonical) => expect(canonicalName(name)).toBe(canonical));

  test('RFC 3261 §7.3.1: lists are split at commas outside quotes and brackets', () => {
    const message = request([
      { name: 'Contact', value: '"a, b" <sip:a@x;p="1,2">, <sip:b@x?h=1,2>' },
      { name: 'm', value: 'sip:c@x' },
      { name: 'Allow', value: 'INVITE, ACK' },
      { name: 'allow', value: 'BYE' },
      { name: 'Date', value: 'Sat, 13 Nov 2010 23:29:00 GMT' },
    ]);
    expect(getHeaders(message, 'Contact')).toEqual(['"a, b" <sip:a@x;p="1,2">', '<sip:b@x?h=1,2>', 'sip:c@x']);
    expect(getHeader(message, 'Contact')).toBe('"a, b" <sip:a@x;p="1,2">');
    expect(getHeaders(message, 'Allow')).toEqual(['INVITE', 'ACK', 'BYE']);
    expect(getHeader(message, 'Allow')).toBe('INVITE, ACK, BYE');
    expect(getHeader(message, 'Date')).toBe('Sat, 13 Nov 2010 23:29:00 GMT');
  });

  test('set replaces every spelling in place, add appends, prepend goes first, remove removes all', () => {
    const message = request([
      { name: 'v', value: '1' },
      { name: 's', value: 'old' },
      { name: 'Subject', value: 'older' },
      { name: 'To', value: 't' },
    ]);
    setHeader(message, 'Subject', 'new');
    addHeader(message, 'X-A', '1');
    prependHeader(message, 'Via', '0');
    removeHeader(message, 't');
    setHeader(message, 'X-B', '2');
    expect(message.headers.map(({ name, value }) => `${name}: ${value}`)).toEqual([
      'Via: 0',
      'v: 1',
      'Subject: new',
      'X-A: 1',
      'X-B: 2',
    ]);
  });

  test('the first of several values in one line is replaced alone', () => {
    const message = request([{ name: 'Via', value: 'SIP/2.0/UDP a, SIP/2.0/UDP b' }]);
    replaceFirst(message, 'v', 'SIP/2.0/UDP a;rport=1');
    expect(getHeaders(message, 'Via')).toEqual(['SIP/2.0/UDP a;rport=1', 'SIP/2.0/UDP b']);
  });

  test('a value can never begin a new header', () => {
    const message = request();
    addHeader(message, 'Subject', 'a\r\nEvil: yes');
    expect(serialize(message).toString()).toContain('Subject: a Evil: yes\r\n');
  });
});

describe('serialize', () => {
  test('RFC 3261 §20.14: Content-Length is computed in bytes, once', () => {
    const message = request(
      [
        { name: 'l', value: '9' },
        { name: 'Content-Length', value: '8' },
      ],
      'é',
    );
    expect(serialize(message).toString()).toBe('INVITE sip:b@example.com SIP/2.0\r\nl: 2\r\n\r\né');
    expect(serialize(request()).toString()).toBe('INVITE sip:b@example.com SIP/2.0\r\nContent-Length: 0\r\n\r\n');
  });
});

describe('URI', () => {
  const equal = (a: string, b: string): boolean => {
    const [one, other] = [parseUri(a), parseUri(b)];
    if (one === undefined || other === undefined) throw new Error(`no URI: ${a} ${b}`);
    return uriEquals(one, other);
  };

  test.each([
    ['sip:%61lice@atlanta.com;transport=TCP', 'sip:alice@AtlanTa.CoM;Transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;newparam=5'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com;security=on'],
    [
      'sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com',
      'sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com',
    ],
    [
      'sip:alice@atlanta.com?subject=project%20x&priority=urgent',
      'sip:alice@atlanta.com?priority=urgent&subject=project%20x',
    ],
    ['tel:+1-201-555-0123', 'tel:+12015550123'],
  ])('RFC 3261 §19.1.4: %s equals %s', (a, b) => {
    expect(equal(a, b)).toBe(true);
    expect(equal(b, a)).toBe(true);
  });

  test.each([
    ['SIP:ALICE@AtLanTa.CoM;Transport=udp', 'sip:alice@AtLanTa.CoM;Transport=UDP'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:5060'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com;transport=udp'],
    ['sip:bob@biloxi.com', 'sip:bob@biloxi.com:6000;transport=tcp'],
    ['sip:carol@chicago.com', 'sip:carol@chicago.com?Subject=next%20meeting'],
    ['sip:bob@phone21.boxesbybob.com', 'sip:bob@192.0.2.4'],
    ['sip:carol@chicago.com;security=on', 'sip:carol@chicago.com;security=off'],
    ['sip:a@x', 'sips:a@x'],
    ['sip:a:secret@x', 'sip:a@x'],
  ])('RFC 3261 §19.1.4: %s does not equal %s', (a, b) => {
    expect(equal(a, b)).toBe(false);
    expect(equal(b, a)).toBe(false);
  });

  test('canonicalUri is the same for the same binding however it is written, and another one with another parameter', () => {
    expect(canonicalUri('SIP:%61lice@ATLANTA.com;transport=TCP;LR')).toBe('sip:alice@atlanta.com;lr;transport=tcp');
    expect(canonicalUri('sip:alice@atlanta.com;lr;transport=tcp')).toBe('sip:alice@atlanta.com;lr;transport=tcp');
    expect(canonicalUri('sip:a@x;rinstance=1')).not.toBe(canonicalUri('sip:a@x;rinstance=2'));
    expect(canonicalUri('http://x')).toBeUndefined();
  });

  test.each([
    'sip:b@example.com',
    'sip:example.com',
    'sips:a%20b:p%3Aw@[2001:db8::1]:5061;lr;transport=tls?Subject=x%20y&h=1',
    'sip:user;par=u%40example.net@example.com',
    'sip:a%00b@x',
    'tel:+1-201;phone-context=x',
  ])('%s survives parse and format', (text) => {
    const uri = parseUri(text);
    expect(uri).toBeDefined();
    if (uri !== undefined) expect(parseUri(formatUri(uri))).toEqual(uri);
  });

  test.each([
    'sip:',
    'sip:@x',
    'sip:a@',
    'sip:a@b@c',
    'sip:a@x:0',
    'sip:a@x:99999',
    'sip:a b@x',
    'sip:a@x y',
    'sip:%zz@x',
    'sip:%ff@x',
    '<sip:a@x>',
    'sip:a@[::1',
    'mailto:a@x',
    'tel:xyz;',
    'nonsense',
    '',
  ])('%j is no URI', (text) => expect(parseUri(text)).toBeUndefined());
});

describe('name-addr', () => {
  test.each([
    ['<sip:a@x>', { uri: 'sip:a@x' }],
    ['"A \\"B\\" <x>" <sip:a@x;lr>;tag=1', { displayName: 'A "B" <x>', uri: 'sip:a@x;lr' }],
    ['Anna Smith <sip:a@x>', { displayName: 'Anna Smith', uri: 'sip:a@x' }],
    ['sip:a@x;tag=1', { uri: 'sip:a@x' }],
    ['*', { uri: '*' }],
    ['  <  sip:a@x >  ; q = 0.5', { uri: 'sip:a@x' }],
  ])('RFC 3261 §20.10: %s', (text, expected) => expect(parseNameAddr(text)).toMatchObject(expected));

  test('RFC 3261 §20: without brackets the parameters belong to the header', () => {
    expect(parseNameAddr('sip:a@x;tag=1')?.params.get('tag')).toBe('1');
    expect(parseNameAddr('<sip:a@x;tag=1>')?.params.size).toBe(0);
  });

  test('RFC 5626 §4.1: +sip.instance keeps its quotes', () => {
    const text = '<sip:a@x>;+sip.instance="<urn:uuid:00000000-0000-0000-0000-000000000001>";reg-id=1';
    const address = parseNameAddr(text);
    expect(address?.params.get('+sip.instance')).toBe('<urn:uuid:00000000-0000-0000-0000-000000000001>');
    expect(address && formatNameAddr(address)).toBe(text);
  });

  test.each(['', '<sip:a@x', '"a <sip:a@x>', 'a"b <sip:a@x>', '<>', '<sip:>', '<sip:a@x>x', 'sip:a@x?h=1', 'nobody'])(
    '%j is no address',
    (text) => expect(parseNameAddr(text)).toBeUndefined(),
  );

  test('one broken address breaks the list', () => {
    expect(parseNameAddrList(['<sip:a@x>, <sip:b@x>', '<sip:c@x>'])?.map(({ uri }) => uri)).toEqual([
      'sip:a@x',
      'sip:b@x',
      'sip:c@x',
    ]);
    expect(parseNameAddrList(['<sip:a@x>, <'])).toBeUndefined();
  });
});

describe('Via and CSeq', () => {
  test.each([
    ['SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport', 'SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1;rport'],
    ['SIP / 2.0 / tcp  host.example ; branch = z9', 'SIP/2.0/TCP host.example;branch=z9'],
    ['SIP/2.0/TLS [2001:db8::9:1]:5061;received=2001:db8::1', 'SIP/2.0/TLS [2001:db8::9:1]:5061;received=2001:db8::1'],
    ['SIP/2.0/UDP host : 5060', 'SIP/2.0/UDP host:5060'],
  ])('RFC 3261 §20.42: %s', (text, expected) => {
    const via = parseVia(text);
    expect(via && formatVia(via)).toBe(expected);
  });

  test.each([
    '',
    'SIP/2.0/UDP',
    'SIP/2.0 host',
    'SIP/3.0/UDP host',
    'SIP/2.0/UDP host:x',
    'SIP/2.0/UDP host;=',
    '////',
  ])('%j is no Via', (text) => expect(parseVia(text)).toBeUndefined());

  test('RFC 3261 §20.16: CSeq', () => {
    expect(parseCSeq('0009  INVITE')).toEqual({ number: 9, method: 'INVITE' });
    for (const bad of ['', '1', 'INVITE 1', '1INVITE', '-1 INVITE', '2147483648 INVITE', '1 INV ITE']) {
      expect(parseCSeq(bad)).toBeUndefined();
    }
  });
});

describe('authentication headers', () => {
  test('RFC 3261 §22: credentials with quoted commas and escapes', () => {
    const text = 'Digest username="a\\"b", realm="x, y",nonce=abc , uri="sip:x", qop=auth,nc=00000001';
    const credentials = parseCredentials(text);
    expect(credentials?.scheme).toBe('Digest');
    expect(Object.fromEntries(credentials?.params ?? [])).toEqual({
      username: 'a"b',
      realm: 'x, y',
      nonce: 'abc',
      uri: 'sip:x',
      qop: 'auth',
      nc: '00000001',
    });
    for (const bad of ['', 'Digest', 'Digest x', 'Digest a="b', 'Digest a=b c=d']) {
      expect(parseCredentials(bad)).toBeUndefined();
    }
  });

  test('RFC 7616 §3.3 and §3.4: what is quoted, and what is not', () => {
    expect(formatChallenge('Digest', { realm: 'r', nonce: 'n', qop: 'auth', algorithm: 'MD5', stale: undefined })).toBe(
      'Digest realm="r", nonce="n", qop="auth", algorithm=MD5',
    );
    expect(formatCredentials('Digest', { username: 'u', qop: 'auth', nc: '00000001' })).toBe(
      'Digest username="u", qop=auth, nc=00000001',
    );
  });
});

describe('responses', () => {
  const source = request([
    { name: 'v', value: 'SIP/2.0/UDP a, SIP/2.0/UDP b' },
    { name: 'Via', value: 'SIP/2.0/UDP c' },
    { name: 'f', value: '<sip:a@x>;tag=1' },
    { name: 'To', value: '<sip:b@x>' },
    { name: 'Call-ID', value: 'c1' },
    { name: 'CSeq', value: '1 INVITE' },
    { name: 'Timestamp', value: '54' },
    { name: 'Contact', value: '<sip:a@x>' },
  ]);

  test('RFC 3261 §8.2.6.2: Via in order, From, To, Call-ID and CSeq are copied, a To tag is added when there is none', () => {
    const response = createResponse(source, 486, { toTag: 't1' });
    expect(response).toMatchObject({ status: 486, reason: 'Busy Here' });
    expect(response.headers.map(({ name, value }) => `${name}: ${value}`)).toEqual([
      'Via: SIP/2.0/UDP a, SIP/2.0/UDP b',
      'Via: SIP/2.0/UDP c',
      'From: <sip:a@x>;tag=1',
      'To: <sip:b@x>;tag=t1',
      'Call-ID: c1',
      'CSeq: 1 INVITE',
    ]);
    const again = request([{ name: 'To', value: '<sip:b@x>;tag=old' }]);
    expect(getHeader(createResponse(again, 200, { toTag: 'new' }), 'To')).toBe('<sip:b@x>;tag=old');
  });

  test('RFC 3261 §8.2.6.1: 100 has the Timestamp', () => {
    expect(getHeader(createResponse(source, 100), 'Timestamp')).toBe('54');
    expect(getHeader(createResponse(source, 180), 'Timestamp')).toBeUndefined();
  });

  test('reason phrases, and those of the class for what is unknown', () => {
    expect([200, 481, 299, 499, 699].map(reasonPhrase)).toEqual([
      'OK',
      'Call/Transaction Does Not Exist',
      'OK',
      'Bad Request',
      'Busy Everywhere',
    ]);
  });
});
