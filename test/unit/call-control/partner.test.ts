import type { PartnerText } from '../../../src/call-control/survival/partner-messages';
import { parseReplaces } from '../../../src/sip/replaces';
import type { OtherNodes } from '../../../src/call-control/dependencies';
import { Locations } from './locations';
import { sdp, settled, talking, type TwoParties, World } from './kit';

/** The other nodes, who understand everything. */
class Others implements OtherNodes {
  readonly told: { readonly node: number; readonly message: PartnerText }[] = [];
  nodes: number[] = [2, 3];
  reply: unknown = true;

  live(): readonly number[] {
    return this.nodes;
  }

  ask(node: number, message: unknown): Promise<unknown> {
    this.told.push({ node, message: message as PartnerText });
    return Promise.resolve(this.reply);
  }
}

const KNOWS = { Supported: 'replaces' };

function pairAt(others: Others, knows: Readonly<Record<string, string>> = KNOWS): TwoParties {
  return talking({ world: new World({ otherNodes: others, surviveMs: 60_000 }), answer: knows, headers: KNOWS });
}

describe('a node with a call between its own phones', () => {
  it('tells its partner once when it is answered, when descriptions change, and when it is over', async () => {
    const others = new Others();
    const { world, a, b } = pairAt(others);
    await settled();
    const [first, ...more] = others.told;
    expect(more).toEqual([]);
    expect(first).toMatchObject({
      node: 2,
      message: { op: 'keep', node: 1, anew: true, calls: [{ process: '1.cp.1' }] },
    });
    const kept = first?.message.calls[0]?.kept;
    expect(kept?.ends.map(({ device }) => device)).toEqual(['SEP-alice', 'SEP-bob']);
    expect(kept?.spoken).toContain('10.0.0.2');
    expect(parseReplaces(kept?.ends[1].dialog ?? '')).toMatchObject({
      ...{ callId: b.callId, toTag: b.dialog?.remoteTag, fromTag: b.dialog?.localTag },
    });
    a.reinvitesAndAcks(sdp('alice', { direction: 'sendonly', version: 2 }));
    await settled();
    expect(others.told).toHaveLength(2);
    expect(others.told[1]?.message.calls[0]?.kept).toMatchObject({ ends: [{}, {}] });
    expect(others.told[1]?.message.calls[0]?.kept?.spoken).toBeUndefined();
    await settled();
    const before = others.told.length;
    a.hangsUp();
    await settled();
    expect(others.told.slice(before).map(({ message }) => message.calls)).toEqual([[{ process: '1.cp.1' }]]);
    await world.close();
  });

  it('tells the next one everything when its partner is gone, and the former one that it need not know any more', async () => {
    const others = new Others();
    const { world } = pairAt(others);
    await settled();
    others.nodes = [3];
    world.control.nodeGone(2);
    await settled();
    expect(others.told.at(-1)).toMatchObject({
      node: 3,
      message: { anew: true, calls: [{ process: '1.cp.1', kept: {} }] },
    });
    others.nodes = [2, 3];
    world.control.nodeBack(2, 5);
    await settled();
    expect(others.told.at(-1)).toMatchObject({ node: 2, message: { anew: true, calls: [] } });
    const told = others.told.length;
    world.control.nodeBack(2, 5);
    await settled();
    expect(others.told).toHaveLength(told);
    await world.close();
  });

  it('tells it again when it has not answered', async () => {
    const others = new Others();
    others.reply = undefined;
    const { world } = pairAt(others);
    await settled();
    others.reply = true;
    world.clock.advance(2000);
    await settled();
    expect(others.told.map(({ message }) => message.calls[0]?.kept?.call)).toHaveLength(2);
    expect(others.told.every(({ message }) => message.anew === true)).toBe(true);
    await world.close();
  });

  it.each([
    ['one of the phones does not know Replaces', {}, [2, 3]],
    ['there is no other node', KNOWS, []],
  ])('tells nobody when %s', async (_, knows, nodes) => {
    const others = new Others();
    others.nodes = nodes;
    const { world } = pairAt(others, knows);
    await settled();
    expect(others.told).toEqual([]);
    await world.close();
  });
});

const DIALOGS = ['a@lost;to-tag=alice;from-tag=3', 'b@lost;to-tag=bob;from-tag=3'] as const;

function message(spoken: string | undefined, boot = 5): PartnerText {
  const ends: NonNullable<PartnerText['calls'][number]['kept']>['ends'] = [
    { device: 'SEP-alice', number: '1000', displayName: 'Alice', dialog: DIALOGS[0] },
    { device: 'SEP-bob', number: '2000', dialog: DIALOGS[1] },
  ];
  const kept = { call: '3.cp.7-5', ends, ...(spoken === undefined ? {} : { spoken }) };
  return { op: 'keep', node: 3, boot, calls: [{ process: '3.cp.7', kept }] };
}

function partner(spoken: string | undefined = sdp('bob')): {
  readonly world: World;
  readonly locations: Locations;
  readonly alice: ReturnType<World['device']>;
  readonly bob: ReturnType<World['device']>;
} {
  const locations = new Locations();
  const world = new World({ locations, surviveMs: 60_000 });
  const [alice, bob] = [world.device('SEP-alice', '1.dp.8'), world.device('SEP-bob', '1.dp.9')];
  expect(world.control.answer(message(spoken))).toBe(true);
  return { world, locations, alice, bob };
}

