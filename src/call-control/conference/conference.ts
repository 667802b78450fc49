import { randomBytes } from 'node:crypto';
import type { ConferenceConfig } from '../../config/types';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from '../../device/device-process';
import type { Allocation, MediaResourceManager, ResourceNeed } from '../../media-resource/ports';
import type { Clock } from '../../process/clock';
import type { Pid } from '../../process/pid';
import type { HeaderReader, Session } from '../../sip/user-agent';
import type { CallLog } from '../dependencies';
import { ConferenceSession } from './conference-session';
import type { MemberView, Placement } from './member';
import {
  type ConferenceEffect,
  type ConferenceSignal,
  type ConferenceState,
  EMPTY,
  type ModeratorCommand,
  step,
} from './state';

/** Whose media resource group list is walked (claim M3). */
export type Initiator = Pick<ResourceNeed, 'device' | 'site' | 'list' | 'userClass'>;

export interface ConferenceOptions {
  readonly config: ConferenceConfig;
  /** It was made of calls, and ends with the last but one of its members. */
  readonly endsAlone?: boolean;
  /** What leads to it: the configured number, or the one that the factory made. */
  readonly number: string;
  readonly pid: Pid;
  readonly boot: number;
  readonly profile: DeviceProfile;
  readonly resources: MediaResourceManager;
  readonly clock: Clock;
  readonly log: CallLog;
  /** Unique in the cluster; a new one for each bridge. */
  readonly newRoom: () => string;
  /** The device that makes a call, as far as the configuration knows it. */
  readonly initiatorOf: (call: OutgoingCall) => Initiator;
  readonly refreshSeconds: number;
  /** Its last participant has left. */
  readonly onEmpty: () => void;
}

/** What the API shows of a conference. */
export interface ConferenceView {
  readonly number: string;
  readonly name: string;
  readonly pid: string;
  readonly bridge: string | undefined;
  readonly room: string | undefined;
  readonly initiator: string | undefined;
  /** Nobody else is let in. */
  readonly locked: boolean;
  readonly members: readonly MemberView[];
}

/** What became of a moderator's command. */
export type ModerationOutcome =
  | {
      readonly ok: true;
      /** False: it stands, and the bridge has not done its part yet. */
      readonly confirmed: boolean;
      readonly locked?: boolean;
      readonly member?: MemberView;
    }
  | { readonly ok: false; readonly why: 'unknown-member' | 'empty' };

/** A bridge that has not done its part by then is not waited for any longer. */
const CONFIRM_MS = 3000;

interface Bridge {
  readonly device: string;
  readonly pid: string;
  readonly boot: number;
  readonly room: string;
}

/**
 * The focus of one conference (RFC 4353), a device process as others: whoever calls it is joined with the others. The first
 * caller opens it, on a bridge out of that caller's list; it is over when the last one has left, or by its policy.
 */
export class Conference implements DeviceProcess {
  private readonly members = new Map<string, ConferenceSession>();
  private state: ConferenceState = EMPTY;
  private bridge: Bridge | undefined;
  private initiator: Initiator | undefined;
  /** Places are given one after another, so that two who come first do not open two bridges. */
  private tail: Promise<unknown> = Promise.resolve();

  constructor(private readonly options: ConferenceOptions) {}

  get pid(): Pid {
    return this.options.pid;
  }

  get boot(): number {
    return this.options.boot;
  }

  get profile(): DeviceProfile {
    return this.options.profile;
  }

  get number(): string {
    return this.options.number;
  }

  get config(): ConferenceConfig {
    return this.options.config;
  }

  get size(): number {
    return this.members.size;
  }

  takes(digits: string): boolean {
    return digits === this.number;
  }

  /** It is no hop. */
  readonly takesSips = true;

  /** `joined`: is called when it has a place at the bridge. */
  call(call: OutgoingCall, joined: () => void = () => undefined): Session {
    const { clock, log } = this.options;
    const session = new ConferenceSession({
      id: this.newId(),
      call,
      clock,
      log,
      header: this.answerHeader(),
      room: {
        place: (exclude, why) => this.place(exclude, why),
        bridgeGone: (allocation) => this.bridgeGone(allocation),
        joined,
        left: (id) => void this.take({ type: 'left', member: id }),
      },
    });
    const outside = call.caller.outside === true;
    for (const effect of this.take({ type: 'called', member: session.id, outside })) {
      if (effect.type === 'refuse') {
        const { status, text: reason } = effect;
        log.info({ conference: this.number, status, reason }, 'conference: a caller is refused');
        session.end(status, reason);
      } else if (effect.type === 'admit') {
        if (effect.opens) this.initiator = this.options.initiatorOf(call);
        this.members.set(session.id, session);
        session.begin();
      }
    }
    return session;
  }

  /** Nobody joins any more. */
  drain(): void {
    this.take({ type: 'drain' });
  }

  /** It is over for everybody; why is told. */
  end(status: number, text: string): void {
    for (const member of [...this.members.values()]) member.end(status, text);
  }

