/** What one place of a dialled string must be: one of these characters. */
export interface PatternElement {
  readonly type: 'one';
  readonly of: string;
}

/** One or more digits 0-9: `!` or `@`. */
export interface VariableElement {
  readonly type: 'some';
}

export interface ParsedPattern {
  readonly elements: readonly (PatternElement | VariableElement)[];
  /** Index into `elements` of the first one that is sent on; 0 when nothing is stripped. */
  readonly stripBefore: number;
}

export type PatternResult =
  { readonly ok: true; readonly pattern: ParsedPattern } | { readonly ok: false; readonly message: string };

const DIGITS = '0123456789';
const MAX_ELEMENTS = 40;
const MAX_TEXT = 200;

/**
 * Parses a route pattern: digits, `*` and `#` for themselves, `+` (or `\+`) for the international prefix, `X` or `x`
 * any digit, `[1-57]` and `[^0]` sets of digits, `!` and `@` one or more digits (one of them per pattern, so that what
 * matches which part is never in doubt), `.` the end of what is stripped, `-` ignored.
 */
export function parsePattern(text: string): PatternResult {
  if (text.length > MAX_TEXT) return wrong(`longer than ${MAX_TEXT} characters`);
  const elements: (PatternElement | VariableElement)[] = [];
  let stripBefore: number | undefined;
  for (let at = 0; at < text.length; at++) {
    const character = text.charAt(at);
    if (character === '-') continue;
    if (character === '.') {
      if (stripBefore !== undefined) return wrong('"." twice');
      stripBefore = elements.length;
    } else if (character === '[') {
      const end = text.indexOf(']', at);
      if (end < 0) return wrong('"[" without "]"');
      const set = parseSet(text.slice(at + 1, end));
      if (typeof set !== 'string') return wrong(set.message);
      elements.push({ type: 'one', of: set });
      at = end;
    } else if (character === '!' || character === '@') {
      if (elements.some((element) => element.type === 'some')) return wrong('more than one "!" or "@"');
      elements.push({ type: 'some' });
    } else if (character === '\\') {
      if (text.charAt(++at) !== '+') return wrong('"\\" without "+" behind it');
      elements.push({ type: 'one', of: '+' });
    } else {
      const of = literal(character, elements.length === (stripBefore ?? 0));
      if (of === undefined) return wrong(`"${character}" has no meaning there`);
      elements.push({ type: 'one', of });
    }
  }
  if (elements.length === 0) return wrong('matches nothing');
  if (elements.length > MAX_ELEMENTS) return wrong(`more than ${MAX_ELEMENTS} digits`);
  if (stripBefore === elements.length) return wrong('"." at the end leaves no digits to send');
  return { ok: true, pattern: { elements, stripBefore: stripBefore ?? 0 } };
}

function literal(character: string, atStart: boolean): string | undefined {
  if (character === 'X' || character === 'x') return DIGITS;
  if (DIGITS.includes(character) || character === '*' || character === '#') return character;
  // Elsewhere a bare "+" would be read by some as "one or more of the preceding": it must be written "\+".
  return character === '+' && atStart ? '+' : undefined;
}

function parseSet(body: string): string | { readonly message: string } {
  const negated = body.startsWith('^');
  const text = negated ? body.slice(1) : body;
  const set = new Set<string>();
  for (let at = 0; at < text.length; at++) {
    const from = text.charAt(at);
    if (!/^[0-9*#]$/.test(from)) return { message: `"${from}" has no meaning in "[${body}]"` };
    if (text.charAt(at + 1) !== '-') {
      set.add(from);
      continue;
    }
    const to = text.charAt(at + 2);
    if (!/^\d-\d$/.test(`${from}-${to}`) || from > to) return { message: `"${from}-${to}" is not a range of digits` };
    for (let digit = Number(from); digit <= Number(to); digit++) set.add(String(digit));
    at += 2;
  }
  const of = negated ? Array.from(DIGITS).filter((digit) => !set.has(digit)) : [...set].sort();
  return of.length === 0 ? { message: `"[${body}]" matches nothing` } : of.join('');
}

function wrong(message: string): PatternResult {
  return { ok: false, message };
}
