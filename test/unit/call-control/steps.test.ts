import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { EXCHANGE_STEPS } from '../../../src/call-control/bridge/exchange-state';
import { MUSIC_STEPS } from '../../../src/call-control/bridge/music';
import { PATH_STEPS } from '../../../src/call-control/bridge/path';
import { LEG_STEPS } from '../../../src/call-control/core/leg';
import { TRANSFER_STEPS } from '../../../src/call-control/features/transfer-state';
import { follow, type StepTable } from '../../../src/call-control/core/steps';
import { PLAN_STEPS } from '../../../src/call-control/ringing/advance';
import { SURVIVAL_STEPS } from '../../../src/call-control/survival/survival-state';

const architecture = readFileSync(resolve(__dirname, '../../../ARCHITECTURE.md'), 'utf8');

interface Machine {
  readonly name: string;
  /** Where it begins. */
  readonly first: readonly string[];
  readonly table: Readonly<Record<string, readonly string[]>>;
}

const machine = <Step extends string>(
  name: string,
  first: Step | readonly Step[],
  table: StepTable<Step>,
): Machine => ({ name, first: typeof first === 'string' ? [first] : first, table });

const machines = [
  machine('path', 'direct', PATH_STEPS),
  machine('exchange', 'none', EXCHANGE_STEPS),
  machine('music', 'none', MUSIC_STEPS),
  machine('plan', 'planned', PLAN_STEPS),
  machine('transfer', 'none', TRANSFER_STEPS),
  machine('survival', 'none', SURVIVAL_STEPS),
  machine('leg', ['calling', 'offered'], LEG_STEPS),
];

/** The table that begins with `| step of the NAME | followed by |`. */
function printed(name: string): Record<string, readonly string[]> {
  const [, rest = ''] = architecture.split(new RegExp(`^\\| step of the ${name} +\\| followed by +\\|$`, 'm'));
  const rows = rest.split('\n').slice(2);
  const end = rows.findIndex((row) => !row.startsWith('|'));
  return Object.fromEntries(
    rows.slice(0, end).map((row) => {
      const [from = '', to = ''] = row
        .split('|')
        .slice(1)
        .map((cell) => cell.trim());
      return [from, to === 'nothing' ? [] : to.split(', ')];
    }),
  );
}

describe.each(machines)('the steps of the $name', ({ name, first, table }) => {
  const steps = Object.keys(table);

  it('are printed in ARCHITECTURE.md', () => expect(printed(name)).toEqual(table));

  it('may follow each other as the table says, for every pair', () => {
    for (const from of steps)
      for (const to of steps) {
        const move = (): void => follow(table, name, from, to);
        if (from === to || table[from]?.includes(to) === true) expect(move).not.toThrow();
        else expect(move).toThrow(`${name}: ${to} cannot follow ${from}`);
      }
  });

  it('are all reached, and all lead back or to the end', () => {
    const reachable = (begin: readonly string[]): Set<string> => {
      const found = new Set(begin);
      for (const step of found) for (const next of table[step] ?? []) found.add(next);
      return found;
    };
    expect([...reachable(first)].sort()).toEqual([...steps].sort());
    const ends = steps.filter((step) => table[step]?.length === 0);
    for (const step of steps)
      expect([...reachable([step])].some((found) => ends.includes(found) || first.includes(found))).toBe(true);
  });
});
