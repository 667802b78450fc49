import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DEFAULT_MUSIC_TONES, prepareDefault } from '../../../src/media-resource/music';
import type { MediaEngine } from '../../../src/media-resource/ports';
import { createRtpengine } from '../../../src/media-resource/rtpengine/engine';
import { OWN_PLAYERS } from '../../../src/media-resource/rtpengine/source-book';
import { systemClock } from '../../../src/process/clock';
import { withSourceLearned } from '../../../src/sdp';
import { eventuallyTrue } from '../../support/eventually';
import { PAYLOAD_TYPES, RtpListener } from '../../support/rtp-listener';
import { Rtpengine } from '../../support/rtpengine';
import { Scope } from '../../support/scope';
import { describeSound, hearsTones } from '../../support/sound';
import { Stranger } from '../../support/stranger';

/** Strangers who send to every port of the engine hear nothing, and nobody hears them, whatever the legitimate parties do or leave undone. */

const wholeFile = new Scope();
let scope: Scope;
let server: Rtpengine;
let engine: MediaEngine;
let stranger: Stranger;
let file: string;

beforeAll(async () => {
  server = await Rtpengine.start(wholeFile, { mediaPorts: 120 });
  engine = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: server.port, clock: systemClock });
  wholeFile.defer(() => engine.close());
  await engine.ping();
  file = await prepareDefault(join(wholeFile.directory('music'), 'files'));
});
afterAll(() => wholeFile.close());

beforeEach(async () => {
  scope = new Scope();
  stranger = await Stranger.open(scope);
  stranger.attack(server.mediaPorts);
});
afterEach(async () => {
  for (const session of await server.sessions()) await engine.release(session);
  await scope.close();
});

const portIn = (sdp: string | undefined): number => Number(/^m=audio (\d+)/m.exec(sdp ?? '')?.[1]);

/** The description of a device behind a NAT, as the cluster knows it. */
const behindNat = (sdp: string): string => withSourceLearned(sdp.replaceAll('127.0.0.1', '10.9.8.7'));

async function expectUnheard(...listeners: readonly RtpListener[]): Promise<void> {
  const had = stranger.received;
  await expectNothingHeard(...listeners);
  expect(stranger.received - had).toBe(0);
}

/** The same, but for RTCP: who never sends any leaves that port to be learned. */
async function expectNothingHeard(...listeners: readonly RtpListener[]): Promise<void> {
  const before = listeners.map(({ packets }) => packets.length);
  const had = stranger.heard;
  await pause(800);
  expect(stranger.heard - had).toBe(0);
  listeners.forEach(({ packets }, index) => {
    const fresh = packets.slice(before[index]);
    expect(fresh.filter(({ payload }) => Stranger.isFrom(payload))).toEqual([]);
  });
}

async function expectArrivals(listener: RtpListener): Promise<void> {
  const before = listener.packets.length;
  await eventuallyTrue('sound arrives', () => listener.packets.length > before + 10, { cap: 4000 });
}

async function expectMusic(listener: RtpListener): Promise<void> {
  await expectArrivals(listener);
  const sound = await listener.hear(1);
  if (!hearsTones(sound, DEFAULT_MUSIC_TONES))
    throw new Error(`no music: ${describeSound(sound, DEFAULT_MUSIC_TONES)}`);
}

describe('music that is played to a party which sends nothing itself', () => {
  async function hold(session: string, listener: RtpListener, change = (sdp: string): string => sdp): Promise<string> {
    const offer = await engine.musicOffer(session, { file, peer: change(listener.sdp()) });
    await engine.musicConnect(session, { file, answer: change(listener.sdp('recvonly', 2)) });
    return offer;
  }

  test('by a player of its own: it hears music and nothing else, also from its next port', async () => {
    const listener = await RtpListener.open(scope);
    await hold('acme-1-1-1', listener);
    await expectMusic(listener);
    await expectUnheard(listener);
    const moved = await RtpListener.open(scope);
    await hold('acme-1-1-1', moved);
    await expectMusic(moved);
    await expectUnheard(moved);
  });

  test('by a player that several share: nobody speaks to all of them', async () => {
    const listeners: RtpListener[] = [];
    for (let index = 0; index < OWN_PLAYERS + 2; index++) {
      listeners.push(await RtpListener.open(scope));
      await hold(`acme-1-1-${index + 1}`, listeners[index]!);
    }
    expect((await server.sessions()).filter((session) => session.includes('-music'))).toHaveLength(1);
    for (const listener of listeners.slice(-2)) await expectMusic(listener);
    await expectUnheard(...listeners);
    const moved = await RtpListener.open(scope);
    await hold(`acme-1-1-${OWN_PLAYERS + 2}`, moved);
    await expectMusic(moved);
    await expectUnheard(moved);
  });

  test('over SRTP: nobody takes it, even if he could not play it', async () => {
    const listener = await RtpListener.open(scope);
    const key = 'inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj';
    const secured = (sdp: string): string =>
      `${sdp.replace('RTP/AVP', 'RTP/SAVP')}a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${key}\r\n`;
    await hold('acme-1-1-1', listener, secured);
    await expectArrivals(listener);
    await expectUnheard(listener);
  });

  test('behind a NAT: learned from the first packet of the party, and nobody takes it from then on', async () => {
    stranger.stop();
    const listener = await RtpListener.open(scope);
    const offer = await hold('acme-1-1-1', listener, behindNat);
    listener.send(440, '127.0.0.1', portIn(offer));
    await expectArrivals(listener);
    stranger.attack(server.mediaPorts);
    await expectMusic(listener);
    await expectNothingHeard(listener);
    listener.stopSending();
    await pause(3500);
    await expectNothingHeard(listener);
    await expectMusic(listener);
  });
});

