import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getHeader, getHeaders } from '../../../src/sip-message/headers';
import type { ParseResult, SipMessage } from '../../../src/sip-message/message';
import { DATAGRAM_LIMITS, parseMessage } from '../../../src/sip-message/parse';
import { serialize } from '../../../src/sip-message/serialize';

const MANDATORY: Readonly<Record<string, string>> = {
  Via: 'SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK1',
  From: '<sip:a@example.com>;tag=f',
  To: '<sip:b@example.com>',
  'Call-ID': 'call-1',
  CSeq: '1 OPTIONS',
};

function text(changes: Readonly<Record<string, string | undefined>> = {}, body = '', start?: string): string {
  const headers = Object.entries({ ...MANDATORY, ...changes })
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value ?? ''}\r\n`);
  return `${start ?? 'OPTIONS sip:b@example.com SIP/2.0'}\r\n${headers.join('')}\r\n${body}`;
}

function parsed(source: string | Buffer): SipMessage {
  const result = parseMessage(Buffer.from(source));
  if (!result.ok) throw new Error(result.reason);
  return result.message;
}

function refusal(source: string | Buffer): string {
  const result = parseMessage(Buffer.from(source));
  return result.ok ? 'ok' : `${result.status} ${result.reason}`;
}

describe('parseMessage', () => {
  test('RFC 3261 §7.3.1: headers keep order, spelling and repetition; folded lines are joined', () => {
    const message = parsed(text({ 'X-One': 'a\r\n b\r\n\t c', 'x-ONE': 'd', s: 'hello' }));
    expect(message.headers.slice(5)).toEqual([
      { name: 'X-One', value: 'a b c' },
      { name: 'x-ONE', value: 'd' },
      { name: 's', value: 'hello' },
    ]);
    expect(getHeaders(message, 'X-ONE')).toEqual(['a b c', 'd']);
    expect(getHeader(message, 'Subject')).toBe('hello');
  });

  test('RFC 3261 §7.3.3: compact forms are headers like the others, in any order', () => {
    const source =
      'OPTIONS sip:b@example.com SIP/2.0\r\nl: 2\r\nCSEQ: 1 OPTIONS\r\ni:c1\r\nt : <sip:b@x>\r\nf: <sip:a@x>;tag=1\r\n' +
      'v: SIP/2.0/UDP h;branch=1\r\n\r\nhi';
    const message = parsed(source);
    expect(getHeader(message, 'Via')).toBe('SIP/2.0/UDP h;branch=1');
    expect(getHeader(message, 'To')).toBe('<sip:b@x>');
    expect(message.body.toString()).toBe('hi');
  });

  test('RFC 3261 §18.3: without Content-Length the body is the rest; a smaller one cuts; a larger one is refused', () => {
    expect(parsed(text({}, 'all of it')).body.toString()).toBe('all of it');
    expect(parsed(text({ 'Content-Length': '3' }, 'all of it')).body.toString()).toBe('all');
    expect(refusal(text({ 'Content-Length': '10' }, 'all of it'))).toBe('400 Bad Content-Length Header');
    expect(refusal(text({ 'Content-Length': '1e1' }, 'all of it'))).toBe('400 Bad Content-Length Header');
    expect(refusal(text({ 'Content-Length': '3', l: '9' }, 'all of it'))).toBe('400 Bad Content-Length Header');
  });

  test('bodies are bytes', () => {
    const body = Buffer.from([0, 255, 13, 10, 13, 10, 128]);
    expect(parsed(Buffer.concat([Buffer.from(text()), body])).body).toEqual(body);
  });

  test('RFC 3261 §7.5: empty lines before the start line are ignored', () => {
    expect(parsed(`\r\n\r\n${text()}`)).toMatchObject({ method: 'OPTIONS', uri: 'sip:b@example.com' });
  });

  test.each(Object.keys(MANDATORY))('RFC 3261 §8.1.1: %s is mandatory, and a bad one is named', (name) => {
    expect(refusal(text({ [name]: undefined }))).toBe(`400 Missing ${name} Header`);
    const broken = name === 'Call-ID' ? 'two words' : '<"';
    expect(refusal(text({ [name]: broken }))).toBe(`400 Bad ${name} Header`);
  });

  test.each(['From', 'To', 'Call-ID', 'CSeq'])('RFC 3261 §20: two %s headers are refused', (name) => {
    expect(refusal(text({ [name.toLowerCase()]: MANDATORY[name] }))).toBe(`400 Bad ${name} Header`);
  });

  test('RFC 3261 §8.1.1.5: the method of CSeq is that of the request, the number is below 2^31', () => {
    expect(refusal(text({ CSeq: '1 INVITE' }))).toBe('400 Bad CSeq Header');
    expect(refusal(text({ CSeq: '2147483648 OPTIONS' }))).toBe('400 Bad CSeq Header');
    expect(refusal(text({ CSeq: '2147483647 OPTIONS' }))).toBe('ok');
  });

  test('a refusal carries what could be read, so that it can be answered', () => {
    const result: ParseResult = parseMessage(Buffer.from(text({ CSeq: 'x' })));
    expect(result).toMatchObject({ ok: false, partial: { kind: 'request', method: 'OPTIONS' } });
    expect(!result.ok && result.partial && getHeader(result.partial, 'Via')).toBe(MANDATORY.Via);
  });

  test.each([
    ['OPTIONS sip:b@example.com SIP/3.0', '505 Version Not Supported'],
    ['OPTIONS sip:b@example.com', '400 Bad Request Line'],
    ['OPTIONS  sip:b@example.com SIP/2.0', '400 Bad Request-URI'],
    ['OPTIONS <sip:b@example.com> SIP/2.0', '400 Bad Request-URI'],
    ['OPT(IONS sip:b@example.com SIP/2.0', '400 Bad Request Line'],
    ['SIP/2.0 2000 OK', '400 Bad Status Line'],
    ['SIP/2.0 099 OK', '400 Bad Status Line'],
    ['OPTIONS sip:b@example.com sip/2.0', 'ok'],
    ['SIP/2.0 200', 'ok'],
    ['SIP/2.0 200 ', 'ok'],
  ])('RFC 3261 §7.1 and §7.2: the start line %j is %s', (start, expected) => {
    expect(refusal(text({}, '', start))).toBe(expected);
  });

  test('limits: length of the message, of a line, number of headers', () => {
    expect(refusal(text({}, 'x'.repeat(70_000)))).toBe('513 Message Too Large');
    expect(refusal(text({ 'X-Long': 'x'.repeat(9_000) }))).toBe('400 Header Line Too Long');
    expect(refusal(text({ 'X-Long': 'x\r\n '.repeat(3_000) }))).toBe('400 Header Line Too Long');
    const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`X-${i}`, '1']));
    expect(refusal(text(many))).toBe('400 Too Many Headers');
  });

  test('header lines that are none, and a head without end, are refused', () => {
    expect(refusal(text({ 'no colon here': undefined }).replace('\r\n\r\n', '\r\nno colon here\r\n\r\n'))).toBe(
      '400 Bad Header Line',
    );
    expect(refusal(text({ 'X-Split': 'a\rb' }))).toBe('400 Bad Header Line');
    expect(refusal(text().replace('\r\n\r\n', '\r\n'))).toBe('400 Bad Message: No Empty Line After Headers');
    for (const nothing of ['', '\r\n', ':', '\0\0\0\0']) expect(refusal(nothing)).toMatch(/^400 /);
  });

  test.each([
    ['commas', 'Via', 'SIP/2.0/UDP h,'.repeat(4000)],
    ['quotes', 'From', '"'.repeat(60_000)],
    ['backslashes', 'To', `"${'\\'.repeat(60_000)}`],
    ['brackets', 'To', '<'.repeat(60_000)],
    ['parameters', 'Via', `SIP/2.0/UDP h${';a'.repeat(30_000)}`],
    ['white space', 'CSeq', `1${' '.repeat(60_000)}x`],
    ['folds', 'Subject', 'x\r\n '.repeat(20_000)],
    ['digits', 'CSeq', '9'.repeat(60_000)],
  ])('many %s in one message cost linear time', (_what, name, value) => {
    const limits = { ...DATAGRAM_LIMITS, message: 1 << 20, headerLine: 1 << 20 };
    const bytes = Buffer.from(text({ [name]: value }));
    const started = process.cpuUsage();
    parseMessage(bytes, limits);
    // Time of this process alone: others may have the processor meanwhile.
    expect(process.cpuUsage(started).user / 1e3).toBeLessThan(250);
  });
});

