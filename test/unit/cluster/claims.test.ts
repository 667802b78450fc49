import type { Change, ProtocolMessage } from '../../../src/cluster/protocol/messages';
import type { SimulatedNode } from '../../simulation/simulated-node';
import { World } from '../../simulation/world';

/** `count` nodes that know each other. */
function cluster(count: number): World {
  const world = new World(1);
  for (let number = 1; number <= count; number++) world.start(number);
  world.runFor(1_500);
  return world;
}

function keysOf(node: SimulatedNode, owner: number): string[] {
  return Array.from(node.composite.of(owner), (record) => record.key).sort();
}

function count(node: SimulatedNode, type: string): number {
  return node.events.filter((event) => event.type === type).length;
}

function countSent(world: World, wanted: (message: ProtocolMessage) => boolean): () => number {
  let sent = 0;
  const { intercept } = world;
  world.intercept = (from, to, message) => {
    if (wanted(message)) sent += 1;
    return intercept(from, to, message);
  };
  return () => sent;
}

describe('claim R5, procedure A: a device registers', () => {
  it('and within a batch every active node has added it', () => {
    const world = cluster(4);
    const record = world.node(1).register('1000');
    world.runFor(20);
    for (const number of [2, 3, 4]) expect(world.node(number).composite.get(1, '1000')).toEqual(record);
  });

  it('and a refresh is told as a small re-stamp, not as the whole entry', () => {
    const world = cluster(2);
    world.node(1).register('1000', 900);
    world.runFor(20);
    const changes: Change[] = [];
    world.intercept = (_from, _to, message) => {
      if (message.type === 'deltas') changes.push(...message.changes);
      return false;
    };
    world.node(1).refresh('1000');
    world.runFor(20);
    expect(changes.map((change) => change.op)).toEqual(['stamp']);
    expect(world.node(2).composite.get(1, '1000')).toEqual(world.node(1).composite.get(1, '1000'));
  });

  it('and registrations of the same few milliseconds share one message', () => {
    const world = cluster(2);
    const deltas = countSent(world, (message) => message.type === 'deltas');
    for (let line = 1000; line < 1020; line++) world.node(1).register(String(line));
    world.runFor(20);
    expect(deltas()).toBe(1);
    expect(world.node(2).composite.count(1)).toBe(20);
  });
});

describe('claim R6, procedure B: a device unregisters, fails or disconnects', () => {
  it.each(['unregistered', 'unreachable', 'expired'] as const)('and every node deletes it (%s)', (reason) => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(20);
    world.node(1).unregister('1000', reason);
    world.runFor(20);
    for (const number of [2, 3]) {
      expect(keysOf(world.node(number), 1)).toEqual([]);
      expect(world.node(number).events).toContainEqual({ type: 'delete', owner: 1, key: '1000', reason });
    }
  });
});

