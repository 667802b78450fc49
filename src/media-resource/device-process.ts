import type { MediaResourceConfig } from '../config/types';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import type { Clock } from '../process/clock';
import type { Pid } from '../process/pid';
import { type Lease, LEASE_MS, LeaseTable } from './lease-table';
import type { MusicLibrary } from './music-library';
import { EngineError, type MediaEngine, type ResourceReply, type ResourceRequest } from './ports';
import { type AllocateRequest, inability, serve, type ServiceRequest } from './service';

export interface ResourceDeviceProcessOptions {
  readonly resource: MediaResourceConfig;
  /** A process has a new one after each failure of its engine. */
  readonly newPid: () => Pid;
  readonly engine: MediaEngine;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** A new session id for the engine. */
  readonly newSession: () => string;
  readonly music: MusicLibrary;
}

export interface LeaseDescription {
  readonly allocation: string;
  readonly session: string;
  readonly holder: string;
  readonly phase: string;
  readonly since: number;
  readonly expiresAt: number;
  /** Conference bridge: whether the participant talks right now, where the engine can tell. */
  readonly talks?: boolean;
}

function unavailable(reason: Extract<ResourceReply, { ok: false }>['reason'], detail?: string): ResourceReply {
  return { ok: false, reason, ...(detail === undefined ? {} : { detail }) };
}

function fromError(error: unknown): ResourceReply {
  if (error instanceof EngineError) return unavailable(error.reason, error.message);
  return unavailable('error', error instanceof Error ? error.message : String(error));
}

const FAILURE_PAUSE_MS = 60_000;

const GRANTED = { ok: true, leaseMs: LEASE_MS } as const satisfies ResourceReply;

/**
 * The device process of one media resource, on the node that controls it (claims M11-M13): it grants or refuses, keeps the
 * leases, and gives the engine its commands. Every request may come twice.
 */
export class ResourceDeviceProcess {
  readonly resource: MediaResourceConfig;
  private currentPid: Pid;
  /** Sessions whose end the engine did not confirm. */
  private readonly unended = new Set<string>();
  private readonly leases: LeaseTable;
  private healthy = false;
  private draining = false;
  /** What the engine failed at last, in its words. */
  private lastFailure: { readonly reason: string; readonly at: number } | undefined;
  private failureSaid = -Infinity;

  constructor(private readonly options: ResourceDeviceProcessOptions) {
    this.currentPid = options.newPid();
    this.resource = options.resource;
    this.leases = new LeaseTable(options.clock, options.resource.capacity, (lease) => {
      options.log.warn(
        { resource: this.resource.name, allocation: lease.allocation },
        'lease of a media resource ran out',
      );
      options.metrics.count('tandem_media_leases_expired_total', { type: this.resource.type });
      void this.end(lease);
    });
  }

  get pid(): Pid {
    return this.currentPid;
  }

  get up(): boolean {
    return this.healthy;
  }

  set up(up: boolean) {
    this.healthy = up;
  }

  /** No new allocations from now on; those that are there go on. */
  drain(): void {
    this.draining = true;
  }

  /** Never rejects. */
  async handle(request: ResourceRequest): Promise<ResourceReply> {
    switch (request.op) {
      case 'allocate':
        return this.allocate(request);
      case 'offer':
      case 'connect':
      case 'accept':
      case 'control':
        return this.inTurn(request.allocation, (lease) => this.serve(lease, request));
      case 'talkers':
        return this.talkers(request.allocations);
      case 'renew':
        return this.renew(request.allocation);
      case 'release': {
        const lease = this.leases.remove(request.allocation);
        if (lease !== undefined) await this.end(lease);
        return { ok: true };
      }
    }
  }

  /** Sessions at the engine that a lease knows. */
  sessions(): readonly string[] {
    return this.leases.all().map((lease) => lease.session);
  }

  /** Tries again to end the sessions whose end the engine did not confirm. Rejects when it still does not. */
  async endUnended(): Promise<void> {
    for (const session of [...this.unended]) {
      await this.options.engine.release(session);
      this.unended.delete(session);
    }
  }

  /** Sessions that the engine must have by now, unless it lost them. */
  establishedSessions(): readonly string[] {
    return this.leases.all().flatMap((lease) => (lease.phase === 'allocated' ? [] : [lease.session]));
  }

  /** The engine has lost this one session: its call is told so when it renews, and allocates anew. */
  lost(session: string): void {
    const lease = this.leases.all().find((candidate) => candidate.session === session);
    if (lease === undefined) return;
    this.options.log.warn(
      { resource: this.resource.name, allocation: lease.allocation },
      'media engine lost a session',
    );
    this.leases.remove(lease.allocation);
  }

  /**
   * The engine does not answer, or has lost everything. No lease is left, and the process is another one from now on: that the old PID is
   * gone from the tables tells every holder, on every node, at once.
   */
  renounce(sessions: 'lost' | 'unreachable'): void {
    if (sessions === 'lost') this.unended.clear();
    for (const lease of this.leases.all()) {
      this.leases.remove(lease.allocation);
      if (sessions === 'lost' || !lease.touched) continue;
      this.unended.add(lease.session);
      // An engine of two programs may have lost one of them only.
      void this.end(lease);
    }
    this.currentPid = this.options.newPid();
  }

  /** Releases everything at the engine. */
  async stop(): Promise<void> {
    this.draining = true;
    const leases = this.leases.all();
    for (const lease of leases) this.leases.remove(lease.allocation);
    await Promise.all(leases.map((lease) => this.end(lease)));
  }

