import type { CancelTimer, Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import type { ResourceDeviceProcess } from './device-process';
import type { MediaEngine, SessionList } from './ports';

export const PING_MS = 1000;
/** A ping that went unanswered is soon followed by the next: those who hear silence, or are refused, meanwhile wait for it. */
const NEXT_AFTER_MISS_MS = 500;
export const MISSES_ALLOWED = 2;
export const AUDIT_MS = 30_000;
/** An engine tells its age in whole seconds. */
const UPTIME_SLACK_MS = 2000;

interface Established {
  readonly process: ResourceDeviceProcess;
  readonly session: string;
}

export interface EngineSupervisorOptions {
  readonly engine: MediaEngine;
  readonly processes: readonly ResourceDeviceProcess[];
  readonly clock: Clock;
  readonly log: Logger;
  /** True for sessions that only this node can have made, in this incarnation or an earlier one. */
  readonly isOurs: (session: string) => boolean;
  readonly onHealth: (process: ResourceDeviceProcess, up: boolean) => void;
}

/**
 * Watches one engine, which may serve several resources of this node: asks every second whether it lives, and from time to time
 * what sessions it holds. Sessions of ours that no lease knows are ended; nobody else's are touched. When it is gone, or was restarted, every
 * holder is told by the device processes that go from the tables.
 */
export class EngineSupervisor {
  /** When the engine last answered a ping; undefined: never. */
  answeredAt: number | undefined;
  private misses = 0;
  private up = false;
  /** What was said last of it in the log. */
  private said: 'nothing' | 'up' | 'down' = 'nothing';
  private stopped = false;
  /** When the engine was started, as far as it can tell. */
  private startedAt: number | undefined;
  /** Which of the sessions is looked at with the next ping. */
  private turn = 0;
  private auditing: Promise<void> | undefined;
  private cancelPing: CancelTimer = () => undefined;
  private cancelAudit: CancelTimer = () => undefined;

  constructor(private readonly options: EngineSupervisorOptions) {}

  start(): void {
    const { engine, processes } = this.options;
    engine.onSessionLost?.((session) => {
      for (const process of processes) process.lost(session);
    });
    void this.ping();
  }

  stop(): void {
    this.stopped = true;
    this.cancelPing();
    this.cancelAudit();
  }

  private async ping(): Promise<void> {
    const failure = await this.options.engine.ping().then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error.message : String(error)),
    );
    if (this.stopped) return;
    const alive = failure === undefined;
    this.misses = alive ? 0 : this.misses + 1;
    if (alive) this.answeredAt = this.options.clock.now();
    if (alive || this.misses >= MISSES_ALLOWED) {
      this.say(failure);
      this.changeHealth(alive);
    }
    if (alive) await this.lookAtOne();
    this.scheduleNextPing();
  }

  private scheduleNextPing(): void {
    if (this.stopped) return;
    const delay = this.misses > 0 ? NEXT_AFTER_MISS_MS : PING_MS;
    this.cancelPing = this.options.clock.setTimer(delay, () => void this.ping(), true);
  }

  /**
   * An engine may be killed and started again between two pings. It answers as before, but its sessions are gone: one of them is looked
   * at with every ping, by turns.
   */
  private async lookAtOne(): Promise<void> {
    const established = this.established();
    const sample = established[this.turn++ % Math.max(1, established.length)];
    if (sample === undefined) return;
    const held = await this.options.engine.holds(sample.session).catch(() => true);
    if (!held && this.isEstablished(sample)) await this.audit();
  }

  private established(): readonly Established[] {
    return this.options.processes.flatMap((process) =>
      process.establishedSessions().map((session) => ({ process, session })),
    );
  }

  private isEstablished({ process, session }: Established): boolean {
    return process.establishedSessions().includes(session);
  }

  /** One line for each change, and one for an engine that is not there at the start. */
  private say(failure: string | undefined): void {
    const { engine, log, processes } = this.options;
    const now = failure === undefined ? 'up' : 'down';
    if (this.said === now) return;
    const before = this.said;
    this.said = now;
    const resources = processes.map(({ resource }) => resource.name);
    if (failure === undefined) return log.info({ engine: engine.name, resources }, 'media engine is up');
    const [control] = processes.map(({ resource }) => resource.control);
    const at = control === undefined ? 'its control address' : `${control.protocol}:${control.address}:${control.port}`;
    log.warn(
      { engine: engine.name, resources, reason: failure.slice(0, 200) },
      before === 'nothing'
        ? `media engine has not answered since the start: is it running, and does it listen at ${at}?`
        : `media engine does not answer any more at ${at}; its resources are out of service until it does`,
    );
  }

  private changeHealth(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    const { processes, onHealth } = this.options;
    for (const process of processes) {
      process.up = up;
      onHealth(process, up);
      if (!up) process.renounce('unreachable');
    }
    this.startedAt = undefined;
    this.cancelAudit();
    // An engine that comes back may hold sessions of before, or have lost those of now: look at once.
    if (up) void this.audit();
  }

  /** One at a time. Never rejects. */
  private audit(): Promise<void> {
    this.auditing ??= this.runAudit().finally(() => (this.auditing = undefined));
    return this.auditing;
  }

  private async runAudit(): Promise<void> {
    try {
      await this.compareSessions();
    } catch (error) {
      this.options.log.warn(
        { engine: this.options.engine.name, error: String(error) },
        'sessions could not be audited',
      );
    }
    if (this.stopped || !this.up) return;
    this.cancelAudit();
    this.cancelAudit = this.options.clock.setTimer(AUDIT_MS, () => void this.audit());
  }

  private async compareSessions(): Promise<void> {
    const { engine, processes } = this.options;
    for (const process of processes) await process.endUnended();
    this.startedAt ??= await this.engineStart();
    const expected = this.established();
    const list = await engine.sessions();
    const missing = await this.missing(expected, list);
    if (this.stopped) return;
    if (missing.length > 0 && (await this.wasRestarted(missing.length === expected.length))) this.restarted();
    else for (const { process, session } of missing) process.lost(session);
    await this.endUnknown(list.ids);
  }

  /** Those that the engine should have and does not. */
  private async missing(expected: readonly Established[], list: SessionList): Promise<readonly Established[]> {
    const present = new Set(list.ids);
    const unseen = expected.filter(({ session }) => !present.has(session));
    const missing: Established[] = [];
    for (const one of unseen) {
      if (!list.complete && (await this.options.engine.holds(one.session))) continue;
      // One that was given back meanwhile is not missed.
      if (this.isEstablished(one)) missing.push(one);
    }
    return missing;
  }

  /** Undefined: the engine cannot tell. */
  private async engineStart(): Promise<number | undefined> {
    const uptime = await this.options.engine.uptimeMs?.();
    return uptime === undefined ? undefined : this.options.clock.now() - uptime;
  }

  private async wasRestarted(lostAll: boolean): Promise<boolean> {
    const startedAt = await this.engineStart();
    if (startedAt === undefined || this.startedAt === undefined) return lostAll;
    return startedAt - this.startedAt > UPTIME_SLACK_MS;
  }

  private restarted(): void {
    const { engine, log, processes, onHealth } = this.options;
    log.warn({ engine: engine.name }, 'media engine was restarted: its sessions are lost');
    this.startedAt = undefined;
    for (const process of processes) {
      onHealth(process, false);
      process.renounce('lost');
      onHealth(process, true);
    }
  }

  /** Leases are looked at after the engine: a session always has its lease first. */
  private async endUnknown(present: readonly string[]): Promise<void> {
    const { engine, processes, isOurs, log } = this.options;
    const known = new Set(processes.flatMap((process) => process.sessions()));
    for (const session of present) {
      if (!isOurs(session) || known.has(session)) continue;
      log.warn({ engine: engine.name, session }, 'ending a media session that no lease knows');
      await engine.release(session);
    }
  }
}
