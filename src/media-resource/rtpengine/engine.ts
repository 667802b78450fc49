import { systemClock } from '../../process/clock';
import { EngineError, type MediaEngine, type SessionList } from '../ports';
import { type CommandOptions, type Commands, createCommands, isReply, type Reply } from './commands';
import { MusicSessions } from './music-sessions';
import { endSession, PLAYER } from './player';
import { probeCodecs } from './probe';
import { createRelay } from './relay';
import { isSourceName } from './source-book';
import { isUnknownCall, packetsFrom } from './source-session';

/** The reply must fit in one datagram, and how long the names of others are nobody knows; so a little is tried first. */
const LIST_LIMITS: readonly number[] = [1000, 1800];

export interface RtpengineOptions extends CommandOptions {
  readonly name: string;
  /** False: every held party has a player of its own. Default: from the fourth on those who hear the same share one. */
  readonly sharedMusic?: boolean;
  /** A source that several held parties listen to has failed, or one of them cannot be served by it. They get other players. */
  readonly onSourceFailure?: (what: string) => void;
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

/**
 * Ends the sources of the incarnation that made this session, when one of them feeds it: nobody else can tell a source any more that its
 * listener is gone, and it would go on sending to ports that somebody else is given. If that incarnation lives and is only cut off from
 * us, it makes others for its own listeners.
 */
async function endForeignSources(commands: Commands, session: string, inUse: readonly string[]): Promise<void> {
  const incarnation = session.replace(/\d+$/, '');
  if (packetsFrom(await commands.run('query', { 'call-id': session }), PLAYER) === 0) return;
  const { ids } = await listSessions(commands);
  const sources = ids.filter((id) => id.startsWith(incarnation) && isSourceName(id) && !inUse.includes(id));
  for (const source of sources) await endSession(commands, source);
}

/** rtpengine as a media resource: music on hold for one device in each session, or a relay between two ends. */
export function createRtpengine(options: RtpengineOptions): MediaEngine {
  const commands = createCommands(options);
  const { clock = systemClock, sharedMusic = true, onSourceFailure } = options;
  let codecs: readonly string[] | undefined;
  let probed = false;
  let onLost: (session: string) => void = () => undefined;
  const relay = createRelay(commands, () => codecs ?? []);
  const music = new MusicSessions({
    commands,
    clock,
    sharing: sharedMusic,
    onSourceFailure: (what) => onSourceFailure?.(what),
    onLost: (session) => onLost(session),
  });

  const remove = async (session: string): Promise<void> => {
    if (music.knows(session)) return music.end(session);
    const relayed = relay.forget(session);
    // One of an earlier incarnation, or of a node that is lost.
    if (!relayed && !isSourceName(session))
      await endForeignSources(commands, session, music.sources()).catch(() => undefined);
    await endSession(commands, session);
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
      void music.inspect();
      if (probed) return;
      codecs = await probeCodecs(commands);
      probed = true;
    },
    musicOffer: (session, { peer }) => orRemove(session, music.offer(session, peer)),
    musicConnect: (session, { file, answer }) => orRemove(session, music.connect(session, file, answer)),
    relay,
    release: remove,
    async sessions() {
      const { ids, complete } = await music.compare(() => listSessions(commands));
      const inUse = new Set(music.sources());
      // Sources that nobody uses come first: while they last, they send to ports that their listeners no longer have.
      const unused = ids.filter((id) => isSourceName(id) && !inUse.has(id));
      return { ids: [...unused, ...ids.filter((id) => !isSourceName(id))], complete };
    },
    holds: (session) =>
      music.compareOne(session, async () => {
        try {
          await commands.run('query', { 'call-id': session });
          return true;
        } catch (error) {
          if (isUnknownCall(error)) return false;
          throw error;
        }
      }),
    onSessionLost(listener) {
      onLost = listener;
    },
    async uptimeMs() {
      const uptime = wholeNumberAt(await commands.run('statistics'), ['statistics', 'totalstatistics', 'uptime']);
      if (uptime === undefined) throw new EngineError('error', 'rtpengine does not say how long it has been running');
      return uptime * 1000;
    },
    close: () => commands.close(),
  };
}