describe('two parties whose call is relayed', () => {
  interface Joined {
    readonly a: RtpListener;
    readonly b: RtpListener;
    readonly portForA: number;
    readonly portForB: number;
  }

  async function join(
    terms: { readonly a?: string; readonly b?: string },
    change = (sdp: string): string => sdp,
    a?: RtpListener,
    b?: RtpListener,
  ): Promise<Joined> {
    const [caller, callee] = [a ?? (await RtpListener.open(scope)), b ?? (await RtpListener.open(scope))];
    const version = a === undefined ? 1 : 2;
    const codecs = terms.b === undefined ? {} : { codecs: [terms.b] };
    const callerSdp = change(caller.sdp('sendrecv', version, ['PCMA']));
    const offer = await engine.relay!.offer('acme-1-2-1', { to: 'b', sdp: callerSdp, terms: codecs });
    const spoken = terms.b === 'PCMU' ? (['PCMU'] as const) : (['PCMA'] as const);
    const answer = callee.sdp('sendrecv', version, spoken);
    const made = await engine.relay!.answer('acme-1-2-1', { from: 'b', answer });
    return { a: caller, b: callee, portForA: portIn(made), portForB: portIn(offer) };
  }

  test.each([
    ['a media termination point', {}, PAYLOAD_TYPES.PCMA],
    ['a transcoder', { b: 'PCMU' }, PAYLOAD_TYPES.PCMU],
  ] as const)('by %s: neither is heard by others, nor hears others, silent or not', async (_, terms, typeOfB) => {
    const { a, b, portForA, portForB } = await join(terms);
    b.send(700, '127.0.0.1', portForB, typeOfB);
    await expectArrivals(a);
    await expectUnheard(a, b);
    expect(b.packets).toEqual([]);
    a.send(500, '127.0.0.1', portForA);
    await expectArrivals(b);
    await expectUnheard(a, b);
    expect(hearsTones(await b.hear(0.5), [500])).toBe(true);
    a.stopSending();
    const moved = await RtpListener.open(scope);
    const again = await join(terms, undefined, moved, b);
    expect([again.portForA, again.portForB]).toEqual([portForA, portForB]);
    moved.send(600, '127.0.0.1', portForA);
    await expectArrivals(moved);
    await expectUnheard(moved, b);
    expect(hearsTones(await b.hear(0.5), [600])).toBe(true);
  });

  test('before the callee has answered nobody speaks to the caller in its stead', async () => {
    const caller = await RtpListener.open(scope);
    await engine.relay!.offer('acme-1-2-1', { to: 'b', sdp: caller.sdp('sendrecv', 1, ['PCMA']), terms: {} });
    await expectUnheard(caller);
    expect(caller.packets).toEqual([]);
  });

  test('a party behind a NAT is heard and hears; then nobody takes its place, and it may move', async () => {
    stranger.stop();
    const { a, b, portForA, portForB } = await join({}, behindNat);
    a.send(500, '127.0.0.1', portForA);
    b.send(700, '127.0.0.1', portForB);
    await expectArrivals(a);
    await expectArrivals(b);
    stranger.attack(server.mediaPorts);
    await expectNothingHeard(a, b);
    await pause(3500);
    await expectNothingHeard(a, b);
    a.stopSending();
    await pause(300);
    await expectNothingHeard(a, b);
    await expectArrivals(a);
    stranger.stop();
    const moved = await RtpListener.open(scope);
    await join({}, behindNat, moved, b);
    moved.send(600, '127.0.0.1', portForA);
    await expectArrivals(moved);
    await expectArrivals(b);
  });
});
