import fc from 'fast-check';
import { parseApplicationText } from '../../../src/sip-server/control/application-text';
import { parseCommand } from '../../../src/sip-server/control/command';
import { encodeFrame, FrameDecoder, splitPayload } from '../../../src/sip-server/control/frame';
import { RouteTable } from '../../../src/sip-server/control/route-table';
import { requestSent, sipFrame, timeToken } from '../../../src/sip-server/control/tokens';

function decode(chunks: readonly Buffer[], limit = 1_000_000): { payloads: string[]; error: string | undefined } {
  const decoder = new FrameDecoder(limit);
  const payloads: string[] = [];
  let error: string | undefined;
  for (const chunk of chunks) error = decoder.push(chunk, (payload) => payloads.push(payload.toString())) ?? error;
  return { payloads, error };
}

/** Cuts the bytes at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...at].map((start, index) => bytes.subarray(start, at[index] ?? bytes.length));
}

describe('frames', () => {
  test('the length counts bytes, not characters', () => {
    expect(encodeFrame('é|ping').toString()).toBe('7#é|ping');
    expect(encodeFrame('a|sip||', Buffer.from('ü')).toString()).toBe('11#a|sip||\r\nü');
  });

  test('whatever is encoded is decoded again, however the bytes are cut', () => {
    const frame = fc.tuple(
      fc.string({ minLength: 1, unit: 'binary' }).filter((text) => !text.includes('\r')),
      fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
    );
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 20 }), (frames, places) => {
        const encoded = frames.map(([tokens, message]) =>
          encodeFrame(tokens, message === undefined ? undefined : Buffer.from(message)),
        );
        const decoder = new FrameDecoder(1_000_000);
        const seen: { tokens: string; message: number[] | undefined }[] = [];
        for (const chunk of cut(Buffer.concat(encoded), places)) {
          decoder.push(chunk, (payload) => {
            const parts = splitPayload(payload);
            seen.push({ tokens: parts.tokens.join('|'), message: parts.message && [...parts.message] });
          });
        }
        const wanted = frames.map(([tokens, message]) => ({
          tokens: Buffer.from(tokens).toString(),
          message: message && [...message],
        }));
        expect(seen).toEqual(wanted);
      }),
    );
  });

  test('arbitrary bytes never throw, and after an error nothing is given any more', () => {
    const pieces = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(...['3#abc', '0#', '12', '#'].map((text) => Buffer.from(text))),
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (chunks) => {
        const decoder = new FrameDecoder(100);
        let failed = false;
        for (const chunk of chunks) {
          const error = decoder.push(Buffer.from(chunk), () => expect(failed).toBe(false));
          failed = failed || error !== undefined;
          if (failed) expect(decoder.push(Buffer.from('3#abc'), () => expect(true).toBe(false))).toBeDefined();
        }
      }),
    );
  });

  test.each(['abc#zzz', '#x', '1 #x', '123456789#x', '-1#x'])('%s is no frame', (text) => {
    expect(decode([Buffer.from(text)])).toEqual({ payloads: [], error: 'invalid length' });
  });

  test('a frame above the limit is refused before its bytes are kept', () => {
    expect(decode([Buffer.from('101#')], 100).error).toBe('frame too large');
  });

  test('leading zeros are tolerated', () => {
    expect(decode([Buffer.from('0003#abc')]).payloads).toEqual(['abc']);
  });

  test('a large frame in small pieces takes linear time', () => {
    const bytes = encodeFrame('a|ping|', Buffer.alloc(2_000_000, 'x'));
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 100) chunks.push(bytes.subarray(at, at + 100));
    expect(decode(chunks, 4_000_000).payloads).toHaveLength(1);
  });
});

describe('commands', () => {
  test.each([
    ['abc', { type: 'refused', id: 'abc', reason: 'Invalid message format' }],
    ['i|authenticate|s|a,b', { type: 'authenticate', id: 'i', secret: 's' }],
    ['i|route|invite', { type: 'route', id: 'i', verb: 'invite' }],
    ['i|route', { type: 'refused', id: 'i', reason: 'Invalid message format' }],
    ['i|ping', { type: 'ping', id: 'i' }],
    ['i|frobnicate|x', { type: 'refused', id: 'i', reason: 'Unknown message type' }],
    ['i|sip||', { type: 'refused', id: 'i', reason: 'Invalid message format' }],
    ['i|proxy|t\r\nx', { type: 'refused', id: 'i', reason: 'Invalid proxy request: not enough information provided' }],
  ])('%j', (payload, command) => {
    expect(parseCommand(Buffer.from(payload))).toEqual(command);
  });

  test('sip with transaction, dialog and next hop', () => {
    expect(parseCommand(Buffer.from('i|sip|t|d;from-tag=1|sip:h\r\nSIP'))).toMatchObject({
      transactionId: 't',
      dialogId: 'd;from-tag=1',
      routeUri: 'sip:h',
      message: Buffer.from('SIP'),
    });
  });

  test('arbitrary payloads never throw', () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => expect(parseCommand(Buffer.from(bytes))).toHaveProperty('id')));
  });
});

describe('SIP text of an application', () => {
  test('names become canonical, private ones stay, what the server owns is left out', () => {
    const text = parseApplicationText(
      Buffer.from(
        'SIP/2.0 200 OK\r\nwww-authenticate: Digest a,\r\n b\r\nX-Odd-case: 1\r\nvia: v\r\nbad name: 2\r\nCONTENT-LENGTH: 7\r\ncseq: 3 UPDATE\r\n\r\nbody',
      ),
    );
    expect(text).toEqual({
      kind: 'response',
      startLine: 'SIP/2.0 200 OK',
      status: 200,
      reason: 'OK',
      headers: [
        { name: 'WWW-Authenticate', value: 'Digest a, b' },
        { name: 'X-Odd-case', value: '1' },
        { name: 'CSeq', value: '3 UPDATE' },
      ],
      body: Buffer.from('body'),
      cseqMethod: 'UPDATE',
      lastHeaderIsCSeq: true,
    });
  });

  test('a stray line break in a value begins no header', () => {
    const text = parseApplicationText(Buffer.from('INVITE sip:a@b SIP/2.0\r\nSubject: x\nRoute: <sip:evil>\r\n\r\n'));
    expect(text?.headers).toEqual([{ name: 'Subject', value: 'x Route: <sip:evil>' }]);
  });

  test('arbitrary text never throws, and no header has a line break', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (noise) => {
        const text = parseApplicationText(Buffer.from(`INVITE sip:a@b SIP/2.0\r\n${noise}\r\n\r\nx`));
        for (const field of text?.headers ?? []) expect(`${field.name}${field.value}`).not.toMatch(/[\r\n]/);
      }),
    );
  });
});

describe('routes', () => {
  test('connections are served in turn; asking twice is no double share', () => {
    const routes = new RouteTable<string>();
    routes.add('invite', 'a');
    routes.add('invite', 'a');
    routes.add('invite', 'b');
    const picks = [1, 2, 3, 4].map(() => routes.pick('invite', () => true));
    expect(picks).toEqual(['a', 'b', 'a', 'b']);
  });

  test('removing one verb leaves the others', () => {
    const routes = new RouteTable<string>();
    routes.add('invite', 'a');
    routes.add('options', 'a');
    routes.remove('invite', 'a');
    expect(routes.pick('invite', () => true)).toBe('none');
    expect(routes.pick('options', () => true)).toBe('a');
    routes.removeAll('a');
    expect(routes.pick('options', () => true)).toBe('none');
  });

  test('a connection that cannot take more is passed over; with nobody left it is "busy"', () => {
    const routes = new RouteTable<string>();
    routes.add('invite', 'a');
    routes.add('invite', 'b');
    expect(routes.pick('invite', (one) => one === 'b')).toBe('b');
    expect(routes.pick('invite', () => false)).toBe('busy');
  });

  test('the turn is fair after a connection left', () => {
    const routes = new RouteTable<string>();
    for (const one of ['a', 'b', 'c']) routes.add('invite', one);
    expect(routes.pick('invite', () => true)).toBe('a');
    routes.remove('invite', 'a');
    expect([1, 2, 3].map(() => routes.pick('invite', () => true))).toEqual(['b', 'c', 'b']);
  });
});

describe('token lines', () => {
  const where = { protocol: 'ws', address: '10.0.0.1', port: 5 } as const;
  test('drachtio-srf reads 4 to 12 by place', () => {
    const tokens =
      `id|sip|${sipFrame('network', 9, where, 0, 'txn', 'dlg', { address: '127.0.0.1', port: 5060 })}`.split('|');
    expect(tokens.slice(2)).toEqual([
      'network',
      '9',
      'tcp',
      '10.0.0.1',
      '5',
      '00:00:00.000000',
      'txn',
      'dlg',
      '127.0.0.1',
      '5060',
      '',
    ]);
    const reply = `id|response|rid|${requestSent(9, { ...where, protocol: undefined }, 0, 'txn')}`.split('|');
    expect(reply[6]).toBe('unknown');
    expect(reply[10]).toBe('txn');
  });
  test('the time is UTC with six decimals', () => {
    expect(timeToken(Date.UTC(2026, 0, 1, 13, 2, 3, 45))).toBe('13:02:03.045000');
  });
});
