import { Cluster } from '../../support/cluster';
import { people } from '../../support/cluster-config';
import { describeUnless } from '../../support/drachtio-limits';
import { eventuallyTrue } from '../../support/eventually';
import { freePort } from '../../support/ports';
import { RawPhone } from '../../support/raw-phone';
import { SipPeer } from '../../support/sip-peer';
import { headerOf, statusOf } from '../../support/sip-text';

jest.setTimeout(60_000);

const FINGERPRINT = Array.from({ length: 32 }, (_, at) => (at * 7 + 16).toString(16).toUpperCase()).join(':');

interface Offer {
  readonly ufrag?: string;
  readonly setup?: string;
  readonly direction?: string;
  readonly candidates?: readonly string[];
  readonly trickle?: boolean;
  readonly video?: boolean;
}

/** As a browser writes it that has no candidates yet, or tells none. */
function browserOffer(version: number, offer: Offer): string {
  const {
    ufrag = 'abcd',
    setup = 'actpass',
    direction = 'sendrecv',
    candidates = [],
    trickle = false,
    video = false,
  } = offer;
  const stream = (mid: number, line: string, ...maps: readonly string[]): readonly string[] => [
    line,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    ...candidates.map((one) => `a=${one}`),
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${ufrag}0123456789012345678901`,
    ...(trickle ? ['a=ice-options:trickle'] : []),
    `a=fingerprint:sha-256 ${FINGERPRINT}`,
    `a=setup:${setup}`,
    `a=mid:${mid}`,
    `a=${direction}`,
    'a=rtcp-mux',
    ...maps,
  ];
  return [
    'v=0',
    `o=- 4611731400430051336 ${version} IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    `a=group:BUNDLE ${video ? '0 1' : '0'}`,
    ...stream(
      0,
      'm=audio 9 UDP/TLS/RTP/SAVPF 111 0 126',
      'a=rtpmap:111 opus/48000/2',
      'a=rtpmap:0 PCMU/8000',
      'a=rtpmap:126 telephone-event/8000',
    ),
    ...(video ? stream(1, 'm=video 9 UDP/TLS/RTP/SAVPF 96', 'a=rtpmap:96 VP8/90000') : []),
    '',
  ].join('\r\n');
}

const MDNS = 'candidate:1 1 udp 2113937151 3b1f5c2e-7a0e-4b1c-9d51-6c2f0f8b1a11.local 50000 typ host generation 0';

