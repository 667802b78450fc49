import { addGateway, domain } from '../support/cluster-config';
import { itUnless } from '../support/drachtio-limits';
import { quietAudio } from '../support/fleet/messages';
import type { MediaParty } from '../support/media-party';
import { replacesOf } from '../support/party-messages';
import { Scope } from '../support/scope';
import { SipPeer } from '../support/sip-peer';
import { headerOf, statusOf } from '../support/sip-text';
import {
  type At,
  hearEachOther,
  latest,
  outcome,
  referTo,
  type Side,
  talk,
  TransferStage,
} from '../support/transfer-stage';

jest.setTimeout(120_000);

/** Alice and Bob have a call; Mallory has one with a friend. */
interface Places {
  readonly alice: At;
  readonly bob: At;
  readonly mallory: At;
  readonly friend: At;
}
const PLACES: readonly (readonly [string, Places])[] = [
  ['on one node', { alice: [1, 0], bob: [1, 1], mallory: [1, 2], friend: [1, 3] }],
  ['on three nodes', { alice: [1, 0], bob: [2, 0], mallory: [3, 0], friend: [3, 1] }],
];

/** A Replaces header by the dialog that it should name, and what an INVITE with it is answered. Bob has the dialog. */
const HEADERS: readonly (readonly [string, (dialog: Side['call']['dialog']) => readonly string[], number])[] = [
  [
    'the whole name of the dialog, as seen from outside',
    (own) => [replacesOf({ ...own, localTag: own.remoteTag, remoteTag: own.localTag })],
    481,
  ],
  ['a wrong to-tag', (own) => [`${own.callId};to-tag=x;from-tag=${own.localTag}`], 481],
  ['a wrong from-tag', (own) => [`${own.callId};to-tag=${own.remoteTag};from-tag=x`], 481],
  ['a guessed Call-ID', (own) => [`guess@${domain};to-tag=${own.remoteTag};from-tag=${own.localTag}`], 481],
  ['no tags', (own) => [own.callId], 400],
  ['two headers', (own) => [replacesOf(own), replacesOf(own)], 400],
];

describe('RFC 3891: who may not take over a call is refused, and nothing changes', () => {
  const scope = new Scope();
  let stage: TransferStage;
  let outside: SipPeer;
  beforeAll(async () => {
    outside = await SipPeer.udp(scope, '127.0.0.1', 1);
    stage = await TransferStage.start({ change: (file) => addGateway(file, outside.port, [1]) });
  });
  afterAll(async () => {
    await stage.close();
    await scope.close();
  });
  afterEach(() => stage.clear());

  describe.each(PLACES)('%s', (_where, places) => {
    let mallory: MediaParty;
    let a: Side;
    let b: Side;
    beforeEach(async () => {
      const [alice, bob] = [stage.party(...places.alice), stage.party(...places.bob)];
      mallory = stage.party(...places.mallory);
      [b, a] = await talk(bob, alice);
    });

    it.each(HEADERS)('%s', async (_what, headers, status) => {
      const lines = headers(b.call.dialog).map((value) => `Replaces: ${value}`);
      // By the party itself, which may.
      const { answered } = await b.party.call(a.party.dn, lines);
      expect(await answered).toBe(status);
      await hearEachOther(a, b);
      expect(a.party.open).toHaveLength(1);
    });

    it('early-only, and the dialog is confirmed: 486', async () => {
      const { answered } = await b.party.call(a.party.dn, [`Replaces: ${replacesOf(b.call.dialog, ';early-only')}`]);
      expect(await answered).toBe(486);
      await hearEachOther(a, b);
    });

    it('a device without right, with the right name: 403, at its own node and at that of the call', async () => {
      const replaces = [`Replaces: ${replacesOf(b.call.dialog)}`];
      const { answered } = await mallory.call(a.party.dn, replaces);
      expect(await answered).toBe(403);
      const { call, answered: atCall } = await stage.party(places.bob[0], 2).call(a.party.dn, replaces);
      expect([await atCall, call.state]).toEqual([403, 'ended']);
      await hearEachOther(a, b);
    });

    it('a stranger, with the right name: it is challenged, or refused', async () => {
      const peer = await SipPeer.udp(scope, '127.0.0.1', stage.cluster.node(places.bob[0]).place.sipPort);
      const from = `<sip:${b.party.dn}@${domain}>;tag=stranger`;
      const headers = [`Replaces: ${replacesOf(b.call.dialog)}`];
      const invite = { method: 'INVITE', uri: `sip:${a.party.dn}@${domain}`, from, headers };
      expect(statusOf(await peer.ask(invite, 5000))).toBe(407);
      await hearEachOther(a, b);
    });

    it('REFER to the call of somebody else: the transferor is told 403, or that there is none, and talks on', async () => {
      const [m, other] = await talk(mallory, stage.party(...places.friend));
      expect(await m.call.refer(referTo(b.party.dn, replacesOf(b.call.dialog)))).toBe(202);
      expect((await outcome(m)).at(-1)).toBe(places.mallory[0] === places.bob[0] ? 403 : 481);
      await Promise.all([hearEachOther(a, b), hearEachOther(m, other)]);
    });

    itUnless('refersOfNoDialog')(
      'a REFER of a stranger in a dialog that it has guessed: nothing comes of it',
      async () => {
        const peer = await SipPeer.udp(scope, '127.0.0.1', stage.cluster.node(places.bob[0]).place.sipPort);
        const { callId, localTag, remoteTag } = b.call.dialog;
        const dialog = {
          from: `<sip:${b.party.dn}@${domain}>;tag=${localTag}`,
          to: `<sip:${a.party.dn}@${domain}>;tag=`,
        };
        for (const tag of [`${remoteTag}x`, 'x']) {
          const headers = [`Refer-To: ${referTo(mallory.dn)}`];
          const refer = { method: 'REFER', uri: `sip:${domain}`, ...dialog, to: `${dialog.to}${tag}`, callId, headers };
          expect(statusOf(await peer.ask({ ...refer, cseq: 7 }, 5000))).toBe(481);
        }
        expect(mallory.open).toEqual([]);
        await hearEachOther(a, b);
      },
    );
  });

  it('a call from outside is not transferred out again: 404 is told, nothing goes there, and the call goes on', async () => {
    const alice = stage.party(1, 0);
    outside.talkTo(stage.cluster.node(1).place.sipPort);
    const invite = {
      method: 'INVITE',
      uri: `sip:${alice.dn}@${domain}`,
      from: `<sip:0123@${domain}>;tag=gw`,
      callId: 'from-outside',
    };
    const response = await outside.ask({ ...invite, body: quietAudio(outside.port) }, 5000);
    expect(statusOf(response)).toBe(200);
    const to = headerOf(response, 'To') ?? '';
    outside.send(outside.request({ ...invite, method: 'ACK', to }));
    const a = { party: alice, call: await latest(alice) };
    expect(await a.call.refer(referTo('95550'))).toBe(202);
    expect((await outcome(a)).at(-1)).toBe(404);
    expect(outside.requests('INVITE').filter((request) => request.includes('5550@'))).toEqual([]);
    expect(a.call.up).toBe(true);
    expect(await a.call.hangUp()).toBe(200);
  });
});
