import { Cluster } from '../../support/cluster';
import { people } from '../../support/cluster-config';
import { eventuallyTrue } from '../../support/eventually';
import { musicTones } from '../../support/music';
import { description, RawPhone } from '../../support/raw-phone';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(120_000);

/** Descriptions as phones of many makes write them, between two nodes with media servers of their own. */
describe('descriptions that mean what they do not say', () => {
  let cluster: Cluster;
  let alice: RawPhone;
  let bob: RawPhone;
  let version = 0;

  beforeAll(async () => {
    cluster = await Cluster.start({
      change: (file) => {
        for (const site of Object.values(file.sites))
          site.codecs = ['G722', 'G729', 'PCMU', 'PCMA', 'opus', 'iLBC', 'telephone-event'];
      },
    });
    alice = await RawPhone.start(cluster.scope, 'alice', cluster.node(1).place.sipPort);
    bob = await RawPhone.start(cluster.scope, 'bob', cluster.node(2).place.sipPort);
    for (const { dn } of [people.alice, people.bob]) await cluster.everybodyKnows(dn);
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await alice.hangUp();
    await bob.hangUp();
    await eventuallyTrue('both have hung up', () => !alice.talking && !bob.talking);
    await cluster.nothingIsLeft();
  });

  const pathAt = async (node: number): Promise<unknown> => {
    const [call] = (await cluster.node(node).calls()) as readonly { readonly id: string }[];
    const detail = await cluster.node(node).api(`/api/calls/${call?.id ?? ''}`);
    return (detail as { readonly media?: { readonly path?: string } }).media?.path;
  };
  const stateAt = async (node: number): Promise<unknown> => {
    const [call] = (await cluster.node(node).calls()) as readonly { readonly state?: string }[];
    return call?.state;
  };
  const audio = (phone: RawPhone, formats: string, ...attributes: readonly string[]): string => {
    version += 1;
    return description(
      version,
      `m=audio ${phone.rtp.port} RTP/AVP ${formats}`,
      ...attributes.map((line) => `a=${line}`),
    );
  };
  async function hears(phone: RawPhone, ...tones: readonly number[]): Promise<void> {
    await phone.rtp.hearsTones(phone.name, tones);
  }

  type Row = readonly [what: string, offered: readonly string[], answered: readonly string[]];
  const rows: readonly Row[] = [
    ['G722/16000', ['9', 'rtpmap:9 G722/16000'], ['9', 'rtpmap:9 G722/8000']],
    ['G729A', ['18', 'rtpmap:18 G729A/8000'], ['18', 'rtpmap:18 G729/8000', 'fmtp:18 annexb=no']],
    ['G729 without rtpmap', ['18'], ['18', 'rtpmap:18 G729/8000/1']],
    ['opus without channels', ['111', 'rtpmap:111 opus/48000'], ['111', 'rtpmap:111 opus/48000/2']],
    ['small letters', ['0 8', 'rtpmap:0 pcmu/8000', 'rtpmap:8 PCMA/8000/1'], ['0', 'rtpmap:0 PCMU/8000']],
    [
      'modes of iLBC',
      ['97', 'rtpmap:97 iLBC/8000', 'fmtp:97 mode=30'],
      ['97', 'rtpmap:97 iLBC/8000', 'fmtp:97 mode=20'],
    ],
    ['G722 without rtpmap, after a call of the callee with G722/16000', ['9'], ['9', 'rtpmap:9 G722/8000']],
  ];
  it.each(rows)('one codec written in two ways needs nothing between: %s', async (what, offered, answered) => {
    const [formats = '', ...attributes] = offered;
    const [own = '', ...more] = answered;
    if (what.includes('after a call')) {
      alice.answer = () => audio(alice, '9');
      expect(statusOf(await bob.call('alice', audio(bob, '9 8', 'rtpmap:9 G722/16000')))).toBe(200);
      expect([await pathAt(1), await pathAt(2)]).toEqual(['direct', 'direct']);
      await bob.hangUp();
      await eventuallyTrue('alice has hung up', () => !alice.talking);
    }
    bob.answer = () => audio(bob, own, ...more);
    expect(statusOf(await alice.call('bob', audio(alice, formats, ...attributes)))).toBe(200);
    alice.answer = () => audio(alice, formats, ...attributes);
    // The other way round as well.
    expect(statusOf(await bob.reinvite(audio(bob, own, ...more)))).toBe(200);
    expect([await pathAt(1), await pathAt(2)]).toEqual(['direct', 'direct']);
    expect(await cluster.mediaSessions()).toEqual([]);
  });

  it('RFC 4291 §2.5.5.2: an IPv4-mapped address is an IPv4 address', async () => {
    bob.answer = () => audio(bob, '8');
    const mapped = audio(alice, '8').replaceAll('IN IP4 127.0.0.1', 'IN IP6 ::FFFF:127.0.0.1');
    expect(statusOf(await alice.call('bob', mapped))).toBe(200);
    expect([await pathAt(1), await pathAt(2)]).toEqual(['direct', 'direct']);
    expect(bob.heard).toContain('\r\nc=IN IP4 127.0.0.1\r\n');
    alice.say(440);
    bob.say(1000);
    await Promise.all([hears(alice, 1000), hears(bob, 440)]);
  });

  describe('RFC 3264 §6, §8: SRTP and plain RTP as two lines', () => {
    const crypto = 'a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj';
    /** The second line is where the phone listens; the first is refused in an answer. */
    const two = (phone: RawPhone, direction = 'sendrecv', secure: number | undefined = phone.rtp.port): string => {
      version += 1;
      return description(
        version,
        `m=audio ${secure} RTP/SAVP 8`,
        ...(secure === 0 ? [] : [crypto, `a=${direction}`]),
        `m=audio ${phone.rtp.port} RTP/AVP 8`,
        `a=${direction}`,
      );
    };
    const lines = (sdp: string): readonly string[] =>
      sdp.match(/^m=audio \d+ \S+/gm)?.map((line) => line.replace(/ [1-9]\d*/, ' open')) ?? [];
    const mirror = (offer: string): string => (offer.includes('a=sendonly') ? 'recvonly' : 'sendrecv');

    it('the agreed line carries talk, music and talk again; both lines stay, in order, whoever offers', async () => {
      bob.answer = (offer) => two(bob, mirror(offer), 0);
      alice.answer = (offer) => {
        // Refuses what is refused.
        const [first] = lines(offer);
        return two(alice, mirror(offer), first === 'm=audio 0 RTP/SAVP' ? 0 : alice.rtp.port);
      };
      expect(statusOf(await alice.call('bob', two(alice)))).toBe(200);
      expect(lines(alice.heard)).toEqual(['m=audio 0 RTP/SAVP', 'm=audio open RTP/AVP']);
      alice.say(440, 8, 1);
      bob.say(1000, 8, 1);
      await Promise.all([hears(alice, 1000), hears(bob, 440)]);
      // Bob holds: music for alice, on the line that is in use.
      bob.rtp.stopSending();
      alice.rtp.stopSending();
      const before = alice.told.length;
      expect(statusOf(await bob.reinvite(two(bob, 'sendonly', 0)))).toBe(200);
      const music = await alice.nextTold(before, 'is held');
      expect(lines(music)).toEqual(['m=audio 0 RTP/SAVP', 'm=audio open RTP/AVP']);
      await hears(alice, ...musicTones);
      expect(statusOf(await bob.reinvite(two(bob, 'sendrecv', 0)))).toBe(200);
      await eventuallyTrue(
        'alice is resumed',
        () => lines(alice.heard).length === 2 && alice.heard.includes('a=sendrecv'),
      );
      expect(lines(alice.heard)).toEqual(['m=audio 0 RTP/SAVP', 'm=audio open RTP/AVP']);
      alice.say(440, 8, 1);
      bob.say(1000, 8, 1);
      await Promise.all([hears(alice, 1000), hears(bob, 440)]);
      expect([await pathAt(1), await pathAt(2)]).toEqual(['direct', 'direct']);
      // Alice holds, with both lines.
      alice.rtp.stopSending();
      bob.rtp.stopSending();
      const held = bob.told.length;
      expect(statusOf(await alice.reinvite(two(alice, 'sendonly')))).toBe(200);
      expect(lines(alice.heard)).toHaveLength(2);
      expect(lines(await bob.nextTold(held, 'is held'))).toHaveLength(2);
      await hears(bob, ...musicTones);
      expect(statusOf(await alice.reinvite(two(alice)))).toBe(200);
      expect(lines(alice.heard)).toEqual(['m=audio 0 RTP/SAVP', 'm=audio open RTP/AVP']);
      alice.say(440, 8, 1);
      bob.say(1000, 8, 1);
      await Promise.all([hears(alice, 1000), hears(bob, 440)]);
    });

    it('a later offer with one line only reaches the other with both', async () => {
      bob.answer = () => two(bob, 'sendrecv', 0);
      alice.answer = () => two(alice, 'sendrecv', 0);
      expect(statusOf(await alice.call('bob', two(alice)))).toBe(200);
      const before = alice.told.length;
      const one = description(++version, `m=audio 0 RTP/SAVP 8`, `m=audio ${bob.rtp.port} RTP/AVP 8`);
      expect(statusOf(await bob.reinvite(one))).toBe(200);
      expect(lines(await alice.nextTold(before))).toEqual(['m=audio 0 RTP/SAVP', 'm=audio open RTP/AVP']);
      const shorter = description(++version, `m=audio ${bob.rtp.port} RTP/AVP 8`);
      expect([200, 488]).toContain(statusOf(await bob.reinvite(shorter)));
      expect(lines(alice.heard)).toHaveLength(2);
    });
  });

  it('RFC 8839 §4.3: ICE with the address 0.0.0.0 is no hold', async () => {
    bob.answer = () => audio(bob, '8');
    const ice = audio(
      alice,
      '8',
      'ice-ufrag:abcd',
      'ice-pwd:0123456789012345678901',
      'candidate:1 1 udp 2113937151 3b1f5c2e.local 50000 typ host',
    );
    const offer = ice.replace(/^c=IN IP4 .*$/m, 'c=IN IP4 0.0.0.0').replace(/^m=audio \d+/m, 'm=audio 9');
    expect(statusOf(await alice.call('bob', offer))).toBe(200);
    expect(
      statusOf(
        await alice.reinvite(
          offer
            .replace(/^o=.*$/m, `o=- 7 ${++version} IN IP4 127.0.0.1`)
            .replace('a=ice-ufrag:abcd', 'a=ice-ufrag:efgh'),
        ),
      ),
    ).toBe(200);
    expect([await stateAt(1), await stateAt(2)]).not.toContain('held');
    expect(await cluster.mediaSessions()).toEqual([]);
    expect(headerOf(await alice.ask('INFO', '', ['Info-Package: trickle-ice']), 'CSeq')).toContain('INFO');
  });
});
