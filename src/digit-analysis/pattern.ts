import { parsePattern } from '../config/pattern-syntax';

/** Longer dialled strings than this match no pattern; 15 digits is the longest number of E.164. */
export const MAX_DIALLED = 64;

/** A route pattern, ready to match. */
export interface CompiledPattern {
  readonly text: string;
  /** The one string that it matches; undefined when there are several. */
  readonly exact: string | undefined;
  /** Characters that a matching string may begin with. */
  readonly first: string;
  /** Whether it matches strings of more than one length. */
  readonly variable: boolean;
  matches(dialled: string): boolean;
  /** What is sent on of a string that it matches: what follows the pattern's `.`. */
  strip(dialled: string): string;
  /** How many strings of this length it matches. */
  matching(length: number): bigint;
}

const DIGITS = '0123456789';

/**
 * Compiles a pattern (grammar: `parsePattern` of the configuration). Matching is linear in the length of the dialled
 * string: as a pattern has at most one `!` or `@`, what is before it and what is behind it stand at known places.
 * Undefined when the text is not a pattern.
 */
export function compilePattern(text: string): CompiledPattern | undefined {
  const result = parsePattern(text);
  if (!result.ok) return undefined;
  const { elements, stripBefore } = result.pattern;
  const at = elements.findIndex((element) => element.type === 'some');
  const variable = at >= 0;
  const sets = elements.flatMap((element) => (element.type === 'one' ? [element.of] : []));
  const head = variable ? sets.slice(0, at) : sets;
  const tail = variable ? sets.slice(at) : [];
  const behindStrip = elements.length - stripBefore;
  const fixedChoices = sets.reduce((product, set) => product * BigInt(set.length), 1n);
  return {
    text,
    exact: variable || sets.some((set) => set.length > 1) ? undefined : sets.join(''),
    first: head[0] ?? DIGITS,
    variable,
    matches: (dialled) => {
      if (dialled.length > MAX_DIALLED) return false;
      const between = dialled.length - sets.length;
      if (variable ? between < 1 : between !== 0) return false;
      return (
        head.every((set, index) => set.includes(dialled.charAt(index))) &&
        tail.every((set, index) => set.includes(dialled.charAt(head.length + between + index))) &&
        isDigits(dialled.slice(head.length, head.length + between))
      );
    },
    // The part whose length varies is on one side of the dot only; the other side is counted.
    strip: (dialled) => dialled.slice(variable && at < stripBefore ? dialled.length - behindStrip : stripBefore),
    matching: (length) => {
      const between = length - sets.length;
      if (variable ? between < 1 : between !== 0) return 0n;
      return fixedChoices * 10n ** BigInt(between);
    },
  };
}

function isDigits(text: string): boolean {
  for (const character of text) if (!DIGITS.includes(character)) return false;
  return true;
}

/** Patterns with what they lead to, found by dialled digits. */
export class PatternIndex<T> {
  private readonly exact = new Map<string, Indexed<T>[]>();
  private readonly byFirst = new Map<string, Indexed<T>[]>();

  constructor(entries: Iterable<{ readonly pattern: CompiledPattern; readonly value: T }>) {
    let order = 0;
    for (const { pattern, value } of entries) {
      const indexed = { pattern, value, order: order++ };
      if (pattern.exact !== undefined) append(this.exact, pattern.exact, indexed);
      else for (const character of pattern.first) append(this.byFirst, character, indexed);
    }
  }

  /**
   * Every pattern that matches, best first. The closest match is the pattern that matches the fewest strings of the
   * dialled length; of equal ones that of fixed length, then the one that was given first.
   */
  candidates(dialled: string): { readonly pattern: CompiledPattern; readonly value: T }[] {
    if (dialled.length === 0 || dialled.length > MAX_DIALLED) return [];
    const found = (this.byFirst.get(dialled.charAt(0)) ?? []).filter(({ pattern }) => pattern.matches(dialled));
    return [...(this.exact.get(dialled) ?? []), ...found].sort((a, b) => compare(a, b, dialled.length));
  }
}

interface Indexed<T> {
  readonly pattern: CompiledPattern;
  readonly value: T;
  readonly order: number;
}

function compare(a: Indexed<unknown>, b: Indexed<unknown>, length: number): number {
  const difference = a.pattern.matching(length) - b.pattern.matching(length);
  if (difference !== 0n) return difference < 0n ? -1 : 1;
  return Number(a.pattern.variable) - Number(b.pattern.variable) || a.order - b.order;
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const held = map.get(key);
  if (held === undefined) map.set(key, [value]);
  else held.push(value);
}
