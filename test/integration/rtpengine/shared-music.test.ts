import { join } from 'node:path';
import { DEFAULT_MUSIC_TONES, prepareDefault } from '../../../src/media-resource/music';
import type { MediaEngine } from '../../../src/media-resource/ports';
import { createRtpengine } from '../../../src/media-resource/rtpengine/engine';
import { OWN_PLAYERS, SHUT_MS } from '../../../src/media-resource/rtpengine/source-book';
import { type Clock, systemClock } from '../../../src/process/clock';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { type ListenerCodec, PAYLOAD_TYPES, RtpListener } from '../../support/rtp-listener';
import { ngCommand, Rtpengine } from '../../support/rtpengine';
import { Scope } from '../../support/scope';
import { describeSound, hearsTones } from '../../support/sound';

const wholeFile = new Scope();
let scope: Scope;
let server: Rtpengine;
let engine: MediaEngine;
let file: string;
let failures: string[];
let lost: string[];
/** How far the engine's clock is ahead. */
let ahead: number;
const clock: Clock = { ...systemClock, now: () => Date.now() + ahead };

beforeAll(async () => {
  server = await Rtpengine.start(wholeFile, { mediaPorts: 400 });
  file = await prepareDefault(join(wholeFile.directory('music'), 'files'));
});
afterAll(() => wholeFile.close());

beforeEach(() => {
  scope = new Scope();
  [failures, lost, ahead] = [[], [], 0];
  engine = connect();
});
afterEach(async () => {
  for (const session of await server.sessions()) await engine.release(session);
  await scope.close();
});

function connect(): MediaEngine {
  const onSourceFailure = (what: string): unknown => failures.push(what);
  const made = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: server.port, clock, onSourceFailure });
  made.onSessionLost?.((session) => lost.push(session));
  scope.defer(() => made.close());
  return made;
}

interface Party {
  readonly session: string;
  readonly listener: RtpListener;
  readonly codec: ListenerCodec;
}

let sessions = 0;

async function hold(codec: ListenerCodec): Promise<Party> {
  const session = `acme-1-500-${++sessions}`;
  const listener = await RtpListener.open(scope);
  await engine.musicOffer(session, { file, peer: listener.sdp('sendrecv', 1, ['PCMA', 'PCMU', 'G722']) });
  await engine.musicConnect(session, { file, answer: listener.sdp('recvonly', 2, [codec]) });
  return { session, listener, codec };
}

async function holdMany(codec: ListenerCodec, count: number): Promise<readonly Party[]> {
  const parties: Party[] = [];
  for (let index = 0; index < count; index++) parties.push(await hold(codec));
  return parties;
}

/** Everybody hears nothing but the music, each in the right codec. */
async function expectMusic(parties: readonly Party[]): Promise<void> {
  const counts = parties.map(({ listener }) => listener.packets.length);
  await eventuallyTrue('music arrives at all', () =>
    parties.every(
      ({ listener, codec }, index) =>
        listener.packets.length > (counts[index] ?? 0) + 5 &&
        listener.packets.slice(-5).every(({ payloadType }) => payloadType === PAYLOAD_TYPES[codec]),
    ),
  );
  for (const sound of await Promise.all(parties.map(({ listener }) => listener.hear(1))))
    if (!hearsTones(sound, DEFAULT_MUSIC_TONES))
      throw new Error(`no music: ${describeSound(sound, DEFAULT_MUSIC_TONES)}`);
}

async function sources(): Promise<readonly string[]> {
  return (await server.sessions()).filter((session) => session.includes('-music'));
}

