import fc from 'fast-check';
import { parsePattern } from '../../../src/config/pattern-syntax';

function elements(text: string): string {
  const result = parsePattern(text);
  if (!result.ok) throw new Error(result.message);
  return result.pattern.elements.map((element) => (element.type === 'some' ? '+' : `(${element.of})`)).join('');
}

function message(text: string): string {
  const result = parsePattern(text);
  return result.ok ? 'fine' : result.message;
}

describe('the grammar of route patterns', () => {
  it('reads X and x as any digit and leaves hyphens out (claim R3: xxx-xxxx)', () => {
    expect(elements('xxX-X')).toBe('(0123456789)'.repeat(4));
  });

  it('reads sets, ranges and their negation', () => {
    expect(elements('[1-357]')).toBe('(12357)');
    expect(elements('[^0-7]')).toBe('(89)');
    expect(elements('[*#1]')).toBe('(#*1)');
  });

  it('reads * # and + for themselves', () => {
    expect(elements('*67#')).toBe('(*)(6)(7)(#)');
    expect(elements('\\+1!')).toBe('(+)(1)+');
    expect(elements('+1X')).toBe('(+)(1)(0123456789)');
    expect(elements('9.+1')).toBe('(9)(+)(1)');
  });

  it('knows where the stripped part ends', () => {
    expect(parsePattern('9.@')).toMatchObject({ ok: true, pattern: { stripBefore: 1 } });
    expect(parsePattern('9@')).toMatchObject({ ok: true, pattern: { stripBefore: 0 } });
  });

  it.each([
    ['', 'matches nothing'],
    ['-', 'matches nothing'],
    ['9.', '"." at the end leaves no digits to send'],
    ['9.1.2', '"." twice'],
    ['[12', '"[" without "]"'],
    ['[]', '"[]" matches nothing'],
    ['[^0-9]', '"[^0-9]" matches nothing'],
    ['[5-1]', '"5-1" is not a range of digits'],
    ['[a]', '"a" has no meaning in "[a]"'],
    ['1!2@', 'more than one "!" or "@"'],
    ['12?', '"?" has no meaning there'],
    ['12+', '"+" has no meaning there'],
    ['12\\', '"\\" without "+" behind it'],
    ['1'.repeat(41), 'more than 40 digits'],
    ['1'.repeat(201), 'longer than 200 characters'],
  ])('refuses %j', (text, expected) => {
    expect(message(text)).toBe(expected);
  });

  it('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof parsePattern(text).ok === 'boolean'));
  });
});