describe('claim R8, procedure C: a node comes on-line', () => {
  it('and composes its table from what every active node sends it', () => {
    const world = cluster(3);
    for (const number of [1, 2, 3]) world.node(number).register(String(1000 * number));
    world.runFor(50);
    const newcomer = world.start(4);
    world.runFor(600);
    for (const number of [1, 2, 3]) expect(keysOf(newcomer, number)).toEqual([String(1000 * number)]);
    expect(newcomer.protocol?.converged).toBe(true);
    for (const number of [1, 2, 3])
      expect(world.node(number).events).toContainEqual(expect.objectContaining({ type: 'peer-online', node: 4 }));
  });

  it('and pulls large tables in chunks of at most 64 kB, while deltas go on', () => {
    const world = cluster(2);
    for (let index = 0; index < 400; index++) world.node(1).register(`1${index}`, 900);
    world.runFor(100);
    let chunks = 0;
    const pulls = new Set<number>();
    world.intercept = (from, to, message) => {
      if (message.type === 'pull' && from === 3 && to === 1) pulls.add(message.id);
      if (message.type !== 'chunk') return false;
      chunks += 1;
      expect(Buffer.byteLength(JSON.stringify(message))).toBeLessThan(64 * 1024);
      world.node(1).register(`2${chunks}`);
      world.node(1).unregister(`1${chunks * 7}`);
      return false;
    };
    const newcomer = world.start(3);
    world.runFor(1_000);
    expect(chunks).toBeGreaterThan(5);
    expect(pulls.size).toBe(1);
    expect(keysOf(newcomer, 1)).toEqual(keysOf(world.node(1), 1));
    expect(newcomer.protocol?.converged).toBe(true);
  });

  it('and a chunk that is lost is asked for again', () => {
    const world = cluster(1);
    world.node(1).register('1000');
    let lost = 0;
    world.intercept = (from, _to, message) => from === 1 && message.type === 'chunk' && ++lost <= 2;
    const newcomer = world.start(2);
    world.runFor(4_000);
    expect(lost).toBe(3);
    expect(keysOf(newcomer, 1)).toEqual(['1000']);
  });

  it('with a new incarnation: the entries of the old one are replaced by what the new one has', () => {
    const world = cluster(2);
    world.node(1).register('1000');
    world.node(1).register('1001');
    world.runFor(50);
    world.node(1).crash();
    const restarted = world.start(1);
    world.runFor(600);
    const record = restarted.register('1001');
    world.runFor(1_500);
    expect([...world.node(2).composite.of(1)]).toEqual([record]);
    expect(world.node(2).events).toContainEqual(expect.objectContaining({ type: 'peer-offline', reason: 'restarted' }));
  });

  it('and its incarnation is newer than every one heard of its number, also when its clock went back', () => {
    const world = cluster(2);
    const { boot } = world.node(1);
    world.node(1).crash();
    const restarted = world.start(1, -3_600_000);
    world.runFor(1_000);
    expect(restarted.boot).toBe(boot + 1);
    restarted.register('1000');
    world.runFor(50);
    expect(keysOf(world.node(2), 1)).toEqual(['1000']);
  });
});

describe('claim R9, procedure D: a node that used to answer', () => {
  it('and stops is off-line after three missed polls, and each node purges what it had told', () => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.node(2).register('2000');
    world.runFor(50);
    world.node(1).crash();
    world.runFor(2_500);
    for (const number of [2, 3]) expect(keysOf(world.node(number), 1)).toEqual(['1000']);
    world.runFor(2_000);
    for (const number of [2, 3]) {
      const { events } = world.node(number);
      expect(keysOf(world.node(number), 1)).toEqual([]);
      expect(events).toContainEqual({ type: 'purge', owner: 1, reason: 'node-offline' });
      expect(events).toContainEqual(expect.objectContaining({ type: 'peer-offline', node: 1, reason: 'silent' }));
    }
    expect(keysOf(world.node(3), 2)).toEqual(['2000']);
  });

  it('and says goodbye is off-line at once, and a poll that comes late does not bring it back', () => {
    const world = cluster(2);
    world.node(1).register('1000');
    let late: ProtocolMessage | undefined;
    world.intercept = (from, to, message) => {
      if (from === 1 && to === 'poll') late = message;
      return false;
    };
    world.runFor(1_200);
    world.node(1).leave();
    world.runFor(20);
    expect(keysOf(world.node(2), 1)).toEqual([]);
    if (late === undefined) throw new Error('no poll was sent');
    if (late.type !== 'poll') throw new Error('not a poll');
    world.node(2).receive({ ...late, number: late.number + 5 });
    expect(world.node(2).protocol?.peer(1)?.live).toBe(false);
  });

  it('is not judged by polls that come twice or late', () => {
    const world = cluster(2);
    const polls: ProtocolMessage[] = [];
    world.intercept = (from, to, message) => {
      if (from === 1 && to === 'poll') polls.push(message);
      return false;
    };
    world.runFor(1_200);
    world.node(1).crash();
    for (let second = 0; second < 5; second++) {
      world.runFor(1_000);
      for (const poll of polls) world.node(2).receive(poll);
    }
    expect(world.node(2).protocol?.peer(1)?.live).toBe(false);
  });
});

