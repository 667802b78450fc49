import { EngineError, type MediaEngine, type MediaRelay, type MediaTerms } from '../../../src/media-resource/ports';
import { createRtpengine } from '../../../src/media-resource/rtpengine/engine';
import { audioCodecs, effectiveDirection } from '../../../src/sdp';
import { eventuallyTrue } from '../../support/eventually';
import { RtpListener } from '../../support/rtp-listener';
import { Rtpengine } from '../../support/rtpengine';
import { Scope } from '../../support/scope';
import { describeSound, hearsTones, toneLevel } from '../../support/sound';

const wholeFile = new Scope();
let scope: Scope;
let server: Rtpengine;
let engine: MediaEngine;
let relay: MediaRelay;
let sessions = 0;

beforeAll(async () => {
  server = await Rtpengine.start(wholeFile);
  engine = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: server.port });
  wholeFile.defer(() => engine.close());
  await engine.ping();
  relay = engine.relay!;
});
afterAll(() => wholeFile.close());

beforeEach(() => {
  scope = new Scope();
});
afterEach(async () => {
  for (const session of await server.sessions()) await engine.release(session);
  await scope.close();
});

function newSession(): string {
  return `acme-1-1-${++sessions}`;
}

function portIn(sdp: string): number {
  return Number(/^m=audio (\d+)/m.exec(sdp)?.[1]);
}

function codecsIn(sdp: string): string[] {
  return audioCodecs(sdp).map(({ name, rate }) => `${name}/${rate}`);
}

/** The description with only this codec of G.711, and other lines beside it. */
function only(sdp: string, payload: 0 | 8, ...more: string[]): string {
  const lines = sdp
    .replace(/^(m=audio \d+ \S+).*$/m, `$1 ${payload}`)
    .split('\r\n')
    .filter((line) => line !== '' && (!line.startsWith('a=rtpmap:') || line.startsWith(`a=rtpmap:${payload} `)));
  return [...lines, ...more, ''].join('\r\n');
}

async function expectTone(listener: RtpListener, hz: number): Promise<void> {
  const before = listener.packets.length;
  await eventuallyTrue(`sound at port ${listener.port}`, () => listener.packets.length > before + 5, { cap: 5000 });
  const sound = await listener.hear(0.6);
  if (!hearsTones(sound, [hz])) throw new Error(`not ${hz} Hz: ${describeSound(sound, [hz, 440, 1000])}`);
}

/** Both send their tone, and each hears the other's. */
async function expectTalk(a: RtpListener, portA: number, b: RtpListener, portB: number): Promise<void> {
  a.send(440, '127.0.0.1', portA);
  b.send(1000, '127.0.0.1', portB);
  await Promise.all([expectTone(a, 1000), expectTone(b, 440)]);
}

interface Joined {
  readonly session: string;
  readonly a: RtpListener;
  readonly b: RtpListener;
  readonly forA: string;
  readonly forB: string;
}

async function joined(terms: MediaTerms = {}, session = newSession()): Promise<Joined> {
  const [a, b] = [await RtpListener.open(scope), await RtpListener.open(scope)];
  const forB = await relay.offer(session, { to: 'b', sdp: a.sdp(), terms });
  const forA = await relay.answer(session, { from: 'b', answer: b.sdp() });
  return { session, a, b, forA: forA ?? '', forB };
}

