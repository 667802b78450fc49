import { Members, register, type Traffic } from './members';

const REGISTRATIONS = 1_000;

interface Cost extends Traffic {
  readonly pulls: number;
  /** Entries that each node has in the end, its own among them. */
  readonly known: readonly number[];
}

/** Registrations at 100 a second, spread over so many nodes that know each other: what they cost all of them together. */
async function costOf(nodes: number): Promise<Cost> {
  const members = new Members();
  for (let node = 1; node <= nodes; node++) members.add(node);
  await members.start(...members.all);
  const [before, pullsBefore] = [members.traffic, members.pulls];
  for (let index = 0; index < REGISTRATIONS; index++) {
    const member = members.all[index % nodes];
    if (member !== undefined) register(member, String(10_000 + index));
    await members.run(10);
  }
  await members.run(1_500);
  const after = members.traffic;
  const known = members.all.map(({ composite }) => [...composite.all()].length);
  await members.stop();
  return {
    published: after.published - before.published,
    received: after.received - before.received,
    bytes: after.bytes - before.bytes,
    pulls: members.pulls - pullsBefore,
    known,
  };
}

jest.setTimeout(120_000);

describe('claim R5, procedure A: what a registration costs the cluster', () => {
  test('is linear in the number of nodes and nothing else: one message, which each node hears once, and no pull', async () => {
    for (const nodes of [2, 4, 8]) {
      const cost = await costOf(nodes);
      expect(cost.known).toEqual(new Array(nodes).fill(REGISTRATIONS));
      expect(cost.pulls).toBe(0);
      expect(cost.published).toBe(REGISTRATIONS);
      expect(cost.received).toBe(REGISTRATIONS * nodes);
      const bytesOfEach = cost.bytes / REGISTRATIONS / nodes;
      expect(bytesOfEach).toBeGreaterThan(300);
      expect(bytesOfEach).toBeLessThan(450);
    }
    // On a machine that has other things to do it takes its time.
  }, 120_000);
});
