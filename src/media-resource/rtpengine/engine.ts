import { audioOnly, audioTransport, holds, isSdp } from '../../sdp';
import { EngineError, type MediaEngine, type SessionList } from '../ports';
import { type CommandOptions, type Commands, createCommands, isReply, type Reply } from './commands';
import { playerDescription } from './player-description';
import { probeCodecs } from './probe';
import { createRelay } from './relay';
import { type Parameters, transportParameters } from './relay-terms';

/** Tags of the two sides of a music session: the player on paper, and the held device. */
const PLAYER = 'moh';
const DEVICE = 'phone';

/** rtpengine 10.5 has no "for ever"; with a piece of 4 s this is six weeks. */
const REPEATS = 1_000_000;

/** The reply must fit in one datagram, and how long the names of others are nobody knows; so a little is tried first. */
const LIST_LIMITS: readonly number[] = [1000, 1800];

/** What the device sends while it is held must go nowhere; without this it goes to the address of the player on paper. */
const BLACKHOLE = { 'media-echo': 'blackhole' };

/** How the device is spoken to: as it spoke itself. */
export function transportFor(peer: string | undefined): Parameters {
  const transport = peer === undefined ? undefined : audioTransport(peer);
  const { security = 'none', feedback = false, family = 4 } = transport ?? {};
  return transportParameters(security, feedback, family);
}

async function offerMusic(commands: Commands, session: string, peer: string | undefined): Promise<string> {
  const reply = await commands.run('offer', {
    'call-id': session,
    'from-tag': PLAYER,
    sdp: playerDescription(peer),
    replace: ['origin'],
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

/** Call-ids of all sessions, anybody's. */
export async function listSessions(commands: Commands): Promise<SessionList> {
  let list: SessionList = { ids: [], complete: false };
  for (const limit of LIST_LIMITS) {
    const reply = await commands.run('list', { limit }).catch((error: unknown) => {
      if (list.ids.length === 0) throw error;
      return undefined;
    });
    // A reply that is too long for a datagram never comes: then what was listed before must do.
    if (reply === undefined) return list;
    const { calls } = reply;
    if (!Array.isArray(calls)) throw new EngineError('error', 'rtpengine sent no list of its sessions');
    const complete = calls.length < limit;
    list = { ids: calls.filter((call): call is string => typeof call === 'string'), complete };
    if (complete) break;
  }
  return list;
}

function wholeNumberAt(reply: Reply, path: readonly string[]): number | undefined {
  let value: unknown = reply;
  for (const key of path) value = isReply(value) ? value[key] : undefined;
  const number = typeof value === 'string' ? Number(value) : value;
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined;
}

/** rtpengine as a media resource: music on hold for one device in each session, or a relay between two ends. */
export function createRtpengine(options: RtpengineOptions): MediaEngine {
  const commands = createCommands(options);
  let codecs: readonly string[] | undefined;
  let probed = false;
  const relay = createRelay(commands, () => codecs ?? []);

  const remove = async (session: string): Promise<void> => {
    relay.forget(session);
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
      try {
        await commands.run('ping');
      } catch (error) {
        // What comes back may be another build. Nearly always it is not: until it is asked, the codecs of before hold.
        probed = false;
        throw error;
      }
      if (probed) return;
      codecs = await probeCodecs(commands);
      probed = true;
    },
    musicOffer: (session, { peer }) => orRemove(session, offerMusic(commands, session, peer)),
    musicConnect: (session, { file, answer }) => orRemove(session, connectMusic(commands, session, file, answer)),
    relay,
    release: remove,
    sessions: () => listSessions(commands),
    async holds(session) {
      try {
        await commands.run('query', { 'call-id': session });
        return true;
      } catch (error) {
        if (error instanceof EngineError && /unknown call-id/i.test(error.message)) return false;
        throw error;
      }
    },
    async uptimeMs() {
      const uptime = wholeNumberAt(await commands.run('statistics'), ['statistics', 'totalstatistics', 'uptime']);
      if (uptime === undefined) throw new EngineError('error', 'rtpengine does not say how long it has been running');
      return uptime * 1000;
    },
    close: () => commands.close(),
  };
}
