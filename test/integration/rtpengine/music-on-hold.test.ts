import { createSocket } from 'node:dgram';
import { join } from 'node:path';
import type { MediaResourceConfig } from '../../../src/config/types';
import { DEFAULT_MUSIC_TONES, prepareDefault } from '../../../src/media-resource/music';
import { EngineError, type MediaEngine, type ResourceReply } from '../../../src/media-resource/ports';
import { createResourceProcesses, type ResourceProcesses } from '../../../src/media-resource/resource-processes';
import { createRtpengine } from '../../../src/media-resource/rtpengine/engine';
import { systemClock } from '../../../src/process/clock';
import { PidAllocator } from '../../../src/process/pid';
import { silentLogger } from '../../../src/telemetry/logger';
import { silentMetrics } from '../../../src/telemetry/metrics';
import { eventually, eventuallyTrue } from '../../support/eventually';
import { figure } from '../../support/figures';
import { freePort } from '../../support/ports';
import { RtpListener } from '../../support/rtp-listener';
import { ngCommand, Rtpengine } from '../../support/rtpengine';
import { Scope } from '../../support/scope';
import { describeSound, hearsTones } from '../../support/sound';

const wholeFile = new Scope();
let scope: Scope;
let server: Rtpengine;
let engine: MediaEngine;
let file: string;

function connectTo(port: number, owner = scope): MediaEngine {
  const made = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port });
  owner.defer(() => made.close());
  return made;
}

beforeAll(async () => {
  server = await Rtpengine.start(wholeFile);
  engine = connectTo(server.port, wholeFile);
  file = await prepareDefault(join(wholeFile.directory('music'), 'files'));
});
afterAll(() => wholeFile.close());

beforeEach(() => {
  scope = new Scope();
});
afterEach(async () => {
  for (const session of await server.sessions()) await engine.release(session);
  await scope.close();
});

async function expectMusic(listener: RtpListener): Promise<void> {
  const before = listener.packets.length;
  await eventuallyTrue('music arrives', () => listener.packets.length > before + 5, { cap: 4000 });
  const sound = await listener.hear(1);
  if (!hearsTones(sound, DEFAULT_MUSIC_TONES))
    throw new Error(`no music: ${describeSound(sound, DEFAULT_MUSIC_TONES)}`);
}

async function hold(session: string, listener: RtpListener): Promise<string> {
  const offer = await engine.musicOffer(session, { file, peer: listener.sdp() });
  await engine.musicConnect(session, { file, answer: listener.sdp('recvonly', 2) });
  return offer;
}

const only = (sdp: string, payload: number): string =>
  sdp
    .replace(/^(m=audio \d+ RTP\/AVP).*$/m, `$1 ${payload}`)
    .split('\r\n')
    .filter((line) => !line.startsWith('a=rtpmap:') || line.startsWith(`a=rtpmap:${payload} `))
    .join('\r\n');

