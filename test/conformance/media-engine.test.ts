import { join } from 'node:path';
import { DEFAULT_MUSIC_TONES, prepareDefault } from '../../src/media-resource/music';
import { createRtpengine } from '../../src/media-resource/rtpengine/engine';
import { eventuallyTrue } from '../support/eventually';
import { RtpListener } from '../support/rtp-listener';
import { Rtpengine } from '../support/rtpengine';
import { Scope } from '../support/scope';
import { describeSound, hearsTones } from '../support/sound';
import { FakeEngine, sdpOf } from '../unit/media-resource/fake-engine';
import { type EngineUnderTest, type HeldDevice, mediaEngineContract } from './media-engine';

const fake = new FakeEngine();
const playing = (): boolean => [...fake.held.values()].some((session) => session.playing);

mediaEngineContract(
  'the fake of the unit tests',
  async () => ({
    engine: fake,
    file: '/music.wav',
    device: async (): Promise<HeldDevice> => ({
      sdp: sdpOf(5000),
      answer: () => sdpOf(5000, 'recvonly'),
      hearsMusic: async () => expect(playing()).toBe(true),
      hearsNothing: async () => expect(playing()).toBe(false),
    }),
  }),
  async () => fake.close(),
);

const scope = new Scope();

async function device(): Promise<HeldDevice> {
  const listener = await RtpListener.open(scope);
  return {
    sdp: listener.sdp(),
    answer: () => listener.sdp('recvonly', 2),
    async hearsMusic() {
      await eventuallyTrue('music arrives', () => listener.packets.length > 5, { cap: 3000 });
      const sound = await listener.hear(1);
      if (!hearsTones(sound, DEFAULT_MUSIC_TONES))
        throw new Error(`no music: ${describeSound(sound, DEFAULT_MUSIC_TONES)}`);
    },
    async hearsNothing() {
      await listener.hear(0.1);
      expect((await listener.hear(0.3)).samples).toHaveLength(0);
    },
  };
}

async function startRtpengine(): Promise<EngineUnderTest> {
  const server = await Rtpengine.start(scope);
  const file = await prepareDefault(join(scope.directory('music'), 'files'));
  const engine = createRtpengine({ name: 'rtpengine', address: '127.0.0.1', port: server.port });
  scope.defer(() => engine.close());
  return { engine, file, device };
}

mediaEngineContract('rtpengine', startRtpengine, () => scope.close());
