import type { Phone } from '../support/baresip';
import { Cluster } from '../support/cluster';
import { domain, people } from '../support/cluster-config';
import { eventually } from '../support/eventually';
import type { LinphonePhone } from '../support/linphone';
import { replacesOf } from '../support/party-messages';
import { endCalls, hangUp, hearEachOther, hearsMusic, talk } from '../support/talk';

jest.setTimeout(150_000);

/** The node of the transferor, of who is transferred, and of the target. */
const PLACES: readonly (readonly [string, readonly [number, number, number]])[] = [
  ['on one node', [1, 1, 1]],
  ['with the target at another node', [1, 1, 2]],
  ['on three nodes', [1, 2, 3]],
];

/** The statuses that NOTIFYs have told a phone, each once. */
function told(phone: Phone): readonly string[] {
  const notifies = phone.trace().filter(({ text }) => text.startsWith('NOTIFY '));
  return [...new Set(notifies.map(({ text }) => /^SIP\/2\.0 (\d{3})/m.exec(text)?.[1] ?? ''))];
}

/** Waits until a baresip has had a message. */
async function had(phone: Phone, what: string, pattern: RegExp): Promise<void> {
  const count = (): number => phone.trace().filter(({ text }) => pattern.test(text)).length;
  await eventually(`${phone.name} has had ${what}`, count, (found) => found > 0);
}

describe('RFC 5359 on real phones', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await Cluster.start({ nodes: 3, engines: [1, 2, 3] });
  });
  afterAll(() => cluster.close());

  describe.each(PLACES)('%s', (_where, [transferor, transferee, target]) => {
    let alice: Phone;
    let bob: Phone;
    let carol: Phone;
    beforeAll(async () => {
      alice = await cluster.phone('alice', { at: transferor });
      bob = await cluster.phone('bob', { at: transferee });
      carol = await cluster.phone('carol', { at: target });
    });
    afterEach(async () => {
      await endCalls(alice, alice, bob, carol);
      await cluster.nothingIsLeft();
    });
    afterAll(async () => {
      for (const phone of [alice, bob, carol]) await phone.stop();
    });

    it('§2.4 baresip transfers: music until the target answers, then the two talk, and the transferor is out', async () => {
      await talk(bob, alice, people.alice.dn);
      for (const phone of [alice, carol]) phone.now();
      await alice.transfer(people.carol.dn);
      await carol.incoming();
      await hearsMusic(bob, alice, carol);
      await alice.hearsNothing();
      await carol.accept();
      await hearEachOther(bob, carol);
      await alice.closed();
      expect(told(alice)).toEqual(['100', '180', '200']);
      await had(bob, 'who it talks to now', new RegExp(`^P-Asserted-Identity: .*sip:${people.carol.dn}@`, 'm'));
      // What was transferred is whole.
      await carol.hold();
      await hearsMusic(bob, carol);
      await carol.resume();
      await hearEachOther(bob, carol);
      await hangUp(bob, carol);
    });

    it('§2.4 the target refuses: baresip is told and hangs up by itself, and who was to be transferred is released', async () => {
      await talk(alice, bob, people.bob.dn);
      for (const phone of [alice, bob, carol]) phone.now();
      await alice.transfer(people.carol.dn);
      await carol.incoming();
      await carol.hangup();
      // It says so, and no word of the end of its call.
      const failed = await alice.event('TRANSFER_FAILED');
      expect(failed.param).toBe('486 Busy Here');
      await bob.closed();
    });

    it('§2.5 baresip, attended: both calls become one, and it is out of both', async () => {
      await talk(bob, alice, people.alice.dn);
      const first = alice.dialog();
      await alice.hold();
      await hearsMusic(bob, alice);
      await talk(alice, carol, people.carol.dn);
      await bob.doesNotHear([alice, carol].map(({ options }) => options.tone));
      const second = alice.dialog();
      await alice.hold();
      await hearsMusic(carol, alice);
      await alice.choose(first.callId);
      alice.now();
      await alice.transfer(`sip:${people.carol.dn}@${domain}?Replaces=${encodeURIComponent(replacesOf(second))}`);
      await hearEachOther(bob, carol);
      await eventually(
        'alice is out of both calls',
        () => alice.eventTypes().filter((type) => type === 'CALL_CLOSED').length,
        (count) => count === 2,
      );
      await had(bob, 'who it talks to now', new RegExp(`^P-Asserted-Identity: .*sip:${people.carol.dn}@`, 'm'));
      await had(carol, 'who it talks to now', new RegExp(`^P-Asserted-Identity: .*sip:${people.bob.dn}@`, 'm'));
      await bob.hold();
      await hearsMusic(carol, bob);
      await bob.resume();
      await hearEachOther(bob, carol);
      await hangUp(carol, bob);
    });

    describe('with linphone', () => {
      let leo: LinphonePhone;
      beforeAll(async () => {
        leo = await cluster.linphone('leo', transferor);
      });
      afterEach(() => endCalls(leo));
      afterAll(() => leo.stop());

      it('§2.4 linphone transfers: music until the target answers, then the two talk, and the transferor is out', async () => {
        await talk(bob, leo, people.leo.dn);
        carol.now();
        leo.now();
        await leo.transfer(people.carol.dn);
        await carol.incoming();
        await hearsMusic(bob, carol, leo);
        await carol.accept();
        await hearEachOther(bob, carol);
        await leo.closed();
        await hangUp(carol, bob);
      });

      it('§2.4 the target refuses: linphone has its call again, after its own hold and without one', async () => {
        await talk(bob, leo, people.leo.dn);
        for (const held of [false, true]) {
          if (held) await leo.hold();
          carol.now();
          await leo.transfer(people.carol.dn);
          await carol.incoming();
          await carol.hangup();
          if (held) await hearsMusic(bob, leo);
          if (held) await leo.resume();
          await hearEachOther(leo, bob);
        }
        await hangUp(leo, bob);
      });

      it('§2.5 linphone, attended: both calls become one, and it is out of both', async () => {
        await talk(bob, leo, people.leo.dn);
        const first = leo.lastCall;
        await leo.hold();
        await hearsMusic(bob, leo);
        await talk(leo, carol, people.carol.dn);
        leo.now();
        await leo.connect(first, leo.lastCall);
        await hearEachOther(bob, carol);
        await leo.closed();
        await hangUp(bob, carol);
      });

      it('§2.4, §2.5 linphone is transferred, and is the target: it hears the other one, and knows who that is', async () => {
        await talk(leo, alice, people.alice.dn);
        carol.now();
        await alice.transfer(people.carol.dn);
        await carol.incoming();
        await hearsMusic(leo, alice, carol);
        await carol.accept();
        await hearEachOther(leo, carol);
        expect(leo.sipLog()).toMatch(new RegExp(`P-Asserted-Identity: .*sip:${people.carol.dn}@`));
        await hangUp(carol, leo);

        await talk(bob, alice, people.alice.dn);
        leo.now();
        await alice.transfer(people.leo.dn);
        await leo.incoming();
        await hearsMusic(bob, alice, leo);
        await leo.accept();
        await hearEachOther(bob, leo);
        await hangUp(leo, bob);
      });
    });
  });
});
