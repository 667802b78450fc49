import type { ProtocolMessage } from '../../../src/cluster/protocol/messages';
import { NodeSignature } from '../../../src/sip/node-signature';
import type { SimulatedNode } from '../../simulation/simulated-node';
import { World } from '../../simulation/world';
import { headerReader } from '../sip/support';

/**
 * The example of the description (document 001): the phone with extension 1000 is controlled by node a, which loses it; it
 * registers with node c; node b hears of both, in the wrong order or not at all.
 */
class Example {
  readonly world = new World(1);
  readonly a = this.world.start(1);
  readonly b = this.world.start(2);
  readonly c = this.world.start(3);
  /** The deletion that a told, on its way. */
  readonly late: ProtocolMessage[] = [];

  constructor() {
    this.world.runFor(1_500);
    this.a.register('1000');
    this.world.runFor(50);
    this.world.intercept = (from, _to, message) => {
      if (from !== 1 || message.type !== 'deltas') return false;
      this.late.push(message);
      return true;
    };
    this.a.unregister('1000', 'unreachable');
    this.world.runFor(20);
    this.c.register('1000');
    this.world.runFor(20);
  }

  /** The deletion comes after all. */
  deletionComes(at: SimulatedNode): void {
    for (const message of this.late) at.receive(message);
    this.world.runFor(20);
  }

  /** Which nodes are said to control extension 1000, at this one. */
  holders(at: SimulatedNode): number[] {
    return [1, 2, 3].filter((owner) => at.composite.get(owner, '1000') !== undefined);
  }
}

describe('extension 1000 moves from node a to node c, as in document 001', () => {
  test('claim R11: the late deletion of a is ignored by c, which controls the phone now', () => {
    const example = new Example();
    expect(example.holders(example.c)).toEqual([1, 3]);
    example.deletionComes(example.c);
    expect(example.holders(example.c)).toEqual([3]);
  });

  test('claim R12: b hears of c before the deletion of a: it keeps both entries, and drops the old one when the deletion comes', () => {
    const example = new Example();
    expect(example.holders(example.b)).toEqual([1, 3]);
    const [older, newer] = [example.b.composite.get(1, '1000'), example.b.composite.get(3, '1000')];
    expect(newer?.stamp.ms).toBeGreaterThan(older?.stamp.ms ?? Infinity);
    example.deletionComes(example.b);
    expect(example.holders(example.b)).toEqual([3]);
    expect(example.b.events.at(-1)).toEqual({ type: 'delete', owner: 1, key: '1000', reason: 'unreachable' });
  });

  test('claim R13: the deletion never comes: a answers "not mine", signed, and b repairs its table at once and keeps the entry of c', () => {
    const example = new Example();
    const { world, a, b } = example;
    const sign = (node: number) =>
      new NodeSignature({ secret: 'secret', node, boot: node, now: () => world.agenda.now });
    const stale = b.composite.get(1, '1000');
    if (stale === undefined) throw new Error('b has no stale entry');
    expect(a.composite.get(1, '1000')?.pid).not.toBe(stale.pid);
    const answer = sign(1).notMine('call-1', 2, { pid: stale.pid, boot: stale.boot });
    expect(sign(2).readNotMine(1, 'call-1', headerReader(answer))).toEqual({ pid: stale.pid, boot: stale.boot });
    world.intercept = () => false;
    b.refute(1);
    world.runFor(20);
    expect(example.holders(b)).toEqual([3]);
    world.runFor(20);
    expect(b.protocol?.peer(1)?.digestEqual).toBe(true);
  });

  test('claim R18: no call needs b, the deletion is lost: the next poll shows it', () => {
    const example = new Example();
    example.world.intercept = () => false;
    example.world.runFor(1_700);
    for (const node of [example.a, example.b, example.c]) expect(example.holders(node)).toEqual([3]);
    expect(example.world.differences()).toEqual([]);
  });

  test('claim R12: a has not noticed that it lost the phone: it deletes its entry, reason `moved`, when it hears of c', () => {
    const world = new World(1);
    const [a, b, c] = [world.start(1), world.start(2), world.start(3)];
    world.runFor(1_500);
    a.register('1000');
    world.runFor(50);
    c.register('1000');
    world.runFor(50);
    expect(b.events).toContainEqual({ type: 'delete', owner: 1, key: '1000', reason: 'moved' });
    for (const node of [a, b, c]) expect([...node.composite.all()].map(({ owner }) => owner)).toEqual([3]);
  });

  test('claim R12: two phones with the number 1000 ring in parallel, wherever they are: neither supersedes the other', () => {
    const world = new World(1);
    const [a, b, c] = [world.start(1), world.start(2), world.start(3)];
    world.runFor(1_500);
    a.register('desk', 0, '1000');
    c.register('mobile', 0, '1000');
    world.runFor(3_000);
    for (const node of [a, b, c])
      expect([...node.composite.all()].map(({ owner, record }) => [owner, record.key, ...record.lines]).sort()).toEqual(
        [
          [1, 'desk', '1000'],
          [3, 'mobile', '1000'],
        ],
      );
  });
});

describe('claim R7: a device that does not answer any more', () => {
  test('is deleted once, with its reason, and nothing that comes late, twice or in a snapshot brings it back', () => {
    const world = new World(1);
    const [a, b] = [world.start(1), world.start(2)];
    world.runFor(1_500);
    const heard: ProtocolMessage[] = [];
    world.intercept = (from, _to, message) => {
      if (from === 1) heard.push(message);
      return false;
    };
    a.register('1000');
    a.register('1001');
    world.runFor(50);
    b.corrupt(world.random);
    world.runFor(2_000);
    expect(heard.map((message) => message.type)).toContain('chunk');
    a.unregister('1000', 'unreachable');
    world.runFor(50);
    for (const message of [...heard, ...heard.reverse()]) b.receive(message);
    world.runFor(3_000);
    expect(Array.from(b.composite.of(1), ({ key }) => key)).toEqual(['1001']);
    const deletions = b.events.filter((event) => event.type === 'delete' && event.key === '1000');
    expect(deletions).toEqual([{ type: 'delete', owner: 1, key: '1000', reason: 'unreachable' }]);
    expect(world.differences()).toEqual([]);
  });
});

describe('claim R10: messages go straight', () => {
  test('from the node that controls a device to every other one: nobody passes on what another has told', () => {
    const world = new World(1);
    for (const number of [1, 2, 3, 4]) world.start(number);
    world.runFor(1_500);
    const told: number[] = [];
    world.intercept = (from, _to, message) => {
      if (message.type === 'deltas' || message.type === 'chunk') told.push(from);
      return false;
    };
    world.node(1).register('1000');
    world.runFor(5_000);
    world.node(1).unregister('1000');
    world.runFor(5_000);
    expect(told).toEqual([1, 1]);
  });
});