describe('a media termination point by rtpengine', () => {
  test('claim M4: both ends talk through it, on ports that stay in later offers of either end', async () => {
    const { session, a, b, forA, forB } = await joined();
    await expectTalk(a, portIn(forA), b, portIn(forB));
    const again = await relay.offer(session, { to: 'b', sdp: a.sdp('sendrecv', 2), terms: {} });
    expect(again).toBe(forB.replace(/^o=.*$/m, /^o=.*$/m.exec(again)?.[0] ?? ''));
    const back = await relay.offer(session, { to: 'a', sdp: b.sdp('sendrecv', 2), terms: {} });
    expect(portIn(back)).toBe(portIn(forA));
    const answered = await relay.answer(session, { from: 'a', answer: a.sdp('sendrecv', 3) });
    expect(portIn(answered ?? '')).toBe(portIn(forB));
    await expectTalk(a, portIn(forA), b, portIn(forB));
  });

  test('an end that moves to another port is followed, and the port that the other end sends to stays', async () => {
    const { session, b, forA, forB } = await joined();
    const moved = await RtpListener.open(scope);
    const again = await relay.offer(session, { to: 'b', sdp: moved.sdp('sendrecv', 2), terms: {} });
    expect(portIn(again)).toBe(portIn(forB));
    expect(portIn((await relay.answer(session, { from: 'b', answer: b.sdp() })) ?? '')).toBe(portIn(forA));
    await expectTalk(moved, portIn(forA), b, portIn(forB));
  });

  test('the same offer again gives the same description and no second session', async () => {
    const a = await RtpListener.open(scope);
    const session = newSession();
    const secure: MediaTerms = { security: 'sdes' };
    const first = await relay.offer(session, { to: 'b', sdp: a.sdp(), terms: secure });
    expect(await relay.offer(session, { to: 'b', sdp: a.sdp(), terms: secure })).toBe(first);
    expect(await server.sessions()).toEqual([session]);
  });

  test('early media: of several answers to one offer the last counts', async () => {
    const { session, a, b: early, forA, forB } = await joined();
    await expectTalk(a, portIn(forA), early, portIn(forB));
    early.stopSending();
    const late = await RtpListener.open(scope);
    const second = await relay.answer(session, { from: 'b', answer: only(late.sdp(), 0) });
    expect(portIn(second ?? '')).toBe(portIn(forA));
    late.send(1000, '127.0.0.1', portIn(forB));
    await expectTone(late, 440);
  });

  test.each([
    ['sendonly', 'recvonly'],
    ['inactive', 'inactive'],
  ] as const)('RFC 3264 §8.4: a hold (%s) passes through, and so does its answer', async (hold, held) => {
    const { session, a, b } = await joined();
    const offer = await relay.offer(session, { to: 'b', sdp: a.sdp(hold, 2), terms: {} });
    expect(effectiveDirection(offer)).toBe(hold);
    const answer = await relay.answer(session, { from: 'b', answer: b.sdp(held, 2) });
    expect(effectiveDirection(answer ?? '')).toBe(held);
    const resumed = await relay.offer(session, { to: 'b', sdp: a.sdp('sendrecv', 3), terms: {} });
    expect(effectiveDirection(resumed)).toBe('sendrecv');
  });

  test('RFC 4568: one end speaks SRTP by SDES, the other plain RTP', async () => {
    // Two sessions, so that there is somebody who speaks SRTP: listener, relay, SRTP, relay, listener.
    const { a, b, left, right } = await chain({ security: 'sdes' });
    expect(left.forB).toMatch(/^m=audio \d+ RTP\/SAVP /m);
    expect(left.forB).toMatch(/^a=crypto:\d+ AES_CM_128_HMAC_SHA1_80 inline:/m);
    expect(left.forB).not.toMatch(/NULL_HMAC|F8_128|fingerprint|ice-ufrag/);
    expect(right.forA).toMatch(/^a=crypto:/m);
    expect(left.forA + right.forB).not.toContain('crypto');
    await expectTalk(a, portIn(left.forA), b, portIn(right.forB));
  });

  test('RFC 5763, RFC 8445: one end speaks DTLS-SRTP with ICE and rtcp-mux, the other plain RTP', async () => {
    const { a, b, left, right } = await chain({ security: 'dtls' });
    expect(left.forB).toMatch(/^m=audio \d+ UDP\/TLS\/RTP\/SAVPF /m);
    for (const line of ['a=fingerprint:', 'a=setup:actpass', 'a=ice-ufrag:', 'a=candidate:', 'a=rtcp-mux', 'a=mid:'])
      expect(left.forB).toContain(line);
    expect(right.forA).toMatch(/a=setup:(active|passive)/);
    expect(left.forA + right.forB).not.toMatch(/fingerprint|ice-ufrag|rtcp-mux|crypto/);
    await expectTalk(a, portIn(left.forA), b, portIn(right.forB));
  });

  test('one end speaks IPv6, the other IPv4', async () => {
    const a = await RtpListener.open(scope);
    const b = await RtpListener.open(scope, '::1');
    const session = newSession();
    const forB = await relay.offer(session, { to: 'b', sdp: a.sdp(), terms: { family: 6 } });
    expect(forB).toContain('c=IN IP6 ::1');
    const forA = await relay.answer(session, { from: 'b', answer: b.sdp() });
    expect(forA).toContain('c=IN IP4 127.0.0.1');
    a.send(440, '127.0.0.1', portIn(forA ?? ''));
    b.send(1000, '::1', portIn(forB));
    await Promise.all([expectTone(a, 1000), expectTone(b, 440)]);
    const back = await relay.offer(session, { to: 'a', sdp: b.sdp('sendonly', 2), terms: { family: 4 } });
    expect([back.includes('c=IN IP4 127.0.0.1'), portIn(back)]).toEqual([true, portIn(forA ?? '')]);
  });
});

