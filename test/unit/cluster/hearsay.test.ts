import type { Effect } from '../../../src/cluster/protocol/effects';
import { KEPT_MS } from '../../../src/cluster/protocol/ownership';
import { type DeletionReason, DELETION_REASONS } from '../../../src/registration/record';
import { type Disk, EMPTY_DISK } from '../../simulation/simulated-disk';
import type { SimulatedNode } from '../../simulation/simulated-node';
import { World } from '../../simulation/world';

function started(): { world: World; one: SimulatedNode; two: SimulatedNode } {
  const world = new World(1);
  for (const number of [1, 2, 3]) world.start(number);
  world.runFor(2_000);
  return { world, one: world.node(1), two: world.node(2) };
}

function keysOf(node: SimulatedNode): string[] {
  return Array.from(node.composite.of(node.number), ({ key }) => key);
}

function count(node: SimulatedNode, type: Effect['type']): number {
  return node.events.filter((effect) => effect.type === type).length;
}

function restartAll(world: World, diskOf: (node: SimulatedNode) => Disk): void {
  world.runFor(100);
  for (const number of [1, 2, 3]) world.start(number, 0, diskOf(world.node(number)));
}

describe('claim R12: what another node says of a device is hearsay: a binding that has moved is kept until its new entry has stood', () => {
  /** Whether the device is at node 1 again when its newer entry at node 2 ends for this reason. */
  const outcomes: Readonly<Record<DeletionReason, boolean>> = {
    unreachable: true,
    expired: true,
    stopped: true,
    unregistered: false,
    replaced: false,
    // To a node of which nobody has heard anything.
    moved: true,
  };

  it.each(DELETION_REASONS)('the newer entry ends soon, %s', (reason) => {
    const { world, one, two } = started();
    one.register('1000');
    world.runFor(100);
    two.register('1000');
    world.runFor(100);
    expect(keysOf(one)).toEqual([]);
    two.unregister('1000', reason);
    world.runFor(2_500);
    expect(keysOf(one)).toEqual(outcomes[reason] ? ['1000'] : []);
    for (const number of [1, 2, 3])
      expect(world.node(number).composite.get(1, '1000') !== undefined).toBe(outcomes[reason]);
  });

  it('its node is lost: the same, and when it is heard again with its entry, that is the newer one', () => {
    const { world, one, two } = started();
    one.register('1000');
    world.runFor(100);
    two.register('1000');
    world.runFor(100);
    two.mute = true;
    world.runFor(5_000);
    expect(keysOf(one)).toEqual(['1000']);
    two.mute = false;
    world.runFor(3_000);
    expect(keysOf(one)).toEqual([]);
    expect(keysOf(two)).toEqual(['1000']);
  });

  it('it has stood for a minute: nothing comes back, and nothing is kept', () => {
    const { world, one, two } = started();
    one.register('1000');
    world.runFor(100);
    two.register('1000');
    world.runFor(KEPT_MS + 200);
    expect(count(one, 'own-settled')).toBe(1);
    two.unregister('1000', 'unreachable');
    world.runFor(3_000);
    expect(keysOf(one)).toEqual([]);
  });

  it('a third node has a newer one still: nothing comes back', () => {
    const { world, one, two } = started();
    for (const node of [one, two, world.node(3)]) {
      node.register('1000');
      world.runFor(100);
    }
    world.node(2).unregister('1000', 'unreachable');
    world.runFor(3_000);
    expect(keysOf(one)).toEqual([]);
    expect(keysOf(world.node(3))).toEqual(['1000']);
  });
});

describe('claim R6: an entry that is older than its own deletion is not believed', () => {
  it('a phone leaves at a node that has never heard of its registration: it stays away when the nodes hear each other', () => {
    const { world, one, two } = started();
    world.sides = new Map([[2, 1]]);
    world.runFor(5_000);
    one.register('1000');
    world.runFor(1_000);
    two.takeLeave('1000');
    world.sides = new Map();
    world.runFor(4_000);
    expect(keysOf(one)).toEqual([]);
    expect(world.differences()).toEqual([]);
  });

  it('one that has registered since stands', () => {
    const { world, one, two } = started();
    world.sides = new Map([[2, 1]]);
    world.runFor(5_000);
    two.takeLeave('1000');
    world.runFor(1_000);
    one.register('1000');
    world.sides = new Map();
    world.runFor(4_000);
    expect(keysOf(one)).toEqual(['1000']);
  });

  it.each(['unregistered', 'unreachable', 'expired', 'replaced'] as const)(
    'a node restores from an old journal what it has deleted, %s',
    (reason) => {
      const { world, one } = started();
      const record = one.register('1000');
      if (record === undefined) throw new Error('not registered');
      world.runFor(100);
      one.unregister('1000', reason);
      world.runFor(100);
      one.crash();
      world.runFor(100);
      const again = world.start(1, 0, { ...EMPTY_DISK, bindings: [record] });
      world.runFor(4_000);
      expect(keysOf(again)).toEqual([]);
      expect(world.differences()).toEqual([]);
    },
  );

  it('a node restores what it had when it stopped', () => {
    const { world, one } = started();
    const record = one.register('1000');
    if (record === undefined) throw new Error('not registered');
    world.runFor(100);
    one.unregister('1000', 'stopped');
    one.leave();
    world.runFor(100);
    const again = world.start(1, 0, { ...EMPTY_DISK, bindings: [record] });
    world.runFor(4_000);
    expect(keysOf(again)).toEqual(['1000']);
  });

  it.each(['at the node that has it', 'at another one, as that is down'] as const)(
    'a phone leaves %s, and all nodes are killed and started again: it stays away',
    (where) => {
      const { world, one, two } = started();
      one.register('1000');
      one.register('1001');
      const before = one.disk.bindings;
      world.runFor(1_000);
      if (where === 'at the node that has it') {
        one.unregister('1000');
        world.runFor(100);
        // The disk of that node is set back.
        for (const node of world.running) node.crash();
        restartAll(world, (node) => (node === one ? { ...node.disk, bindings: before } : node.disk));
      } else {
        one.crash();
        world.runFor(100);
        two.takeLeave('1000');
        world.runFor(100);
        for (const node of world.running) node.crash();
        restartAll(world, (node) => node.disk);
      }
      world.runFor(4_000);
      expect(keysOf(world.node(1))).toEqual(['1001']);
      expect(world.differences()).toEqual([]);
    },
  );

  it('one whose stamp lies far ahead tells nothing: who registers after it is not taken for dead', () => {
    const { world, one, two } = started();
    two.skewMs = 7_200_000;
    two.register('1000');
    world.runFor(1_000);
    two.unregister('1000');
    world.runFor(1_000);
    one.register('1000');
    world.runFor(4_000);
    expect(keysOf(one)).toEqual(['1000']);
    // Nor at the node itself, when its clock is right again.
    two.skewMs = 0;
    two.register('1000');
    world.runFor(4_000);
    expect(keysOf(two)).toEqual(['1000']);
    expect(world.differences()).toEqual([]);
  });
});
