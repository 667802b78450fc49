import { World } from '../../simulation/world';

/** The bus is out; another process with the number of node 1 starts; each has what is said; the bus is back. */
function meet(first: { phones: number; calls: number }, second: { phones: number; calls: number }) {
  const world = new World(3);
  for (const number of [1, 2]) world.start(number);
  world.runFor(2_000);
  const original = world.node(1);
  original.calls = first.calls;
  for (let phone = 0; phone < first.phones; phone++) original.register(`a${phone}`);
  world.runFor(500);
  world.busUp = false;
  const twin = world.start(1);
  world.runFor(2_000);
  twin.calls = second.calls;
  for (let phone = 0; phone < second.phones; phone++) twin.register(`b${phone}`);
  world.runFor(4_000);
  world.busUp = true;
  world.runFor(6_000);
  return { world, original, twin };
}

describe('claim R8: two processes run with one number', () => {
  it.each([
    ['the original has phones', { phones: 3, calls: 0 }, { phones: 0, calls: 0 }, 'original'],
    ['the original has calls, the twin more phones', { phones: 1, calls: 1 }, { phones: 5, calls: 0 }, 'original'],
    ['the twin has more phones', { phones: 1, calls: 0 }, { phones: 2, calls: 0 }, 'twin'],
    ['the twin has a call', { phones: 9, calls: 0 }, { phones: 1, calls: 1 }, 'twin'],
    ['nobody has anything', { phones: 0, calls: 0 }, { phones: 0, calls: 0 }, 'twin'],
    ['both have the same', { phones: 2, calls: 1 }, { phones: 2, calls: 1 }, 'twin'],
  ])('%s: the one with more lives, and the others have its entries', (_what, first, second, lives) => {
    const { world, original, twin } = meet(first, second);
    expect([original.running, twin.running]).toEqual(lives === 'original' ? [true, false] : [false, true]);
    const survivor = lives === 'original' ? original : twin;
    expect(Array.from(world.node(2).composite.of(1), ({ key }) => key).sort()).toEqual(
      Array.from(survivor.composite.of(1), ({ key }) => key).sort(),
    );
    expect(world.differences()).toEqual([]);
  });
});