  describe(): {
    readonly inUse: number;
    readonly draining: boolean;
    readonly lastFailure?: { readonly reason: string; readonly at: number };
    readonly leases: readonly LeaseDescription[];
  } {
    const { mixer } = this.options.engine;
    const leases = this.leases.all().map(({ allocation, session, holder, phase, since, expiresAt }) => {
      const talks = mixer?.talks?.(session);
      return { allocation, session, holder, phase, since, expiresAt, ...(talks === undefined ? {} : { talks }) };
    });
    const { lastFailure } = this;
    const failure = lastFailure === undefined ? {} : { lastFailure };
    return { inUse: this.leases.size, draining: this.draining, ...failure, leases };
  }

  private async allocate(request: AllocateRequest): Promise<ResourceReply> {
    const before = this.decided(request);
    if (before !== undefined) return before;
    const file = this.resource.type === 'moh' ? await this.options.music.choose(request.musicSource) : undefined;
    // While the file was looked for, the last place may have gone, or the same request have come again.
    const decided = this.decided(request);
    if (decided !== undefined) return decided;
    const { allocation, holder, room } = request;
    const { session } = this.leases.add({ allocation, session: this.options.newSession(), holder, file, room });
    return { ...GRANTED, session };
  }

  /** Undefined: it can be granted. */
  private decided(request: AllocateRequest): ResourceReply | undefined {
    const lease = this.leases.get(request.allocation);
    if (lease !== undefined) return { ...GRANTED, session: lease.session };
    if (this.leases.wasReleased(request.allocation)) return unavailable('unknown-allocation', 'released before');
    return this.refusal(request);
  }

  private refusal(request: AllocateRequest): ResourceReply | undefined {
    const unable = inability(this.resource, this.options.engine, request);
    if (unable !== undefined) return unavailable('unsupported', unable);
    if (this.resource.type === 'conference' && request.room === undefined)
      return unavailable('bad-request', 'which conference?');
    if (this.draining) return unavailable('draining');
    if (!this.up) return unavailable('down', 'the engine does not answer');
    if (this.leases.full) return unavailable('full', `${this.resource.capacity} sessions are in use`);
    const refusal = this.options.engine.refusal?.();
    return refusal === undefined ? undefined : fromError(refusal);
  }

  private talkers(allocations: readonly string[]): ResourceReply {
    const { mixer } = this.options.engine;
    if (mixer?.talks === undefined) return { ok: true };
    const talking = allocations.filter((allocation) => {
      const lease = this.leases.get(allocation);
      return lease !== undefined && mixer.talks?.(lease.session) === true;
    });
    return { ok: true, talking };
  }

  private renew(allocation: string): ResourceReply {
    const lease = this.leases.get(allocation);
    if (lease === undefined) return unavailable('unknown-allocation');
    if (!this.up) return unavailable('down', 'the engine does not answer');
    this.leases.renew(lease);
    return GRANTED;
  }

  private async serve(lease: Lease, request: ServiceRequest): Promise<ResourceReply> {
    const { type } = this.resource;
    lease.touched = true;
    try {
      const sdp = await serve(type, this.options.engine, lease, request);
      if (request.op === 'connect' || request.op === 'accept') lease.phase = 'connected';
      else if (request.op === 'offer' && lease.phase === 'allocated') lease.phase = 'offered';
      return { ...GRANTED, ...(sdp === undefined ? {} : { sdp }) };
    } catch (error) {
      // With a failure an engine throws a session of music away; other sessions are as they were before.
      if (type === 'moh') lease.phase = 'allocated';
      this.noteFailure(error, lease);
      return fromError(error);
    }
  }

  /** What is wrong with a request is its maker's concern. One line a minute. */
  private noteFailure(error: unknown, { file }: Lease): void {
    if (error instanceof EngineError && (error.reason === 'bad-request' || error.reason === 'unsupported')) return;
    const { clock, log, resource } = this.options;
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, 300);
    this.lastFailure = { reason, at: clock.now() };
    if (clock.now() - this.failureSaid < FAILURE_PAUSE_MS) return;
    this.failureSaid = clock.now();
    const advice = file === undefined ? '' : `; can its user read ${file}?`;
    log.warn({ resource: resource.name, reason }, `the media engine did not do what it was asked${advice}`);
  }

  /** Runs one command of a lease after those before it; a lease that is gone meanwhile is left alone. */
  private async inTurn(allocation: string, work: (lease: Lease) => Promise<ResourceReply>): Promise<ResourceReply> {
    const lease = this.leases.get(allocation);
    if (lease === undefined) return unavailable('unknown-allocation');
    this.leases.renew(lease);
    const result = lease.tail.then(async () => {
      if (this.leases.get(allocation) !== lease) return unavailable('unknown-allocation');
      return work(lease);
    });
    lease.tail = result.then(() => undefined);
    return result;
  }

  /** Ends the session once the commands under way are done; one that cannot be ended now is left to the audit. */
  private end(lease: Lease): Promise<void> {
    lease.tail = lease.tail.then(async () => {
      if (!lease.touched) return;
      try {
        await this.options.engine.release(lease.session);
        this.unended.delete(lease.session);
      } catch (error) {
        const { resource, log } = this.options;
        this.unended.add(lease.session);
        log.warn(
          { resource: resource.name, session: lease.session, error: String(error) },
          'media session not ended yet',
        );
      }
    });
    return lease.tail;
  }
}
