import {
  alignAnswer,
  audioCodecs,
  audioOnly,
  codecText,
  effectiveDirection,
  isSpeechCodec,
  mirrored,
  receives,
  withDirection,
} from '../../sdp';
import { EngineError, type ConferenceMixer } from '../ports';
import { type Commands, isReply, type Reply } from '../rtpengine/commands';
import { transportFor } from '../rtpengine/player';
import { descriptionIn } from '../rtpengine/relay';
import { answerParameters, CLOSED, forRtpengine, missingCodecs, transportParameters } from '../rtpengine/relay-terms';
import { bridgeCodecFor, bridgeDescription, endpointOf, NAMES, OFFERED, payloadOf } from './description';
import type { BridgeCodec, Endpoint, Participant, Rooms } from './rooms';

/** Tags of the two sides in rtpengine. */
const DEVICE = 'phone';
const BRIDGE = 'bridge';

/** Before the real port is known; nothing is sent there. */
const NOWHERE: Endpoint = { address: '127.0.0.1', port: 9 };

interface Member {
  readonly room: string;
  readonly codec: BridgeCodec;
  readonly payload: number;
  /** Where rtpengine takes what janus mixes for this member. */
  readonly near: Endpoint;
  readonly participant: Participant;
  readonly muted: boolean;
  /** What the device was offered last; undefined: it made the last offer. */
  readonly offered: string | undefined;
  readonly hears: boolean;
}

export interface MixerOptions {
  readonly commands: Commands;
  readonly rooms: Rooms;
  /** The call-id of a session in rtpengine. */
  readonly callId: (session: string) => string;
  /** A sound file of silence that rtpengine can read. */
  readonly silence: string;
}

export interface JanusMixer extends ConferenceMixer {
  /** Ends what there is of a session; unknown ones are no error. */
  release(session: string): Promise<void>;
  /** A participant as far as we know; janus is not asked. */
  knows(session: string): boolean;
  /** Whether janus still has it; false for one that was never heard of. */
  isInRoom(session: string): Promise<boolean>;
  /** In a room as far as we know, with nothing under way: then both programs must have it. Another value is another stay. */
  settled(): ReadonlyMap<string, object>;
}

function same(a: Endpoint, b: Endpoint): boolean {
  return a.address === b.address && a.port === b.port;
}

/** Where rtpengine takes the first stream of `tag`. */
function localEndIn(reply: Reply, tag: string): Endpoint {
  let value: unknown = reply['tags'];
  for (const key of [tag, 'medias', '0', 'streams', '0']) {
    const inner: unknown = Array.isArray(value) ? Object.fromEntries(value.entries()) : value;
    value = isReply(inner) ? inner[key] : undefined;
  }
  const { 'local address': address, 'local port': port } = isReply(value) ? value : {};
  if (typeof address !== 'string' || typeof port !== 'number')
    throw new EngineError('error', 'rtpengine does not say which port it has taken');
  return { address, port };
}

/**
 * Participants by plain RTP in the AudioBridge of janus, which speaks G.711 and opus and nothing else; rtpengine stands
 * before each of them for every other codec, for SRTP, and because the address of a phone may change.
 */
class Mixer implements JanusMixer {
  private readonly members = new Map<string, Member>();
  /** Sessions about which commands are under way. */
  private readonly busy = new Map<string, number>();

  constructor(private readonly options: MixerOptions) {}

