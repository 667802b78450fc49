import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { createJanus } from '../../../src/media-resource/janus/engine';
import type { MediaEngine } from '../../../src/media-resource/ports';
import { eventually } from '../../support/eventually';
import { Janus } from '../../support/janus';
import { RtpListener } from '../../support/rtp-listener';
import { Rtpengine } from '../../support/rtpengine';
import { Scope } from '../../support/scope';
import { describeSound, encodeWav, hearsTones, isSilent, type Sound } from '../../support/sound';

jest.setTimeout(60_000);

const room = 'meeting';
const scope = new Scope();
let janus: Janus;
let rtpengine: Rtpengine;
let silence: string;
let engine: MediaEngine;

function createEngine(): MediaEngine {
  return createJanus({
    name: 'bridge',
    address: '127.0.0.1',
    port: janus.port,
    rtpengine: { address: '127.0.0.1', port: rtpengine.port },
    adminKey: janus.adminKey,
    owner: 'acme-1',
    silence,
  });
}

beforeAll(async () => {
  [janus, rtpengine] = await Promise.all([Janus.start(scope), Rtpengine.start(scope)]);
  const directory = scope.directory('sound');
  silence = path.join(directory, 'silence.wav');
  writeFileSync(silence, encodeWav({ rate: 8000, samples: new Float64Array(1600) }));
});
beforeEach(async () => {
  engine = createEngine();
  await engine.ping();
});
afterEach(async () => {
  engine.close();
  await nothingIsLeft();
});
afterAll(() => scope.close());

async function nothingIsLeft(): Promise<void> {
  const look = async (): Promise<unknown> => ({ rooms: [...(await janus.rooms())], calls: await rtpengine.sessions() });
  await eventually('nothing is left', look, (left) => JSON.stringify(left) === '{"rooms":[],"calls":[]}');
}

interface Party {
  readonly session: string;
  readonly tone: number;
  readonly rtp: RtpListener;
}

function mediaOf(sdp: string): { readonly address: string; readonly port: number } {
  const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '';
  return { address, port: Number(/^m=audio (\d+)/m.exec(sdp)?.[1]) };
}

async function party(number: number, tone: number): Promise<Party> {
  return { session: `acme-1-100-${number}`, tone, rtp: await RtpListener.open(scope) };
}

function speak({ rtp, tone }: Party, sdp: string): void {
  const { address, port } = mediaOf(sdp);
  rtp.send(tone, address, port);
}

async function join(who: Party): Promise<string> {
  const answer = await engine.mixer!.accept(who.session, { room, offer: who.rtp.sdp() });
  speak(who, answer);
  return answer;
}

async function leave(...parties: readonly Party[]): Promise<void> {
  for (const { session, rtp } of parties) {
    rtp.stopSending();
    await engine.release(session);
  }
}

async function hears({ rtp }: Party, ...tones: number[]): Promise<void> {
  let sound: Sound = { rate: 8000, samples: new Float64Array(0) };
  const accept = (): boolean => (tones.length === 0 ? isSilent(sound) : hearsTones(sound, tones));
  const look = async (): Promise<string> => {
    sound = await rtp.hear(0.5);
    return describeSound(sound, tones);
  };
  await eventually(`hears ${tones.join(' and ')}`, look, accept, { every: 0 });
}

