import { eventually } from '../support/eventually';
import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import {
  type At,
  hearEachOther,
  hears,
  hold,
  latest,
  over,
  referTo,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

const PLACES: readonly (readonly [string, Readonly<Record<'alice' | 'bob' | 'carol' | 'dave', At>>])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], carol: [1, 2], dave: [1, 3] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], carol: [3, 0], dave: [2, 1] }],
];

/** The line that Alice has on two phones: the first of a node each, so that they hear it ring in turn. */
const SHARED = '7100';
const PRIVATE = '7200';

describe('calls that become a conference, and calls of a line that go on at another phone', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start({
      bridges: [1, 2, 3],
      change: (file) => {
        for (const [at, device] of file.devices.entries())
          if (['party-70001', 'party-70004', 'party-70006'].includes(device.name))
            file.devices[at] = { ...device, lines: [...device.lines, SHARED, PRIVATE] };
        file.numbers = [
          { number: PRIVATE, privacy: true },
          { number: SHARED, mayBarge: ['party-70009'] },
        ];
        file.conferences = [{ number: '8999', name: 'ad-hoc', type: 'factory' }];
      },
    });
    for (const number of [SHARED, PRIVATE, '8999']) await stage.cluster.everybodyKnows(number);
  });
  afterAll(() => stage.close());
  afterEach(async () => {
    await stage.clear();
    for (const node of stage.cluster.nodes)
      await eventually(
        `node ${node.id} has no conference`,
        () => node.api('/api/conferences') as Promise<readonly { readonly members: readonly unknown[] }[]>,
        (rows) => rows.every(({ members }) => members.length === 0),
      );
  });

  /** Each hears all others and nothing else. */
  async function hearAllOthers(...sides: readonly Side[]): Promise<void> {
    await Promise.all(
      sides.map((side) =>
        eventually(
          `${side.party.dn} hears all others`,
          () => side.call.told(),
          () => side.call.stream.heardAll(sides.filter((other) => other !== side).map(({ party }) => party.tone)),
          { cap: 15_000 },
        ),
      ),
    );
  }

  async function dial(party: MediaParty, number: string, headers: readonly string[] = []): Promise<Side> {
    const { call, answered } = await party.call(number, headers);
    expect(await answered).toBe(200);
    return { party, call };
  }

  async function dialInVain(party: MediaParty, number: string, headers: readonly string[] = []): Promise<number> {
    return (await party.call(number, headers)).answered;
  }

  describe.each(PLACES)('%s', (_where, places) => {
    let alice: MediaParty;
    let bob: MediaParty;
    let carol: MediaParty;
    beforeAll(() => {
      [alice, bob, carol] = [places.alice, places.bob, places.carol].map((at) => stage.party(...at)) as [
        MediaParty,
        MediaParty,
        MediaParty,
      ];
    });

    /** Alice holds her call with Bob, and talks to Carol. */
    async function twoCalls(): Promise<readonly [Side, Side, Side, Side]> {
      const [b, a] = await talk(bob, alice);
      await hold(a, b);
      const [a2, c] = await talk(alice, carol);
      return [a, b, a2, c];
    }

    it('by feature code: both far parties and the phone are in one conference, its two calls are over', async () => {
      const [a, b, a2, c] = await twoCalls();
      await hold(a2, c);
      const all = await dial(alice, '*30');
      await Promise.all([over(a), over(a2)]);
      await hearAllOthers(all, b, c);
      expect([b.call.up, c.call.up, all.call.up]).toEqual([true, true, true]);
      expect(await b.call.change({ hold: 'sendonly' })).toBe(200);
      await hearAllOthers(all, c);
      expect(await b.call.change({ hold: 'none' })).toBe(200);
      await hearAllOthers(all, b, c);
      expect(await all.call.hangUp()).toBe(200);
      await hearAllOthers(b, c);
      expect(await b.call.hangUp()).toBe(200);
      await over(c);
    });

    it('by feature code while the second call is not held', async () => {
      const [, b, , c] = await twoCalls();
      const all = await dial(alice, '*30');
      await hearAllOthers(all, b, c);
    });

    it('by REFER to the conference that the phone is in', async () => {
      const [a, b, a2, c] = await twoCalls();
      await hold(a2, c);
      const all = await dial(alice, '8999');
      const number = await factoryNumber();
      expect(await a.call.refer(referTo(number))).toBe(202);
      expect(await a2.call.refer(referTo(number))).toBe(202);
      await Promise.all([over(a), over(a2)]);
      await hearAllOthers(all, b, c);
    });
  });

  /** The number of the conference that a factory has made, at whichever node. */
  async function factoryNumber(): Promise<string> {
    const all = stage.cluster.nodes.map((node) => node.api('/api/conferences') as Promise<{ number: string }[]>);
    const made = (await Promise.all(all)).flat().find(({ number }) => number.startsWith('8999*'));
    if (made === undefined) throw new Error('no conference was made');
    return made.number;
  }

  it('a phone with one call: refused, the call goes on', async () => {
    const [a, b] = await talk(stage.party(1, 0), stage.party(2, 0));
    expect(await dialInVain(stage.party(1, 0), '*30')).toBe(480);
    await hearEachOther(a, b);
  });

  const OTHERS: readonly (readonly [string, At])[] = [
    ['at the same node', [1, 3]],
    ['at another node', [2, 1]],
  ];

  /** Somebody calls the line; the first of its phones answers. */
  async function lineIsCalled(number: string): Promise<readonly [Side, Side]> {
    for (const [, at] of OTHERS) stage.party(...at).policy = { type: 'ring' };
    const bob = stage.party(3, 0);
    const b = await dial(bob, number);
    const a = { party: stage.party(1, 0), call: await latest(stage.party(1, 0)) };
    await hearEachOther(a, b);
    return [a, b];
  }

  describe.each(OTHERS)('another phone of the line, %s', (_where, at) => {
    it('is told that the call was completed elsewhere', async () => {
      await lineIsCalled(SHARED);
      await eventually(
        'it rings no more',
        () => stage.party(...at).open.length,
        (count) => count === 0,
      );
    });

    it.each([
      ['by feature code', '*31'],
      ['by feature code and number', `*31${SHARED}`],
    ])('goes on with what the first has held, %s', async (_how, code) => {
      const [a, b] = await lineIsCalled(SHARED);
      await hold(a, b);
      const again = await dial(stage.party(...at), code);
      await over(a);
      await hearEachOther(again, b);
      await hold(again, b);
    });

    it('goes on with it by INVITE with Replaces', async () => {
      const [a, b] = await lineIsCalled(SHARED);
      await hold(a, b);
      const again = await dial(stage.party(...at), SHARED, [`Replaces: ${replacesOf(a.call.dialog)}`]);
      await over(a);
      await hearEachOther(again, b);
    });

    it('joins it as a third party', async () => {
      const [a, b] = await lineIsCalled(SHARED);
      const third = await dial(stage.party(...at), `*33${SHARED}`);
      await hearAllOthers(a, b, third);
      expect([a.call.up, b.call.up]).toEqual([true, true]);
      expect(await third.call.hangUp()).toBe(200);
      await hearAllOthers(a, b);
      expect(await a.call.hangUp()).toBe(200);
      await over(b);
    });

    it('does neither when the line is private', async () => {
      const [a, b] = await lineIsCalled(PRIVATE);
      const phone = stage.party(...at);
      expect(await dialInVain(phone, `*33${PRIVATE}`)).toBe(403);
      await hearEachOther(a, b);
      await hold(a, b);
      expect(await dialInVain(phone, `*31${PRIVATE}`)).toBe(403);
      expect(await dialInVain(phone, PRIVATE, [`Replaces: ${replacesOf(a.call.dialog)}`])).toBe(403);
      await hears(b, 'music');
    });
  });

  describe.each([
    ['at the same node', [1, 1]],
    ['at another node', [2, 0]],
  ] as readonly (readonly [string, At])[])('a phone of another line, %s', (_where, at) => {
    it('is refused, and nothing changes', async () => {
      const [a, b] = await lineIsCalled(SHARED);
      const stranger = stage.party(...at);
      expect(await dialInVain(stranger, `*33${SHARED}`)).toBe(403);
      await hearEachOther(a, b);
      await hold(a, b);
      expect(await dialInVain(stranger, `*31${SHARED}`)).toBe(403);
      expect(await dialInVain(stranger, '*31')).toBe(480);
      expect(await dialInVain(stranger, SHARED, [`Replaces: ${replacesOf(a.call.dialog)}`])).toBe(403);
      const guessed = replacesOf({ ...a.call.dialog, localTag: 'guessed' });
      expect(await dialInVain(stage.party(2, 1), SHARED, [`Replaces: ${guessed}`])).toBe(481);
      await hears(b, 'music');
      expect(a.call.up).toBe(true);
    });
  });

  it('a phone that the line allows to barge joins, and may do no more', async () => {
    const [a, b] = await lineIsCalled(SHARED);
    const third = await dial(stage.party(3, 1), `*33${SHARED}`);
    await hearAllOthers(a, b, third);
    expect(await third.call.hangUp()).toBe(200);
    expect(await dialInVain(stage.party(3, 1), `*31${SHARED}`)).toBe(403);
  });
});