  /** Follows a moderator. Resolves when the bridge has done its part, or has not in time. Never rejects. */
  async control(command: ModeratorCommand): Promise<ModerationOutcome> {
    const session = command.type === 'lock' ? undefined : this.members.get(command.member);
    const declined = this.take(command).find((effect) => effect.type === 'decline');
    if (declined !== undefined) return { ok: false, why: declined.why };
    const { number, pid } = this.options;
    this.options.log.info({ conference: number, pid, ...command }, 'conference: a moderator is followed');
    switch (command.type) {
      case 'lock':
        return { ok: true, confirmed: true, locked: this.state.locked };
      case 'kick':
        return { ok: true, confirmed: await this.inTime(session?.settled.then(() => true)) };
      case 'mute': {
        const confirmed = await this.inTime(session?.mute(command.muted));
        // It may have left meanwhile.
        const member = this.members.get(command.member)?.view();
        return member === undefined ? { ok: false, why: 'unknown-member' } : { ok: true, confirmed, member };
      }
    }
  }

  /** As `view`, with who talks, where the bridge can tell. Never rejects. */
  async show(): Promise<ConferenceView> {
    const { bridge } = this;
    const places = this.view().members.flatMap(({ allocation }) => (allocation === undefined ? [] : [allocation]));
    const talkers = bridge === undefined ? undefined : await this.options.resources.talkers(bridge, places);
    const view = this.view();
    if (talkers === undefined) return view;
    const talks = ({ allocation, silenced }: MemberView): boolean =>
      allocation !== undefined && !silenced && talkers.has(allocation);
    return { ...view, members: view.members.map((member) => ({ ...member, talking: talks(member) })) };
  }

  view(): ConferenceView {
    const { number, pid, config } = this.options;
    return {
      number,
      name: config.name,
      pid,
      bridge: this.bridge?.device,
      room: this.bridge?.room,
      initiator: this.initiator?.device,
      locked: this.state.locked,
      members: [...this.members.values()].map((member) => member.view()),
    };
  }

  /** Contact with `isfocus` (RFC 4579 §4.2), and a session timer that only the SIP servers keep. */
  private answerHeader(): HeaderReader {
    const values = new Map([
      ['contact', `<sip:${this.number}@localhost>;isfocus`],
      ['session-expires', String(this.options.refreshSeconds)],
    ]);
    return (name) => values.get(name.toLowerCase());
  }

  private place(exclude: readonly string[], why: string): Promise<Placement> {
    const result = this.tail.then(() => this.findPlace(exclude, why));
    this.tail = result.catch(() => undefined);
    return result;
  }

  private async findPlace(exclude: readonly string[], why: string): Promise<Placement> {
    const { bridge } = this;
    const others = bridge === undefined ? 0 : this.placesAt(bridge);
    if (bridge !== undefined && (others > 0 || !exclude.includes(bridge.device))) {
      const found = await this.allocate({ at: bridge.device, room: bridge.room, exclude }, why);
      // One that is somewhere else now is another process: nobody of ours is there.
      if (found.ok && found.allocation.pid === bridge.pid && found.allocation.boot === bridge.boot) return found;
      if (found.ok) await found.allocation.release();
      else if (this.placesAt(bridge) > 0) return found;
    }
    const room = this.options.newRoom();
    const found = await this.allocate({ room, exclude }, why);
    if (!found.ok) return found;
    const { device, pid, boot } = found.allocation;
    this.bridge = { device, pid, boot, room };
    return found;
  }

  private async allocate(where: Pick<ResourceNeed, 'at' | 'room' | 'exclude'>, why: string): Promise<Placement> {
    const initiator = this.initiator ?? { device: this.profile.name, site: this.profile.site };
    const need: ResourceNeed = { ...initiator, ...where, type: 'conference' };
    const { allocation, explanation } = await this.options.resources.allocate(need, `${why} ${this.number}`);
    if (allocation === undefined) return { ok: false, explanation };
    return { ok: true, allocation, explanation };
  }

  /** Everybody there is told by their own allocation; whoever comes first opens the next one. */
  private bridgeGone({ pid, boot }: Allocation): void {
    if (this.bridge?.pid === pid && this.bridge.boot === boot) this.bridge = undefined;
  }

  private placesAt({ device }: Bridge): number {
    return [...this.members.values()].filter((member) => member.view().bridge === device).length;
  }

  /** The new state stands before anything is done: what is done may bring the next signal. */
  private take(signal: ConferenceSignal): readonly ConferenceEffect[] {
    const { state, effects } = step(
      this.state,
      signal,
      this.options.endsAlone === true ? { ...this.config, endsAlone: true } : this.config,
    );
    this.state = state;
    if (signal.type === 'left') this.members.delete(signal.member);
    for (const effect of effects) {
      if (effect.type === 'end') this.members.get(effect.member)?.end(effect.status, effect.text);
      else if (effect.type === 'over') this.over();
    }
    return effects;
  }

  private over(): void {
    this.bridge = undefined;
    this.initiator = undefined;
    this.options.onEmpty();
  }

  private inTime(work: Promise<boolean> | undefined): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.options.clock.setTimer(CONFIRM_MS, () => resolve(false));
      void Promise.resolve(work).then((confirmed) => {
        cancel();
        resolve(confirmed === true);
      });
    });
  }

  /** Not guessed, and never that of somebody who was in it before: a moderator must not meet the wrong one. */
  private newId(): string {
    return `${this.pid}-${randomBytes(6).toString('hex')}`;
  }
}