describe('claim R9: bus lost is not peer dead', () => {
  it('when own polls are not heard, membership freezes: nobody is purged, however long it takes', () => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(50);
    world.busUp = false;
    world.runFor(600_000);
    for (const number of [2, 3]) {
      const node = world.node(number);
      expect(keysOf(node, 1)).toEqual(['1000']);
      expect(count(node, 'bus-lost')).toBe(1);
      expect(count(node, 'peer-offline')).toBe(0);
      expect(node.protocol?.busAlive).toBe(false);
      expect(node.protocol?.converged).toBe(false);
    }
  });

  it('when it is back, what was missed is caught up first, and who died meanwhile is purged three polls later', () => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.node(3).register('3000');
    world.runFor(50);
    world.busUp = false;
    world.runFor(10_000);
    world.node(1).register('1001');
    world.node(3).crash();
    world.busUp = true;
    world.runFor(1_500);
    const node = world.node(2);
    expect(keysOf(node, 1)).toEqual(['1000', '1001']);
    expect(keysOf(node, 3)).toEqual(['3000']);
    world.runFor(4_000);
    expect(keysOf(node, 3)).toEqual([]);
    expect(count(node, 'peer-offline')).toBe(1);
  });

  it('and polls that a hung bus delivers late prove nothing', () => {
    const world = cluster(2);
    const held: ProtocolMessage[] = [];
    world.intercept = (from, to, message) => {
      if (from === 2 && to === 'poll') held.push(message);
      return true;
    };
    world.runFor(8_000);
    const node = world.node(2);
    for (const message of held.slice(0, 4)) node.receive(message);
    expect(node.protocol?.busAlive).toBe(false);
    expect(count(node, 'peer-offline')).toBe(0);
  });
});

describe('claim R9: a node that is cut off from the others', () => {
  it('is purged by them, and both sides are complete again after the cut', () => {
    const world = cluster(3);
    for (const number of [1, 2, 3]) world.node(number).register(String(1000 * number));
    world.runFor(50);
    world.sides = new Map([[1, 1]]);
    world.runFor(5_000);
    expect(keysOf(world.node(2), 1)).toEqual([]);
    expect(keysOf(world.node(1), 2)).toEqual([]);
    world.sides = new Map();
    world.runFor(1_500);
    expect(world.differences()).toEqual([]);
  });
});

describe('claim R11: a late deletion', () => {
  it('of the old node is ignored by the node that now controls the device', () => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(50);
    world.intercept = (from, _to, message) => from === 1 && message.type === 'deltas';
    world.node(2).register('1000');
    world.runFor(50);
    world.intercept = () => false;
    world.runFor(2_000);
    expect(keysOf(world.node(2), 2)).toEqual(['1000']);
    expect(keysOf(world.node(3), 2)).toEqual(['1000']);
    expect(keysOf(world.node(1), 2)).toEqual(['1000']);
    for (const number of [2, 3]) expect(keysOf(world.node(number), 1)).toEqual([]);
  });

  it('of an older incarnation is ignored', () => {
    const world = cluster(2);
    world.node(1).register('1000');
    const held: ProtocolMessage[] = [];
    world.runFor(50);
    world.intercept = (from, _to, message) => {
      if (from === 1 && message.type === 'deltas') held.push(message);
      return from === 1 && message.type === 'deltas';
    };
    world.node(1).unregister('1000');
    world.runFor(50);
    world.intercept = () => false;
    world.node(1).crash();
    world.start(1);
    world.runFor(700);
    world.node(1).register('1000');
    world.runFor(50);
    expect(held).toHaveLength(1);
    for (const message of held) world.node(2).receive(message);
    world.runFor(50);
    expect(keysOf(world.node(2), 1)).toEqual(['1000']);
  });
});

