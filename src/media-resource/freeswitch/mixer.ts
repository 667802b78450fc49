import { randomInt } from 'node:crypto';
import { alignAnswer, audioOnly, inactiveAnswer, withDirection, withOrigin, type Origin } from '../../sdp';
import { EngineError, type ConferenceMixer, type SipCall, type SipCaller, type SipTarget } from '../ports';
import { conferenceName, refused } from './answers';
import type { EventSocket } from './event-socket';
import type { Members } from './members';
import type { Member } from './roster';

const CALL_MS = 1500;
const JOIN_MS = 1000;
const LEAVE_MS = 1000;
/** The event socket may be about to open. */
const CONNECT_MS = 500;

/** A call of ours to FreeSWITCH. */
interface Held {
  readonly conference: string;
  readonly call: SipCall;
  /** In the conference; before that FreeSWITCH may still refuse by BYE. */
  joined: boolean;
  /** What FreeSWITCH said of itself last. */
  own: string;
  /** The last offer of the participant, and what it was answered; undefined: it was offered something after that. */
  exchange: { readonly offer: string; readonly answer: string } | undefined;
  version: number;
}

export interface MixerOptions {
  readonly caller: SipCaller;
  readonly socket: Pick<EventSocket, 'api' | 'ready'>;
  readonly members: Members;
  /** SIP address of FreeSWITCH: `127.0.0.1:5060`. */
  readonly sip: string;
  readonly transport: 'udp' | 'tcp';
  /** Begins the names of our conferences. */
  readonly owner: string;
  /** Our own address, for the `o=` line. */
  readonly address: string;
  readonly onLost: (session: string) => void;
}

/** FreeSWITCH adds both channels of a stereo participant (RFC 7587 §7.1) into one, twice as loud, and then clips. */
function withoutStereo(sdp: string): string {
  return sdp.replace(/^a=fmtp:.*/gm, (line) => line.replace(/(^a=fmtp:\d+ |; ?)(sprop-)?stereo=1/g, '$1$2stereo=0'));
}

function audioOf(sdp: string, what: string): string {
  const audio = audioOnly(sdp);
  if (audio === undefined) throw new EngineError('unsupported', `the ${what} has no audio`);
  return withoutStereo(audio);
}

/** Participants by SIP: each is a call of ours to the conference, with the participant's description in it. */
export class FreeswitchMixer implements ConferenceMixer {
  private readonly held = new Map<string, Held>();
  private readonly originId = randomInt(1, 2 ** 31);

  constructor(private readonly options: MixerOptions) {}

  async accept(session: string, { room, offer }: { readonly room: string; readonly offer: string }): Promise<string> {
    const audio = audioOf(offer, 'offer');
    const known = this.held.get(session);
    if (known?.exchange?.offer === offer) return known.exchange.answer;
    const held = known ?? (await this.join(session, room, audio));
    if (known !== undefined) await this.offerAgain(known, audio);
    const answer = alignAnswer(held.own, offer);
    held.exchange = { offer, answer };
    return answer;
  }

  async offer(session: string, { room }: { readonly room: string; readonly peer?: string }): Promise<string> {
    const held = this.held.get(session) ?? (await this.join(session, room, undefined));
    held.exchange = undefined;
    return withDirection(audioOf(held.own, 'description of FreeSWITCH'), 'sendrecv');
  }

  async connect(session: string, { answer }: { readonly room: string; readonly answer: string }): Promise<void> {
    const held = this.held.get(session);
    if (held === undefined) throw new EngineError('bad-request', 'connect before offer');
    // Whoever was offered something says in its answer how it wants to be spoken to: to FreeSWITCH that is an offer.
    await this.offerAgain(held, audioOf(answer, 'answer'));
  }

  async mute(session: string, { muted }: { readonly room: string; readonly muted: boolean }): Promise<void> {
    const member = this.options.members.find(session)[0];
    if (member === undefined) throw new EngineError('bad-request', 'not in the conference yet');
    const { conference, id } = member;
    const reply = await this.options.socket.api(`conference ${conference} ${muted ? 'mute' : 'unmute'} ${id}`);
    // It tells of a member that is not there in the same tone.
    if (!/\bOK\b/i.test(reply)) throw new EngineError('error', `FreeSWITCH: ${reply.trim().slice(0, 200)}`);
  }