describe('music on hold by rtpengine', () => {
  test('claim M12: music without a gap over the seam of its loop', async () => {
    const listener = await RtpListener.open(scope);
    await hold('acme-1-1-1', listener);
    await expectMusic(listener);
    const before = listener.packets.length;
    const sound = await listener.hear(5);
    expect(listener.packets.length - before).toBeGreaterThan(230);
    expect(hearsTones(sound, DEFAULT_MUSIC_TONES)).toBe(true);
  });

  test("the offer keeps the device's codecs, order and payload types, and is sendonly", async () => {
    const listener = await RtpListener.open(scope);
    const peer = `${only(listener.sdp(), 0).replace('AVP 0', 'AVP 96 0 101')}a=rtpmap:96 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n`;
    const offer = await engine.musicOffer('acme-1-1-1', { file, peer });
    expect(offer).toMatch(/^m=audio \d+ RTP\/AVP 96 0 101\r$/m);
    expect(offer).toContain('a=rtpmap:96 opus/48000/2');
    expect(offer).toContain('a=sendonly');
  });

  test('a device that changes its codec while it is held hears the music in the new one', async () => {
    const listener = await RtpListener.open(scope);
    await hold('acme-1-1-1', listener);
    await expectMusic(listener);
    await engine.musicConnect('acme-1-1-1', { file, answer: only(listener.sdp('recvonly', 3), 0) });
    await eventuallyTrue('PCMU arrives', () => listener.packets.at(-1)?.payloadType === 0, { cap: 4000 });
    await expectMusic(listener);
  });

  test('a device that moves to another port while it is held is followed', async () => {
    const listener = await RtpListener.open(scope);
    const first = await hold('acme-1-1-1', listener);
    const moved = await RtpListener.open(scope);
    const offer = await engine.musicOffer('acme-1-1-1', { file, peer: moved.sdp() });
    expect(/^m=audio \d+/m.exec(offer)).toEqual(/^m=audio \d+/m.exec(first));
    await engine.musicConnect('acme-1-1-1', { file, answer: moved.sdp('recvonly', 2) });
    await expectMusic(moved);
  });

  test('what the held device sends goes nowhere, and the music goes on', async () => {
    const listener = await RtpListener.open(scope);
    const offer = await hold('acme-1-1-1', listener);
    const port = Number(/^m=audio (\d+)/m.exec(offer)?.[1]);
    listener.send(440, '127.0.0.1', port);
    await expectMusic(listener);
  });

  test('a device that holds as well (inactive) has no music, and that is no failure', async () => {
    const listener = await RtpListener.open(scope);
    await engine.musicOffer('acme-1-1-1', { file, peer: listener.sdp() });
    await engine.musicConnect('acme-1-1-1', { file, answer: listener.sdp('inactive', 2) });
    expect((await listener.hear(0.3)).samples).toHaveLength(0);
    await engine.musicConnect('acme-1-1-1', { file, answer: listener.sdp('recvonly', 3) });
    await expectMusic(listener);
  });

  test('an answer with a refused video stream beside the audio is taken', async () => {
    const listener = await RtpListener.open(scope);
    await engine.musicOffer('acme-1-1-1', { file, peer: listener.sdp() });
    const answer = `${listener.sdp('recvonly', 2)}m=video 0 RTP/AVP 96\r\n`;
    await engine.musicConnect('acme-1-1-1', { file, answer });
    await expectMusic(listener);
  });

  test('RFC 4568: a device that speaks SRTP by SDES is offered it, with keys that stay', async () => {
    const listener = await RtpListener.open(scope);
    const key = 'inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj';
    const secure = (direction: 'sendrecv' | 'recvonly'): string =>
      `${listener.sdp(direction).replace('RTP/AVP', 'RTP/SAVP')}a=crypto:1 AES_CM_128_HMAC_SHA1_80 ${key}\r\n`;
    const offer = await engine.musicOffer('acme-1-1-1', { file, peer: secure('sendrecv') });
    expect(offer).toMatch(/^m=audio \d+ RTP\/SAVP /m);
    expect(offer).toMatch(/^a=crypto:\d+ AES_CM_128_HMAC_SHA1_80 inline:/m);
    expect(offer).not.toContain('fingerprint');
    const keys = (sdp: string): unknown => sdp.match(/^a=crypto:.*$/gm);
    expect(keys(await engine.musicOffer('acme-1-1-1', { file, peer: secure('sendrecv') }))).toEqual(keys(offer));
    const tag = /^a=crypto:(\d+) AES_CM_128_HMAC_SHA1_80 /m.exec(offer)?.[1] ?? '';
    await engine.musicConnect('acme-1-1-1', { file, answer: secure('recvonly').replace('crypto:1', `crypto:${tag}`) });
    await eventuallyTrue('SRTP arrives', () => listener.packets.length > 20, { cap: 4000 });
    // A packet of 20 ms of G.711 is 160 bytes, and the authentication tag of this suite 10.
    expect(listener.packets.at(-1)?.payload).toHaveLength(170);
  });

  test.each(['RTP/AVP', 'RTP/AVPF', 'RTP/SAVP', 'RTP/SAVPF'])(
    'a device with the profile %s is offered that',
    async (profile) => {
      const peer = (await RtpListener.open(scope)).sdp().replace('RTP/AVP', profile);
      expect(await engine.musicOffer('acme-1-1-1', { file, peer })).toMatch(
        new RegExp(`^m=audio \\d+ ${profile} `, 'm'),
      );
    },
  );

  test('RFC 5763: a device that speaks DTLS-SRTP with ICE and rtcp-mux hears the music', async () => {
    // A relay stands for the device, so that there is somebody who speaks it: music, DTLS-SRTP, relay, plain RTP, listener.
    await engine.ping();
    const relay = engine.relay!;
    const listener = await RtpListener.open(scope);
    const peer = await relay.offer('acme-1-1-2', { to: 'b', sdp: listener.sdp(), terms: { security: 'dtls' } });
    await engine.release('acme-1-1-2');
    const offer = await engine.musicOffer('acme-1-1-1', { file, peer });
    expect(offer).toMatch(/^m=audio \d+ UDP\/TLS\/RTP\/SAVPF /m);
    expect(offer).toContain('a=sendonly');
    await relay.offer('acme-1-1-2', { to: 'b', sdp: offer, terms: { security: 'none' } });
    const answer = await relay.answer('acme-1-1-2', { from: 'b', answer: listener.sdp('recvonly', 2) });
    await engine.musicConnect('acme-1-1-1', { file, answer: answer ?? '' });
    await expectMusic(listener);
  });
});