  async accept(session: string, { room, offer }: { readonly room: string; readonly offer: string }): Promise<string> {
    const audio = audioOnly(offer);
    if (audio === undefined || !audioCodecs(audio).some(isSpeechCodec))
      throw new EngineError('unsupported', 'the offer has no audio');
    return this.orUndone(session, async () => {
      const member = this.members.get(session);
      const codec = member?.codec ?? bridgeCodecFor(audio);
      const made = descriptionIn(await this.offerToBridge(session, audio, codec, member !== undefined));
      if (missingCodecs([NAMES[codec]], made) !== undefined)
        throw new EngineError('unsupported', `rtpengine cannot make ${NAMES[codec]} of what was offered`);
      const near = endpointOf(made);
      const payload = payloadOf(codec, made) ?? 0;
      const { participant, muted } = await this.joined(session, room, { codec, payload, near });
      const bridge = bridgeDescription(codec, payload, participant.at);
      const reply = await this.options.commands.run('answer', {
        'call-id': this.options.callId(session),
        'from-tag': DEVICE,
        'to-tag': BRIDGE,
        sdp: bridge,
        replace: ['origin'],
        ...answerParameters(bridge, audio),
      });
      await this.settle(session, { room, codec, payload, near, participant, muted, offered: undefined }, audio);
      const answer = withDirection(descriptionIn(reply), mirrored(effectiveDirection(audio)));
      return alignAnswer(answer, offer);
    });
  }

  async offer(session: string, { room, peer }: { readonly room: string; readonly peer?: string }): Promise<string> {
    return this.orUndone(session, async () => {
      const member = this.members.get(session);
      const codec = member?.codec ?? bridgeCodecFor(peer);
      const payload = member?.payload;
      let { participant, near } = member ?? {};
      if (participant === undefined || near === undefined || member === undefined) {
        // rtpengine tells its port before anybody has answered; then janus knows where to send, and tells its own.
        await this.offerToDevice(session, bridgeDescription(codec, payload, NOWHERE), peer, false);
        near = await this.nearEnd(session);
        const usual = payloadOf(codec, bridgeDescription(codec, undefined, NOWHERE)) ?? 0;
        ({ participant } = await this.joined(session, room, { codec, payload: usual, near }));
      }
      const own = bridgeDescription(codec, payload, participant.at);
      const reply = await this.offerToDevice(session, own, peer, member !== undefined);
      const offered = descriptionIn(reply);
      const { muted = false, hears = true } = member ?? {};
      const number = payload ?? payloadOf(codec, own) ?? 0;
      this.members.set(session, { room, codec, payload: number, near, participant, muted, hears, offered });
      return offered;
    });
  }

  async connect(session: string, { answer }: { readonly room: string; readonly answer: string }): Promise<void> {
    const member = this.members.get(session);
    const audio = audioOnly(answer);
    if (member?.offered === undefined) throw new EngineError('bad-request', 'connect before offer');
    if (audio === undefined) throw new EngineError('bad-request', 'the answer has no audio');
    await this.during(session, async () => {
      await this.options.commands.run('answer', {
        'call-id': this.options.callId(session),
        'from-tag': BRIDGE,
        'to-tag': DEVICE,
        sdp: forRtpengine(audio),
        replace: ['origin'],
        ...answerParameters(audio, member.offered),
      });
      await this.settle(session, member, audio);
    });
  }

  async mute(session: string, { muted }: { readonly room: string; readonly muted: boolean }): Promise<void> {
    const member = this.members.get(session);
    if (member === undefined) throw new EngineError('bad-request', 'not in the room yet');
    if (member.muted === muted) return;
    await this.options.rooms.mute(member.participant, session, muted);
    this.members.set(session, { ...member, muted });
  }

  release(session: string): Promise<void> {
    return this.during(session, () => this.end(session));
  }

