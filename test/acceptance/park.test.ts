import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import { eventually } from '../support/eventually';
import {
  type At,
  hearEachOther,
  hears,
  hold,
  latest,
  outcome,
  over,
  referTo,
  resume,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

/** Where the parties are: the node, and which of its phones. Bob calls Alice, who parks him; Carol retrieves him. */
type Who = 'alice' | 'bob' | 'carol';
const PLACES: readonly (readonly [string, Readonly<Record<Who, At>>])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], carol: [1, 2] }],
  ['retrieved at another node', { alice: [1, 0], bob: [1, 1], carol: [2, 0] }],
  ['of a call from another node', { alice: [2, 0], bob: [1, 0], carol: [1, 1] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], carol: [3, 0] }],
];

const RECALL_SECONDS = 5;
/** Where it is shown that somebody is called back, which takes its time. */
const CALLED_BACK = ['on one node', 'on three nodes'];

describe('park and retrieve, with sound', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start({
      change: (file) => (file.park = { slots: '701-709', recallSeconds: RECALL_SECONDS }),
    });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  /** Alice parks Bob; gives the slot that she was told. */
  async function park(a: Side, b: Side, to: string): Promise<string> {
    expect(await a.call.refer(to)).toBe(202);
    expect(await outcome(a)).toEqual([100, 200]);
    const slot = /Parked At (\d+)/.exec(a.call.referral.notifies.at(-1)?.body.toString() ?? '')?.[1] ?? '';
    await over(a);
    await hears(b, 'music');
    return slot;
  }

  /** The status with which a call is answered. */
  async function dials(who: MediaParty, number: string): Promise<{ side: Side; status: number }> {
    const { call, answered } = await who.call(number);
    return { side: { party: who, call }, status: await answered };
  }

  /** Every node knows which slots are taken; it may take a moment. */
  async function retrieves(who: MediaParty, number: string): Promise<Side> {
    for (let times = 0; ; times += 1) {
      const { side, status } = await dials(who, number);
      if (status === 200) return side;
      if (times > 20) throw new Error(`${who.dn} retrieves ${number}: ${status}`);
    }
  }

  describe.each(PLACES)('%s', (where, places) => {
    let [alice, bob, carol] = [] as unknown as readonly [MediaParty, MediaParty, MediaParty];
    beforeAll(() => {
      [alice, bob, carol] = [stage.party(...places.alice), stage.party(...places.bob), stage.party(...places.carol)];
    });

    it.each([
      ['a free slot, and the code', '*68', (slot: string) => `*88${slot}`],
      ['a chosen slot, and its number', '*68705', (slot: string) => slot],
    ])('%s: music, then the two hear each other and are told of each other', async (_, code, retrieve) => {
      const [b, a] = await talk(bob, alice);
      const slot = await park(a, b, referTo(code));
      if (code === '*68705') expect(slot).toBe('705');
      const c = await retrieves(carol, retrieve(slot));
      await hearEachOther(b, c);
      await eventually(
        'both are told',
        () => `${b.call.connectedWith} ${c.call.connectedWith}`,
        (told) => told === `${carol.dn} ${bob.dn}`,
      );
      await hold(c, b);
      await resume(c, b);
      await hold(b, c);
      await resume(b, c);
      expect((await dials(carol, slot)).status).toBe(404);
      expect(await c.call.hangUp()).toBe(200);
      await over(b);
    });

    it('attended: the slot answers, says which it is, and takes what is transferred there', async () => {
      const [b, a] = await talk(bob, alice);
      await hold(a, b);
      const { side: a2, status } = await dials(alice, '*68');
      expect(status).toBe(200);
      const slot = a2.call.connectedWith ?? '';
      expect(slot).toMatch(/^70\d$/);
      expect(await a.call.refer(referTo(slot, replacesOf(a2.call.dialog)))).toBe(202);
      await Promise.all([over(a), over(a2), hears(b, 'music')]);
      const c = await retrieves(carol, slot);
      await hearEachOther(b, c);
      expect(await b.call.hangUp()).toBe(200);
      await over(c);
    });

    it('a slot that is taken is refused, and the call goes on; when the parked one hangs up it is free', async () => {
      const [b, a] = await talk(bob, alice);
      await park(a, b, referTo('*68703'));
      const [c, a2] = await talk(carol, alice);
      expect(await a2.call.refer(referTo('*68703'))).toBe(202);
      expect((await outcome(a2)).at(-1)).toBe(486);
      await hearEachOther(c, a2);
      expect(await b.call.hangUp()).toBe(200);
      await eventually(
        'the slot is free',
        async () => (await dials(alice, '703')).status,
        (status) => status === 404,
      );
      expect(await a2.call.hangUp()).toBe(200);
      await over(c);
    });

    const slow = CALLED_BACK.includes(where) ? it : undefined;
    slow?.(
      'nobody retrieves it: who has parked it is called back, in vain and once more, and then talks to who waits',
      async () => {
        const [b, a] = await talk(bob, alice);
        alice.policy = { type: 'refuse', status: '486 Busy Here', afterMs: 0 };
        await park(a, b, referTo('*68'));
        await eventually(
          'she was called back',
          () => alice.invitations,
          (invitations) => invitations > 1,
          { cap: 20_000 },
        );
        await hears(b, 'music');
        alice.policy = { type: 'answer', afterMs: 0 };
        const back = { party: alice, call: await latest(alice) };
        await hearEachOther(b, back);
        expect(await b.call.hangUp()).toBe(200);
        await over(back);
      },
    );
  });

  it('when the node of a slot dies the slot is gone', async () => {
    const [b, a] = await talk(stage.party(3, 1), stage.party(3, 0));
    const slot = await park(a, b, referTo('*68'));
    const other = stage.party(1, 0);
    const elsewhere = await retrieves(other, slot);
    expect(await elsewhere.call.hangUp()).toBe(200);
    await over(b);
    const [b2, a2] = await talk(stage.party(3, 1), stage.party(3, 0));
    expect(await park(a2, b2, referTo(`*68${slot}`))).toBe(slot);
    await stage.cluster.node(3).kill9();
    await eventually(
      'nobody has it',
      async () => (await dials(other, slot)).status,
      (status) => status === 404,
    );
    for (const call of [b2.call, a2.call]) call.over(0);
    await stage.cluster.node(3).start();
  });
});
