import type { CancelTimer, Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import type { ResourceDeviceProcess } from './device-process';
import type { MediaEngine } from './ports';

export const PING_MS = 1000;
export const MISSES_ALLOWED = 2;
export const AUDIT_MS = 30_000;

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
 * what sessions it holds. Sessions of ours that no lease knows are ended; nobody else's are touched.
 */
export class EngineSupervisor {
  private misses = 0;
  private up = false;
  private stopped = false;
  private cancelPing: CancelTimer = () => undefined;
  private cancelAudit: CancelTimer = () => undefined;

  constructor(private readonly options: EngineSupervisorOptions) {}

  start(): void {
    void this.ping();
  }

  stop(): void {
    this.stopped = true;
    this.cancelPing();
    this.cancelAudit();
  }

  private async ping(): Promise<void> {
    const alive = await this.options.engine.ping().then(
      () => true,
      () => false,
    );
    if (this.stopped) return;
    this.misses = alive ? 0 : this.misses + 1;
    if (alive) this.changeHealth(true);
    else if (this.misses >= MISSES_ALLOWED) this.changeHealth(false);
    this.cancelPing = this.options.clock.setTimer(PING_MS, () => void this.ping());
  }

  private changeHealth(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    const { engine, log, processes, onHealth } = this.options;
    if (up) log.info({ engine: engine.name }, 'media engine is up');
    else log.warn({ engine: engine.name }, 'media engine does not answer');
    for (const process of processes) {
      process.up = up;
      onHealth(process, up);
    }
    this.cancelAudit();
    // An engine that comes back may hold sessions of before, or have lost those of now: look at once.
    if (up) void this.audit();
  }

  /** Never rejects. */
  private async audit(): Promise<void> {
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
    const { engine, processes, isOurs, log } = this.options;
    const expected = processes.flatMap((process) =>
      process.establishedSessions().map((session) => ({ process, session })),
    );
    const present = new Set(await engine.sessions());
    if (this.stopped) return;
    for (const { process, session } of expected) if (!present.has(session)) process.lost(session);
    // Leases are looked at after the engine: a session always has its lease first.
    const known = new Set(processes.flatMap((process) => process.sessions()));
    for (const session of present) {
      if (!isOurs(session) || known.has(session)) continue;
      log.warn({ engine: engine.name, session }, 'ending a media session that no lease knows');
      await engine.release(session);
    }
  }
}
