import type { Change, ProtocolMessage } from '../../../src/cluster/protocol/messages';
import { RecentChanges } from '../../../src/cluster/protocol/recent-changes';
import { DROPPED_AT_ONCE, MAX_PART_BYTES, MAX_REMEMBERED_CHANGES } from '../../../src/cluster/protocol/timing';
import { World } from '../../simulation/world';

function deletion(key: string): Change {
  return { op: 'delete', key, reason: 'unregistered' };
}

/** `batches` of so many changes each; the change with sequence n has the key n. */
function remembered(batches: number, size: number, bytes = 100): RecentChanges {
  const recent = new RecentChanges();
  for (let batch = 0; batch < batches; batch++) {
    const first = batch * size + 1;
    recent.add({ first, changes: Array.from({ length: size }, (_, index) => deletion(String(first + index))) }, bytes);
  }
  return recent;
}

describe('the changes that a node remembers', () => {
  test('are all that came after a sequence, in order, in parts that fit into a message', () => {
    const parts = remembered(1_000, 3, 500).after(1_000) ?? [];
    let next = parts[0]?.first ?? 0;
    expect(next).toBeLessThanOrEqual(1_001);
    for (const { first, changes } of parts) {
      expect(first).toBe(next);
      expect((changes.length / 3) * 500).toBeLessThanOrEqual(MAX_PART_BYTES);
      for (const change of changes) expect(change).toEqual(deletion(String(next++)));
    }
    expect(next).toBe(3_001);
  });

  test('are forgotten, the oldest first, when there are many', () => {
    const recent = remembered(MAX_REMEMBERED_CHANGES, 2);
    expect(recent.after(MAX_REMEMBERED_CHANGES - 2)).toBeUndefined();
    expect(recent.after(MAX_REMEMBERED_CHANGES)?.[0]?.first).toBe(MAX_REMEMBERED_CHANGES + 1);
    expect(recent.after(2 * MAX_REMEMBERED_CHANGES)).toEqual([]);
  });

  test('are none at the beginning', () => {
    expect(new RecentChanges().after(0)).toBeUndefined();
  });
});

describe('claim R18: who has missed changes', () => {
  /** Node 1 has many entries and makes so many changes that node 2 does not hear. */
  function missed(changes: number): { readonly world: World; readonly heard: ProtocolMessage[] } {
    const world = new World(1);
    const [owner] = [world.start(1), world.start(2)];
    world.runFor(1_500);
    for (let index = 0; index < 300; index++) owner.register(`many-${index}`, 900);
    world.runFor(100);
    world.intercept = (_from, _to, message) => message.type === 'deltas';
    for (let change = 0; change < changes; change++) {
      owner.refresh(`many-${change % 300}`);
      if (change % 100 === 0) world.runFor(6);
    }
    world.runFor(6);
    const heard: ProtocolMessage[] = [];
    world.intercept = (_from, to, message) => {
      if (to === 2) heard.push(message);
      return false;
    };
    owner.register('1000');
    world.runFor(20);
    return { world, heard };
  }

  test('gets them again, and not a snapshot of everything', () => {
    const { world, heard } = missed(500);
    expect(new Set(heard.map((message) => message.type))).toEqual(new Set(['deltas']));
    expect(world.node(2).composite.get(1, '1000')).toBeDefined();
    world.runFor(1_500);
    expect(world.differences()).toEqual([]);
  });

  test('gets a snapshot when they are forgotten', () => {
    const { world, heard } = missed(MAX_REMEMBERED_CHANGES + 200);
    expect(heard.map((message) => message.type)).toContain('chunk');
    world.runFor(1_500);
    expect(world.differences()).toEqual([]);
  });

  test('drops what a snapshot does not have in several turns, and meanwhile loses no change', () => {
    const world = new World(1);
    const [owner] = [world.start(1), world.start(2)];
    world.runFor(1_500);
    const gone = DROPPED_AT_ONCE + 1_000;
    for (let index = 0; index < gone + 10; index++) {
      owner.register(`many-${index}`, 900);
      if (index % 1_000 === 0) world.runFor(6);
    }
    world.runFor(1_500);
    expect(world.node(2).composite.count(1)).toBe(gone + 10);
    const { intercept } = world;
    world.intercept = (_from, _to, message) => message.type === 'deltas';
    for (let index = 0; index < gone; index++) owner.unregister(`many-${index}`, 'unregistered');
    world.runFor(100);
    world.intercept = intercept;
    const left = () => world.node(2).composite.count(1);
    for (let waited = 0; left() === gone + 10 && waited < 5_000; waited += 5) world.runFor(5);
    expect(left()).toBe(1_010);
    owner.register('1000');
    owner.refresh(`many-${gone}`);
    world.runFor(2_500);
    expect(left()).toBe(11);
    expect(world.differences()).toEqual([]);
  });
});
