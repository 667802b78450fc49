import { parseMessage } from '../../../src/sip-message/parse';
import { StreamFramer } from '../../../src/sip-message/stream';
import { unsoundHeader } from '../../../src/sip-message/header-rules';
import { deltaSeconds } from '../../../src/sip-message/final-meaning';
import { parseSessionExpires } from '../../../src/sip-server/dialog/session-timer';
import { parseReliableNumber } from '../../../src/sip-message/header-rules';

/** A request with these lines beside or instead of the usual ones; their names take the usual ones' places. */
function request(method: string, lines: readonly string[], body = ''): Buffer {
  const usual = [
    'Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKx',
    'Max-Forwards: 70',
    'From: <sip:a@127.0.0.1>;tag=a',
    'To: <sip:b@127.0.0.1>',
    'Call-ID: x',
    `CSeq: 1 ${method}`,
    'Contact: <sip:a@127.0.0.1>',
    `Content-Length: ${body.length}`,
  ];
  const nameOf = (line: string): string => line.split(':', 1)[0] ?? '';
  const replaced = new Set(lines.map(nameOf));
  const all = [...usual.filter((line) => !replaced.has(nameOf(line))), ...lines];
  return Buffer.from([`${method} sip:b@127.0.0.1 SIP/2.0`, ...all, '', body].join('\r\n'));
}

/** What the SIP server says to it, by datagram and on a stream. */
function verdicts(bytes: Buffer): string[] {
  const datagram = parseMessage(bytes);
  const [item] = new StreamFramer().push(bytes);
  const framed = item?.kind === 'error' ? item.failure.reason : item?.kind;
  return [datagram.ok ? 'message' : `${datagram.status} ${datagram.reason}`.replace(/^400 /, ''), String(framed)];
}

/** What the call manager says to it, who has it by names. */
function byName(method: string, lines: readonly string[], body = ''): string | undefined {
  const values = new Map<string, string>();
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
    const before = values.get(name.toLowerCase());
    values.set(name.toLowerCase(), before === undefined ? value : `${before},${value}`);
  }
  return unsoundHeader(method, (name) => values.get(name.toLowerCase()), body);
}

const NO_NUMBERS = ['', '-1', '+1', '1.5', '0x10', '1e3', 'abc', '1 2', '7O', '١', '99999999999999999999999999'];

/** Of one header: in which requests it is read, and values of it. */
const NUMBERS: readonly (readonly [string, readonly string[], readonly string[], readonly string[]])[] = [
  ['Max-Forwards', ['INVITE', 'REGISTER', 'BYE', 'FOO'], ['0', '1', '70', '0070', '255'], [...NO_NUMBERS, '256']],
  [
    'Expires',
    ['INVITE', 'SUBSCRIBE', 'PUBLISH', 'MESSAGE'],
    ['0', '3600', '4294967295'],
    [...NO_NUMBERS, '4294967296'],
  ],
  [
    'Session-Expires',
    ['INVITE', 'UPDATE'],
    ['90', '1800;refresher=uac', '1800 ; refresher=uas;x', '4294967295'],
    [...NO_NUMBERS, '4294967296', ';refresher=uac', '90;=', 'x;refresher=uac'],
  ],
  ['Min-SE', ['INVITE', 'UPDATE'], ['90', '120;x=y', '4294967295'], [...NO_NUMBERS, '4294967296', '90;=']],
  [
    'RAck',
    ['PRACK'],
    // SIPp's scenarios say the method twice.
    ['1 1 INVITE', '4294967295  2147483647\tINVITE', '1 1 INVITE INVITE'],
    ['', '1', '1 1', '0 1 INVITE', '-1 1 INVITE', '1 -1 INVITE', '4294967296 1 INVITE', '1 2147483648 INVITE', 'a b c'],
  ],
];

