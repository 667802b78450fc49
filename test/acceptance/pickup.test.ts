import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import { eventually } from '../support/eventually';
import {
  type At,
  hearEachOther,
  hold,
  latest,
  NUMBERS,
  over,
  resume,
  type Side,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

type Who = 'alice' | 'bob' | 'carol';
const PLACES: readonly (readonly [string, Readonly<Record<Who, At>>])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], carol: [1, 2] }],
  ['of a phone at another node', { alice: [1, 0], bob: [2, 0], carol: [1, 1] }],
  ['of a call from another node', { alice: [2, 0], bob: [1, 0], carol: [1, 1] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], carol: [3, 0] }],
];
/** In no pickup group. */
const STRANGER: At = [1, 3];
const IN_GROUP = Object.values(NUMBERS)
  .flat()
  .filter((number) => number !== NUMBERS[1]?.[3]);

describe('pickup by feature code, with sound: Alice calls Bob, and Carol answers', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start({
      change: (file) => (file.numbers = IN_GROUP.map((number) => ({ number, pickupGroup: 'office' }))),
    });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  /** Bob's phone rings. */
  async function rings(alice: MediaParty, bob: MediaParty): Promise<{ a: Side; b: Side; answered: Promise<number> }> {
    bob.policy = { type: 'ring' };
    const { call, answered } = await alice.call(bob.dn);
    const b = { party: bob, call: await latest(bob) };
    await eventually(
      'it rings',
      () => b.call.state,
      (state) => state === 'ringing',
    );
    await eventually(
      'the caller hears of it',
      () => call.provisionals.join(),
      (told) => told.includes('180'),
    );
    return { a: { party: alice, call }, b, answered };
  }

  const refusal = async (who: MediaParty, code: string, headers: readonly string[] = []): Promise<number> =>
    (await who.call(code, headers)).answered;

  describe.each(PLACES)('%s', (_where, places) => {
    let [alice, bob, carol] = [] as unknown as readonly [MediaParty, MediaParty, MediaParty];
    beforeAll(() => {
      [alice, bob, carol] = [stage.party(...places.alice), stage.party(...places.bob), stage.party(...places.carol)];
    });

    it.each([
      ['of the number', (number: string) => `**${number}`],
      ['of the group', () => '*8'],
    ])('%s: they hear each other and are told of each other; the phone that rang is cancelled', async (_, code) => {
      const { a, b, answered } = await rings(alice, bob);
      const picked = await carol.call(code(bob.dn));
      expect(await picked.answered).toBe(200);
      const c = { party: carol, call: picked.call };
      expect(await answered).toBe(200);
      await hearEachOther(a, c);
      await over(b);
      expect(b.call.reason).toBe('SIP;cause=200;text="Call completed elsewhere"');
      await eventually(
        'both are told',
        () => `${a.call.connectedWith} ${c.call.connectedWith}`,
        (told) => told === `${carol.dn} ${alice.dn}`,
      );
      await hold(a, c);
      await resume(a, c);
      await hold(c, a);
      await resume(c, a);
      expect(await c.call.hangUp()).toBe(200);
      await over(a);
    });

    it('a phone of no group, and a guessed dialog: refused, and the phone rings on', async () => {
      const { a, b } = await rings(alice, bob);
      const stranger = stage.party(...STRANGER);
      expect(await refusal(stranger, `**${bob.dn}`)).toBe(403);
      expect(await refusal(stranger, '*8')).toBe(403);
      const named = `Replaces: ${replacesOf(b.call.dialog)}`;
      expect([403, 481]).toContain(await refusal(stranger, bob.dn, [named]));
      expect(b.call.state).toBe('ringing');
      b.call.accept();
      await hearEachOther(a, b);
      expect(await a.call.hangUp()).toBe(200);
      await over(b);
    });

    it('nothing rings, or it has been answered: 480', async () => {
      expect(await refusal(carol, `**${bob.dn}`)).toBe(480);
      expect(await refusal(carol, '*8')).toBe(480);
      const { a, b } = await rings(alice, bob);
      b.call.accept();
      await hearEachOther(a, b);
      expect(await refusal(carol, `**${bob.dn}`)).toBe(480);
      expect(await a.call.hangUp()).toBe(200);
      await over(b);
    });

    it('two at once: one has the call, the other is refused', async () => {
      const { a, b, answered } = await rings(alice, bob);
      const rival = stage.party(1, 1) === carol || stage.party(1, 1) === bob ? stage.party(2, 2) : stage.party(1, 1);
      const both = await Promise.all([carol.call(`**${bob.dn}`), rival.call('*8')]);
      const statuses = await Promise.all(both.map((one) => one.answered));
      expect(statuses.filter((status) => status === 200)).toHaveLength(1);
      expect(await answered).toBe(200);
      const winner = both[statuses.indexOf(200)]!;
      await hearEachOther(a, { party: statuses[0] === 200 ? carol : rival, call: winner.call });
      await over(b);
    });
  });
});