describe('janus with rtpengine before it', () => {
  it('claim M12: three participants hear each other and not themselves; who leaves is heard no more', async () => {
    const [a, b, c] = [await party(1, 440), await party(2, 700), await party(3, 1100)];
    for (const who of [a, b, c]) await join(who);
    await Promise.all([hears(a, 700, 1100), hears(b, 440, 1100), hears(c, 440, 700)]);
    expect([...(await janus.rooms())]).toEqual([
      [`acme-1/${room}`, expect.arrayContaining([a.session, b.session, c.session])],
    ]);
    await leave(b);
    await Promise.all([hears(a, 1100), hears(c, 440)]);
    await leave(a, c);
  });

  it('one that only listens hears the others from the beginning', async () => {
    const [a, b] = [await party(4, 440), await party(5, 700)];
    await join(a);
    await engine.mixer!.accept(b.session, { room, offer: b.rtp.sdp() });
    await hears(b, 440);
    await leave(a, b);
  });

  it('a delayed offer: the bridge offers, the device answers', async () => {
    const [a, b] = [await party(6, 440), await party(7, 700)];
    await join(a);
    const offer = await engine.mixer!.offer(b.session, { room });
    await engine.mixer!.connect(b.session, { room, answer: b.rtp.sdp() });
    speak(b, offer);
    await Promise.all([hears(a, 700), hears(b, 440)]);
    const again = await engine.mixer!.offer(b.session, { room, peer: b.rtp.sdp() });
    await engine.mixer!.connect(b.session, { room, answer: b.rtp.sdp() });
    speak(b, again);
    await Promise.all([hears(a, 700), hears(b, 440)]);
    await leave(a, b);
  });

  it('a participant that holds hears nothing; muted it is not heard; resumed it is as before', async () => {
    const [a, b] = [await party(8, 440), await party(9, 700)];
    const answer = await join(a);
    await join(b);
    await hears(a, 700);
    await engine.mixer!.mute(a.session, { room, muted: true });
    const held = await engine.mixer!.accept(a.session, { room, offer: a.rtp.sdp('sendonly', 2) });
    expect(held).toContain('a=recvonly');
    await Promise.all([hears(a), hears(b)]);
    await engine.mixer!.accept(a.session, { room, offer: a.rtp.sdp('sendrecv', 3) });
    await engine.mixer!.mute(a.session, { room, muted: false });
    await Promise.all([hears(a, 700), hears(b, 440)]);
    expect(mediaOf(held)).toEqual(mediaOf(answer));
    await leave(a, b);
  });

  it('a participant whose address and codec change goes on', async () => {
    const [a, b, moved] = [await party(10, 440), await party(11, 700), await party(10, 440)];
    await join(a);
    await join(b);
    await hears(b, 440);
    a.rtp.stopSending();
    const offer = moved.rtp
      .sdp('sendrecv', 2)
      .replace('RTP/AVP 8 0', 'RTP/AVP 8')
      .replace('a=rtpmap:0 PCMU/8000\r\n', '');
    speak(moved, await engine.mixer!.accept(a.session, { room, offer }));
    await Promise.all([hears(b, 440), hears(moved, 700)]);
    await leave(moved, b);
  });

  it('the audit names participants, and one of an earlier incarnation can be ended; those of others are not seen', async () => {
    const [a, b] = [await party(12, 440), await party(13, 700)];
    await join(a);
    const other = createJanus({
      name: 'other',
      address: '127.0.0.1',
      port: janus.port,
      rtpengine: { address: '127.0.0.1', port: rtpengine.port },
      adminKey: janus.adminKey,
      owner: 'acme-2',
      silence,
    });
    await other.ping();
    await other.mixer!.accept('acme-2-100-1', { room, offer: b.rtp.sdp() });
    const later = createEngine();
    expect((await later.sessions()).ids).toContain(a.session);
    expect((await later.sessions()).ids.filter((id) => id.startsWith('acme-1'))).toEqual([a.session]);
    await later.release(a.session);
    expect([...(await janus.rooms()).keys()]).toEqual([`acme-2/${room}`]);
    later.close();
    await other.release('acme-2-100-1');
    other.close();
  });

  it('a janus that was killed and started again is known to have lost its participants', async () => {
    const a = await party(14, 440);
    await join(a);
    expect(await engine.holds(a.session)).toBe(true);
    await janus.kill();
    await expect(engine.ping()).rejects.toMatchObject({ reason: 'down' });
    await janus.start();
    await engine.ping();
    expect(await engine.holds(a.session)).toBe(false);
    expect((await engine.sessions()).ids).not.toContain(a.session);
    a.rtp.stopSending();
  });

  it('an rtpengine that was killed and started again: the participants are taken out of the room', async () => {
    const a = await party(15, 440);
    await join(a);
    await rtpengine.kill();
    await rtpengine.start();
    expect(await engine.holds(a.session)).toBe(false);
    expect((await engine.sessions()).ids).not.toContain(a.session);
    a.rtp.stopSending();
  });

  it('an offer without audio is refused and leaves nothing behind', async () => {
    const work = engine.mixer!.accept('acme-1-100-16', { room, offer: 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\n' });
    await expect(work).rejects.toMatchObject({ reason: 'unsupported' });
  });
});
