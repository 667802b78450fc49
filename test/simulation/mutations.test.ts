import { type Mutation, MUTATIONS, UNCHANGED } from './mutation';
import { type Outcome, QUIET_MS, Scenario } from './scenario';
import { World } from './world';

/** So many seeds at most until a run must have failed. */
const MAX_SEEDS = 300;

/** Which invariant is what breaks when this rule is missing. */
const BREAKS: Readonly<Record<string, RegExp>> = {
  'no digest': /^tables differ/,
  'no incarnation': /^tables differ|^two processes run as node/,
  'no order': /^deleted entry came back|^tables differ/,
  'no order, line states': /^line state went back/,
  'no bus-lost rule': /^purged while the bus was lost/,
  'no moved': /^held twice/,
  'no confirmation': /^lost/,
  'no graves, left elsewhere': /^left at another node, and there again/,
  'no graves, old journal': /^left, and restored/,
  'no confirmation on disk': /^lost/,
  'no graves on disk': /^left/,
  'no newest setting': /^an older setting won/,
  'no digest of settings': /^settings differ/,
  'no settings on disk': /^setting lost/,
  'no end with the node': /^of a dead node: line-state/,
  'no end of watches': /^watch for nobody/,
};

function firstFailure(name: string): { readonly seed: number; readonly outcome: Outcome; readonly broken: string } {
  const expected = BREAKS[name];
  for (let seed = 1; seed <= MAX_SEEDS; seed++) {
    const outcome = new Scenario(seed, MUTATIONS[name]).run();
    const broken = outcome.wrong.find((wrong) => expected?.test(wrong) === true);
    if (broken !== undefined) return { seed, outcome, broken };
  }
  throw new Error(`${name}: nothing broke in ${MAX_SEEDS} runs`);
}

describe('claim R18: each rule of the protocol is needed: the simulation fails without it', () => {
  it.each(Object.keys(MUTATIONS))(
    '%s: an invariant breaks, with the same seed again, and does not with the rule in place',
    (name) => {
      const { seed, outcome, broken } = firstFailure(name);
      process.stdout.write(`${name}: seed ${seed}: ${broken.slice(0, 160)}\n`);
      expect(new Scenario(seed, MUTATIONS[name]).run().wrong).toEqual(outcome.wrong);
      expect(new Scenario(seed).run().wrong).toEqual([]);
    },
    120_000,
  );
});

describe('claim R18: an entry of a replica that was altered, lost or invented without a message', () => {
  const after6Periods = (seed: number, mutation: Mutation): { readonly before: string[]; readonly after: string[] } => {
    const world = new World(seed, mutation);
    for (const number of [1, 2, 3]) world.start(number);
    world.runFor(1_000);
    for (const number of [1, 2, 3]) for (const line of ['10', '11']) world.node(number).register(`${number}${line}`);
    world.runFor(2_000);
    expect(world.node(1).corrupt(world.random)).toBe(true);
    const before = world.differences();
    world.runFor(QUIET_MS);
    return { before, after: world.differences() };
  };

  it('is noticed by the digest alone, and mended within 6 poll periods', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { before, after } = after6Periods(seed, UNCHANGED);
      expect(before).toHaveLength(1);
      expect(after).toEqual([]);
    }
  });

  it('stays for ever without the digest', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const { before, after } = after6Periods(seed, MUTATIONS['no digest'] ?? UNCHANGED);
      expect(after).toEqual(before);
    }
  });
});
