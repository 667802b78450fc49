import { formatReplaces, parseReplaces, readReplaces, replacesDialog } from '../../../src/sip/replaces';

const PLAIN = { callId: '425928@bobster.example.org', toTag: '7743', fromTag: '6472', earlyOnly: false };

describe('Replaces (RFC 3891)', () => {
  test.each([
    ['425928@bobster.example.org;to-tag=7743;from-tag=6472', PLAIN],
    ['425928@bobster.example.org;from-tag=6472;to-tag=7743', PLAIN],
    [' 425928@bobster.example.org ; to-tag = 7743\t; from-tag =6472 ', PLAIN],
    ['425928@bobster.example.org;TO-TAG=7743;From-Tag=6472;', PLAIN],
    ['425928@bobster.example.org;to-tag="7743";from-tag="64\\72"', PLAIN],
    ['425928@bobster.example.org;x="a,b;to-tag=1";to-tag=7743;y;from-tag=6472;z=1', PLAIN],
    ['425928@bobster.example.org;to-tag=7743;from-tag=6472;early-only', { ...PLAIN, earlyOnly: true }],
    ['425928@bobster.example.org;Early-Only;to-tag=7743;from-tag=6472', { ...PLAIN, earlyOnly: true }],
    ['x;to-tag=0;from-tag=0', { callId: 'x', toTag: '0', fromTag: '0', earlyOnly: false }],
    [
      'a"<%40>:/[]?{}\\b;to-tag=aB.-!%*_+`\'~;from-tag=1',
      { callId: 'a"<%40>:/[]?{}\\b', toTag: "aB.-!%*_+`'~", fromTag: '1', earlyOnly: false },
    ],
  ])('%s is read', (text, replaces) => {
    expect(parseReplaces(text)).toEqual(replaces);
    expect(readReplaces(text)).toEqual(replaces);
    expect(parseReplaces(formatReplaces(replaces))).toEqual(replaces);
  });

  test.each([
    '',
    'x',
    ';to-tag=1;from-tag=2',
    'x;to-tag=1',
    'x;from-tag=1',
    'x;to-tag;from-tag=1',
    'x;to-tag=;from-tag=1',
    'x;to-tag=1;to-tag=1;from-tag=2',
    'x;to-tag=1;from-tag=2;from-tag=3',
    'x;to-tag="1;from-tag=2',
    'x;to-tag="a b";from-tag=2',
    'x;to-tag=a b;from-tag=2',
    'x y;to-tag=1;from-tag=2',
    'x\r\nVia: y;to-tag=1;from-tag=2',
    'x;to-tag=1;from-tag=2\r\nVia: y',
    'x;to-tag=1;from-tag=2;a b',
    'x;to-tag=é;from-tag=2',
    'é;to-tag=1;from-tag=2',
    `${'x'.repeat(2000)};to-tag=1;from-tag=2`,
    `x;to-tag=1;from-tag=2${';'.repeat(2000)}`,
  ])('%j cannot be read', (text) => {
    expect(parseReplaces(text)).toBeUndefined();
    expect(readReplaces(text)).toEqual({ status: 400, reason: 'Bad Replaces Header' });
  });

  test.each([
    'x;to-tag=1;from-tag=2,y;to-tag=1;from-tag=2',
    'x;to-tag=1;from-tag=2, x;to-tag=1;from-tag=2',
    'x"y;to-tag=1;from-tag=2, z"w;to-tag=1;from-tag=2',
    'x<y;to-tag=1;from-tag=2,z>w;to-tag=1;from-tag=2',
    'x;to-tag=1;from-tag=2;z="a,b" , y;to-tag=1;from-tag=2',
    'x,y',
  ])('§3: %s is more than one, and read as none', (text) => {
    expect(parseReplaces(text)).toBeUndefined();
    expect(readReplaces(text)).toEqual({ status: 400, reason: 'Several Replaces Headers' });
  });

  test('there is none', () => {
    expect(readReplaces(undefined)).toBeUndefined();
  });

  test('§3: to-tag is the local tag, from-tag the remote one; 0 stands for none as well', () => {
    const dialog = { callId: 'x', localTag: 'us', remoteTag: 'them' };
    const asked = (text: string, tags = dialog): boolean => {
      const replaces = parseReplaces(text);
      return replaces !== undefined && replacesDialog(replaces, tags);
    };
    expect(asked('x;to-tag=us;from-tag=them')).toBe(true);
    expect(asked('x;to-tag=them;from-tag=us')).toBe(false);
    expect(asked('y;to-tag=us;from-tag=them')).toBe(false);
    expect(asked('x;to-tag=us;from-tag=0')).toBe(false);
    expect(asked('x;to-tag=us;from-tag=0', { ...dialog, remoteTag: '' })).toBe(true);
    expect(asked('x;to-tag=us;from-tag=0', { ...dialog, remoteTag: '0' })).toBe(true);
    expect(formatReplaces({ callId: 'x', toTag: '', fromTag: 'b', earlyOnly: false })).toBe('x;to-tag=0;from-tag=b');
  });

  test('a property: whatever stands there, it is read within the length of it or refused, and what is read is written back', () => {
    const pieces = [
      'x',
      '@',
      ';',
      'to-tag=',
      'from-tag=',
      'early-only',
      '"',
      '\\',
      ',',
      ' ',
      '=',
      '1',
      '\r\n',
      '%3B',
      '<',
    ];
    let seed = 7;
    const next = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let run = 0; run < 5000; run += 1) {
      const tail = Array.from({ length: next(8) }, () => pieces[next(pieces.length)] ?? '').join('');
      for (const text of [tail, `x;to-tag=1;from-tag=2${tail}`, `${tail};to-tag=1;from-tag=2`]) {
        const replaces = parseReplaces(text);
        if (replaces === undefined) continue;
        const written = formatReplaces(replaces);
        expect(written).not.toMatch(/[\r\n,]/);
        expect(parseReplaces(written)).toEqual(replaces);
      }
    }
  });
});
