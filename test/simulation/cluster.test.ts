import { QUIET_MS, Scenario } from './scenario';

/**
 * Hundreds of short runs, each from a seed. `SIMULATION_SEED=n` repeats one; `SIMULATION_RUNS=n` makes more of them,
 * `SIMULATION_FIRST=n` says where they begin.
 */
const onlySeed = process.env['SIMULATION_SEED'];
const runs = onlySeed === undefined ? Number(process.env['SIMULATION_RUNS'] ?? '500') : 1;
const first = Number(onlySeed ?? process.env['SIMULATION_FIRST'] ?? '1');

/** What must have happened in the runs together, else they prove little. */
const EVERYTHING = [
  'put',
  'delete',
  'purge',
  'own-moved',
  'bus-lost',
  'bus-back',
  'peer-online',
  'peer-offline silent',
  'peer-offline goodbye',
  'peer-offline restarted',
  'fatal',
  'report paused',
  'report digest-differs',
  'report clock-ahead',
  'report stamp-ahead',
  'fault corrupted',
  'fault clock set',
  'fault twin',
  'fault hung SIP server',
  'fault late request',
  'fault old journal',
  'fault lost journal',
  'fault power',
  'fault restart in the time of confirmation',
  'own-back',
  'own-gone',
  'gone',
  'common',
  'reconcile',
];

describe('claim R18: tables become consistent in the end whatever is lost, late, doubled, reordered, cut off, paused or corrupted', () => {
  it(`in ${runs} seeded runs: ${QUIET_MS} ms after the last fault every table is the union of the live nodes' own entries, no deleted entry comes back, no live device is missing for longer than 2 periods and 2 round trips after the last loss`, () => {
    const seen = new Set<string>();
    const began = Date.now();
    let longest = 0;
    for (let seed = first; seed < first + runs; seed++) {
      const outcome = new Scenario(seed).run();
      if (outcome.wrong.length > 0)
        throw new Error(`SIMULATION_SEED=${seed} fails:\n${outcome.wrong.slice(0, 10).join('\n')}`);
      for (const kind of outcome.seen) seen.add(kind);
      longest = Math.max(longest, outcome.longestMissingMs);
    }
    process.stdout.write(
      `simulation: seeds ${first} to ${first + runs - 1} hold, ${((Date.now() - began) / runs).toFixed(1)} ms each; longest time missing after a loss ${longest} ms\n`,
    );
    if (onlySeed === undefined) expect([...seen]).toEqual(expect.arrayContaining(EVERYTHING));
  }, 3_600_000);
});