describe('claim R12: a device moves', () => {
  it('and a third node keeps both entries, and drops the old one when the deletion comes', () => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(50);
    world.intercept = (from) => from === 1;
    world.node(2).register('1000');
    world.runFor(50);
    const third = world.node(3);
    expect(keysOf(third, 1)).toEqual(['1000']);
    expect(keysOf(third, 2)).toEqual(['1000']);
    world.intercept = () => false;
    world.runFor(1_500);
    expect(keysOf(third, 1)).toEqual([]);
    expect(keysOf(third, 2)).toEqual(['1000']);
  });

  it('and the node that had it deletes its entry, reason `moved`, when it hears of the newer one', () => {
    const world = cluster(2);
    world.node(1).register('1000');
    world.runFor(50);
    world.node(2).register('1000');
    world.runFor(50);
    expect(keysOf(world.node(1), 1)).toEqual([]);
    expect(world.node(1).events).toContainEqual({ type: 'own-moved', key: '1000', to: 2 });
    expect(world.node(2).events).toContainEqual({ type: 'delete', owner: 1, key: '1000', reason: 'moved' });
  });

  it('and an entry that is restored with an older stamp than another node has is given up at once', () => {
    const world = cluster(2);
    const node = world.node(1);
    const restored = node.register('1000');
    node.unregister('1000');
    world.node(2).register('1000');
    world.runFor(50);
    if (restored === undefined) throw new Error('not registered');
    node.composite.put(1, restored);
    expect(keysOf(node, 1)).toEqual([]);
    world.runFor(50);
    expect(keysOf(world.node(2), 2)).toEqual(['1000']);
  });
});

describe('claim R13: an entry that is answered "no longer mine"', () => {
  it('makes the caller ask its owner for its digest, and the table is repaired from the answer', () => {
    const world = cluster(2);
    world.node(1).register('1000');
    world.node(1).register('1001');
    world.runFor(50);
    world.runFor(900);
    world.intercept = (from, _to, message) => from === 1 && message.type === 'deltas';
    world.node(1).unregister('1000');
    world.runFor(30);
    expect(keysOf(world.node(2), 1)).toEqual(['1000', '1001']);
    world.intercept = () => false;
    world.node(2).refute(1);
    world.runFor(20);
    expect(keysOf(world.node(2), 1)).toEqual(['1001']);
  });

  it('and a storm of such calls asks only now and then', () => {
    const world = cluster(2);
    const asked = countSent(world, (message) => message.node === 2 && message.type === 'poll' && message.hello);
    for (let call = 0; call < 1_000; call++) world.node(2).refute(1);
    expect(asked()).toBe(1);
  });
});

describe('claim R18: what went wrong unseen shows in sequence and digest', () => {
  it('a lost batch shows at the next one, and is pulled', () => {
    const world = cluster(2);
    world.intercept = (_from, _to, message) => message.type === 'deltas';
    world.node(1).register('1000');
    world.runFor(20);
    world.intercept = () => false;
    world.node(1).register('1001');
    world.runFor(20);
    expect(keysOf(world.node(2), 1)).toEqual(['1000', '1001']);
  });

  it('a lost batch that none follows shows at the next poll', () => {
    const world = cluster(2);
    world.intercept = (_from, _to, message) => message.type === 'deltas';
    world.node(1).register('1000');
    world.runFor(20);
    world.intercept = () => false;
    world.runFor(1_500);
    expect(keysOf(world.node(2), 1)).toEqual(['1000']);
  });

  it('a poll that overtakes its deltas on another connection does not cause a pull', () => {
    const world = cluster(2);
    const pulls = countSent(world, (message) => message.type === 'pull');
    const deliver = (message: ProtocolMessage) => world.node(2).receive(message);
    world.intercept = (from, to, message) => {
      if (from === 1 && to === 'cluster') world.agenda.after(150, () => deliver(message));
      return from === 1 && to === 'cluster';
    };
    for (let line = 1000; line < 1100; line++) {
      world.node(1).register(String(line));
      world.runFor(70);
    }
    world.runFor(200);
    expect(keysOf(world.node(2), 1)).toHaveLength(100);
    expect(pulls()).toBe(0);
  });

  it('a digest that differs at the same sequence is mended by a pull, and one that keeps differing backs off', () => {
    const world = cluster(2);
    world.node(1).register('1000', 0, '1000', 3_600_000);
    world.runFor(1_500);
    const pulls = countSent(world, (message) => message.type === 'pull');
    const { intercept } = world;
    world.intercept = (from, to, message) => {
      if (from !== 1 || message.type !== 'poll' || message.digest === 'beef') return intercept(from, to, message);
      const wrong = { ...message, digest: 'beef' };
      world.agenda.after(1, () => world.node(2).receive(wrong));
      return true;
    };
    world.runFor(120_000);
    expect(pulls()).toBeGreaterThan(3);
    expect(pulls()).toBeLessThan(12);
    expect(keysOf(world.node(2), 1)).toEqual(['1000']);
  });

  it('a record that claims to be of another node or incarnation is refused', () => {
    const world = cluster(2);
    const foreign = world.node(2).register('2000');
    if (foreign === undefined) throw new Error('not registered');
    world.node(1).composite.put(1, foreign);
    world.runFor(1_500);
    expect(world.node(2).composite.count(1)).toBe(0);
    expect(world.node(1).events).toContainEqual(
      expect.objectContaining({ type: 'report', report: 'own-entry-refused' }),
    );
    expect(world.node(2).protocol?.converged).toBe(true);
  });
});

