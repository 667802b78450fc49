import type { ConferenceConfig } from '../../config/types';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from '../../device/device-process';
import type { Allocation, MediaResourceManager, ResourceNeed } from '../../media-resource/ports';
import type { Clock } from '../../process/clock';
import type { Pid } from '../../process/pid';
import type { HeaderReader, Session } from '../../sip/user-agent';
import type { CallLog } from '../dependencies';
import { admit } from './admission';
import { ConferenceSession, type MemberView, type Placement } from './conference-session';

/** Whose media resource group list is walked (claim M3). */
export type Initiator = Pick<ResourceNeed, 'device' | 'site' | 'list' | 'userClass'>;

export interface ConferenceOptions {
  readonly config: ConferenceConfig;
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
  readonly members: readonly MemberView[];
}

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
  private readonly members = new Set<ConferenceSession>();
  private bridge: Bridge | undefined;
  private initiator: Initiator | undefined;
  private opener: ConferenceSession | undefined;
  /** Places are given one after another, so that two who come first do not open two bridges. */
  private tail: Promise<unknown> = Promise.resolve();
  private sessions = 0;
  private draining = false;

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

  call(call: OutgoingCall): Session {
    const { clock, log, config, pid, initiatorOf } = this.options;
    const admission = admit({ members: this.members.size, maxMembers: config.maxMembers, draining: this.draining });
    const session = new ConferenceSession({
      id: `${pid}/${++this.sessions}`,
      call,
      admission,
      clock,
      log,
      header: this.answerHeader(),
      room: {
        place: (exclude, why) => this.place(exclude, why),
        bridgeGone: (allocation) => this.bridgeGone(allocation),
        left: (member) => this.left(member),
      },
    });
    if (admission.ok) {
      if (this.opener === undefined) {
        this.opener = session;
        this.initiator = initiatorOf(call);
      }
      this.members.add(session);
    }
    session.begin();
    return session;
  }

  /** Nobody joins any more. */
  drain(): void {
    this.draining = true;
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
      members: [...this.members].map((member) => member.view()),
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
    return [...this.members].filter((member) => member.view().bridge === device).length;
  }

  private left(session: ConferenceSession): void {
    if (!this.members.delete(session)) return;
    const opened = this.opener === session;
    if (opened && this.config.endPolicy === 'initiator-leaves')
      for (const member of [...this.members]) member.end('The conference is over');
    if (this.members.size > 0 || this.opener === undefined) return;
    this.bridge = undefined;
    this.initiator = undefined;
    this.opener = undefined;
    this.options.onEmpty();
  }
}
