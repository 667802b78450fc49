import { type LineCall, LineStates } from '../../../src/line/line-states';
import { Watches } from '../../../src/line/watches';
import type { EntryChange } from '../../../src/registration/entry-set';
import { type Member, Members, register } from '../cluster/members';

const call = (id: string, state: LineCall['state'] = 'confirmed', since = 1): LineCall => ({
  ...{ id, state, direction: 'recipient', since, pid: '1.cp.1' },
  dialog: { callId: `${id}@phone`, localTag: 'l', remoteTag: 'r' },
  party: { number: '1000', name: 'Alice' },
});

interface Watching {
  readonly watches: Watches;
  readonly states: LineStates;
}

function watching({ node, boot, entries, stamps, composite }: Member): Watching {
  const watches = new Watches({ node, boot }, entries, stamps);
  return { watches, states: new LineStates({ node, boot }, entries, stamps, watches, composite) };
}

describe('the calls of a line, for who looks at it', () => {
  let members: Members;
  let one: Member;
  let two: Member;
  let three: Member;
  let at1: Watching;
  let at2: Watching;

  beforeEach(async () => {
    members = new Members();
    [one, two, three] = [members.add(1), members.add(2), members.add(3)];
    await members.start(one, two, three);
    [at1, at2] = [watching(one), watching(two)];
    register(one, '2000');
    await members.run(50);
  });
  afterEach(() => members.stop());

  it('a call on a line at which nobody looks is no message on the bus, however often it changes', async () => {
    const before = members.traffic;
    for (let change = 0; change < 1_000; change++) {
      at1.states.publish('2000', change % 2 === 0 ? [call('c', 'early', change)] : []);
      await members.run(5);
    }
    expect(members.traffic.published - before.published).toBe(0);
    expect(at2.states.of('2000')).toEqual([]);
  });

  it('with a watcher one message for each change, and none when the last watcher is gone', async () => {
    const release = [at2.watches.watch('2000'), at2.watches.watch('2000')];
    await members.run(50);
    const before = members.traffic.published;
    for (let change = 0; change < 100; change++) {
      at1.states.publish('2000', [call('c', 'early', change)]);
      await members.run(20);
    }
    expect(members.traffic.published - before).toBe(100);
    release[0]?.();
    release[0]?.();
    await members.run(50);
    expect(members.traffic.published - before).toBe(100);
    release[1]?.();
    await members.run(50);
    const silent = members.traffic.published;
    at1.states.publish('2000', []);
    await members.run(50);
    expect(members.traffic.published).toBe(silent);
    expect(at2.states.of('2000')).toEqual([]);
    expect(one.entries.count(1)).toBe(0);
  });

  it('who looks hears of the calls there are, of each change, and that it is idle', async () => {
    at1.states.publish('2000', [call('c', 'early')]);
    const heard: unknown[] = [];
    at2.states.onChange((line) =>
      heard.push([line, at2.states.of(line).map(({ calls }) => calls.map(({ id }) => id))]),
    );
    at2.watches.watch('2000');
    await members.run(50);
    expect(at2.states.of('2000')).toMatchObject([{ node: 1, boot: one.boot, calls: [call('c', 'early')] }]);
    at1.states.publish('2000', [call('c'), call('d', 'early')]);
    await members.run(50);
    at1.states.publish('2000', []);
    await members.run(50);
    expect(heard).toEqual([
      ['2000', [['c']]],
      ['2000', [['c', 'd']]],
      ['2000', [[]]],
    ]);
  });

  it('each state has a higher version than the one before, also when nobody looked in between', async () => {
    const versions: number[] = [];
    two.entries.onChange(({ entry }: EntryChange) => {
      if (entry?.kind === 'line-state') versions.push(...at2.states.of('2000').map(({ version }) => version));
    });
    for (let round = 0; round < 5; round++) {
      const release = at2.watches.watch('2000');
      await members.run(30);
      for (let change = 0; change < 5; change++) at1.states.publish('2000', [call('c', 'early', change)]);
      await members.run(30);
      release();
      await members.run(30);
    }
    expect(versions.length).toBeGreaterThan(20);
    expect([...versions].sort((a, b) => a - b)).toEqual(versions);
    expect(new Set(versions).size).toBe(versions.length);
  });

  it('a line is idle while a device of it is registered, and unknown else', async () => {
    at2.watches.watch('2000');
    await members.run(50);
    expect(at2.states.of('2000')).toMatchObject([{ node: 1, calls: [] }]);
    one.composite.delete(1, 'SEP|2000', 'unregistered');
    await members.run(50);
    expect(at2.states.of('2000')).toEqual([]);
    register(one, '2000');
    await members.run(50);
    expect(at2.states.of('2000')).toMatchObject([{ node: 1, calls: [] }]);
  });

  it('a shared line has a state of each node that has a device of it, ours first', async () => {
    register(two, '2000');
    at2.watches.watch('2000');
    at2.states.publish('2000', [call('here')]);
    at1.states.publish('2000', [call('there')]);
    await members.run(50);
    expect(at2.states.of('2000').map(({ node, calls }) => [node, calls[0]?.id])).toEqual([
      [2, 'here'],
      [1, 'there'],
    ]);
  });

  it.each(['is killed', 'leaves'])('a node that %s takes its line states and its watches along', async (how) => {
    at1.watches.watch('3000');
    register(two, '3000');
    at2.watches.watch('2000');
    at1.states.publish('2000', [call('c')]);
    await members.run(50);
    expect(at2.states.of('2000')).toHaveLength(1);
    expect(at2.watches.isWatchedElsewhere('3000')).toBe(true);
    if (how === 'leaves') await one.cluster.stop();
    else {
      // Whatever it says goes nowhere from now on.
      jest.spyOn(one.bus, 'publish').mockReturnValue(true);
      await members.run(6_000);
    }
    await members.run(50);
    expect(at2.states.of('2000')).toEqual([]);
    expect(at2.watches.isWatchedElsewhere('3000')).toBe(false);
    expect(two.entries.get(2, 'line-state/3000')).toBeUndefined();
  });

  it('a newcomer that looks hears of what stands, and its restart begins anew', async () => {
    at1.states.publish('2000', [call('c')]);
    const four = members.add(4);
    await members.start(four);
    const at4 = watching(four);
    at4.watches.watch('2000');
    await members.run(50);
    expect(at4.states.of('2000')).toMatchObject([{ calls: [{ id: 'c' }] }]);
    await four.cluster.stop();
    await members.run(50);
    expect(one.entries.count(1)).toBe(0);
  });

  it('more calls than a message has room for are counted, not left out unsaid', async () => {
    at2.watches.watch('2000');
    at1.states.publish(
      '2000',
      Array.from({ length: 60 }, (_, index) => call(`call-${index}`)),
    );
    await members.run(50);
    const [state] = at2.states.of('2000');
    expect(state?.calls.length).toBeGreaterThan(10);
    expect((state?.calls.length ?? 0) + (state?.more ?? 0)).toBe(60);
  });

  it('what a newer node says of a line in a way that is not known here is carried, and shown to nobody', async () => {
    at2.watches.watch('2000');
    await members.run(50);
    const body = '{"line":"2000","version":1,"calls":[],"mood":"good"}';
    const envelope = { owner: 1, boot: one.boot, stamp: one.stamps.next(), expiresAt: 0 };
    one.entries.put({ ...envelope, key: 'line-state/2000', kind: 'line-state', body });
    await members.run(50);
    expect(two.entries.get(1, 'line-state/2000')?.body).toBe(body);
    expect(at2.states.of('2000')).toEqual([]);
    expect(two.cluster.converged).toBe(true);
  });

  it.each(['', 'two words', 'x\r\ny', '1'.repeat(129)])('no line is called %j', (line) => {
    expect(() => at1.watches.watch(line)).toThrow(RangeError);
    expect(() => at1.states.publish(line, [])).toThrow(RangeError);
  });
});