  talks(session: string): boolean | undefined {
    return this.options.members.find(session)[0]?.talks;
  }

  /** Ends what there is of a session, also one of an earlier incarnation. Rejects when FreeSWITCH may still have it. */
  async release(session: string): Promise<void> {
    const { members, socket } = this.options;
    const held = this.held.get(session);
    this.held.delete(session);
    if (held !== undefined) {
      held.call.end();
      if (!held.joined || (await members.gone(session, LEAVE_MS))) return;
    }
    // It may be the first that is wanted of this FreeSWITCH.
    await socket.ready(CONNECT_MS);
    for (const { channel } of members.find(session)) await this.kill(channel);
    if (!members.ready) throw new EngineError('down', 'FreeSWITCH cannot be asked what it holds');
    if (members.find(session).length > 0 && !(await members.gone(session, LEAVE_MS)))
      throw new EngineError('error', `FreeSWITCH does not end ${session}`);
  }

  /** Whether we hold a call for it that is still in its conference. */
  holds(session: string): boolean {
    return this.held.has(session) && this.options.members.find(session).length > 0;
  }

  /** Ends calls whose member is gone from its conference. */
  endStrays(inside: readonly Member[]): void {
    const present = new Set(inside.map((member) => member.session));
    for (const [session, held] of [...this.held]) {
      if (!held.joined || present.has(session) || this.options.members.find(session).length > 0) continue;
      this.held.delete(session);
      held.call.end();
    }
  }

  /** FreeSWITCH was started again: it knows nothing of our calls. */
  forgetAll(): void {
    for (const { call } of this.held.values()) call.end();
    this.held.clear();
  }

  private async kill(channel: string): Promise<void> {
    try {
      await this.options.socket.api(`uuid_kill ${channel}`);
    } catch (error) {
      // It went by itself meanwhile.
      if (!(error instanceof EngineError && /no such channel/i.test(error.message))) throw error;
    }
  }

  private async join(session: string, room: string, offer: string | undefined): Promise<Held> {
    const { caller, members, owner } = this.options;
    const conference = conferenceName(owner, room);
    if (!members.ready) throw new EngineError('down', 'the event socket of FreeSWITCH is not connected');
    const outcome = await caller.call({
      target: this.target(`conference-${conference}`),
      from: session,
      ...(offer === undefined ? {} : { offer: withOrigin(offer, this.origin(1)) }),
      deadlineMs: CALL_MS,
    });
    if (!outcome.ok) throw refused(outcome);
    const { call, sdp: own } = outcome;
    const held: Held = { conference, call, joined: false, own, exchange: undefined, version: 1 };
    this.held.set(session, held);
    const ended = new Promise<'ended'>((resolve) => {
      call.onEnded(() => {
        this.ended(session, held);
        resolve('ended');
      });
    });
    // FreeSWITCH waits for the answer no longer than for an ACK, while a phone may ring for minutes.
    if (offer === undefined) call.acknowledge(inactiveAnswer(own, this.origin(1)));
    const outcomeOfJoin = await Promise.race([members.joined(session, conference, JOIN_MS), ended]);
    if (outcomeOfJoin === true) {
      held.joined = true;
      return held;
    }
    if (this.held.get(session) === held) this.held.delete(session);
    call.end();
    throw outcomeOfJoin === 'ended'
      ? new EngineError('full', 'FreeSWITCH took the call and ended it at once: the conference is full or locked')
      : new EngineError('error', 'FreeSWITCH took the call, but not into the conference');
  }

  private ended(session: string, held: Held): void {
    if (this.held.get(session) !== held) return;
    this.held.delete(session);
    if (held.joined) this.options.onLost(session);
  }

  private async offerAgain(held: Held, audio: string): Promise<void> {
    const outcome = await held.call.offer(withOrigin(audio, this.origin(++held.version)), CALL_MS);
    if (!outcome.ok) throw refused(outcome);
    held.own = outcome.sdp;
    held.exchange = undefined;
  }

  private origin(version: number): Origin {
    return { sessionId: this.originId, version, address: this.options.address };
  }

  private target(user: string): SipTarget {
    const { sip, transport } = this.options;
    return { uri: `sip:${user}@${sip}`, nextHop: `sip:${sip};transport=${transport}` };
  }
}