/** listener a, session `left`, whatever the terms say, session `right`, listener b. */
async function chain(terms: MediaTerms): Promise<{ a: RtpListener; b: RtpListener; left: Joined; right: Joined }> {
  const [a, b] = [await RtpListener.open(scope), await RtpListener.open(scope)];
  const [left, right] = [newSession(), newSession()];
  const middle = await relay.offer(left, { to: 'b', sdp: only(a.sdp(), 8), terms });
  const forB = await relay.offer(right, {
    to: 'b',
    sdp: middle,
    terms: { codecs: ['PCMU'], security: 'none', family: 4 },
  });
  const answer = (await relay.answer(right, { from: 'b', answer: only(b.sdp(), 0) })) ?? '';
  const forA = (await relay.answer(left, { from: 'b', answer })) ?? '';
  return {
    a,
    b,
    left: { session: left, a, b, forA, forB: middle },
    right: { session: right, a, b, forA: answer, forB },
  };
}

describe('a delayed offer through rtpengine', () => {
  test.each([
    ['PCMU', 'PCMU'],
    ['PCMU', 'PCMA'],
  ] as const)('claim M4: the absent end is offered what the other answered (%s and %s)', async (codecB, codecA) => {
    const [a, b] = [await RtpListener.open(scope), await RtpListener.open(scope)];
    const session = newSession();
    const payload = (codec: 'PCMU' | 'PCMA'): 0 | 8 => (codec === 'PCMU' ? 0 : 8);
    const forB = await relay.offer(session, { to: 'b', terms: {} });
    expect(codecsIn(forB)).toEqual(expect.arrayContaining(['PCMA/8000', 'PCMU/8000', 'G722/8000', 'opus/48000']));
    const answer = only(b.sdp(), payload(codecB));
    expect(await relay.answer(session, { from: 'b', answer })).toBeUndefined();
    const forA = await relay.offer(session, { to: 'a', sdp: answer, terms: { codecs: [codecA] } });
    expect(codecsIn(forA)).toEqual([`${codecA}/8000`]);
    await relay.answer(session, { from: 'a', answer: only(a.sdp(), payload(codecA)) });
    await expectTalk(a, portIn(forA), b, portIn(forB));
  });

  test('an offer without a description in the middle of a session repeats what the other end said last', async () => {
    const { session, a, b, forA, forB } = await joined();
    const forB2 = await relay.offer(session, { to: 'b', terms: {} });
    expect([portIn(forB2), codecsIn(forB2)]).toEqual([portIn(forB), codecsIn(a.sdp())]);
    await relay.answer(session, { from: 'b', answer: b.sdp('sendrecv', 2) });
    await expectTalk(a, portIn(forA), b, portIn(forB));
  });
});

