import { compareStamps } from '../../src/process/hlc';
import { NOBODY } from '../../src/registration/entry';
import type { SimulatedNode } from './simulated-node';

/** What holds of settings, watches and line states when all is quiet; broken invariants, in words. */
export function wrongLines(running: readonly SimulatedNode[], lines: readonly string[]): string[] {
  return [...settings(running), ...watches(running), ...states(running, lines)];
}

/** Every node has the same, and what stood on the disk of any of them or newer. */
function settings(running: readonly SimulatedNode[]): string[] {
  const wrong: string[] = [];
  const [first, ...others] = running;
  const textOf = ({ lines }: SimulatedNode): string =>
    Array.from(lines.entries.of(NOBODY), ({ key, body, stamp }) => `${key}=${body}@${stamp.ms}.${stamp.counter}`)
      .sort()
      .join(' ');
  for (const other of others)
    if (first !== undefined && textOf(first) !== textOf(other))
      wrong.push(`settings differ: node ${first.number} has ${textOf(first)}, node ${other.number} ${textOf(other)}`);
  for (const node of running)
    for (const { key, stamp } of node.lines.found) {
      const entry = node.lines.entries.get(NOBODY, key);
      if (entry === undefined || compareStamps(entry.stamp, stamp) < 0)
        wrong.push(`setting lost: ${key} stood on the disk of node ${node.number}`);
    }
  return wrong;
}

/** A node is said to look at what somebody there looks at, and at nothing else. */
function watches(running: readonly SimulatedNode[]): string[] {
  const wrong: string[] = [];
  for (const viewer of running)
    for (const owner of running) {
      const watched = [...owner.lines.watching.keys()].map((line) => `watch/${line}`).sort();
      const known = Array.from(viewer.lines.entries.of(owner.number), ({ key }) => key)
        .filter((key) => key.startsWith('watch/'))
        .sort();
      const [lacking, extra] = [
        watched.filter((key) => !known.includes(key)),
        known.filter((key) => !watched.includes(key)),
      ];
      if (lacking.length > 0)
        wrong.push(`watch missing: ${lacking.join(' ')} of node ${owner.number} at node ${viewer.number}`);
      if (extra.length > 0 && viewer !== owner)
        wrong.push(`watch for nobody: ${extra.join(' ')} of node ${owner.number} at node ${viewer.number}`);
    }
  return wrong;
}

/** Who looks at a line sees what each live node with a device of it has, and nobody else's. */
function states(running: readonly SimulatedNode[], lines: readonly string[]): string[] {
  const wrong: string[] = [];
  const live = new Set(running.map(({ number }) => number));
  for (const viewer of running) {
    for (const { owner, key } of viewer.lines.entries.all())
      if (owner !== NOBODY && !live.has(owner))
        wrong.push(`of a dead node: ${key} of node ${owner} at node ${viewer.number}`);
    for (const line of viewer.lines.watching.keys()) {
      const seen = viewer.lines.seen(line);
      for (const owner of running) {
        const expected = owner.lines.has(line) ? JSON.stringify(owner.lines.calls.get(line) ?? []) : undefined;
        const actual = seen.get(owner.number);
        if (expected !== actual)
          wrong.push(
            `line state wrong: ${line} of node ${owner.number} at ${viewer.number}: ${actual}, not ${expected}`,
          );
      }
    }
  }
  for (const owner of running)
    for (const line of lines) {
      const watched = running.some((node) => node !== owner && node.lines.watching.has(line));
      const told = owner.lines.entries.get(owner.number, `line-state/${line}`) !== undefined;
      if (told && !watched) wrong.push(`told to nobody: ${line} by node ${owner.number}`);
    }
  return wrong;
}
