import fc from 'fast-check';
import type { DeviceProfile } from '../../../src/device/device-process';
import { audioCodecs, audioTransport, mediaLineCount } from '../../../src/sdp';
import { FakeDevice, type FakeSession, profile, settled, target, World } from './kit';

/** One audio line of a phone: its profile and its one codec. */
interface Line {
  readonly secure: boolean;
  readonly payload: number;
}

const CODECS = [0, 8, 9, 18];
const lines = fc.array(fc.record({ secure: fc.boolean(), payload: fc.constantFrom(...CODECS) }), {
  minLength: 1,
  maxLength: 4,
});

/** Those of these places in use. */
function describedBy(
  all: readonly Line[],
  open: (place: number) => boolean,
  direction = 'sendrecv',
  version = 1,
): string {
  const media = all.flatMap(({ secure, payload }, place) => [
    `m=audio ${open(place) ? 4000 + place : 0} RTP/${secure ? 'SAVP' : 'AVP'} ${payload}`,
    ...(secure && open(place)
      ? ['a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj']
      : []),
    `a=${direction}`,
  ]);
  return ['v=0', `o=- 7 ${version} IN IP4 10.0.0.1`, 's=-', 'c=IN IP4 10.0.0.1', 't=0 0', ...media, ''].join('\r\n');
}

function inUse(sdp = ''): readonly number[] {
  const media = sdp.match(/^m=audio \d+/gm) ?? [];
  return media.flatMap((text, place) => (text === 'm=audio 0' ? [] : [place]));
}

const everything = (): boolean => true;

/** Accepts what is offered on these lines, and hears or says what the offer lets it. */
function accepting(offer: string, all: readonly Line[], version: number): string {
  const open = inUse(offer);
  const direction = /a=sendonly/.test(offer) ? 'recvonly' : /a=inactive/.test(offer) ? 'inactive' : 'sendrecv';
  return describedBy(all, (place) => open.includes(place), direction, version);
}

