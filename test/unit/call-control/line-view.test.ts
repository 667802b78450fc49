import { LineView } from '../../../src/call-control';
import type { LineCall } from '../../../src/line/line-states';
import { type FakeSession, sdp, settled, target, World } from './kit';

/** Alice at the line 1000 and Bob at 2000; what is said of their lines is kept, each word of it. */
class Node extends World {
  readonly said: [line: string, calls: readonly LineCall[]][];
  readonly bob = this.device('SEP-bob', '1.dp.2');

  constructor(options: { readonly fails?: boolean; readonly private?: string } = {}) {
    const said: [string, readonly LineCall[]][] = [];
    const view = new LineView(
      (line, calls) => {
        said.push([line, calls]);
        if (options.fails === true) throw new Error('a listener fails');
      },
      () => this.clock.now(),
      (line) => line === options.private,
    );
    super({ hooks: { changed: view.follow } });
    this.said = said;
    this.route('2000', [target('1.dp.2', 'SEP-bob')]);
  }

  /** The states of the calls of a line, each time that something was said of it. */
  of(line: string): string[] {
    return this.said.flatMap(([of, calls]) =>
      of === line ? [calls.map(({ state, held }) => (held === true ? 'held' : state)).join(' ')] : [],
    );
  }

  last(line: string): readonly LineCall[] | undefined {
    return this.said.filter(([of]) => of === line).at(-1)?.[1];
  }
}

function answered(node: Node, session: FakeSession): FakeSession {
  node.bob.session.rings();
  node.bob.session.answers(sdp('bob'));
  session.acks();
  return node.bob.session;
}

describe('the calls of a line, as call control says them', () => {
  test('a private line is in use, and nobody is told with whom; the other end is told as ever', () => {
    const node = new Node({ private: '2000' });
    answered(node, node.call());
    expect(node.last('2000')?.[0]).toMatchObject({ state: 'confirmed', direction: 'recipient' });
    expect(
      node.said.filter(([line]) => line === '2000').flatMap(([, calls]) => calls.flatMap(({ party }) => party ?? [])),
    ).toEqual([]);
    expect(node.last('1000')).toMatchObject([{ party: { number: '2000' } }]);
  });

  test('from the first ring to the end, each state once, at both lines', async () => {
    const node = new Node();
    const alice = node.call();
    const bob = answered(node, alice);
    expect(node.last('1000')).toMatchObject([
      { state: 'confirmed', direction: 'initiator', pid: '1.cp.1', party: { number: '2000' } },
    ]);
    expect(node.last('2000')).toMatchObject([
      { state: 'confirmed', direction: 'recipient', pid: '1.cp.1', party: { number: '1000' } },
    ]);
    expect(node.last('1000')?.[0]?.id).toBe(node.last('2000')?.[0]?.id);
    bob.hangsUp();
    await settled();
    expect(node.of('2000').filter((state, index, all) => state !== all[index - 1])).toEqual([
      'trying',
      'early',
      'confirmed',
      '',
    ]);
    expect(node.of('1000').at(-1)).toBe('');
    await node.close();
  });

  test('who holds is said, and since when; a refresh is no news', async () => {
    const node = new Node();
    const alice = node.call();
    answered(node, alice);
    await settled();
    const confirmed = node.last('1000')?.[0]?.since;
    node.clock.advance(5_000);
    alice.reinvitesAndAcks(sdp('alice', { version: 2, direction: 'sendonly' }));
    await settled();
    expect(node.last('1000')).toMatchObject([{ state: 'confirmed', held: true }]);
    expect(node.last('1000')?.[0]?.since).toBeGreaterThan(confirmed ?? Infinity);
    const said = node.said.length;
    alice.reinvitesAndAcks(sdp('alice', { version: 2, direction: 'sendonly' }));
    await settled();
    expect(node.said).toHaveLength(said);
    await node.close();
  });

  test('two calls of a line are two, and the end of one leaves the other', async () => {
    const node = new Node();
    const first = answered(node, node.call());
    answered(node, node.call({ caller: { number: '1001', displayName: undefined } }));
    expect(node.last('2000')).toHaveLength(2);
    first.hangsUp();
    await settled();
    expect(node.last('2000')).toMatchObject([{ party: { number: '1001' } }]);
    await node.close();
  });

  test('who does not want to be shown is not', async () => {
    const node = new Node();
    answered(node, node.call({ caller: { number: '1000', displayName: 'Alice', privacy: 'id' } }));
    expect(node.last('2000')?.[0]).not.toHaveProperty('party');
    await node.close();
  });

  test('whoever fails to listen does the call no harm', async () => {
    const node = new Node({ fails: true });
    const alice = node.call();
    const bob = answered(node, alice);
    expect(alice.all('answer')).toHaveLength(1);
    bob.hangsUp();
    await settled();
    expect(node.control.count).toBe(0);
    expect(node.warnings.splice(0).every((warning) => warning.includes('could not be told'))).toBe(true);
    await node.close();
  });
});
