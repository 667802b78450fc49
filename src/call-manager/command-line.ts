/** The command line is wrong; the usage is shown. */
export class UsageError extends Error {}

/** Reads `--name value` for exactly these names, all of them required. */
export function readOptions<Name extends string>(
  argv: readonly string[],
  names: readonly Name[],
): Record<Name, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < argv.length; i += 2) {
    const [key, value] = [argv[i] ?? '', argv[i + 1]];
    const name = key.slice(2);
    if (!key.startsWith('--') || !names.some((known) => known === name))
      throw new UsageError(`unknown option "${key}"`);
    if (value === undefined) throw new UsageError(`${key} needs a value`);
    if (found.has(name)) throw new UsageError(`${key} is given twice`);
    found.set(name, value);
  }
  const missing = names.filter((name) => !found.has(name));
  if (missing.length > 0) throw new UsageError(`missing: ${missing.map((name) => `--${name}`).join(' ')}`);
  return Object.fromEntries(found) as Record<Name, string>;
}
