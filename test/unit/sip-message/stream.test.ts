import type { StreamItem } from '../../../src/sip-message/stream';
import { StreamFramer } from '../../../src/sip-message/stream';

function message(body: string, length: string | undefined = String(Buffer.byteLength(body)), branch = '1'): string {
  return [
    'MESSAGE sip:b@example.com SIP/2.0',
    `Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK${branch}`,
    'From: <sip:a@example.com>;tag=f',
    'To: <sip:b@example.com>',
    'Call-ID: c1',
    'CSeq: 1 MESSAGE',
    ...(length === '' ? [] : [`Content-Length: ${length}`]),
    '',
    body,
  ].join('\r\n');
}

function shown(item: StreamItem): string {
  if (item.kind === 'message') return `message ${item.message.body.toString()}`;
  if (item.kind === 'ping') return 'ping';
  return `${item.failure.status} ${item.failure.reason}${item.fatal ? ', fatal' : ''}`;
}

const push = (framer: StreamFramer, text: string): string[] => framer.push(Buffer.from(text)).map(shown);

describe('StreamFramer', () => {
  test('RFC 3261 §18.3: several messages in one chunk', () => {
    expect(push(new StreamFramer(), message('one') + message('') + message('three'))).toEqual([
      'message one',
      'message ',
      'message three',
    ]);
  });

  test('RFC 3261 §18.3: messages split at every place', () => {
    const stream = `\r\n\r\n${message('one')}\r\n\r\n${message('two')}`;
    for (let cut = 0; cut <= stream.length; cut++) {
      const framer = new StreamFramer();
      const items = [...push(framer, stream.slice(0, cut)), ...push(framer, stream.slice(cut))];
      expect(items).toEqual(['ping', 'message one', 'ping', 'message two']);
      expect(framer.isInsideMessage).toBe(false);
    }
  });

  test('byte by byte', () => {
    const framer = new StreamFramer();
    const items = [...Buffer.from(message('one') + message('two'))].flatMap((byte) => framer.push(Buffer.from([byte])));
    expect(items.map(shown)).toEqual(['message one', 'message two']);
  });

  test('RFC 5626 §4.4.1: CRLFCRLF is a ping, a single CRLF (a pong) is nothing', () => {
    const framer = new StreamFramer();
    expect(push(framer, '\r\n')).toEqual([]);
    expect(push(framer, '\r\n')).toEqual(['ping']);
    expect(push(framer, `\r\n${message('x')}`)).toEqual(['message x']);
    expect(push(framer, '\r\n\r\n\r\n\r\n')).toEqual(['ping', 'ping']);
  });

  test('RFC 3261 §20.14: without a usable Content-Length the stream cannot go on', () => {
    for (const [length, reason] of [
      ['', 'Missing Content-Length Header'],
      ['-5', 'Bad Content-Length Header'],
      ['99999999999999999999', 'Bad Content-Length Header'],
      ['1\r\nl: 1', 'Bad Content-Length Header'],
    ]) {
      const framer = new StreamFramer();
      expect(push(framer, message('body', length))).toEqual([`400 ${reason ?? ''}, fatal`]);
      expect(framer.isBroken).toBe(true);
      expect(push(framer, message('more'))).toEqual([]);
    }
  });

  test('a message that is bad inside does not end the stream', () => {
    const framer = new StreamFramer();
    const bad = message('x').replace('CSeq: 1 MESSAGE', 'CSeq: 1 INFO');
    expect(push(framer, bad + message('good'))).toEqual(['400 Bad CSeq Header', 'message good']);
  });

  test('RFC 3261 §21.5.7: a message over the limit is refused as soon as its head is there, and the head is given', () => {
    const framer = new StreamFramer({ message: 65_536, headerLine: 8_192, headerCount: 256 });
    const [item, ...rest] = framer.push(Buffer.from(message('x'.repeat(70_000)).slice(0, 400)));
    expect(rest).toEqual([]);
    expect(item).toMatchObject({
      kind: 'error',
      fatal: true,
      failure: { status: 513, partial: { method: 'MESSAGE' } },
    });
  });

  test('a head that never ends is refused at the limit', () => {
    const framer = new StreamFramer({ message: 10_000, headerLine: 8_192, headerCount: 256 });
    const items: StreamItem[] = [];
    items.push(...framer.push(Buffer.from(message('').replace(/Content-Length.*$/s, 'X: '))));
    for (let i = 0; i < 200; i++) items.push(...framer.push(Buffer.from('x'.repeat(100))));
    expect(items).toHaveLength(1);
    expect(items[0]).toMatchObject({ fatal: true, failure: { status: 513, partial: { kind: 'request' } } });
  });

  test('a head that comes byte by byte costs linear time', () => {
    const framer = new StreamFramer();
    const bytes = Buffer.from(message('').replace('\r\n\r\n', `\r\n${'X: y\r\n'.repeat(200)}\r\n`));
    const long = Buffer.concat([bytes.subarray(0, bytes.length - 2), Buffer.alloc(100_000, 'x')]);
    const started = process.cpuUsage();
    for (const byte of long) framer.push(Buffer.from([byte]));
    // Time of this process alone: others may have the processor meanwhile.
    expect(process.cpuUsage(started).user / 1e3).toBeLessThan(1_000);
  });
});