/** Whether what the device hears comes in from a source. */
async function fed(session: string): Promise<boolean> {
  const reply = await ngCommand(server.port, { command: 'query', 'call-id': session, 'from-tag': 'moh' });
  return /"moh":\{.*?"stats":\{"packets":[1-9]/.test(JSON.stringify(reply));
}

async function areFed(parties: readonly Party[]): Promise<readonly boolean[]> {
  return Promise.all(parties.map(({ session }) => fed(session)));
}

describe('held parties that share a player', () => {
  test('claim M12: parties of three codecs hear the music, the first of each from players of their own', async () => {
    const parties: Party[] = [];
    for (const codec of ['PCMU', 'PCMA', 'G722'] as const) parties.push(...(await holdMany(codec, OWN_PLAYERS + 2)));
    expect(await sources()).toHaveLength(3);
    await expectMusic(parties);
    // Nobody outside is shown more than there is to be known.
    expect([...(await engine.sessions()).ids].sort()).toEqual(parties.map(({ session }) => session).sort());
    expect(await areFed(parties.filter(({ codec }) => codec === 'G722'))).toEqual([false, false, false, true, true]);
    expect(failures).toEqual([]);
  });

  test("who leaves first ends nobody else's music, and nothing is left of the last", async () => {
    const [founder, ...others] = (await holdMany('PCMA', OWN_PLAYERS + 3)).slice(OWN_PLAYERS);
    await engine.release(founder!.session);
    await founder!.listener.hear(0.2);
    expect((await founder!.listener.hear(0.3)).samples).toHaveLength(0);
    await expectMusic(others);
    const next = await hold('PCMA');
    expect(await sources()).toHaveLength(1);
    await expectMusic([next]);
    for (const { session } of [...others, next]) await engine.release(session);
    expect(await sources()).toEqual([]);
    for (const session of await server.sessions()) await engine.release(session);
    expect(await server.sessions()).toEqual([]);
  });

  test('a device that changes its codec while it is held goes to another source, without a new offer', async () => {
    const narrow = await holdMany('PCMA', OWN_PLAYERS + 2);
    const wide = await holdMany('G722', OWN_PLAYERS + 1);
    const mover = narrow.at(-1)!;
    await engine.musicConnect(mover.session, { file, answer: mover.listener.sdp('recvonly', 3, ['G722']) });
    const moved: Party = { ...mover, codec: 'G722' };
    await expectMusic([moved, narrow.at(-2)!, wide.at(-1)!]);
    expect(await sources()).toHaveLength(2);
    await engine.musicConnect(mover.session, { file, answer: mover.listener.sdp('recvonly', 4, ['PCMU']) });
    await expectMusic([{ ...mover, codec: 'PCMU' }]);
    expect(failures).toEqual([]);
  });

  test('a device that moves to another port, or does not listen for a while, is followed', async () => {
    const [party] = (await holdMany('PCMA', OWN_PLAYERS + 2)).slice(-1);
    const moved = await RtpListener.open(scope);
    await engine.musicOffer(party!.session, { file, peer: moved.sdp() });
    await engine.musicConnect(party!.session, { file, answer: moved.sdp('recvonly', 3, ['PCMA']) });
    await expectMusic([{ ...party!, listener: moved }]);
    await engine.musicConnect(party!.session, { file, answer: moved.sdp('inactive', 4, ['PCMA']) });
    await moved.hear(0.2);
    expect((await moved.hear(0.3)).samples).toHaveLength(0);
    await engine.musicConnect(party!.session, { file, answer: moved.sdp('recvonly', 5, ['PCMA']) });
    await expectMusic([{ ...party!, listener: moved }]);
    expect(await sources()).toHaveLength(1);
  });

  test('what a held device sends goes nowhere', async () => {
    const parties = (await holdMany('PCMA', OWN_PLAYERS + 2)).slice(OWN_PLAYERS);
    const from = parties[0]!.listener.packets;
    await eventuallyTrue('music arrives', () => from.length > 5);
    const [address = '', port = ''] = from[0]!.from.split(':');
    parties[0]!.listener.send(440, address, Number(port));
    await expectMusic(parties);
  });

  test('a stranger who sends to a port of a source does not turn the stream to himself', async () => {
    const parties = (await holdMany('PCMA', OWN_PLAYERS + 2)).slice(OWN_PLAYERS);
    const [source = ''] = await sources();
    const reply = await ngCommand(server.port, { command: 'query', 'call-id': source, 'to-tag': 'seat-1' });
    const port = Number(/"seat-1":\{.*?"local port":(\d+)/.exec(JSON.stringify(reply))?.[1]);
    const stranger = await RtpListener.open(scope);
    stranger.send(440, '127.0.0.1', port);
    await expectMusic(parties);
    expect(stranger.packets).toHaveLength(0);
  });

  test('many who come and go at the same time all hear the music, and nothing is left of them', async () => {
    const silent: string[] = [];
    const until = Date.now() + 6000;
    const comeAndGo = async (): Promise<void> => {
      while (Date.now() < until) {
        const party = await hold('PCMA');
        const { packets } = party.listener;
        await eventuallyTrue('music arrives', () => packets.length > 0, { every: 5 }).catch(() =>
          silent.push(party.session),
        );
        await party.listener.hear(0.2 + Math.random());
        await engine.release(party.session);
      }
    };
    await Promise.all(Array.from({ length: 50 }, comeAndGo));
    expect(silent).toEqual([]);
    expect([failures, lost]).toEqual([[], []]);
    expect(await server.sessions()).toEqual([]);
  });

  test('RFC 4568: a device that speaks SRTP by SDES is fed by the same source as the others', async () => {
    const parties = (await holdMany('PCMA', OWN_PLAYERS + 1)).slice(OWN_PLAYERS);
    const listener = await RtpListener.open(scope);
    const key = 'inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj';
    const secure = (direction: 'sendrecv' | 'recvonly', tag: string): string =>
      `${listener.sdp(direction, 1, ['PCMA']).replace('RTP/AVP', 'RTP/SAVP')}a=crypto:${tag} AES_CM_128_HMAC_SHA1_80 ${key}\r\n`;
    const session = `acme-1-500-${++sessions}`;
    const offer = await engine.musicOffer(session, { file, peer: secure('sendrecv', '1') });
    const tag = /^a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 /m.exec(offer)?.[1] ?? '';
    await engine.musicConnect(session, { file, answer: secure('recvonly', tag) });
    await eventuallyTrue('SRTP arrives', () => listener.packets.length > 20);
    expect(listener.packets.at(-1)?.payload).toHaveLength(170);
    expect(await fed(session)).toBe(true);
    await expectMusic(parties);
  });

  test('RFC 5763: a device that speaks DTLS-SRTP with ICE hears the music of a source', async () => {
    await engine.ping();
    await holdMany('PCMA', OWN_PLAYERS + 1);
    const relay = engine.relay!;
    const listener = await RtpListener.open(scope);
    const [session, device] = [`acme-1-500-${++sessions}`, `acme-1-500-${++sessions}`];
    const peer = await relay.offer(device, {
      to: 'b',
      sdp: listener.sdp('sendrecv', 1, ['PCMA']),
      terms: { security: 'dtls' },
    });
    await engine.release(device);
    const offer = await engine.musicOffer(session, { file, peer });
    await relay.offer(device, { to: 'b', sdp: offer, terms: { security: 'none' } });
    const answer = await relay.answer(device, { from: 'b', answer: listener.sdp('recvonly', 2, ['PCMA']) });
    await engine.musicConnect(session, { file, answer: answer ?? '' });
    await expectMusic([{ session, listener, codec: 'PCMA' }]);
    expect(await fed(session)).toBe(true);
  });

  test('opus with parameters of the device is passed on as it comes, and is not made anew for each', async () => {
    for (let index = 0; index < OWN_PLAYERS + 2; index++) {
      const listener = await RtpListener.open(scope);
      const session = `acme-1-500-${++sessions}`;
      const opus = (direction: 'sendrecv' | 'recvonly'): string =>
        listener
          .sdp(direction, 1, [])
          .replace(/^(m=audio \d+ RTP\/AVP).*$/m, '$1 107')
          .replace(
            /^a=(sendrecv|recvonly)/m,
            'a=rtpmap:107 opus/48000/2\r\na=fmtp:107 useinbandfec=1;stereo=0\r\na=$1',
          );
      await engine.musicOffer(session, { file, peer: opus('sendrecv') });
      await engine.musicConnect(session, { file, answer: opus('recvonly') });
      if (index < OWN_PLAYERS) continue;
      await eventuallyTrue('opus arrives', () => listener.packets.length > 20);
      expect(listener.packets.at(-1)?.payloadType).toBe(107);
      expect(await fed(session)).toBe(true);
      expect(JSON.stringify(await ngCommand(server.port, { command: 'query', 'call-id': session }))).not.toContain(
        'transcoding',
      );
    }
  });

  test('a device that wants packets of another length has a player of its own', async () => {
    await holdMany('PCMA', OWN_PLAYERS + 1);
    const listener = await RtpListener.open(scope);
    const session = `acme-1-500-${++sessions}`;
    await engine.musicOffer(session, { file, peer: listener.sdp('sendrecv', 1, ['PCMA']) });
    await engine.musicConnect(session, { file, answer: `${listener.sdp('recvonly', 2, ['PCMA'])}a=ptime:40\r\n` });
    await eventuallyTrue('packets of 40 ms arrive', () =>
      listener.packets.some(({ payload }) => payload.length === 320),
    );
    expect(await fed(session)).toBe(false);
  });
});

/** As the supervisor does, until it is so. */
async function lookUntil(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  await eventually(
    what,
    async () => {
      await engine.ping();
      return done();
    },
    (seen) => seen,
    { every: 500 },
  );
}

describe('when a source fails', () => {
  test('one that is ended behind our back soon after its start: all get players of their own', async () => {
    const parties = await holdMany('PCMA', OWN_PLAYERS + 3);
    await expectMusic(parties);
    const [source = ''] = await sources();
    await ngCommand(server.port, { command: 'delete', 'call-id': source, 'delete-delay': 0 });
    await lookUntil('the failure is told', () => failures.length > 0);
    await expectMusic(parties);
    expect(await sources()).toEqual([]);
    // For a while nobody tries again.
    await expectMusic([await hold('PCMA')]);
    expect(await sources()).toEqual([]);
    ahead = SHUT_MS + 1;
    await expectMusic([await hold('PCMA')]);
    expect(await sources()).toHaveLength(1);
    expect([failures.length, lost]).toEqual([1, []]);
  });

  test('one whose player ends after a long time is replaced by another one', async () => {
    const parties = await holdMany('PCMU', OWN_PLAYERS + 3);
    ahead = SHUT_MS + 1;
    const [source = ''] = await sources();
    await ngCommand(server.port, { command: 'stop media', 'call-id': source, 'from-tag': 'phone' });
    await lookUntil('it is replaced', async () => {
      const now = await sources();
      return now.length === 1 && now[0] !== source;
    });
    await expectMusic(parties);
    expect([failures.length, lost]).toEqual([1, []]);
  });

  test('a seat that is lost at the source is given anew, and one that nobody has any more is cleared', async () => {
    const parties = await holdMany('PCMA', OWN_PLAYERS + 2);
    const [source = ''] = await sources();
    await ngCommand(server.port, { command: 'unsubscribe', 'call-id': source, 'to-tag': 'seat-1' });
    const before = parties[OWN_PLAYERS]!.listener.packets.length;
    await lookUntil('it has music again', () => parties[OWN_PLAYERS]!.listener.packets.length > before + 20);
    await expectMusic(parties);
    expect(failures).toEqual([]);
  });

  test('a session that is ended behind our back leaves its seat, and nothing sends to where it was', async () => {
    const parties = await holdMany('PCMA', OWN_PLAYERS + 1);
    const session = parties.at(-1)!.session;
    await ngCommand(server.port, { command: 'delete', 'call-id': session, 'delete-delay': 0 });
    expect(await engine.holds(session)).toBe(false);
    expect(await sources()).toEqual([]);
    const again = await holdMany('PCMA', 2);
    await ngCommand(server.port, { command: 'delete', 'call-id': again[0]!.session, 'delete-delay': 0 });
    await engine.sessions();
    await expectMusic([again[1]!]);
    await engine.release(again[1]!.session);
    expect(await sources()).toEqual([]);
  });

  test('the sources of an earlier incarnation are ended by its audit, before everything else', async () => {
    await holdMany('PCMA', OWN_PLAYERS + 2);
    const { ids } = await connect().sessions();
    expect(ids[0]).toMatch(/^acme-1-500-\d+-music\d+$/);
    expect(ids).toHaveLength(OWN_PLAYERS + 3);
  });

  test('who ends a fed session of a lost node ends the source too; if that node lives, its parties get music again', async () => {
    const parties = await holdMany('PCMA', OWN_PLAYERS + 3);
    await expectMusic(parties);
    const elsewhere = connect();
    await elsewhere.release(parties[0]!.session);
    expect(await sources()).toHaveLength(1);
    await elsewhere.release(parties.at(-1)!.session);
    expect(await sources()).toEqual([]);
    await lookUntil('the failure is told', () => failures.length > 0);
    await expectMusic(parties.slice(1, -1));
  });

  test('with no ports left for a source everybody has a player of his own, as before', async () => {
    const small = await Rtpengine.start(scope, { mediaPorts: 4 * (OWN_PLAYERS + 2) });
    const onSourceFailure = (what: string): unknown => failures.push(what);
    const full = createRtpengine({ name: 'small', address: '127.0.0.1', port: small.port, onSourceFailure });
    scope.defer(() => full.close());
    engine = full;
    const parties = await holdMany('PCMA', OWN_PLAYERS + 2);
    await expectMusic(parties);
    expect(failures.length).toBeGreaterThan(0);
    expect((await small.sessions()).filter((session) => session.includes('-music'))).toEqual([]);
    for (const { session } of parties) await full.release(session);
  });

  test('switched off, nobody shares', async () => {
    engine = createRtpengine({ name: 'off', address: '127.0.0.1', port: server.port, sharedMusic: false });
    const off = engine;
    scope.defer(() => off.close());
    const parties = await holdMany('PCMA', OWN_PLAYERS + 2);
    expect(await sources()).toEqual([]);
    await expectMusic(parties.slice(-2));
  });
});
