import type { SimulatedNode } from './simulated-node';
import { NO_FAULTS, World } from './world';

/**
 * Hundreds of short runs, each from a seed. `SIMULATION_SEED=n` repeats one, `SIMULATION_RUNS=n` makes more of them.
 */
const onlySeed = process.env['SIMULATION_SEED'];
const runs = Number(process.env['SIMULATION_RUNS'] ?? '300');
const seeds = onlySeed === undefined ? Array.from({ length: runs }, (_, index) => index + 1) : [Number(onlySeed)];

const KEYS = 24;
const STEPS = 60;
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
  'report paused',
];
/** Long enough for a node to be found dead, a bus to be found alive, and a pull that failed to be tried again. */
const QUIET_MS = 15_000;

function begin(seed: number): World {
  const world = new World(seed);
  const { random } = world;
  const nodes = 2 + random.below(4);
  for (let number = 1; number <= nodes; number++) world.start(number, random.below(4_000) - 2_000);
  world.runFor(600 + random.below(1_000));
  world.faults = random.chance(0.2)
    ? NO_FAULTS
    : { drop: random.next() * 0.3, duplicate: random.next() * 0.2, delayMs: 1 + random.below(400) };
  return world;
}

/** Something happens: to a registration most of the time, else to a node or to the bus. */
function step(world: World, size: number): void {
  const { random } = world;
  const numbers = [...world.nodes.keys()];
  const number = random.pick(numbers) ?? 1;
  const node = world.node(number);
  const key = String(1000 + random.below(KEYS));
  const own = random.pick(node.keys()) ?? key;
  const dice = random.below(100);
  if (dice < 40) node.register(key, size);
  else if (dice < 52) node.refresh(own);
  else if (dice < 70) node.unregister(own);
  else if (dice < 74) node.refute(random.pick(numbers) ?? 1);
  else if (dice < 78) node.crash();
  else if (dice < 80) node.leave();
  else if (dice < 88) restart(world, number);
  else if (dice < 91) world.sides = new Map(numbers.map((other) => [other, random.below(2)]));
  else if (dice < 94) world.sides = new Map();
  else if (dice < 96) world.busUp = !world.busUp;
  else if (dice < 98) node.pause(1_000 + random.below(8_000), random.chance(0.5));
}

function restart(world: World, number: number): void {
  const before = world.node(number);
  if (before.running) return;
  const journal = world.random.chance(0.5) ? [...before.composite.of(number)] : [];
  world.start(number, world.random.below(4_000) - 2_000, journal);
}

/** So many entries that a snapshot takes several chunks. */
function fill(node: SimulatedNode, size: number): void {
  for (let index = 0; index < 100; index++) node.register(`${node.number}${1000 + index}`, size);
}

function calm(world: World): void {
  world.faults = NO_FAULTS;
  world.sides = new Map();
  world.busUp = true;
  world.runFor(QUIET_MS);
}

function run(seed: number): { readonly wrong: string[]; readonly seen: ReadonlySet<string> } {
  const world = begin(seed);
  const size = world.random.chance(0.2) ? 900 : 0;
  if (size > 0) for (const node of world.running) fill(node, size);
  const steps = 20 + world.random.below(STEPS);
  for (let done = 0; done < steps; done++) {
    step(world, size);
    world.runFor(world.random.chance(0.1) ? world.random.below(4_000) : world.random.below(150));
  }
  calm(world);
  return { wrong: world.differences(), seen: world.seen };
}

describe('claim R18: tables become consistent in the end whatever is lost, late, doubled, reordered or cut off', () => {
  it(`in ${seeds.length} seeded runs, every table is the union of the live nodes' own entries, and no deleted entry comes back`, () => {
    const seen = new Set<string>();
    for (const seed of seeds) {
      const result = run(seed);
      if (result.wrong.length > 0)
        throw new Error(`SIMULATION_SEED=${seed} fails:\n${result.wrong.slice(0, 10).join('\n')}`);
      for (const kind of result.seen) seen.add(kind);
    }
    if (onlySeed === undefined) expect([...seen]).toEqual(expect.arrayContaining(EVERYTHING));
  }, 120_000);
});
