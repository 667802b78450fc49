import type { CheckedSections } from './cross-references';
import {
  FEATURE_NAMES,
  type FeatureCodes,
  featureCodesOf,
  type FeatureName,
  FEATURES,
  readFeature,
} from './feature-codes';
import { knownLines } from './numbers';
import { parsePattern, type PatternElement, type VariableElement } from './pattern-syntax';
import type { Source } from './source';

type Follows = (typeof FEATURES)[FeatureName]['follows'];

/** Nothing that can be dialled today is hidden by a code, and none means two things. */
export function checkFeatureCodes(
  source: Source,
  raw: Record<string, unknown>,
  sections: CheckedSections,
  codes: FeatureCodes,
): void {
  const named = new Set(Object.keys(raw.featureCodes ?? {}));
  /** The place in the file: that of the code, or of what there is no room for. */
  const tell = (feature: FeatureName, at: readonly (string | number)[], what: string): void => {
    const says = `${codes[feature]} is the feature code of ${feature}`;
    if (named.has(feature)) source.problem(['featureCodes', feature], `${codes[feature]} is taken: ${what}`);
    else source.problem(at, `${says}: set another one in featureCodes, or "${feature}: false"`);
  };
  checkEachOther(source, codes, named);
  checkSlots(source, raw, sections);
  const numbers = numbersOf(raw, sections);
  for (const feature of FEATURE_NAMES) {
    for (const { number, path, what } of numbers)
      if (readFeature({ ...NO_CODES, [feature]: codes[feature] }, number) !== undefined)
        tell(feature, path, `${number} is ${what}`);
    for (const { path, value } of sections.routes) {
      const result = parsePattern(value.pattern);
      if (result.ok && meets(result.pattern.elements, codes[feature], FEATURES[feature].follows))
        tell(feature, [...path, 'pattern'], `the route pattern ${value.pattern} matches it`);
    }
  }
}

const NO_CODES: FeatureCodes = featureCodesOf(Object.fromEntries(FEATURE_NAMES.map((feature) => [feature, false])));

function checkEachOther(source: Source, codes: FeatureCodes, named: ReadonlySet<string>): void {
  for (const [index, feature] of FEATURE_NAMES.entries())
    for (const other of FEATURE_NAMES.slice(0, index)) {
      if (!areAlike(feature, codes[feature], other, codes[other])) continue;
      const [at, than] = named.has(feature) ? [feature, other] : [other, feature];
      source.problem(
        ['featureCodes', at],
        `${codes[at]} can be taken for ${codes[than]}, the code of ${than}: no code may begin with another that a number follows`,
      );
    }
}

/** Whether some digits ask for both. */
function areAlike(a: FeatureName, codeA: string | undefined, b: FeatureName, codeB: string | undefined): boolean {
  if (codeA === undefined || codeB === undefined) return false;
  const [short, long] = codeA.length <= codeB.length ? ([a, b] as const) : ([b, a] as const);
  const [shortCode, longCode] = short === a ? [codeA, codeB] : [codeB, codeA];
  if (!longCode.startsWith(shortCode)) return false;
  const [first, second] = [FEATURES[short].follows, FEATURES[long].follows] as readonly Follows[];
  if (shortCode !== longCode) return first !== 'nothing';
  return first === second || first === 'perhaps-a-number' || second === 'perhaps-a-number';
}

interface Dialable {
  readonly number: string;
  readonly path: readonly (string | number)[];
  readonly what: string;
}

/** All that can be dialled and is no pattern. */
function numbersOf(raw: Record<string, unknown>, sections: CheckedSections): readonly Dialable[] {
  const lines = sections.devices.flatMap(({ path, value: { lines: own, username, name } }) => [
    ...own.map((number, index) => ({ number, path: [...path, 'lines', index], what: `a line of ${name}` })),
    { number: username, path: [...path, 'username'], what: `the username of ${name}` },
  ]);
  const listed = new Set(lines.map(({ number }) => number));
  return [
    ...lines,
    ...sections.conferences.map(({ path, value: { number, name } }) => ({
      ...{ number, path: [...path, 'number'], what: `the conference ${name}` },
    })),
    ...(sections.park?.slots ?? []).map((number) => ({ number, path: ['park', 'slots'], what: 'a park slot' })),
    // Those that are not at a device of the file.
    ...[...knownLines(raw, sections)]
      .filter((number) => !listed.has(number))
      .map((number) => ({ number, path: ['autoRegistration', 'numbers'], what: 'a number of autoRegistration' })),
  ];
}

/** A slot is nobody's number, and no route that few numbers have: it goes before every pattern. */
function checkSlots(source: Source, raw: Record<string, unknown>, sections: CheckedSections): void {
  const slots = new Set(sections.park?.slots ?? []);
  for (const { number, path, what } of numbersOf(raw, sections))
    if (slots.has(number) && path[0] !== 'park') source.problem(['park', 'slots'], `${number} is ${what}`);
}

/** Whether some digits match the pattern and ask for the feature. */
function meets(
  elements: readonly (PatternElement | VariableElement)[],
  code: string | undefined,
  follows: Follows,
): boolean {
  if (code === undefined) return false;
  const walk = (at: number, position: number, begun: boolean): boolean => {
    const element = elements[at];
    if (position === code.length) {
      const nothingMore = element === undefined || (begun && at + 1 === elements.length);
      return follows === 'number' ? element !== undefined : follows === 'nothing' ? nothingMore : true;
    }
    if (element === undefined) return false;
    const character = code.charAt(position);
    if (element.type === 'one') return element.of.includes(character) && walk(at + 1, position + 1, false);
    // One or more digits: this one, or what is behind them.
    if (begun && walk(at + 1, position, false)) return true;
    return /\d/.test(character) && walk(at, position + 1, true);
  };
  return walk(0, 0, false);
}
