import { audioOnly, audioTransport, holds, isSdp } from '../../sdp';
import { EngineError, type MediaEngine } from '../ports';
import { type CommandOptions, type Commands, createCommands } from './commands';
import { playerDescription } from './music-description';

/** Tags of the two sides of a music session: the player on paper, and the held device. */
const PLAYER = 'moh';
const DEVICE = 'phone';

/** rtpengine 10.5 has no "for ever"; with a piece of 4 s this is six weeks. */
const REPEATS = 1_000_000;

/** More sessions than this do not fit in one UDP reply. */
const LIST_LIMIT = 1000;

/** What the device sends while it is held must go nowhere; without this it goes to the address of the player on paper. */
const BLACKHOLE = { 'media-echo': 'blackhole' };

type Transport = Record<string, unknown>;

/** How the device is spoken to: as it spoke itself. Rejects what rtpengine could not set up with one offer. */
function transportFor(peer: string | undefined): Transport {
  const transport = peer === undefined ? undefined : audioTransport(peer);
  if (transport === undefined) return {};
  if (transport.security === 'dtls')
    throw new EngineError('unsupported', 'music for a device that speaks DTLS-SRTP is not supported');
  const family = transport.family === 6 ? { 'address-family': 'IP6' } : {};
  const profile = `RTP/${transport.security === 'sdes' ? 'S' : ''}AVP${transport.feedback ? 'F' : ''}`;
  return { 'transport-protocol': profile, DTLS: 'off', ...family };
}

async function offerMusic(commands: Commands, session: string, peer: string | undefined): Promise<string> {
  const reply = await commands.run('offer', {
    'call-id': session,
    'from-tag': PLAYER,
    sdp: playerDescription(peer),
    replace: ['origin'],
    ICE: 'remove',
    flags: ['port-latching'],
    supports: ['load limit'],
    ...BLACKHOLE,
    ...transportFor(peer),
  });
  const sdp = reply['sdp'];
  if (typeof sdp !== 'string' || !isSdp(sdp))
    throw new EngineError('error', 'rtpengine answered an offer without a description');
  return sdp;
}

async function connectMusic(commands: Commands, session: string, file: string, answer: string): Promise<void> {
  const sdp = audioOnly(answer);
  if (sdp === undefined) throw new EngineError('bad-request', 'the answer has no audio');
  await commands.run('answer', {
    'call-id': session,
    'from-tag': PLAYER,
    'to-tag': DEVICE,
    sdp,
    replace: ['origin'],
    ICE: 'remove',
    flags: ['port-latching'],
    ...BLACKHOLE,
  });
  // A device that does not listen (it holds as well) has no music, and nothing is wrong with that.
  if (holds(sdp)) return;
  // Given anew after every answer: a player that runs goes on with the payload type of the answer before.
  await commands.run('playMedia', { 'call-id': session, 'from-tag': DEVICE, file, 'repeat-times': REPEATS });
}

export interface RtpengineOptions extends CommandOptions {
  readonly name: string;
}

/** rtpengine as a media resource: music on hold for one device in each session. */
export function createRtpengine(options: RtpengineOptions): MediaEngine {
  const commands = createCommands(options);

  const remove = async (session: string): Promise<void> => {
    await commands.run('delete', { 'call-id': session, 'delete-delay': 0 });
  };

  /** A command that fails leaves a session behind in rtpengine. */
  const orRemove = async <Value>(session: string, work: Promise<Value>): Promise<Value> => {
    try {
      return await work;
    } catch (error) {
      await remove(session).catch(() => undefined);
      throw error;
    }
  };

  return {
    name: options.name,
    async ping() {
      await commands.run('ping');
    },
    musicOffer: (session, { peer }) => orRemove(session, offerMusic(commands, session, peer)),
    musicConnect: (session, { file, answer }) => orRemove(session, connectMusic(commands, session, file, answer)),
    release: remove,
    async sessions() {
      const { calls } = await commands.run('list', { limit: LIST_LIMIT });
      if (!Array.isArray(calls)) throw new EngineError('error', 'rtpengine sent no list of its sessions');
      // A list that is cut off would make sessions look lost that are not.
      if (calls.length >= LIST_LIMIT) throw new EngineError('error', `rtpengine has ${LIST_LIMIT} sessions or more`);
      return calls.filter((call): call is string => typeof call === 'string');
    },
    close: () => commands.close(),
  };
}