describe('what rtpengine does not do', () => {
  test('a file that cannot be played is an error, and leaves no session behind', async () => {
    const listener = await RtpListener.open(scope);
    await engine.musicOffer('acme-1-1-1', { file: '/nowhere.wav', peer: listener.sdp() });
    const work = engine.musicConnect('acme-1-1-1', { file: '/nowhere.wav', answer: listener.sdp('recvonly', 2) });
    await expect(work).rejects.toMatchObject({ reason: 'error' });
    expect(await server.sessions()).toEqual([]);
  });

  test('claim M13: its session limit is told as full', async () => {
    const small = await Rtpengine.start(scope, { maxSessions: 1 });
    const limited = connectTo(small.port);
    await limited.musicOffer('acme-1-1-1', { file });
    await expect(limited.musicOffer('acme-1-1-2', { file })).rejects.toMatchObject({ reason: 'full' });
    expect(await small.sessions()).toEqual(['acme-1-1-1']);
  });

  test('claim M13: with nobody there every command ends in its deadline, with the reason down', async () => {
    const nobody = connectTo(await freePort());
    const started = Date.now();
    await expect(nobody.ping()).rejects.toMatchObject({ reason: 'down' });
    await expect(nobody.musicOffer('acme-1-1-1', { file })).rejects.toBeInstanceOf(EngineError);
    expect(Date.now() - started).toBeLessThan(8000);
  });

  /** A server that answers every command, or none of them, in its own way. */
  async function impostor(answer: (count: number) => readonly string[]): Promise<MediaEngine> {
    const port = await freePort();
    const socket = createSocket('udp4');
    let count = 0;
    socket.on('message', (message, from) => {
      const cookie = message.toString().split(' ')[0] ?? '';
      for (const reply of answer(++count)) socket.send(reply.replace('COOKIE', cookie), from.port, from.address);
    });
    await new Promise<void>((resolve) => socket.bind(port, '127.0.0.1', resolve));
    scope.defer(() => socket.close());
    return connectTo(port);
  }

  test('one lost datagram is made good', async () => {
    let seen = 0;
    const lossy = await impostor((count) => {
      seen = count;
      return count === 1 ? [] : ['COOKIE d6:result2:oke'];
    });
    expect(await lossy.holds('acme-1-1-1')).toBe(true);
    expect(seen).toBe(2);
  });

  test('a list of sessions that may be cut off says so, and one that is none is an error', async () => {
    const long = await impostor(() => [`COOKIE d5:callsl${'3:abc'.repeat(1800)}e6:result2:oke`]);
    expect(await long.sessions()).toMatchObject({ complete: false });
    const none = await impostor(() => ['COOKIE d6:result2:oke']);
    await expect(none.sessions()).rejects.toMatchObject({ reason: 'error' });
  });

  test('a list that outgrows a datagram is taken as far as it came', async () => {
    const huge = await impostor((count) =>
      count === 1 ? [`COOKIE d5:callsl${'3:abc'.repeat(1000)}e6:result2:oke`] : [],
    );
    expect(await huge.sessions()).toMatchObject({ complete: false, ids: { length: 1000 } });
  });

  test('more sessions than one list holds are all found', async () => {
    const many = await Rtpengine.start(scope, { mediaPorts: 5200, mediaAddress: '127.0.87.1' });
    const busy = connectTo(many.port);
    const ids = Array.from({ length: 1200 }, (_, index) => `acme-1-1-${index}`);
    for (const id of ids) await busy.musicOffer(id, { file });
    const list = await busy.sessions();
    expect([list.complete, list.ids.length]).toEqual([true, 1200]);
    expect(await busy.holds('acme-1-1-1199')).toBe(true);
    expect(await busy.holds('acme-1-1-1200')).toBe(false);
    expect(await busy.uptimeMs?.()).toBeGreaterThanOrEqual(0);
  }, 60_000);

  test.each([
    '',
    'x',
    '{}',
    'd6:result2:ok',
    'le',
    'i5e',
    'de',
    'd6:resulti1ee',
    'd3:sdpi5e6:result2:oke',
    'd6:result5:error12:error-reasonlee',
  ])('a reply of any shape is survived: %j', async (reply) => {
    const broken = await impostor(() => [`COOKIE ${reply}`, `${'0'.repeat(36)} ${reply}`]);
    const talk = jest.spyOn(console, 'log').mockImplementation(() => undefined);
    await expect(broken.musicOffer('acme-1-1-1', { file })).rejects.toBeInstanceOf(EngineError);
    talk.mockRestore();
  });
});

