import { randomInt } from 'node:crypto';
import type { ConferenceConfig, TandemConfig } from '../../config/types';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from '../../device/device-process';
import type { NodeDirectory } from '../../device/ports';
import type { MediaResourceManager } from '../../media-resource/ports';
import type { CancelTimer, Clock } from '../../process/clock';
import type { HybridClock } from '../../process/hlc';
import type { Pid, PidAllocator } from '../../process/pid';
import type { CompositeSet } from '../../registration/composite-set';
import type { Session } from '../../sip/user-agent';
import type { CallLog } from '../dependencies';
import { Conference, type ConferenceOptions, type ConferenceView, type Initiator } from './conference';
import { AD_HOC, AdHocConference } from './ad-hoc';
import { conferenceKey } from './focus';

export interface ConferencesOptions {
  readonly config: TandemConfig;
  readonly node: number;
  readonly boot: number;
  readonly composite: CompositeSet;
  readonly nodes: NodeDirectory;
  readonly resources: MediaResourceManager;
  readonly clock: Clock;
  readonly pids: PidAllocator;
  readonly stamps: HybridClock;
  readonly log: CallLog;
  /** Whether what the other nodes have is known here; until then nothing is taken that may be theirs. */
  readonly settled: () => boolean;
  readonly refreshSeconds?: number;
}

/** How often it is looked whether a number is ours now; news of nodes are looked at at once. */
const LOOK_INTERVAL_MS = 1000;
/** A cluster that never settles must not be without conferences. */
const SETTLE_MS = 10_000;
const DEFAULT_REFRESH_SECONDS = 1800;
/** Of a number that the factory makes: cannot be guessed in a lifetime of calls. */
const FRESH_DIGITS = 9;

/** A number of the configuration at the node that owns it: a meet-me conference, or the factory that makes conferences. */
type Owned = Conference | Factory;

/**
 * The conference factory (RFC 4579 §5.4): who calls it is in a new conference, whose number is in the Contact of the answer.
 */
class Factory implements DeviceProcess {
  constructor(
    readonly config: ConferenceConfig,
    readonly pid: Pid,
    readonly boot: number,
    readonly profile: DeviceProfile,
    private readonly make: () => Conference,
  ) {}

  get number(): string {
    return this.config.number;
  }

  /** It has no members itself. */
  get size(): number {
    return 0;
  }

  takes(digits: string): boolean {
    return digits === this.number;
  }

  call(call: OutgoingCall): Session {
    return this.make().call(call);
  }
}

/** The conferences of this node: the configured numbers that it owns, and those that its factories made. */
export class Conferences {
  private readonly owned = new Map<ConferenceConfig, Owned>();
  private readonly made = new Set<Conference>();
  private readonly byPid = new Map<Pid, Owned>();
  private rooms = 0;
  private startedAt: number | undefined;
  private draining = false;
  private cancelLook: CancelTimer = () => undefined;

  constructor(private readonly options: ConferencesOptions) {}

  start(): void {
    const { clock, composite, node } = this.options;
    this.startedAt = clock.now();
    // A number that another node gives up is taken at once: whoever dials it meanwhile finds nobody.
    composite.onChange(({ type, owner, record }) => {
      if (type === 'delete' && record.kind === 'conference' && owner !== node) this.lookAgain(0);
    });
    this.look();
  }

  /** Nobody is let in any more; who is in stays. */
  drain(): void {
    this.draining = true;
    for (const process of this.all()) if (process instanceof Conference) process.drain();
    this.membershipChanged();
  }

  /** Takes everything off the table; calls are ended by call control. */
  stop(): void {
    this.startedAt = undefined;
    this.cancelLook();
    for (const process of this.all()) this.withdraw(process);
  }

  withPid(pid: Pid): Owned | undefined {
    return this.byPid.get(pid);
  }

  /** A new conference of this node, by the rules of the first factory of the configuration. Who calls it first has it made. */
  adHoc(): AdHocConference {
    const config = this.options.config.conferences.find(({ type }) => type === 'factory') ?? AD_HOC;
    const { pids, boot } = this.options;
    return new AdHocConference(pids.allocate('cf'), boot, this.profile(config), () =>
      this.makeConference(config, true),
    );
  }

  views(): readonly ConferenceView[] {
    return this.all().flatMap((process) => (process instanceof Conference ? [process.view()] : []));
  }

  /**
   * Takes numbers and gives them up: the first live node of a number's list owns it. One that is in use stays where it is, so
   * that who comes later meets who is there.
   */
  membershipChanged(): void {
    if (!this.mayTake()) return;
    for (const config of this.options.config.conferences) {
      const process = this.owned.get(config);
      const mine = !this.draining && this.ownerOf(config) === this.options.node;
      if (process === undefined) {
        if (mine && !this.isElsewhere(config)) this.take(config);
      } else if (!mine && process.size === 0) this.release(config, process);
      else if (mine) this.publishAgain(process);
    }
  }

