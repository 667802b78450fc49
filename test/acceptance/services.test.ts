import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
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

const PLACES: readonly (readonly [string, { readonly alice: At; readonly bob: At; readonly carol: At }])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], carol: [1, 2] }],
  ['with the third party at another node', { alice: [1, 0], bob: [1, 1], carol: [2, 1] }],
  ['with the transferor alone at its node', { alice: [2, 0], bob: [1, 0], carol: [1, 1] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], carol: [3, 0] }],
];

describe('RFC 5359, service by service, with sound', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start();
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

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

    /** Bob has a call with Alice, who is to transfer him. */
    async function bobCalls(): Promise<{ readonly a: Side; readonly b: Side }> {
      const [b, a] = await talk(bob, alice);
      return { a, b };
    }

    it('§2.1, §2.3 call hold and music on hold: the held party hears music, and nobody else hears it', async () => {
      const { a, b } = await bobCalls();
      await hold(a, b);
      await resume(a, b);
      await hold(b, a);
      await resume(b, a);
    });

    it('§2.2 consultation hold: the first party hears music while the holder talks to a second one', async () => {
      const { a, b } = await bobCalls();
      await hold(a, b);
      const [a2, c] = await talk(alice, carol);
      await hears(b, 'music');
      expect(await a2.call.hangUp()).toBe(200);
      await over(c);
      await resume(a, b);
    });

    it.each(['called', 'calls'])(
      '§2.4 unattended transfer by who %s: music, then the target; the transferor is told and leaves',
      async (role) => {
        const { a, b } = role === 'called' ? await bobCalls() : await talk(alice, bob).then(([a, b]) => ({ a, b }));
        carol.policy = { type: 'ring' };
        expect(await a.call.refer(referTo(carol.dn))).toBe(202);
        const c = { party: carol, call: await latest(carol) };
        await Promise.all([hears(b, 'music'), hears(a, 'nothing')]);
        c.call.accept();
        await hearEachOther(b, c);
        expect(await outcome(a)).toEqual([100, 180, 200]);
        await over(a);
        expect([b.call.up, c.call.up]).toEqual([true, true]);
        expect(await b.call.hangUp()).toBe(200);
        await over(c);
      },
    );

    it('§2.4 the transferor hangs up while the target rings: they are connected all the same', async () => {
      const { a, b } = await bobCalls();
      carol.policy = { type: 'ring' };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const c = { party: carol, call: await latest(carol) };
      expect(await a.call.hangUp()).toBe(200);
      await hears(b, 'music');
      c.call.accept();
      await hearEachOther(b, c);
      expect(await c.call.hangUp()).toBe(200);
      await over(b);
    });

    it('§2.4 after hold: the transferred call is whole, hold works in it', async () => {
      const { a, b } = await bobCalls();
      await hold(a, b);
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const c = { party: carol, call: await latest(carol) };
      await hearEachOther(b, c);
      await over(a);
      await hold(c, b);
      await resume(c, b);
      await hold(b, c);
      await resume(b, c);
    });

    it('§2.5 attended transfer: both calls of the transferor become one, and it leaves both', async () => {
      const { a, b } = await bobCalls();
      await hold(a, b);
      const [a2, c] = await talk(alice, carol);
      await hold(a2, c);
      expect(await a.call.refer(referTo(carol.dn, replacesOf(a2.call.dialog)))).toBe(202);
      await hearEachOther(b, c);
      expect((await outcome(a)).at(-1)).toBe(200);
      await Promise.all([over(a), over(a2)]);
      await hold(b, c);
      await resume(b, c);
      expect(await c.call.hangUp()).toBe(200);
      await over(b);
    });

    it('§2.5 semi-attended: the second call rings on for who was transferred, and nobody is rung twice', async () => {
      const { a, b } = await bobCalls();
      await hold(a, b);
      carol.policy = { type: 'ring' };
      const { call } = await alice.call(carol.dn);
      const a2 = { party: alice, call };
      const c = { party: carol, call: await latest(carol) };
      await eventuallyRings(c);
      await eventuallyHasDialog(a2);
      expect(await a.call.refer(referTo(carol.dn, replacesOf(a2.call.dialog)))).toBe(202);
      await over(a2);
      expect(carol.open).toHaveLength(1);
      c.call.accept();
      await hearEachOther(b, c);
      expect((await outcome(a)).at(-1)).toBe(200);
      await over(a);
      expect(await b.call.hangUp()).toBe(200);
      await over(c);
    });
  });
});

/** Its phone has heard that it rings. */
async function eventuallyHasDialog({ call }: Side): Promise<void> {
  for (let waits = 0; call.dialog.remoteTag === '' && waits < 200; waits++)
    await new Promise((resolve) => setTimeout(resolve, 20));
}

async function eventuallyRings({ call }: Side): Promise<void> {
  for (let waits = 0; call.state !== 'ringing' && waits < 200; waits++)
    await new Promise((resolve) => setTimeout(resolve, 20));
  expect(call.state).toBe('ringing');
}