describe('claim R18: clocks', () => {
  it.each([
    [-20_000, 1],
    [20_000, 0],
  ])('a clock that is set by %i ms is noticed at once when it goes back', (by, times) => {
    const world = cluster(2);
    world.node(1).skewMs = by;
    world.runFor(300);
    expect(world.node(1).events.filter(({ type }) => type === 'clock-set-back')).toHaveLength(times);
    expect(world.node(2).events.filter(({ type }) => type === 'clock-set-back')).toEqual([]);
  });

  it('a stamp more than 60 s ahead is refused and reported; its entry and its node stay, and tables stay equal', () => {
    const world = cluster(2);
    const wrong = world.start(3, 120_000);
    world.runFor(1_000);
    wrong.register('3000');
    world.runFor(1_500);
    const node = world.node(1);
    expect(keysOf(node, 3)).toEqual(['3000']);
    expect(world.differences()).toEqual([]);
    expect(node.protocol?.peer(3)?.live).toBe(true);
    expect(node.events).toContainEqual(expect.objectContaining({ type: 'report', report: 'clock-ahead', node: 3 }));
    expect(node.events).toContainEqual(expect.objectContaining({ type: 'report', report: 'stamp-ahead', node: 3 }));
    expect(node.hybridClock.next().ms).toBeLessThan(node.now() + 60_000);
  });

  it('no entry is given up for one with such a stamp, also not when time has reached that stamp', () => {
    const world = cluster(2);
    const wrong = world.start(3, 120_000);
    world.runFor(1_000);
    wrong.register('1000');
    world.runFor(50);
    world.node(1).register('1000');
    for (let refreshes = 0; refreshes < 4; refreshes++) {
      world.runFor(40_000);
      world.node(1).refresh('1000');
    }
    expect(keysOf(world.node(2), 1)).toEqual(['1000']);
    expect(count(world.node(1), 'own-moved')).toBe(0);
  });

  it('a node whose clock was far ahead and is right again is believed again', () => {
    const world = cluster(2);
    const wrong = world.start(3, 3_600_000);
    world.runFor(1_000);
    wrong.register('3000');
    world.runFor(1_000);
    wrong.skewMs = 0;
    world.runFor(2_000);
    wrong.refresh('3000');
    world.node(1).register('1000');
    world.runFor(50);
    wrong.register('1000');
    world.runFor(50);
    expect(keysOf(world.node(1), 1)).toEqual([]);
    expect(keysOf(world.node(1), 3)).toEqual(['1000', '3000']);
    expect(world.node(1).protocol?.peer(3)?.disbelieved.size).toBe(0);
    for (const number of [1, 2]) expect(count(world.node(number), 'peer-offline')).toBe(0);
  });

  it('a device that registers at a node whose clock runs behind is newer all the same', () => {
    const world = new World(1);
    world.start(1, 20_000);
    world.start(2, -20_000);
    world.runFor(1_500);
    world.node(1).register('1000');
    world.runFor(50);
    world.node(2).register('1000');
    world.runFor(50);
    expect(keysOf(world.node(1), 1)).toEqual([]);
    expect(keysOf(world.node(1), 2)).toEqual(['1000']);
  });
});