describe('the partner of a node that has died', () => {
  it('asks both phones when both are registered elsewhere, once, and their call is one as any other', async () => {
    const { world, locations, alice, bob } = partner();
    locations.register('SEP-bob', '3.dp.2', 5, 3);
    world.control.nodeGone(3);
    locations.register('SEP-alice', '1.dp.8', 7, 1);
    expect(alice.calls).toEqual([]);
    locations.register('SEP-bob', '1.dp.9', 7, 1);
    expect(alice.asked.headers?.['Replaces']).toBe(DIALOGS[0]);
    expect(alice.asked.sdp).toContain('10.0.0.2');
    expect(alice.asked.caller).toMatchObject({ number: '2000', device: 'SEP-bob' });
    alice.session.answers(sdp('alice', { port: 4444 }), KNOWS);
    expect(bob.asked.headers?.['Replaces']).toBe(DIALOGS[1]);
    expect(bob.asked.sdp).toContain('m=audio 4444');
    bob.session.answers(sdp('bob', { port: 5555 }), KNOWS);
    expect(alice.session.offered?.sdp).toContain('m=audio 5555');
    // The session is the one that it was offered first (RFC 3264 §8).
    const origin = (text = ''): string[] => /o=(\S+ \S+) (\S+)/.exec(text)?.slice(1) ?? [];
    expect(origin(alice.session.offered?.sdp)[0]).toBe(origin(alice.asked.sdp)[0]);
    alice.session.answersReinvite(sdp('alice', { port: 4444, version: 2 }));
    await settled();
    expect(world.detail).toMatchObject({ call: '3.cp.7-5', state: 'established', from: 'SEP-alice', to: 'SEP-bob' });
    locations.register('SEP-alice', '1.dp.8', 7, 1);
    world.control.nodeGone(3);
    expect([alice.calls.length, bob.calls.length]).toEqual([1, 1]);
    bob.session.reinvitesAndAcks(sdp('bob', { port: 5555, direction: 'sendonly', version: 2 }));
    await settled();
    expect(world.detail.state).toBe('held');
    bob.session.hangsUp();
    expect(alice.session.over).toBe(true);
    await world.close();
  });

  it('asks the first for an offer when they have not talked directly, or when it cannot speak that', async () => {
    for (const spoken of [undefined, sdp('bob')]) {
      const { world, locations, alice, bob } = spoken === undefined ? partnerWithout() : partner(spoken);
      world.control.nodeGone(3);
      locations.register('SEP-alice', '1.dp.8', 7, 1);
      locations.register('SEP-bob', '1.dp.9', 7, 1);
      if (spoken !== undefined) alice.session.rejects(488);
      expect(alice.asked.sdp).toBeUndefined();
      alice.session.answers(sdp('alice'), KNOWS);
      bob.session.answers(sdp('bob'), KNOWS);
      expect(alice.session.last('acknowledge').sdp).toContain('10.0.0.2');
      await settled();
      expect(world.detail.state).toBe('established');
      await world.close();
    }
  });

  it('leaves a call alone whose node was only cut off, or that is over, or whose phones are where they were', async () => {
    const { world, locations, alice } = partner();
    world.control.nodeGone(3);
    world.control.nodeBack(3, 5);
    locations.register('SEP-alice', '1.dp.8', 7, 1);
    locations.register('SEP-bob', '1.dp.9', 7, 1);
    expect(alice.calls).toEqual([]);
    // Now it dies, and the phones have left it already: but the call has ended.
    expect(world.control.answer({ ...message(undefined), calls: [{ process: '3.cp.7' }] })).toBe(true);
    world.control.nodeGone(3);
    expect(alice.calls).toEqual([]);
    await world.close();
  });

  it('gives up in time, with one line', async () => {
    const { world, locations, alice } = partner();
    world.control.nodeGone(3);
    locations.register('SEP-alice', '1.dp.8', 7, 1);
    world.clock.advance(60_000);
    expect(alice.calls).toEqual([]);
    expect(world.warnings).toEqual(['call: the phone behind a lost node has not taken it up again undefined']);
    world.warnings.splice(0);
    world.control.nodeGone(3);
    expect(world.clock.pending).toBeGreaterThan(0);
    await world.close();
  });

  it('does not understand what is no message of a partner', () => {
    const world = new World();
    const wrong = [
      undefined,
      { op: 'keep' },
      { ...message(undefined), node: 0 },
      { ...message(undefined), calls: [{ process: 'x' }] },
      { ...message('v'.repeat(3000)) },
      { ...message(undefined), calls: [{ process: '3.cp.7', kept: { call: 'c', ends: [] } }] },
    ];
    for (const body of wrong) expect(world.control.answer(body)).toBeUndefined();
  });
});

function partnerWithout(): ReturnType<typeof partner> {
  const made = partner();
  made.world.control.answer({ ...message(undefined), anew: true });
  return made;
}