describe('what a relay refuses', () => {
  test('a codec that the engine cannot make is unsupported, and leaves no session behind', async () => {
    const a = await RtpListener.open(scope);
    const offer = relay.offer(newSession(), { to: 'b', sdp: a.sdp(), terms: { codecs: ['AMR', 'telephone-event'] } });
    await expect(offer).rejects.toMatchObject({ reason: 'unsupported' });
    expect(await server.sessions()).toEqual([]);
  });

  test('a later offer that fails leaves the session as it was', async () => {
    const { session, a, b, forA, forB } = await joined();
    for (const sdp of ['nonsense', a.sdp().replace('c=IN', 'c=XX')])
      await expect(relay.offer(session, { to: 'b', sdp, terms: {} })).rejects.toBeInstanceOf(EngineError);
    await expect(relay.answer(session, { from: 'b', answer: 'nonsense' })).rejects.toBeInstanceOf(EngineError);
    await expectTalk(a, portIn(forA), b, portIn(forB));
  });

  test.each([
    ['a host name', 'c=IN IP4 phone.example.com'],
    ['a group of hosts', 'c=IN IP4 239.1.1.1/127'],
    ['octal digits', 'c=IN IP4 0177.0.0.1'],
    ['an address of another family', 'c=IN IP6 127.0.0.1'],
    ['an address with a zone', 'c=IN IP6 fe80::1%eth0'],
  ])("a description with %s for an address is its maker's fault, and not that of the engine", async (_what, line) => {
    const a = await RtpListener.open(scope);
    const sdp = a.sdp().replace(/^c=.*$/m, line);
    await expect(relay.offer(newSession(), { to: 'b', sdp, terms: {} })).rejects.toMatchObject({
      reason: 'bad-request',
    });
    expect(await server.sessions()).toEqual([]);
  });

  test('an answer of an end that was offered nothing is refused', async () => {
    const a = await RtpListener.open(scope);
    const session = newSession();
    await expect(relay.answer(session, { from: 'b', answer: a.sdp() })).rejects.toMatchObject({
      reason: 'bad-request',
    });
    await relay.offer(session, { to: 'b', sdp: a.sdp(), terms: {} });
    await expect(relay.answer(session, { from: 'a', answer: a.sdp() })).rejects.toMatchObject({
      reason: 'bad-request',
    });
  });
});

describe('a transcoder by rtpengine', () => {
  test('an engine that missed a ping and answers again still has the codecs of before, and is asked anew', async () => {
    const own = await Rtpengine.start(scope);
    const watched = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: own.port });
    scope.defer(() => watched.close());
    await watched.ping();
    const before = watched.relay?.codecs;
    expect(before).toContain('PCMU');
    await own.kill();
    await expect(watched.ping()).rejects.toThrow(EngineError);
    await own.start();
    // Calls may ask for a transcoder before the next ping.
    expect(watched.relay?.codecs).toEqual(before);
    await watched.ping();
    expect(watched.relay?.codecs).toEqual(before);
  });

  test('what the build can do is found out by asking', () => {
    expect(relay.codecs).toEqual(expect.arrayContaining(['PCMU', 'PCMA', 'G722', 'opus/48000/2', 'G729', 'GSM']));
    for (const codec of relay.codecs) expect(codec).not.toMatch(/^(AMR|EVS)/);
  });

  test.each(['PCMU', 'G722', 'opus/48000/2', 'G729', 'GSM', 'speex/16000', 'G723'])(
    'claim M2: an end with PCMA only hears, and is heard by, one with %s only',
    async (codec) => {
      const { a, b, left, right } = await chain({ codecs: [codec] });
      const [name, rate = '8000'] = codec.split('/');
      expect(codecsIn(left.forB)).toEqual([`${name}/${rate}`]);
      await expectTalk(a, portIn(left.forA), b, portIn(right.forB));
    },
  );
});