describe('claim R18: a wall clock that is set', () => {
  it.each([-10_000, 10_000])('by %i ms disturbs nobody', (step) => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(50);
    world.node(2).skewMs += step;
    world.runFor(500);
    world.node(1).register('1001');
    world.node(2).register('2000');
    world.runFor(5_000);
    expect(world.differences()).toEqual([]);
    for (const node of world.running) {
      expect(count(node, 'peer-offline')).toBe(0);
      expect(count(node, 'bus-lost')).toBe(0);
    }
  });
});

describe('claim R9: a paused process', () => {
  it.each([true, false])('judges nobody by its own absence, and catches up (timers first: %s)', (timersFirst) => {
    const world = cluster(3);
    world.node(1).register('1000');
    world.runFor(50);
    world.node(2).pause(20_000, timersFirst);
    world.runFor(10_000);
    world.node(1).register('1001');
    world.runFor(11_500);
    const node = world.node(2);
    expect(count(node, 'peer-offline')).toBe(0);
    expect(count(node, 'bus-lost')).toBe(0);
    expect(node.events).toContainEqual(expect.objectContaining({ type: 'report', report: 'paused' }));
    expect(world.differences()).toEqual([]);
  });
});

describe('claim R8: twins', () => {
  it('a node whose number is in use is refused at its start, and the one that runs is not disturbed', () => {
    const world = cluster(2);
    const twin = world.start(1);
    world.runFor(1_500);
    expect(twin.refused).toBe(true);
    expect(world.node(1).running).toBe(true);
    expect(world.node(2).protocol?.peer(1)?.boot).toBe(world.node(1).boot);
  });

  it('of two that start at the same time exactly one goes on', () => {
    const world = new World(7);
    const first = world.start(1);
    const second = world.start(1);
    world.runFor(1_500);
    expect([first, second].filter((node) => node.running)).toHaveLength(1);
  });

  it('a process that hears a newer incarnation of its own number must end', () => {
    const world = cluster(2);
    const old = world.node(1);
    world.sides = new Map([[1, 1]]);
    world.intercept = (from, _to, message) => from === 1 && message.type !== 'poll';
    const twin = world.start(1);
    world.runFor(2_000);
    world.intercept = () => false;
    world.runFor(1_500);
    expect(twin.running).toBe(true);
    expect(old.fatal).toBe(true);
    const last = old.events.at(-1);
    expect(last?.type === 'fatal' ? last.message : last).toContain('another process runs as node 1');
  });

  it('a process that started alone with an incarnation older than the others remember must end', () => {
    const world = cluster(2);
    world.node(1).crash();
    world.busUp = false;
    const restarted = world.start(1, -3_600_000);
    world.runFor(2_000);
    world.busUp = true;
    world.runFor(2_000);
    expect(restarted.fatal).toBe(true);
  });
});

describe('cost', () => {
  it('100 000 entries: a newcomer pulls them all, and a change costs the same as with few', () => {
    const world = new World(1);
    const node = world.start(1);
    world.runFor(600);
    const entries = 100_000;
    for (let index = 0; index < entries; index++) node.register(`d${index}`);
    world.runFor(50);
    const newcomer = world.start(2);
    world.runFor(8_000);
    expect(newcomer.composite.count(1)).toBe(entries);
    expect(newcomer.protocol?.converged).toBe(true);
    const began = process.hrtime.bigint();
    for (let index = 0; index < 200; index++) {
      node.refresh(`d${index * 7}`);
      world.runFor(6);
    }
    world.runFor(20);
    const microseconds = Number(process.hrtime.bigint() - began) / 1_000 / 200;
    process.stdout.write(`refresh of one of ${entries} entries, told to one node: ${microseconds.toFixed(0)} µs\n`);
    expect(newcomer.protocol?.peer(1)?.sequence).toBe(entries + 200);
  }, 120_000);
});
