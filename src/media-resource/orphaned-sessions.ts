import type { MediaResourceConfig } from '../config/types';
import type { CancelTimer, Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import type { MediaEngine } from './ports';

const RETRY_MS = 1000;
/** An engine that cannot be reached for so long is left to its own timeouts, and to the audit of its node when that starts again. */
export const GIVE_UP_MS = 10_000;

export interface OrphanedSessionsOptions {
  readonly clusterName: string;
  /** The whole cluster's. */
  readonly mediaResources: readonly MediaResourceConfig[];
  /** Undefined: this node cannot reach the engine. */
  readonly createEngine: (resource: MediaResourceConfig) => MediaEngine | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Sessions that are being ended at one engine; the connection to it lasts as long. */
interface Work {
  readonly resource: MediaResourceConfig;
  readonly engine: MediaEngine;
  readonly sessions: Set<string>;
  ended: number;
  failed: number;
}

/**
 * Ends sessions at engines whose node is lost. An engine goes on sending to a phone that has been moved elsewhere, and a phone that gets
 * two streams may play neither. Who held a session ends it: nobody else knows that it is of no use any more. A node that is cut off from the
 * others and lives keeps all that its own calls hold.
 */
export class OrphanedSessions {
  private readonly working = new Map<string, Work>();
  private readonly waiting = new Set<() => void>();
  private stopped = false;

  constructor(private readonly options: OrphanedSessionsOptions) {}

  /** Ends the session of the device in the background, trying again for `GIVE_UP_MS`. Sessions of other nodes than the device's are left alone. */
  end(device: string, session: string): void {
    const resource = this.options.mediaResources.find(({ name }) => name === device);
    if (this.stopped || resource === undefined) return;
    if (!session.startsWith(`${this.options.clusterName}-${resource.node}-`)) return;
    const work = this.working.get(device) ?? this.begin(resource);
    if (work === undefined || work.sessions.has(session)) return;
    work.sessions.add(session);
    void this.endAt(work, session);
  }

  /** Leaves what is not ended yet. */
  stop(): void {
    this.stopped = true;
    for (const wake of [...this.waiting]) wake();
    for (const { engine } of this.working.values()) engine.close();
    this.working.clear();
  }

  private begin(resource: MediaResourceConfig): Work | undefined {
    const engine = this.options.createEngine(resource);
    if (engine === undefined) return undefined;
    const work = { resource, engine, sessions: new Set<string>(), ended: 0, failed: 0 };
    this.working.set(resource.name, work);
    return work;
  }

  /** Never rejects. */
  private async endAt(work: Work, session: string): Promise<void> {
    const until = this.options.clock.now() + GIVE_UP_MS;
    let ended = await this.tryToEnd(work.engine, session);
    while (!ended && this.mayTryAgain(until)) {
      await this.pause();
      ended = await this.tryToEnd(work.engine, session);
    }
    work.sessions.delete(session);
    if (ended) work.ended++;
    else work.failed++;
    if (work.sessions.size === 0) this.finish(work);
  }

  private mayTryAgain(until: number): boolean {
    return !this.stopped && this.options.clock.now() + RETRY_MS <= until;
  }

  private tryToEnd(engine: MediaEngine, session: string): Promise<boolean> {
    if (this.stopped) return Promise.resolve(false);
    return engine.release(session).then(
      () => true,
      () => false,
    );
  }

  private finish(work: Work): void {
    if (this.stopped) return;
    const { resource, engine, ended, failed } = work;
    this.working.delete(resource.name);
    engine.close();
    const what = { resource: resource.name, node: resource.node, ended, failed };
    if (failed === 0) this.options.log.info(what, 'media sessions of a lost node ended at their engine');
    else this.options.log.warn(what, 'media sessions of a lost node may go on: their engine cannot be reached');
  }

  private pause(): Promise<void> {
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined;
      const wake = (): void => {
        cancel();
        this.waiting.delete(wake);
        resolve();
      };
      cancel = this.options.clock.setTimer(RETRY_MS, wake);
      this.waiting.add(wake);
    });
  }
}
