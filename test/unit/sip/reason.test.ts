import { formatReason, formatReasons, parseReasons, textOfReasons } from '../../../src/sip/reason';

describe('Reason (RFC 3326)', () => {
  test('§2: protocol, cause and text', () => {
    const header = formatReason(200, 'Call completed "elsewhere"');
    expect(header).toBe('SIP;cause=200;text="Call completed \\"elsewhere\\""');
    expect(parseReasons(`Q.850;cause=16, ${header}`)).toEqual([
      { protocol: 'Q.850', cause: 16, text: undefined },
      { protocol: 'SIP', cause: 200, text: 'Call completed "elsewhere"' },
    ]);
  });

  test.each([
    ['SIP;cause=200;text="Call completed elsewhere"', 'SIP;cause=200;text="Call completed elsewhere"'],
    ['SIP;cause=200', 'SIP;cause=200'],
    ['SIP ;cause=200 ;text="Anruf \u00fcbernommen"', 'SIP;cause=200;text="Anruf \u00fcbernommen"'],
    ['sip;CAUSE=200', 'sip;cause=200'],
    ['Q.850;cause=26;text="Other",SIP;cause=200;text="x, y"', 'Q.850;cause=26;text="Other", SIP;cause=200;text="x, y"'],
    ['Q.850;text="a;cause=1";cause=41', 'Q.850;cause=41;text="a;cause=1"'],
    ['X.int;reasoncode=0x0', 'X.int;reasoncode=0x0'],
    ['X.int;reasoncode=0x0;text="a \\"b\\" \\\\ c"', 'X.int;reasoncode=0x0;text="a \\"b\\" \\\\ c"'],
    ['Q.850', 'Q.850'],
    ['SIP;cause=200;text=bare', 'SIP;cause=200;text="bare"'],
    [';;', ''],
    [', ,;cause=3', ''],
    ['SIP;cause=99999', ''],
    ['SIP;cause="2', ''],
    ['SIP;cause=abc, Q.850;cause=16', 'Q.850;cause=16'],
    ['', ''],
  ])('%s comes out as %s, over any number of nodes', (given, written) => {
    let header = given;
    for (let node = 0; node < 5; node += 1) {
      header = formatReasons(parseReasons(header));
      expect(header).toBe(written);
    }
  });

  test('a property: what is written is read as it was, and never ends the line', () => {
    const characters = ['"', '\\', ',', ';', '=', '<', '>', ' ', 'a', '\u00e9', '\r', '\n', '\0', '%'];
    let seed = 1;
    const next = (below: number): number => (seed = (seed * 48271) % 2147483647) % below;
    for (let run = 0; run < 2000; run += 1) {
      const text = Array.from({ length: next(12) }, () => characters[next(characters.length)] ?? '').join('');
      const reasons = [{ protocol: 'Q.850', cause: next(1000), text }];
      const header = formatReasons(reasons);
      expect(header).not.toMatch(/[\r\n\0]/);
      const plain = text.replace(/\p{Cc}/gu, '');
      expect(parseReasons(header)).toEqual([{ ...reasons[0], text: plain }]);
    }
  });

  test.each([undefined, '', ';;;', '"', 'x'.repeat(5000)])('%j names no cause', (header) => {
    expect(parseReasons(header).every(({ cause }) => cause === undefined)).toBe(true);
  });

  test('for people: the first text, else the header', () => {
    expect(textOfReasons(parseReasons('Q.850;cause=16, SIP;cause=200;text="bye"'))).toBe('bye');
    expect(textOfReasons(parseReasons('Q.850;cause=16'))).toBe('Q.850;cause=16');
    expect(textOfReasons([])).toBeUndefined();
  });
});