describeUnless('listeners')('field case B29: what browsers offer', () => {
  let cluster: Cluster;
  let alice: RawPhone;
  const phones = new Map<string, RawPhone>();
  let version = 1;

  beforeAll(async () => {
    const port = await freePort();
    cluster = await Cluster.start({ change: (file) => void file.nodes[0]?.listen.push(`ws:127.0.0.1:${port}`) });
    const { sipPort } = cluster.node(1).place;
    const browser = await SipPeer.webSocket(cluster.scope, `ws://127.0.0.1:${port}`);
    alice = await RawPhone.start(cluster.scope, 'alice', sipPort, browser);
    phones.set('carol', await RawPhone.start(cluster.scope, 'carol', sipPort));
    phones.set('bob', await RawPhone.start(cluster.scope, 'bob', cluster.node(2).place.sipPort));
    for (const { dn } of [people.alice, people.carol, people.bob]) await cluster.everybodyKnows(dn);
  });
  afterAll(() => cluster.close());
  afterEach(async () => {
    await alice.hangUp();
    await eventuallyTrue('all have hung up', () => [...phones.values()].every(({ talking }) => !talking));
    await cluster.nothingIsLeft();
  });

  const states = async (): Promise<readonly unknown[]> => {
    const nodes = await Promise.all([1, 2].map((node) => cluster.node(node).calls()));
    return (nodes.flat() as readonly { readonly state?: string }[]).map(({ state }) => state);
  };
  const valueOf = (sdp: string, name: string): string | undefined =>
    new RegExp(`^a=${name}:(.*)$`, 'm').exec(sdp)?.[1]?.trim();

  describe.each(['carol', 'bob'] as const)('to a phone at the same or the other node: %s', (name) => {
    const other = (): RawPhone => phones.get(name)!;
    const offer = (about: Offer = {}): string => browserOffer(++version, about);
    const call = async (about: Offer = {}): Promise<void> => {
      other().answer = (offered) =>
        other()
          .rtp.sdp(offered.includes('a=sendonly') ? 'recvonly' : 'sendrecv', ++version, ['PCMU'])
          .concat(
            // It has no video.
            ...(offered.match(/^m=video .*/gm) ?? []).map(
              (line) => `${line.replace(/^m=video \d+/, 'm=video 0').trim()}\r\n`,
            ),
          );
      alice.answer = () => offer(about);
      expect(statusOf(await alice.call(name, offer(about)))).toBe(200);
      expect(alice.heard).toMatch(/^m=audio [1-9]\d* UDP\/TLS\/RTP\/SAVPF /m);
      expect(valueOf(alice.heard, 'ice-ufrag')).toBeDefined();
      expect(alice.heard).not.toMatch(/^c=IN IP4 0\.0\.0\.0/m);
    };
    /** Plain RTP, with an address that the node of the browser owns. */
    const heardByOther = (): void => {
      expect(other().heard).toMatch(/^m=audio [1-9]\d* RTP\/AVP /m);
      expect(other().heard).not.toMatch(/0\.0\.0\.0|\.local|ice-|fingerprint|BUNDLE/);
    };

    it.each<[string, Offer]>([
      ['port 9 at 0.0.0.0, no candidates', {}],
      ['the same, and candidates are to follow', { trickle: true }],
      ['an mDNS candidate alone', { candidates: [MDNS] }],
      ['an mDNS candidate, more are to follow', { candidates: [MDNS], trickle: true }],
      ['no more candidates', { candidates: [MDNS, 'end-of-candidates'] }],
    ])('%s: no hold, and a candidate of ours in the answer', async (_, about) => {
      await call(about);
      heardByOther();
      expect(alice.heard).toMatch(/^a=candidate:/m);
      expect(await states()).toEqual(expect.not.arrayContaining(['held']));
      // Nor when it is said again, nor when it holds and resumes.
      for (const [direction, state] of [
        ['sendrecv', 'established'],
        ['sendonly', 'held'],
        ['sendrecv', 'established'],
      ] as const) {
        expect(statusOf(await alice.reinvite(offer({ ...about, direction })))).toBe(200);
        await eventuallyTrue(`it is ${state}`, async () => (await states()).every((one) => one === state));
      }
    });

    it('a bundle with video, which is refused: the bundle has the audio only, then and in later descriptions', async () => {
      await call({ video: true });
      const isRight = (sdp: string): void => {
        expect(sdp.match(/^m=\w+ \d+/gm)?.map((line) => line.replace(/ [1-9]\d*/, ' open'))).toEqual([
          'm=audio open',
          'm=video 0',
        ]);
        expect(valueOf(sdp, 'group')).toBe('BUNDLE 0');
        expect(valueOf(sdp, 'mid')).toBe('0');
      };
      isRight(alice.heard);
      const before = alice.told.length;
      expect(statusOf(await other().reinvite(other().rtp.sdp('sendonly', ++version, ['PCMU'])))).toBe(200);
      isRight(await alice.nextTold(before, 'is offered music'));
      expect(statusOf(await other().reinvite(other().rtp.sdp('sendrecv', ++version, ['PCMU'])))).toBe(200);
      await eventuallyTrue('it is established again', async () =>
        (await states()).every((one) => one === 'established'),
      );
      isRight(alice.heard);
      // It holds with both lines, and resumes.
      for (const direction of ['sendonly', 'sendrecv']) {
        expect(statusOf(await alice.reinvite(offer({ video: true, direction })))).toBe(200);
        isRight(alice.heard);
      }
    });

    it('RFC 8445 §9: a new ufrag is answered with a new one; the same one with the same', async () => {
      await call();
      const [ufrag, pwd] = [valueOf(alice.heard, 'ice-ufrag'), valueOf(alice.heard, 'ice-pwd')];
      expect(statusOf(await alice.reinvite(offer()))).toBe(200);
      expect([valueOf(alice.heard, 'ice-ufrag'), valueOf(alice.heard, 'ice-pwd')]).toEqual([ufrag, pwd]);
      expect(statusOf(await alice.reinvite(offer({ ufrag: 'efgh' })))).toBe(200);
      expect(valueOf(alice.heard, 'ice-ufrag')).not.toBe(ufrag);
      expect(valueOf(alice.heard, 'ice-pwd')).not.toBe(pwd);
      expect(alice.heard).toMatch(/^a=candidate:/m);
      // While it holds, and when it resumes.
      for (const [direction, next] of [
        ['sendonly', 'ijkl'],
        ['sendrecv', 'mnop'],
      ] as const) {
        const last = valueOf(alice.heard, 'ice-ufrag');
        expect(statusOf(await alice.reinvite(offer({ ufrag: next, direction })))).toBe(200);
        expect(valueOf(alice.heard, 'ice-ufrag')).not.toBe(last);
      }
    });

    it('RFC 8842 §5: setup:active in a re-INVITE is answered with passive, and the fingerprint stays', async () => {
      await call();
      const [setup, print] = [valueOf(alice.heard, 'setup'), valueOf(alice.heard, 'fingerprint')];
      expect(['active', 'passive']).toContain(setup);
      for (const direction of ['sendrecv', 'sendonly', 'sendrecv']) {
        expect(statusOf(await alice.reinvite(offer({ setup: 'active', direction })))).toBe(200);
        expect(valueOf(alice.heard, 'setup')).toBe('passive');
        expect(valueOf(alice.heard, 'fingerprint')).toBe(print);
      }
    });

    it('RFC 8840 §4: INFO with candidates is refused, the other end hears nothing of it, and the call goes on', async () => {
      await call({ trickle: true });
      const fragment = [
        `a=ice-ufrag:abcd`,
        'a=ice-pwd:abcd0123456789012345678901',
        'm=audio 9 UDP/TLS/RTP/SAVPF 0',
        'a=mid:0',
        `a=${MDNS}`,
        '',
      ].join('\r\n');
      const infos = (): number => other().peer.requests('INFO').length;
      const before = infos();
      const headers = [
        'Info-Package: trickle-ice',
        'Content-Disposition: Info-Package',
        'Content-Type: application/trickle-ice-sdpfrag',
      ];
      const response = await alice.ask('INFO', fragment, headers);
      expect(statusOf(response)).toBe(415);
      expect(headerOf(response, 'Accept')).toContain('application/sdp');
      expect(infos()).toBe(before);
      expect(statusOf(await alice.reinvite(offer({ trickle: true })))).toBe(200);
      expect(await states()).toEqual(expect.not.arrayContaining(['held']));
    });
  });
});