describe('a device process over rtpengine', () => {
  const target = { pid: '1.mp.1', boot: 500 };

  /** A device process of node 1 over an rtpengine of its own. */
  async function controlled(before?: (engine: MediaEngine) => Promise<void>): Promise<{
    readonly own: Rtpengine;
    readonly processes: ResourceProcesses;
    readonly health: readonly boolean[];
  }> {
    const own = await Rtpengine.start(scope);
    const resource: MediaResourceConfig = {
      name: 'moh-1',
      type: 'moh',
      engine: 'rtpengine',
      control: { protocol: 'udp', address: '127.0.0.1', port: own.port },
      node: 1,
      site: undefined,
      capacity: 5,
    };
    await before?.(connectTo(own.port));
    const health: boolean[] = [];
    const processes = createResourceProcesses({
      clusterName: 'acme',
      nodeId: 1,
      boot: 500,
      mediaResources: [resource],
      pids: new PidAllocator(1),
      clock: systemClock,
      log: silentLogger,
      metrics: silentMetrics,
      music: { choose: () => Promise.resolve(file) },
      createEngine: () => createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: own.port }),
      onHealth: (_, up) => health.push(up),
    });
    scope.defer(() => processes.stop());
    return { own, processes, health };
  }

  test('restart of the engine: down, up again, foreign sessions stay, old ones of ours go, holders are told', async () => {
    const { own, processes, health } = await controlled(async (control) => {
      await control.musicOffer('acme-1-400-1', { file });
      await control.musicOffer('acme-2-400-1', { file });
    });
    await eventually(
      'the audit is through',
      () => own.sessions(),
      (ids) => ids.length === 1 && ids[0] === 'acme-2-400-1',
    );
    expect(health).toEqual([true]);

    const listener = await RtpListener.open(scope);
    const allocation = 'acme-3-7-1';
    const ask = (body: object): Promise<ResourceReply> => processes.handle(target, { allocation, ...body });
    expect(await ask({ op: 'allocate', type: 'moh', holder: 'alice' })).toMatchObject({ ok: true });
    expect(await ask({ op: 'offer', peer: listener.sdp() })).toMatchObject({ ok: true });
    expect(await ask({ op: 'connect', answer: listener.sdp('recvonly', 2) })).toMatchObject({ ok: true });
    await expectMusic(listener);

    await own.kill();
    await eventuallyTrue('it is noticed', () => health.at(-1) === false, { cap: 6000 });
    expect(await ask({ op: 'renew' })).toMatchObject({ ok: false, reason: 'unknown-process' });
    await own.start();
    await eventuallyTrue('it is noticed too', () => health.at(-1) === true, { cap: 6000 });
    expect(processes.processes[0]?.pid).toBe('1.mp.2');
    expect(await ngCommand(own.port, { command: 'list', limit: 10 })).toMatchObject({ calls: [] });
  });

  test('an engine that is killed and started at once is noticed by its lost session within seconds', async () => {
    const { own, processes, health } = await controlled();
    const listener = await RtpListener.open(scope);
    const allocation = 'acme-3-7-1';
    await eventuallyTrue('it is up', () => health.at(-1) === true, { cap: 6000 });
    const ask = (body: object): Promise<ResourceReply> => processes.handle(target, { allocation, ...body });
    expect(await ask({ op: 'allocate', type: 'moh', holder: 'alice' })).toMatchObject({ ok: true });
    expect(await ask({ op: 'offer', peer: listener.sdp() })).toMatchObject({ ok: true });
    expect(await ask({ op: 'connect', answer: listener.sdp('recvonly', 2) })).toMatchObject({ ok: true });
    await expectMusic(listener);
    await own.kill();
    await own.start();
    const started = Date.now();
    // One that had lived for less than two seconds cannot be told by its age: its sessions are lost, and its device process stays.
    await eventuallyTrue('its holders are told', () => processes.describe()[0]?.inUse === 0, { cap: 20_000 });
    figure('loss told after the restart of the engine', Date.now() - started, 'ms');
    expect(health.at(-1)).toBe(true);
    expect(processes.describe()[0]).toMatchObject({ up: true, inUse: 0 });
  });
});
