import { createFreeswitch } from '../../../src/media-resource/freeswitch/engine';
import type { MediaEngine, SipCaller } from '../../../src/media-resource/ports';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { describeFreeswitch, freeswitchApi, type FreeswitchAddress } from '../../support/freeswitch';
import { type ListenerCodec, PAYLOAD_TYPES, RtpListener } from '../../support/rtp-listener';
import { Scope } from '../../support/scope';
import { startSipCaller } from '../../support/sip-caller';
import { describeSound, hearsTones, isSilent, type Sound } from '../../support/sound';

jest.setTimeout(90_000);

/** Unlike those of other runs: the FreeSWITCH is shared. */
const cluster = `t${process.pid}x${Date.now() % 100_000}`;

interface Party {
  readonly session: string;
  readonly tone: number;
  readonly codec: ListenerCodec;
  readonly rtp: RtpListener;
}

function mediaOf(sdp: string): { readonly address: string; readonly port: number } {
  const address = /^c=IN IP4 (\S+)/m.exec(sdp)?.[1] ?? '';
  return { address, port: Number(/^m=audio (\d+)/m.exec(sdp)?.[1]) };
}

function speak({ rtp, tone, codec }: Party, sdp: string): void {
  const { address, port } = mediaOf(sdp);
  rtp.send(tone, address, port, PAYLOAD_TYPES[codec]);
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

describeFreeswitch('FreeSWITCH as a conference bridge', {}, (at: FreeswitchAddress) => {
  const scope = new Scope();
  let caller: SipCaller;
  let engine: MediaEngine;
  let room: string;
  let rooms = 0;
  let parties = 0;
  const lost: string[] = [];

  async function createEngine(node = 1): Promise<MediaEngine> {
    const created = createFreeswitch({
      name: 'bridge',
      sip: { transport: 'udp', address: at.host, port: at.sipPort },
      eventSocket: { address: at.host, port: at.eventSocketPort, password: at.password },
      caller,
      owner: `${cluster}-${node}`,
      localAddress: '127.0.0.1',
    });
    await eventually('FreeSWITCH can be used', async () => created.ping().then(() => true), Boolean);
    return created;
  }

  async function party(tone: number, codec: ListenerCodec = 'PCMA'): Promise<Party> {
    return { session: `${cluster}-1-100-${++parties}`, tone, codec, rtp: await RtpListener.open(scope) };
  }

  async function join(who: Party): Promise<string> {
    const offer = who.rtp.sdp('sendrecv', 1, [who.codec]);
    const answer = await engine.mixer!.accept(who.session, { room, offer });
    speak(who, answer);
    return answer;
  }

  async function leave(...all: readonly Party[]): Promise<void> {
    for (const { session, rtp } of all) {
      rtp.stopSending();
      await engine.release(session);
    }
  }

  /** Sessions of this test run that FreeSWITCH has. */
  async function ours(): Promise<string[]> {
    return (await engine.sessions()).ids.filter((id) => id.startsWith(cluster));
  }

  const conference = (): string => `${cluster}-1-${room}`;

  beforeAll(async () => {
    caller = await startSipCaller(scope);
  });
  beforeEach(async () => {
    room = `room${++rooms}`;
    lost.length = 0;
    engine = await createEngine();
    engine.onSessionLost?.((session) => lost.push(session));
  });
  afterEach(async () => {
    await eventually('nothing is left', ours, (left) => left.length === 0);
    engine.close();
  });
  afterAll(() => scope.close());

  it('claim M12: three participants of three codecs hear each other and not themselves; who leaves is heard no more', async () => {
    const [a, b, c] = [await party(440, 'PCMU'), await party(700, 'PCMA'), await party(1100, 'G722')];
    for (const who of [a, b, c]) await join(who);
    await Promise.all([hears(a, 700, 1100), hears(b, 440, 1100), hears(c, 440, 700)]);
    expect((await ours()).sort()).toEqual([a, b, c].map(({ session }) => session).sort());
    await eventuallyTrue('they are seen to talk', () => [a, b, c].every((who) => engine.mixer!.talks?.(who.session)));
    await leave(b);
    expect(await ours()).not.toContain(b.session);
    await Promise.all([hears(a, 1100), hears(c, 440)]);
    await leave(a, c);
    expect(lost).toEqual([]);
  });

  it('one that only listens hears the others from the beginning, and is not seen to talk', async () => {
    const [a, b] = [await party(440), await party(700)];
    await join(a);
    await engine.mixer!.accept(b.session, { room, offer: b.rtp.sdp() });
    await hears(b, 440);
    expect(engine.mixer!.talks?.(b.session)).toBe(false);
    await leave(a, b);
  });

  it('a delayed offer: the bridge offers, the device answers as late as it likes', async () => {
    const [a, b] = [await party(440), await party(700, 'PCMU')];
    await join(a);
    const offer = await engine.mixer!.offer(b.session, { room });
    expect(offer).toMatch(/^a=rtpmap:0 PCMU/im);
    expect(offer).toMatch(/^a=rtpmap:8 PCMA/im);
    await engine.mixer!.connect(b.session, { room, answer: b.rtp.sdp('sendrecv', 1, ['PCMU']) });
    speak(b, offer);
    await Promise.all([hears(a, 700), hears(b, 440)]);
    const again = await engine.mixer!.offer(b.session, { room, peer: b.rtp.sdp() });
    expect(mediaOf(again)).toEqual(mediaOf(offer));
    await engine.mixer!.connect(b.session, { room, answer: b.rtp.sdp('sendrecv', 2, ['PCMU']) });
    await Promise.all([hears(a, 700), hears(b, 440)]);
    await leave(a, b);
  });

  it('muted it is not heard; one that holds hears nothing; resumed it is as before', async () => {
    const [a, b] = [await party(440), await party(700)];
    const answer = await join(a);
    await join(b);
    await Promise.all([hears(a, 700), hears(b, 440)]);
    await engine.mixer!.mute(a.session, { room, muted: true });
    await Promise.all([hears(a, 700), hears(b)]);
    const held = await engine.mixer!.accept(a.session, { room, offer: a.rtp.sdp('sendonly', 2) });
    expect(held).toContain('a=recvonly');
    await Promise.all([hears(a), hears(b)]);
    await engine.mixer!.accept(a.session, { room, offer: a.rtp.sdp('sendrecv', 3) });
    await Promise.all([hears(a, 700), hears(b)]);
    await engine.mixer!.mute(a.session, { room, muted: false });
    await Promise.all([hears(a, 700), hears(b, 440)]);
    expect(mediaOf(held)).toEqual(mediaOf(answer));
    await leave(a, b);
  });

  it('a participant whose address and codec change goes on', async () => {
    const [a, b] = [await party(440), await party(700)];
    await join(a);
    await join(b);
    await hears(b, 440);
    a.rtp.stopSending();
    const moved: Party = { ...(await party(440, 'PCMU')), session: a.session };
    const offer = moved.rtp.sdp('sendrecv', 2, ['PCMU']);
    speak(moved, await engine.mixer!.accept(a.session, { room, offer }));
    await Promise.all([hears(b, 440), hears(moved, 700)]);
    await leave(moved, b);
  });

  it('the same offer again gets the same answer, and takes nothing more', async () => {
    const a = await party(440);
    const request = { room, offer: a.rtp.sdp() };
    const answer = await engine.mixer!.accept(a.session, request);
    expect(await engine.mixer!.accept(a.session, request)).toBe(answer);
    expect(await ours()).toEqual([a.session]);
    await leave(a);
  });

  it('claim M13: a conference that is locked or full at FreeSWITCH is unavailable, although it answers 200 before its BYE', async () => {
    const [a, b, c] = [await party(440), await party(700), await party(1100)];
    await join(a);
    await freeswitchApi(at, `conference ${conference()} lock`);
    await expect(join(b)).rejects.toMatchObject({ reason: 'full' });
    await freeswitchApi(at, `conference ${conference()} unlock`);
    await join(b);
    await freeswitchApi(at, `conference ${conference()} set max_members 2`);
    await expect(join(c)).rejects.toMatchObject({ reason: 'full' });
    expect((await ours()).sort()).toEqual([a.session, b.session].sort());
    expect(lost).toEqual([]);
    await leave(a, b, c);
  });

  it('claim M13: no common codec is unsupported, and leaves nothing behind', async () => {
    const a = await party(440);
    const offer = a.rtp
      .sdp()
      .replace('RTP/AVP 8 0', 'RTP/AVP 18')
      .replace(/a=rtpmap.*\r\n/g, '');
    await expect(engine.mixer!.accept(a.session, { room, offer })).rejects.toMatchObject({ reason: 'unsupported' });
    const noAudio = 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n';
    await expect(engine.mixer!.accept(a.session, { room, offer: noAudio })).rejects.toMatchObject({
      reason: 'unsupported',
    });
    expect(await ours()).toEqual([]);
  });

  it('one that FreeSWITCH puts out is known to be lost at once', async () => {
    const [a, b] = [await party(440), await party(700)];
    await join(a);
    await join(b);
    expect(await engine.holds(a.session)).toBe(true);
    await freeswitchApi(at, `conference ${conference()} hup last`);
    await eventuallyTrue('the loss is told', () => lost.length > 0);
    expect(lost).toEqual([b.session]);
    expect(await engine.holds(b.session)).toBe(false);
    expect(await engine.holds(a.session)).toBe(true);
    await leave(a, b);
  });

  it('the audit: one of an earlier incarnation is listed and can be ended; rooms of other nodes are others', async () => {
    const [a, b] = [await party(440), await party(700)];
    await join(a);
    const other = await createEngine(2);
    await other.mixer!.accept(`${cluster}-2-100-1`, { room, offer: b.rtp.sdp() });
    const later = await createEngine();
    expect((await later.sessions()).ids).toEqual(expect.arrayContaining([a.session, `${cluster}-2-100-1`]));
    await expect(later.release(a.session)).resolves.toBeUndefined();
    await eventuallyTrue('the first one sees it', () => lost.includes(a.session));
    expect(await ours()).toEqual([`${cluster}-2-100-1`]);
    await other.release(`${cluster}-2-100-1`);
    other.close();
    later.close();
    a.rtp.stopSending();
  });

  it('while it takes no calls, those in progress stay and no new one is given to it', async () => {
    const a = await party(440);
    await join(a);
    await freeswitchApi(at, 'fsctl pause inbound');
    try {
      await eventually(
        'it says so',
        () => engine.ping().then(() => engine.refusal?.()?.reason),
        (reason) => reason === 'full',
      );
      expect(await engine.holds(a.session)).toBe(true);
      const b = await party(700);
      await expect(join(b)).rejects.toMatchObject({ reason: 'full' });
    } finally {
      await freeswitchApi(at, 'fsctl resume inbound');
    }
    await engine.ping();
    expect(engine.refusal?.()).toBeUndefined();
    await leave(a);
  });

  it('twenty sessions come and go, and none is left', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, () => party(440)));
    const started = Date.now();
    await Promise.all(many.map((who) => engine.mixer!.accept(who.session, { room, offer: who.rtp.sdp() })));
    process.stdout.write(`20 participants in the room after ${Date.now() - started} ms\n`);
    expect(await ours()).toHaveLength(20);
    await Promise.all(many.map(({ session }) => engine.release(session)));
    expect(await ours()).toEqual([]);
  });
});