describe('RFC 3261 §8.2, §21.4.1: numbers of a request that cannot be read', () => {
  describe.each(NUMBERS)('%s', (name, methods, good, bad) => {
    test.each(methods)(
      '%s: what is one is taken, the SIP server and the call manager refuse anything else',
      (method) => {
        for (const value of good) {
          expect([value, ...verdicts(request(method, [`${name}: ${value}`]))]).toEqual([value, 'message', 'message']);
          expect([value, byName(method, [`${name}: ${value}`])]).toEqual([value, undefined]);
        }
        for (const value of bad) {
          const refusal = `Bad ${name} Header`;
          expect([value, ...verdicts(request(method, [`${name}: ${value}`]))]).toEqual([value, refusal, refusal]);
          expect([value, byName(method, [`${name}: ${value}`])]).toEqual([value, name.toLowerCase()]);
        }
      },
    );

    test('there is one of it', () => {
      const twice = [`${name}: ${good[0]}`, `${name}: ${good[1]}`];
      expect(verdicts(request(methods[0] ?? '', twice))).toEqual([`Bad ${name} Header`, `Bad ${name} Header`]);
      expect(byName(methods[0] ?? '', twice)).toBe(name.toLowerCase());
    });
  });

  test('RFC 3891 §3: Replaces is of INVITE alone, and there is one', () => {
    const line = 'Replaces: x;to-tag=1;from-tag=2';
    expect(verdicts(request('INVITE', [line]))).toEqual(['message', 'message']);
    expect(byName('INVITE', [line])).toBeUndefined();
    const refusal = ['Bad Replaces Header', 'Bad Replaces Header'];
    for (const lines of [[line, line], ['Replaces:']]) expect(verdicts(request('INVITE', lines))).toEqual(refusal);
    for (const method of ['BYE', 'REGISTER', 'OPTIONS', 'UPDATE', 'REFER', 'MESSAGE']) {
      expect(verdicts(request(method, [line]))).toEqual(refusal);
      expect(byName(method, [line])).toBe('replaces');
    }
  });

  test('an ACK is taken whatever it says: nobody could answer it', () => {
    expect(verdicts(request('ACK', ['Max-Forwards: abc']))).toEqual(['message', 'message']);
  });

  test('RFC 3261 §20.10: Expires of a REGISTER that cannot be read means an hour', () => {
    for (const value of NO_NUMBERS)
      expect(verdicts(request('REGISTER', [`Expires: ${value}`]))).toEqual(['message', 'message']);
  });

  test('RFC 3261 §8.2: what a request does not need is not looked at', () => {
    for (const line of ['RAck: x', 'RSeq: x', 'Retry-After: x', 'Min-Expires: x', 'Min-SE: x', 'Expires: x'])
      expect(verdicts(request('OPTIONS', [line]))).toEqual(['message', 'message']);
  });
});

describe('RFC 3261 §25.1: headers of a request that are there and empty', () => {
  const INVITE = ['To', 'From', 'Via', 'Call-ID', 'CSeq', 'Contact', 'Require', 'Proxy-Require', 'Route'];
  const lists = [...INVITE, 'Record-Route', 'Max-Forwards', 'Expires', 'Session-Expires', 'Min-SE', 'Content-Length'];
  test.each<[string, readonly string[]]>([
    ['INVITE', lists],
    ['REGISTER', [...INVITE, 'Max-Forwards', 'Content-Length']],
    ['OPTIONS', INVITE],
    ['BYE', INVITE],
  ])(
    '%s: 400, also when nothing but white space and commas is there, or when another line says something',
    (method, names) => {
      for (const name of names) {
        const refusal = `Bad ${name} Header`;
        for (const value of ['', '  ', ...(INVITE.indexOf(name) > 4 ? [',', ' , ,'] : [])])
          expect([name, value, ...verdicts(request(method, [`${name}: ${value}`]))]).toEqual([
            name,
            value,
            refusal,
            refusal,
          ]);
      }
      const more = ['Contact: <sip:a@127.0.0.1>', 'Contact:'];
      expect(verdicts(request(method, more))).toEqual(['Bad Contact Header', 'Bad Contact Header']);
      for (const name of ['contact', 'route', 'require', 'max-forwards'])
        for (const value of ['', ' ']) expect(byName(method, [`${name}: ${value}`])).toBe(name);
    },
  );

  test('Content-Type, when there is a body', () => {
    for (const method of ['INVITE', 'MESSAGE', 'INFO', 'UPDATE']) {
      const refused = verdicts(request(method, ['Content-Type:'], 'v=0\r\n'));
      expect(refused).toEqual(['Bad Content-Type Header', 'Bad Content-Type Header']);
      expect(byName(method, ['Content-Type:'], 'v=0\r\n')).toBe('content-type');
      expect(verdicts(request(method, ['Content-Type:']))).toEqual(['message', 'message']);
    }
  });

  test('lists that may be empty', () => {
    for (const name of ['Supported', 'Allow', 'Accept', 'Accept-Encoding', 'Accept-Language'])
      expect(verdicts(request('INVITE', [`${name}:`]))).toEqual(['message', 'message']);
  });
});

describe('numbers of a response that cannot be read are as if they were not there', () => {
  const readers: readonly (readonly [string, (value: string) => unknown])[] = [
    ['RSeq', parseReliableNumber],
    ['Session-Expires', parseSessionExpires],
    ['Min-SE, Retry-After, Expires', deltaSeconds],
  ];
  test.each(readers)('%s', (_name, read) => {
    for (const value of ['', '-1', '+1', '0x10', '1e3', 'abc', '7O', '١'])
      expect([value, read(value)]).toEqual([value, undefined]);
  });

  test('and what is too large has a limit', () => {
    expect(deltaSeconds('999999999999')).toBe(4294967295);
    expect(parseSessionExpires('4294967296')).toBeUndefined();
    expect([parseReliableNumber('0'), parseReliableNumber('4294967296')]).toEqual([undefined, undefined]);
  });
});
