import type { AudioCodec } from '../../sdp';
import { EngineError } from '../ports';
import { type Commands, isReply, type Reply } from './commands';
import { answerPlayer, endSession, offerPlayer, play } from './player';
import { type MediaAddress, paperDescription } from './player-description';
import { descriptionIn } from './relay';

/** Tag of the end that is fed by the player of the same session, and that others subscribe to. */
const SOURCE = 'source';

/** Nobody else may turn the stream to himself, or speak into it. */
const FIXED: readonly string[] = ['asymmetric', 'strict-source'];

/** An address of rtpengine itself, as it stands in one of its descriptions. */
export function addressIn(sdp: string): MediaAddress {
  const address = /^c=IN IP[46] (\S+)/m.exec(sdp)?.[1];
  const port = Number(/^m=audio (\d+) /m.exec(sdp)?.[1]);
  if (address === undefined || !(port > 0)) throw new EngineError('error', 'rtpengine did not say where it listens');
  return { address, port };
}

function tagOf(seat: number): string {
  return `seat-${seat}`;
}

/**
 * Starts a source: one player, which plays to the published end of its own session. It plays on without listeners, and because what it
 * publishes keeps coming in, rtpengine does not take it for silent. Rejects with `EngineError`, and leaves nothing then.
 */
export async function openSource(commands: Commands, name: string, file: string, codec: AudioCodec): Promise<void> {
  const id = { 'call-id': name };
  try {
    // Where the player plays from is known before anything is published: from nowhere else a source is fed.
    const from = addressIn(await offerPlayer(commands, name, paperDescription([codec], 'sendonly'), undefined));
    const published = await commands.run('publish', {
      ...id,
      'from-tag': SOURCE,
      sdp: paperDescription([codec], 'sendonly', from),
      flags: FIXED,
    });
    await answerPlayer(commands, name, paperDescription([codec], 'recvonly', addressIn(descriptionIn(published))));
    await play(commands, name, file);
  } catch (error) {
    await endSession(commands, name).catch(() => undefined);
    throw error;
  }
}

/** Resolves with where what the source plays comes from, for who is to sit there. */
export async function askForSeat(commands: Commands, name: string, seat: number): Promise<MediaAddress> {
  const to = { 'call-id': name, 'to-tag': tagOf(seat) };
  return addressIn(descriptionIn(await commands.run('subscribeRequest', { ...to, 'from-tag': SOURCE })));
}

/** What the source plays is sent to this address from now on, instead of where it was sent from this seat before. `askForSeat` goes before. */
export async function takeSeat(
  commands: Commands,
  name: string,
  seat: number,
  codec: AudioCodec,
  ear: MediaAddress,
): Promise<void> {
  const to = { 'call-id': name, 'to-tag': tagOf(seat) };
  await commands.run('subscribeAnswer', { ...to, sdp: paperDescription([codec], 'recvonly', ear), flags: FIXED });
}

/**
 * Nothing is sent from this seat any more. rtpengine keeps its ports for who sits there next, since a subscriber that is deleted may take the
 * whole source along. It keeps the address as well, and would send there again before the next one has said his: somebody else may have
 * been given the port by then, and packets that come in there would turn his stream. So the seat is turned to nowhere first.
 */
export async function clearSeat(commands: Commands, name: string, seat: number, codec: AudioCodec): Promise<void> {
  const to = { 'call-id': name, 'to-tag': tagOf(seat) };
  await commands.run('subscribeAnswer', { ...to, sdp: paperDescription([codec], 'recvonly'), flags: FIXED });
  await commands.run('unsubscribe', to);
}

export interface SourceLook {
  /** That have come from the player since the beginning. */
  readonly packets: number;
  /** That are served. */
  readonly seats: ReadonlySet<number>;
}

function entries(value: unknown): readonly Reply[] {
  return Array.isArray(value) ? value.filter(isReply) : [];
}

/** Packets that an end of a session has sent, as `query` tells; 0 when there is no such end. */
export function packetsFrom(reply: Reply, tag: string): number {
  const { tags } = reply;
  const end = isReply(tags) ? tags[tag] : undefined;
  const [media] = isReply(end) ? entries(end['medias']) : [];
  const [stream] = entries(media?.['streams']);
  const stats = stream?.['stats'];
  const packets = isReply(stats) ? stats['packets'] : undefined;
  return typeof packets === 'number' ? packets : 0;
}

function subscribersOf(reply: Reply): readonly Reply[] {
  const { tags } = reply;
  const end = isReply(tags) ? tags[SOURCE] : undefined;
  return isReply(end) ? entries(end['subscribers']) : [];
}

/** Undefined: rtpengine has no such source any more. */
export async function lookAtSource(commands: Commands, name: string): Promise<SourceLook | undefined> {
  try {
    const reply = await commands.run('query', { 'call-id': name, 'from-tag': SOURCE });
    const tags = subscribersOf(reply).map((subscriber) => String(subscriber['tag']));
    const seats = tags.flatMap((tag) => {
      const seat = /^seat-(\d+)$/.exec(tag)?.[1];
      return seat === undefined ? [] : [Number(seat)];
    });
    return { packets: packetsFrom(reply, SOURCE), seats: new Set(seats) };
  } catch (error) {
    if (isUnknownCall(error)) return undefined;
    throw error;
  }
}

export function isUnknownCall(error: unknown): boolean {
  return error instanceof EngineError && /unknown call-id/i.test(error.message);
}