/** What RFC 4475 says of each of its messages, as far as it is the parser's business. */
describe('RFC 4475 torture messages', () => {
  const corpus = join(__dirname, '../../fuzz/corpus/rfc4475');
  const read = (name: string): Buffer => readFileSync(join(corpus, `${name}.dat`));

  test.each(
    'wsinv intmeth esc01 escnull esc02 lwsdisp longreq dblreq semiuri transports mpart01 unreason noreason'.split(' '),
  )('RFC 4475 §3.1.1: %s is valid', (name) => expect(refusal(read(name))).toBe('ok'));

  test.each([
    ['clerr', '400 Bad Content-Length Header'],
    ['ncl', '400 Bad Content-Length Header'],
    ['scalar02', '400 Bad CSeq Header'],
    ['scalarlg', '400 Bad CSeq Header'],
    ['quotbal', '400 Bad To Header'],
    ['ltgtruri', '400 Bad Request-URI'],
    ['lwsruri', '400 Bad Request-URI'],
    ['lwsstart', '400 Bad Request-URI'],
    ['trws', '400 Bad Request Line'],
    ['badvers', '505 Version Not Supported'],
    ['mismatch01', '400 Bad CSeq Header'],
    ['mismatch02', '400 Bad CSeq Header'],
    ['bigcode', '400 Bad Status Line'],
    ['multi01', '400 Bad CSeq Header'],
    ['mcl01', '400 Bad Content-Length Header'],
    ['insuf', '400 Missing From Header'],
  ])('RFC 4475 §3.1.2 and §3.3: %s is refused with %s', (name, expected) => {
    expect(refusal(read(name))).toBe(expected);
  });

  test('RFC 4475 §3.1.1.1: the tortuous INVITE is read as it is meant', () => {
    const message = parsed(read('wsinv'));
    expect(getHeader(message, 'Call-ID')).toBe('wsinv.ndaksdj@192.0.2.1');
    expect(getHeader(message, 'CSeq')).toMatch(/^0009\s+INVITE$/);
    expect(getHeaders(message, 'Via')).toHaveLength(3);
    expect(getHeaders(message, 'Route')).toHaveLength(1);
    expect(getHeaders(message, 'Contact')).toHaveLength(1);
    expect(parsed(serialize(message)).body).toEqual(message.body);
  });
});
