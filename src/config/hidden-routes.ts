import type { CheckedSections } from './cross-references';
import { parsePattern, type ParsedPattern } from './pattern-syntax';
import type { Source } from './source';

/** A pattern of so few numbers means each of them: 112, 911, 9.911. */
const FEW = 10;

/**
 * A number or a username of ours goes before every pattern: a pattern for a few numbers, for example of an emergency service, would
 * not be reached by dialling those that are a line as well.
 */
export function checkHiddenRoutes(source: Source, sections: CheckedSections): void {
  const owners = new Map<string, string>();
  for (const { value } of sections.devices) {
    for (const number of value.lines) owners.set(number, `a line of ${value.name}`);
    if (!owners.has(value.username)) owners.set(value.username, `the username of ${value.name}`);
  }
  for (const { value } of sections.conferences) owners.set(value.number, `the conference ${value.name}`);
  for (const slot of sections.park?.slots ?? []) owners.set(slot, 'a park slot');
  for (const { path, value } of sections.routes) {
    const result = parsePattern(value.pattern);
    for (const number of result.ok ? fewNumbers(result.pattern) : []) {
      const owner = owners.get(number);
      if (owner === undefined) continue;
      const at = [...path, 'pattern'];
      source.problem(at, `${number} is ${owner}, which goes first: this route is not used for it`);
    }
  }
}

/** The numbers that a pattern matches; empty when they are many. */
function fewNumbers({ elements }: ParsedPattern): readonly string[] {
  let numbers = [''];
  for (const element of elements) {
    if (element.type === 'some' || numbers.length * element.of.length > FEW) return [];
    numbers = numbers.flatMap((number) => Array.from(element.of, (digit) => number + digit));
  }
  return numbers;
}