  private async end(session: string): Promise<void> {
    const member = this.members.get(session);
    const { rooms, commands, callId } = this.options;
    const results = await Promise.allSettled([
      member === undefined ? undefined : rooms.leave(member.participant, session),
      commands.run('delete', { 'call-id': callId(session), 'delete-delay': 0 }),
    ]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    this.members.delete(session);
  }

  knows(session: string): boolean {
    return this.members.has(session);
  }

  async isInRoom(session: string): Promise<boolean> {
    const member = this.members.get(session);
    return member !== undefined && this.options.rooms.has(member.participant, session);
  }

  settled(): ReadonlyMap<string, object> {
    const entries = [...this.members].filter(([session]) => !this.busy.has(session));
    return new Map(entries.map(([session, { participant }]) => [session, participant]));
  }

  private async during<Value>(session: string, work: () => Promise<Value>): Promise<Value> {
    this.busy.set(session, (this.busy.get(session) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.busy.get(session) ?? 1) - 1;
      if (left > 0) this.busy.set(session, left);
      else this.busy.delete(session);
    }
  }

  private offerToBridge(session: string, sdp: string, codec: BridgeCodec, again: boolean): Promise<Reply> {
    return this.options.commands.run('offer', {
      'call-id': this.options.callId(session),
      'from-tag': DEVICE,
      ...(again ? { 'to-tag': BRIDGE } : {}),
      sdp: forRtpengine(sdp),
      replace: ['origin'],
      supports: ['load limit'],
      ...transportParameters(sdp, 'none', false, 4),
      codec: { mask: ['all'], transcode: [NAMES[codec]] },
    });
  }

  private offerToDevice(session: string, sdp: string, peer: string | undefined, again: boolean): Promise<Reply> {
    const spoken = peer === undefined ? [] : audioCodecs(peer).filter(isSpeechCodec);
    const names = spoken.map(codecText);
    return this.options.commands.run('offer', {
      'call-id': this.options.callId(session),
      'from-tag': BRIDGE,
      ...(again ? { 'to-tag': DEVICE } : CLOSED),
      sdp,
      replace: ['origin'],
      supports: ['load limit'],
      ...transportFor(sdp, peer),
      codec: { mask: ['all'], transcode: names.length > 0 ? names : OFFERED },
    });
  }

  private async nearEnd(session: string): Promise<Endpoint> {
    const reply = await this.options.commands.run('query', { 'call-id': this.options.callId(session) });
    return localEndIn(reply, BRIDGE);
  }

  /** In the room, with rtpengine at this end: janus cannot change it, so one whose end has changed leaves and joins again. */
  private async joined(
    session: string,
    room: string,
    end: Pick<Member, 'codec' | 'payload' | 'near'>,
  ): Promise<Pick<Member, 'participant' | 'muted'>> {
    const { rooms } = this.options;
    const member = this.members.get(session);
    if (member !== undefined) {
      if (same(member.near, end.near) && member.payload === end.payload) return member;
      await rooms.leave(member.participant, session);
    }
    const { codec, payload, near: to } = end;
    const participant = await rooms.join(room, session, { codec, payload, to });
    const muted = member?.muted ?? false;
    if (muted) await rooms.mute(participant, session, true);
    const hears = member?.hears ?? true;
    this.members.set(session, { room, ...end, participant, muted, hears, offered: undefined });
    return { participant, muted };
  }

  /** The device has described itself: whether it is to hear anything, and the gate of janus, which waits for a first packet. */
  private async settle(session: string, member: Omit<Member, 'hears'>, device: string): Promise<void> {
    const { commands, callId, silence } = this.options;
    const id = { 'call-id': callId(session) };
    const before = this.members.get(session)?.hears ?? true;
    const hears = receives(effectiveDirection(device));
    // rtpengine passes on whatever comes, whatever the direction says.
    if (hears !== before) await commands.run(hears ? 'unblockMedia' : 'blockMedia', { ...id, 'from-tag': BRIDGE });
    // Who does not listen needs no open gate, and rtpengine plays nothing into an inactive stream.
    if (hears) await commands.run('playMedia', { ...id, 'from-tag': BRIDGE, file: silence });
    this.members.set(session, { ...member, hears });
  }

  /** A first exchange that fails leaves nothing behind; one that was there before goes on. */
  private async orUndone(session: string, work: () => Promise<string>): Promise<string> {
    const known = this.members.has(session);
    try {
      return await this.during(session, work);
    } catch (error) {
      if (!known) await this.release(session).catch(() => undefined);
      throw error;
    }
  }
}

export function createMixer(options: MixerOptions): JanusMixer {
  return new Mixer(options);
}
