/** The command line is wrong; the usage is shown. */
export class UsageError extends Error {}

/** Reads `--name value`: all of the `required`, perhaps some of the `optional`, and no others. */
export function readOptions<Name extends string, Optional extends string = never>(
  argv: readonly string[],
  required: readonly Name[],
  optional: readonly Optional[] = [],
): Record<Name, string> & Partial<Record<Optional, string>> {
  const names: readonly string[] = [...required, ...optional];
  const found = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 2) {
    const [key, value] = [argv[i] ?? '', argv[i + 1]];
    const name = key.slice(2);
    if (!key.startsWith('--') || !names.includes(name)) throw new UsageError(`unknown option "${key}"`);
    if (value === undefined) throw new UsageError(`${key} needs a value`);
    if (found.has(name)) throw new UsageError(`${key} is given twice`);
    found.set(name, value);
  }
  const missing = required.filter((name) => !found.has(name));
  if (missing.length > 0) throw new UsageError(`missing: ${missing.map((name) => `--${name}`).join(' ')}`);
  return Object.fromEntries(found) as Record<Name, string> & Partial<Record<Optional, string>>;
}