describe('a phone that offers several audio lines, of which one is agreed', () => {
  let world: World;
  let versions = 1;
  beforeEach(() => {
    world = new World();
    world.resources.servers = 1000;
  });
  afterEach(() => world.close());

  async function called(
    all: readonly Line[],
    bobs: (Line & { readonly known: Partial<DeviceProfile> }) | undefined,
    chosen: number,
  ): Promise<[FakeSession, FakeSession, string]> {
    const bob = new FakeDevice({ ...profile('SEP-bob'), ...bobs?.known }, '1.dp.2');
    world.devices.set('1.dp.2', bob);
    world.route('2000', [target('1.dp.2', 'SEP-bob')]);
    const a = world.call({ sdp: describedBy(all, everything), from: profile('SEP-alice') });
    await settled();
    const offer = bob.asked.sdp ?? '';
    const places = inUse(offer);
    const place = places[chosen % places.length] ?? 0;
    // Through a resource the offer has one line, which may have another codec and profile than any of Alice's.
    const made = bobs === undefined ? all : all.map(() => bobs);
    bob.session.answers(describedBy(made.slice(0, mediaLineCount(offer)), (at) => at === place, 'sendrecv'));
    await settled();
    a.acks();
    await settled();
    return [a, bob.session, offer];
  }

  test('music, talk, silence and a resume are all on that line', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.nat(3), async (all, chosen) => {
        world = new World();
        const [a, b] = await called(all, undefined, chosen);
        const agreed = inUse(a.last('answer').sdp);
        expect(agreed).toEqual([chosen % all.length]);
        const [place = 0] = agreed;
        const only = (at: number): boolean => at === place;
        const isRight = (sdp = ''): void => {
          expect(mediaLineCount(sdp)).toBe(all.length);
          expect(inUse(sdp)).toEqual(agreed);
        };
        // Bob holds: Alice is offered music, made for what she speaks on that line.
        b.reinvitesAndAcks(describedBy(all, only, 'sendonly', ++versions));
        isRight(b.last('respond').sdp);
        await settled();
        const music = world.resources.granted.at(-1)!;
        const peer = music.peers.at(-1) ?? '';
        expect(audioCodecs(peer).map(({ payload }) => payload)).toEqual([all[place]?.payload]);
        expect(audioTransport(peer)?.security).toBe(all[place]?.secure === true ? 'sdes' : 'none');
        isRight(a.offered?.sdp);
        a.answersReinvite(accepting(a.offered?.sdp ?? '', all, ++versions));
        await settled();
        expect(audioCodecs(music.answers.at(-1) ?? '').map(({ payload }) => payload)).toEqual([all[place]?.payload]);
        // Bob resumes: he is asked, or offers; nothing is put between.
        const resumed = b.reinvites(describedBy(all, only, 'sendrecv', ++versions));
        await settled();
        isRight(a.offered?.sdp);
        a.answersReinvite(accepting(a.offered?.sdp ?? '', all, ++versions));
        await settled();
        expect(b.responseTo(resumed)?.status).toBe(200);
        isRight(b.responseTo(resumed)?.sdp);
        b.acks();
        // Alice holds, and says so of all her lines.
        const held = a.reinvitesAndAcks(describedBy(all, everything, 'sendonly', ++versions));
        expect(held?.status).toBe(200);
        isRight(held?.sdp);
        await settled();
        expect(world.detail.state).toBe('held');
        isRight(b.offered?.sdp);
        b.answersReinvite(accepting(b.offered?.sdp ?? '', all, ++versions));
        await settled();
        expect(world.resources.needs.map(({ need }) => need.type)).toEqual(['moh', 'moh']);
        await world.close();
      }),
      { numRuns: 60 },
    );
  });

  test('who listens on the agreed line does not hold, whatever it says of the others; and the other way round', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.nat(3), fc.boolean(), async (all, chosen, holding) => {
        world = new World();
        const [a] = await called(all, undefined, chosen);
        const [place = 0] = inUse(a.last('answer').sdp);
        const offer = describedBy(all, everything, holding ? 'sendrecv' : 'sendonly', ++versions).split('m=audio');
        const mixed = offer.map((part, at) =>
          at === place + 1 ? part.replace(/a=send\w+/, holding ? 'a=sendonly' : 'a=sendrecv') : part,
        );
        a.reinvites(mixed.join('m=audio'));
        await settled();
        expect(world.detail.state).toBe(holding ? 'held' : 'established');
        if (holding) a.acks();
        await world.close();
      }),
      { numRuns: 60 },
    );
  });

  test('through a resource: it gets one line, and what it makes comes back in the place of that', async () => {
    await fc.assert(
      fc.asyncProperty(lines, fc.constantFrom(...CODECS), async (all, payload) => {
        world = new World();
        const name = { 0: 'PCMU', 8: 'PCMA', 9: 'G722', 18: 'G729' }[payload] ?? '';
        const isDirect = all.some((one) => !one.secure && one.payload === payload);
        const known = { codecs: [name], security: 'none' as const };
        const [a, , asked] = await called(all, { secure: false, payload, known }, 0);
        expect(world.resources.needs).toHaveLength(isDirect ? 0 : 1);
        const answer = a.last('answer').sdp ?? '';
        expect(mediaLineCount(answer)).toBe(all.length);
        expect(inUse(answer)).toHaveLength(1);
        if (!isDirect) {
          const [relay] = world.resources.granted[0]!.relays;
          expect(mediaLineCount(relay?.sdp ?? '')).toBe(1);
          expect(mediaLineCount(asked)).toBe(1);
          const given = all[inUse(answer)[0] ?? 0];
          expect(audioCodecs(relay?.sdp ?? '').map((codec) => codec.payload)).toEqual([given?.payload]);
        }
        await world.close();
      }),
      { numRuns: 60 },
    );
  });
});
