import { EngineError, type MediaEngine } from '../ports';
import type { Clock } from '../../process/clock';
import { createCommands } from '../rtpengine/commands';
import { listSessions } from '../rtpengine/engine';
import { createGateway } from './gateway';
import { createMixer } from './mixer';
import { createRooms } from './rooms';

export interface JanusOptions {
  readonly name: string;
  /** Where its HTTP API is. */
  readonly address: string;
  readonly port: number;
  /** The rtpengine that stands before it: where its ng protocol is. */
  readonly rtpengine: { readonly address: string; readonly port: number };
  readonly adminKey?: string;
  readonly apiSecret?: string;
  /** Begins the names of our rooms; the same after each start of this node, and no other node's. */
  readonly owner: string;
  /** A sound file of silence that rtpengine can read. */
  readonly silence: string;
  readonly clock?: Clock;
  readonly onOddity?: (error: unknown) => void;
}

/** Ends our call-ids in rtpengine, which may serve as other media resources of this node too: those are not ours to end. */
const SUFFIX = '-bridge';

function notItsOffice(): Promise<never> {
  return Promise.reject(new EngineError('unsupported', 'janus plays no music on hold'));
}

/**
 * janus as a conference bridge, with an rtpengine before it. It is up while both are. A session is a participant: there while
 * janus and rtpengine both have it.
 */
export function createJanus(options: JanusOptions): MediaEngine {
  const { name, address, port, rtpengine, adminKey, apiSecret, owner, silence, clock, onOddity } = options;
  const timing = { ...(clock === undefined ? {} : { clock }), ...(onOddity === undefined ? {} : { onOddity }) };
  const commands = createCommands({ ...rtpengine, ...timing });
  const gateway = createGateway({ address, port, ...(apiSecret === undefined ? {} : { apiSecret }) });
  const rooms = createRooms({ gateway, owner, ...(adminKey === undefined ? {} : { adminKey }) });
  const callId = (session: string): string => `${session}${SUFFIX}`;
  const mixer = createMixer({ commands, rooms, callId, silence });

  const inRtpengine = async (session: string): Promise<boolean> => {
    try {
      await commands.run('query', { 'call-id': callId(session) });
      return true;
    } catch (error) {
      if (error instanceof EngineError && /unknown call-id/i.test(error.message)) return false;
      throw error;
    }
  };

  return {
    name,
    async ping() {
      await Promise.all([commands.run('ping'), gateway.ping()]);
    },
    musicOffer: notItsOffice,
    musicConnect: notItsOffice,
    mixer,
    async release(session) {
      const known = mixer.knows(session);
      await mixer.release(session);
      if (known) return;
      // One of an earlier incarnation, or of a node that is lost, is known to janus only.
      for (const room of await rooms.whereIs(session)) await rooms.remove(room, session);
    },
    async sessions() {
      const before = mixer.settled();
      const [list, participants] = await Promise.all([listSessions(commands), rooms.participants()]);
      const bridged = new Set(list.ids.filter((id) => id.endsWith(SUFFIX)).map((id) => id.slice(0, -SUFFIX.length)));
      const inside = new Set(participants.map(({ id }) => id));
      const all = [...new Set([...inside, ...bridged])];
      // Who came or went while we asked is not judged by what was said before.
      const after = mixer.settled();
      const whole = (id: string): boolean => inside.has(id) && (bridged.has(id) || !list.complete);
      const half = [...before].filter(([id, stay]) => after.get(id) === stay && !whole(id)).map(([id]) => id);
      // A participant of whom one program knows nothing any more is lost; the other one need not keep it.
      await Promise.all(half.map((id) => mixer.release(id)));
      return { ids: all.filter((id) => !half.includes(id)), complete: list.complete };
    },
    async holds(session) {
      return (await mixer.isInRoom(session)) && (await inRtpengine(session));
    },
    close() {
      commands.close();
      gateway.close();
    },
  };
}