describe('what stays when an end offers again', () => {
  /** An end on paper that has opus under 107 and events under 102, which rtpengine numbers otherwise. */
  const web = (port: number, version = 1): string =>
    [
      'v=0',
      `o=- 1 ${version} IN IP4 127.0.0.1`,
      's=-',
      'c=IN IP4 127.0.0.1',
      't=0 0',
      `m=audio ${port} RTP/AVP 107 102`,
      'a=rtpmap:107 opus/48000/2',
      'a=rtpmap:102 telephone-event/48000',
      'a=fmtp:102 0-15',
      '',
    ].join('\r\n');
  const OPUS: MediaTerms = { codecs: ['opus/48000/2', 'telephone-event'] };
  const PCMA: MediaTerms = { codecs: ['PCMA', 'telephone-event'] };

  test('RFC 3264 §8.3.2: the payload types of an end stay, and sound comes under them', async () => {
    const [a, b] = [await RtpListener.open(scope), await RtpListener.open(scope)];
    const session = newSession();
    const events = 'a=rtpmap:101 telephone-event/8000';
    const withEvents = (sdp: string): string => `${only(sdp, 8).replace(/ 8\r/, ' 8 101\r')}${events}\r\n`;
    const forB = await relay.offer(session, { to: 'b', sdp: web(a.port), terms: PCMA });
    const answer = withEvents(b.sdp()).replaceAll('101', /(\d+) telephone-event/.exec(forB)?.[1] ?? '');
    await relay.answer(session, { from: 'b', answer });
    const forA = await relay.offer(session, { to: 'a', sdp: answer, terms: OPUS });
    expect(forA).toMatch(/^m=audio \d+ RTP\/AVP 107 102\r$/m);
    expect(forA).toContain('a=rtpmap:107 opus/48000/2');
    expect(forA).toContain('a=rtpmap:102 telephone-event/48000');
    await relay.answer(session, { from: 'a', answer: web(a.port, 2) });
    b.send(1000, '127.0.0.1', portIn(forB));
    await eventuallyTrue('opus arrives', () => a.packets.length > 10, { cap: 5000 });
    expect(a.packets.at(-1)?.payloadType).toBe(107);
  });

  test('RFC 4733: events are offered to an end that has them, whatever the other has', async () => {
    const [a] = [await RtpListener.open(scope)];
    const forB = await relay.offer(newSession(), { to: 'b', sdp: only(a.sdp(), 8), terms: OPUS });
    expect(codecsIn(forB)).toEqual(['opus/48000', 'telephone-event/48000']);
    // And an end that has events may go on using them towards one that has none: they become tones.
    const session = newSession();
    const offered = await relay.offer(session, { to: 'b', sdp: web(a.port), terms: { codecs: ['PCMA'] } });
    expect(codecsIn(offered)).toEqual(['PCMA/8000']);
    const forA = await relay.answer(session, { from: 'b', answer: only(a.sdp(), 8) });
    expect(codecsIn(forA ?? '')).toEqual(['opus/48000', 'telephone-event/48000']);
  });

  test('RFC 4733: a digit of an end with events is heard as a tone by one without', async () => {
    const [a, b] = [await RtpListener.open(scope), await RtpListener.open(scope)];
    const session = newSession();
    const withEvents = `${only(a.sdp(), 8).replace(/ 8\r/, ' 8 101\r')}a=rtpmap:101 telephone-event/8000\r\n`;
    const forB = await relay.offer(session, { to: 'b', sdp: withEvents, terms: { codecs: ['PCMU'] } });
    const forA = (await relay.answer(session, { from: 'b', answer: only(b.sdp(), 0) })) ?? '';
    b.send(1000, '127.0.0.1', portIn(forB));
    a.send(440, '127.0.0.1', portIn(forA));
    await expectTone(b, 440);
    a.stopSending();
    const heard = b.hear(0.5);
    await a.press(5, 101, '127.0.0.1', portIn(forA));
    const sound = await heard;
    if (toneLevel(sound, 770) < 0.01 || toneLevel(sound, 1336) < 0.01)
      throw new Error(`no digit 5: ${describeSound(sound, [440, 770, 1336])}`);
  });
});
