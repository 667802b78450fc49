import type { CheckedSections } from './cross-references';
import { suggestion } from './problem';
import { checkUnique, isTable } from './sections';
import type { Source } from './source';

/** The lines that there are, also those of devices that have other problems, so that these cause no second report elsewhere. */
export function knownLines(raw: Record<string, unknown>, sections: CheckedSections): ReadonlySet<string> {
  const devices: unknown[] = Array.isArray(raw.devices) ? raw.devices : [];
  const lines = devices.flatMap((device): unknown[] =>
    isTable(device) && Array.isArray(device.lines) ? device.lines : [],
  );
  const given = sections.autoRegistration?.numbers ?? [];
  return new Set([...lines.filter((line) => typeof line === 'string'), ...given]);
}

/** A number of its own is a line of somebody, once, and can reach the limits that it is given. */
export function checkNumbers(source: Source, raw: Record<string, unknown>, sections: CheckedSections): void {
  const known = knownLines(raw, sections);
  const numbers = sections.numbers.map(({ path, value }) => ({ path: [...path, 'number'], value: value.number }));
  checkUnique(source, numbers, 'number');
  for (const { path, value } of numbers)
    if (!known.has(value))
      source.problem(path, `no device has the line ${source.shown(path, value)}${suggestion(value, known)}`);
  for (const { path, value } of sections.numbers) {
    const { busyTrigger, maxCalls } = value;
    if (busyTrigger !== undefined && maxCalls !== undefined && busyTrigger > maxCalls)
      source.problem([...path, 'busyTrigger'], `must not be more than maxCalls (${maxCalls})`);
  }
  checkPickupGroups(source, sections);
}

/** A group of one line is a name that was misspelt, or of no use. */
function checkPickupGroups(source: Source, { numbers }: CheckedSections): void {
  const groups = numbers.map(({ value }) => value.pickupGroup);
  for (const { path, value } of numbers) {
    const { pickupGroup } = value;
    if (pickupGroup === undefined || groups.filter((group) => group === pickupGroup).length > 1) continue;
    const others = new Set(groups.filter((group) => group !== undefined && group !== pickupGroup).map(String));
    const at = [...path, 'pickupGroup'];
    source.warning(
      at,
      `no other line is in the group ${source.shown(at, pickupGroup)}${suggestion(pickupGroup, others)}`,
    );
  }
}