  private all(): readonly Owned[] {
    return [...this.byPid.values()];
  }

  private look(): void {
    this.membershipChanged();
    this.lookAgain(LOOK_INTERVAL_MS);
  }

  private lookAgain(after: number): void {
    if (this.startedAt === undefined) return;
    this.cancelLook();
    this.cancelLook = this.options.clock.setTimer(after, () => this.look());
  }

  private mayTake(): boolean {
    const { clock, settled } = this.options;
    return this.startedAt !== undefined && (settled() || clock.now() - this.startedAt >= SETTLE_MS);
  }

  private ownerOf({ nodes }: ConferenceConfig): number | undefined {
    const { node, nodes: directory } = this.options;
    return nodes.find((candidate) => candidate === node || directory.find(candidate)?.live === true);
  }

  /** Another live node has it still. */
  private isElsewhere(config: ConferenceConfig): boolean {
    const { composite, node, nodes } = this.options;
    return composite.holders(conferenceKey(config.number), node).some((owner) => nodes.find(owner)?.live === true);
  }

  private take(config: ConferenceConfig): void {
    const { pids, log, node } = this.options;
    const pid = pids.allocate('cf');
    const process =
      config.type === 'factory'
        ? new Factory(config, pid, this.options.boot, this.profile(config), () => this.makeConference(config))
        : this.conference(config, config.number, pid, { onEmpty: () => this.membershipChanged() });
    this.owned.set(config, process);
    this.byPid.set(pid, process);
    this.publish(process);
    log.info({ conference: config.name, number: config.number, pid, node }, 'conference owned by this node');
  }

  private release(config: ConferenceConfig, process: Owned): void {
    this.owned.delete(config);
    this.withdraw(process);
    this.options.log.info({ conference: config.name, number: config.number }, 'conference given up');
  }

  private makeConference(config: ConferenceConfig, endsAlone = false): Conference {
    const fresh = String(randomInt(10 ** (FRESH_DIGITS - 1), 10 ** FRESH_DIGITS));
    const pid = this.options.pids.allocate('cf');
    const conference: Conference = this.conference(config, `${config.number}*${fresh}`, pid, {
      endsAlone,
      onEmpty: () => {
        this.made.delete(conference);
        this.withdraw(conference);
      },
    });
    this.made.add(conference);
    this.byPid.set(pid, conference);
    this.publish(conference);
    return conference;
  }

  private conference(
    config: ConferenceConfig,
    number: string,
    pid: Pid,
    ends: Pick<ConferenceOptions, 'endsAlone' | 'onEmpty'>,
  ): Conference {
    const { boot, node, resources, clock, log, refreshSeconds = DEFAULT_REFRESH_SECONDS } = this.options;
    return new Conference({
      config,
      number,
      pid,
      boot,
      profile: this.profile(config),
      resources,
      clock,
      log,
      newRoom: () => `${node}-${boot}-${++this.rooms}`,
      initiatorOf,
      refreshSeconds,
      ...ends,
    });
  }

  private profile({ name }: ConferenceConfig): DeviceProfile {
    const site = this.options.config.nodes.find(({ id }) => id === this.options.node)?.site;
    const open = { mediaResourceGroupList: undefined, userClass: undefined, codecs: undefined };
    return { name, kind: 'conference', site, ...open };
  }

  private publish(process: Owned): void {
    const { composite, node, boot, stamps } = this.options;
    const { number, pid, config } = process;
    composite.put(node, {
      key: conferenceKey(number),
      kind: 'conference',
      device: config.name,
      lines: [number],
      instance: number,
      pid,
      boot,
      contact: '',
      address: '',
      stamp: stamps.next(),
      expiresAt: 0,
    });
  }

  /** Two nodes may have taken it while they did not know of each other, and the other one has given it up. */
  private publishAgain(process: Owned): void {
    const { composite, node } = this.options;
    const key = conferenceKey(process.number);
    if (composite.get(node, key) === undefined && composite.holders(key, node).length === 0) this.publish(process);
  }

  private withdraw(process: Owned): void {
    const { composite, node } = this.options;
    this.byPid.delete(process.pid);
    composite.delete(node, conferenceKey(process.number), this.startedAt === undefined ? 'stopped' : 'moved');
  }
}

/** Whose lists a conference walks. A stranger behind a gateway counts as of the gateway's site. */
function initiatorOf({ from, caller: { device, site, userClass } }: OutgoingCall): Initiator {
  const list = from?.listFromDevice;
  return {
    device,
    site,
    ...(list === undefined ? {} : { list }),
    ...(userClass === undefined ? {} : { userClass }),
  };
}
