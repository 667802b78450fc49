import fc from 'fast-check';
import { compilePattern, PatternIndex, type CompiledPattern } from '../../../src/digit-analysis/pattern';

function compile(text: string): CompiledPattern {
  const pattern = compilePattern(text);
  if (pattern === undefined) throw new Error(`not a pattern: ${text}`);
  return pattern;
}

function best(dialled: string, ...patterns: string[]): string | undefined {
  return new PatternIndex(patterns.map((text) => ({ pattern: compile(text), value: text }))).candidates(dialled)[0]
    ?.value;
}

/** The grammar again, written as a translation to regular expressions. */
function reference(text: string): RegExp {
  const source = text.replace(/\[[^\]]*\]|\\\+|[^[\\]/g, (part) => {
    if (part === '-' || part === '.') return '';
    if (part === 'X' || part === 'x') return '[0-9]';
    if (part === '!' || part === '@') return '[0-9]+';
    if (part.startsWith('[^')) return `(?=[0-9])${part}`;
    return part.startsWith('[') ? part : part.replace(/[*+]$/, '\\$&').replace('\\\\', '\\');
  });
  return new RegExp(`^${source}$`);
}

const DIGITS = Array.from('0123456789');
const DIALLED = [...DIGITS, '*', '#', '+'];
const digit = fc.constantFrom(...DIGITS);
const range = fc.tuple(fc.nat({ max: 9 }), fc.nat({ max: 9 })).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`);
const set = fc
  .array(fc.oneof(digit, range), { minLength: 1, maxLength: 3 })
  .chain((parts) => fc.constantFrom(`[${parts.join('')}]`, `[^${parts.join('')}]`));
const element = fc.oneof({ weight: 4, arbitrary: digit }, fc.constantFrom('X', 'x', '*', '#', '\\+', '-'), set);
const patterns = fc
  .record({
    head: fc.array(element, { maxLength: 5 }),
    dot: fc.boolean(),
    some: fc.constantFrom('', '!', '@'),
    tail: fc.array(element, { maxLength: 3 }),
  })
  .map(({ head, dot, some, tail }) => head.join('') + (dot ? '.' : '') + some + tail.join(''))
  .filter((text) => compilePattern(text) !== undefined);
const dialledStrings = fc.array(fc.constantFrom(...DIALLED), { maxLength: 10 }).map((parts) => parts.join(''));

/** A string that often matches the pattern. */
function nearly(text: string): fc.Arbitrary<string> {
  const parts = (text.match(/\[[^\]]*\]|\\\+|[^[\\]/g) ?? []).filter((part) => part !== '-' && part !== '.');
  const each = parts.map((part) => {
    if (part === '\\+') return fc.constant('+');
    if (part === '!' || part === '@') return fc.array(digit, { minLength: 1, maxLength: 6 }).map((all) => all.join(''));
    return /^[0-9*#]$/.test(part) ? fc.constant(part) : digit;
  });
  return fc.tuple(...each).map((all) => all.join(''));
}

describe('a compiled pattern', () => {
  it('claim R3: 9@ and xxx-xxxx match external numbers', () => {
    expect(compile('9@').matches('912145551212')).toBe(true);
    expect(compile('9@').matches('9')).toBe(false);
    expect(compile('xxx-xxxx').matches('5551212')).toBe(true);
    expect(compile('xxx-xxxx').matches('555121')).toBe(false);
  });

  it('9.@ covers operator, national, carrier and international numbers, and sends what follows the 9', () => {
    for (const number of ['0', '1411', '19725551234', '101028819725551234', '01133123456789']) {
      expect(compile('9.@').matches(`9${number}`)).toBe(true);
      expect(compile('9.@').strip(`9${number}`)).toBe(number);
    }
  });

  it('strips the right part also when the dot stands behind what varies', () => {
    expect(compile('!.#').strip('123#')).toBe('#');
    expect(compile('9!.55').strip('912355')).toBe('55');
    expect(compile('9.011!').strip('90111234')).toBe('0111234');
    expect(compile('1234').strip('1234')).toBe('1234');
  });

  it('has no digit in common with letters, other scripts or control characters', () => {
    for (const text of ['9a', '9\u0661', '9\n', '9 1', '9１', ''])
      for (const pattern of ['9@', 'X!', 'XX', '[^0]X']) expect(compile(pattern).matches(text)).toBe(false);
  });

  it('agrees with a reference matcher on every pattern and dialled string', () => {
    const cases = patterns.chain((text) => fc.tuple(fc.constant(text), fc.oneof(dialledStrings, nearly(text))));
    let matched = 0;
    fc.assert(
      fc.property(cases, ([text, dialled]) => {
        const expected = reference(text).test(dialled);
        if (expected) matched++;
        expect(compile(text).matches(dialled)).toBe(expected);
      }),
      { numRuns: 3000 },
    );
    expect(matched).toBeGreaterThan(500);
  });

  it('counts the strings that it matches as an enumeration does', () => {
    const all = DIALLED.flatMap((a) => DIALLED.flatMap((b) => DIALLED.map((c) => a + b + c)));
    fc.assert(
      fc.property(patterns, (text) => {
        const pattern = compile(text);
        expect(pattern.matching(3)).toBe(BigInt(all.filter((dialled) => pattern.matches(dialled)).length));
      }),
      { numRuns: 100 },
    );
  });

  it('sends a tail of what was dialled', () => {
    const cases = patterns.chain((text) => fc.tuple(fc.constant(text), nearly(text)));
    fc.assert(
      fc.property(cases, ([text, dialled]) => {
        fc.pre(compile(text).matches(dialled));
        const sent = compile(text).strip(dialled);
        expect(dialled.endsWith(sent)).toBe(true);
        expect(sent).not.toBe('');
      }),
    );
  });

  it('matches nothing that is longer than any number', () => {
    expect(compile('9!').matches('9'.repeat(64))).toBe(true);
    expect(compile('9!').matches('9'.repeat(65))).toBe(false);
    expect(compile('9!9').matches('9'.repeat(1_000_000))).toBe(false);
  });
});

describe('the closest match', () => {
  it('is the pattern that matches the fewest strings: XXXXXXX, 123XXXX, 1234XXX for 1234567 picks the third', () => {
    expect(best('1234567', 'XXXXXXX', '123XXXX', '1234XXX')).toBe('1234XXX');
    expect(best('1234567', '1234XXX', '123XXXX', 'XXXXXXX')).toBe('1234XXX');
  });

  it('prefers an exact number, then sets, then X, then one or more digits', () => {
    expect(best('911', '9.@', '9XX', '9[1-2]1', '911')).toBe('911');
    expect(best('911', '9.@', '9XX', '9[1-2]1')).toBe('9[1-2]1');
    expect(best('911', '9.@', '9XX')).toBe('9XX');
    expect(best('9011441234', '9.@', '9.011!')).toBe('9.011!');
    expect(best('5', '4', '[^5]')).toBeUndefined();
  });

  it('of equals is the one that was given first', () => {
    expect(best('95', '[89]5', '9[56]')).toBe('[89]5');
  });

  it('is found through the index as it is by trying every pattern', () => {
    const cases = fc
      .array(patterns, { minLength: 1, maxLength: 12 })
      .chain((texts) => fc.tuple(fc.constant(texts), fc.oneof(dialledStrings, ...texts.map(nearly))));
    fc.assert(
      fc.property(cases, ([texts, dialled]) => {
        const index = new PatternIndex(texts.map((text) => ({ pattern: compile(text), value: text })));
        const found = index.candidates(dialled);
        expect(found.map(({ value }) => value).sort()).toEqual(
          texts.filter((text) => compile(text).matches(dialled)).sort(),
        );
        const counts = found.map(({ pattern }) => pattern.matching(dialled.length));
        expect(counts.every((count, at) => at === 0 || count >= (counts[at - 1] ?? 0n))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});
