import type { MediaParty } from '../support/media-party';
import { getHeader } from '../../src/sip-message/headers';
import { domain } from '../support/cluster-config';
import {
  type At,
  hearEachOther,
  hears,
  latest,
  outcome,
  over,
  referTo,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

const PLACES: readonly (readonly [string, { readonly alice: At; readonly bob: At; readonly carol: At }])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], carol: [1, 2] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], carol: [3, 0] }],
];
/** Rings for a second only. */
const SHORT = '70004';
const NOBODY = '79999';

describe('RFC 3515, RFC 5589: transfers that fail leave everybody as he was, and nothing behind', () => {
  let stage: TransferStage;
  beforeAll(async () => {
    stage = await TransferStage.start({ change: (file) => (file.numbers = [{ number: SHORT, noAnswerSeconds: 1 }]) });
  });
  afterAll(() => stage.close());
  afterEach(() => stage.clear());

  describe.each(PLACES)('%s', (_where, places) => {
    let alice: MediaParty;
    let bob: MediaParty;
    let carol: MediaParty;
    let a: Side;
    let b: Side;
    beforeEach(async () => {
      [alice, bob, carol] = [stage.party(...places.alice), stage.party(...places.bob), stage.party(...places.carol)];
      [b, a] = await talk(bob, alice);
    });

    it.each([
      ['486 Busy Here', 486],
      ['603 Decline', 603],
      ['480 Temporarily Unavailable', 480],
    ])('the target says %s: the transferor is told, and talks on', async (status, told) => {
      carol.policy = { type: 'refuse', status, afterMs: 50 };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      expect((await outcome(a)).at(-1)).toBe(told);
      await hearEachOther(a, b);
    });

    it('there is no such number, or nobody answers: the same', async () => {
      expect(await a.call.refer(referTo(NOBODY))).toBe(202);
      expect(await outcome(a)).toEqual([100, 404]);
      await hearEachOther(a, b);
      stage.party(1, 3).policy = { type: 'ring' };
      expect(await a.call.refer(referTo(SHORT))).toBe(202);
      const told = await outcome(a);
      expect([told[0], told.at(-1)]).toEqual([100, 480]);
      expect(
        a.call.referral.notifies.every((notify) => getHeader(notify, 'Event')?.startsWith('refer;id=') === true),
      ).toBe(true);
      await hearEachOther(a, b);
    });

    it('after a hold of its own the transferor holds on, and the other end has music', async () => {
      expect(await a.call.change({ hold: 'sendonly' })).toBe(200);
      carol.policy = { type: 'refuse', status: '486 Busy Here', afterMs: 0 };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      expect((await outcome(a)).at(-1)).toBe(486);
      await hears(b, 'music');
      expect(await a.call.change({ hold: 'none' })).toBe(200);
      await hearEachOther(a, b);
    });

    it('the transferor has left: it is called back, once', async () => {
      carol.policy = { type: 'ring' };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const c = { party: carol, call: await latest(carol) };
      expect(await a.call.hangUp()).toBe(200);
      await over(a);
      alice.tidy();
      c.call.refuse('486 Busy Here');
      const back = { party: alice, call: await latest(alice) };
      await hearEachOther(back, b);
    });

    it('the transferor has left, and does not want its call back: the call ends', async () => {
      carol.policy = { type: 'ring' };
      alice.policy = { type: 'refuse', status: '486 Busy Here', afterMs: 0 };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const c = { party: carol, call: await latest(carol) };
      expect(await a.call.hangUp()).toBe(200);
      c.call.refuse('486 Busy Here');
      await over(b);
    });

    it('the transferee hangs up: the target rings no more, and the transferor is told and released', async () => {
      carol.policy = { type: 'ring' };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const c = { party: carol, call: await latest(carol) };
      expect(await b.call.hangUp()).toBe(200);
      await Promise.all([over(c), over(a)]);
      expect(a.call.referral.last).toBe(487);
    });

    it('a second REFER while the first one is under way is refused, and disturbs nothing', async () => {
      carol.policy = { type: 'ring' };
      expect(await a.call.refer(referTo(carol.dn))).toBe(202);
      const { referral } = a.call;
      const c = { party: carol, call: await latest(carol) };
      expect(await a.call.refer(referTo(NOBODY))).toBe(491);
      a.call.referral = referral;
      c.call.accept();
      await hearEachOther(b, c);
      expect((await outcome(a)).at(-1)).toBe(200);
    });

    it('both transfer each other at once: one wins, or the two targets talk, and nobody is left alone with a call', async () => {
      const [other] = [stage.party(1, 3)];
      const statuses = await Promise.all([a.call.refer(referTo(carol.dn)), b.call.refer(referTo(other.dn))]);
      if (statuses.every((status) => status === 202)) {
        // Each at its own node: both have found somebody to talk to in their place.
        await Promise.all([over(a), over(b)]);
        return hearEachOther({ party: carol, call: await latest(carol) }, { party: other, call: await latest(other) });
      }
      expect([...statuses].sort()).toEqual([202, 491]);
      const [won, lost, target] = statuses[0] === 202 ? [a, b, carol] : [b, a, other];
      await over(won);
      await hearEachOther(lost, { party: target, call: await latest(target) });
    });

    it.each([
      ['none', [], 400],
      ['two', [`Refer-To: <sip:70001@${domain}>`, `Refer-To: <sip:70002@${domain}>`], 400],
      ['one that is none', ['Refer-To: <sip:>'], 400],
      ['a mail', [`Refer-To: <mailto:carol@${domain}>`], 416],
      ['another method', [`Refer-To: <sip:70003@${domain};method=BYE>`], 501],
      ['another domain', ['Refer-To: <sip:70003@elsewhere.example>'], 403],
      ['a number of elsewhere', ['Refer-To: <tel:70003;phone-context=elsewhere.example>'], 403],
      ['two Replaces', [`Refer-To: <sip:70003@${domain}?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2&Replaces=y>`], 400],
    ])('Refer-To: %s is refused, and the call goes on', async (_what, headers, status) => {
      const response = await a.call.ask('REFER', headers);
      expect(response?.status).toBe(status);
      await hearEachOther(a, b);
      expect(a.call.requests.filter(({ method }) => method === 'NOTIFY')).toEqual([]);
    });

    it.each([
      ['a tel: number', () => `<tel:${carol.dn}>`, []],
      ['baresip, without angle brackets', () => `sip:${carol.dn}@${domain}`, []],
      ['Refer-Sub: false, and nothing is told', () => referTo(carol.dn), ['Refer-Sub: false']],
    ])('%s', async (_what, target, headers) => {
      expect(await a.call.refer(target(), headers)).toBe(202);
      await hearEachOther(b, { party: carol, call: await latest(carol) });
      await over(a);
      expect(a.call.referral.statuses.at(-1)).toBe(headers.length === 0 ? 200 : undefined);
    });
  });
});
