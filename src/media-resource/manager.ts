import type { Metrics } from '../telemetry/metrics';
import type { Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import { ask, GrantedAllocation, releaseAt, type ResourceTarget } from './allocation';
import { LEASE_MS } from './lease-table';
import type {
  AllocationExplanation,
  AllocationResult,
  CandidateTrial,
  DeviceDirectory,
  MediaResourceManager,
  ProcessMessenger,
  ResourceNeed,
} from './ports';
import { type Candidate, planWalk, type Walk, type WalkConfig } from './walk';

/** A device process that does not answer within this is passed by: the caller waits for its music. */
export const ALLOCATE_MS = 500;
/** No further device is asked after this. */
export const WALK_MS = 4000;
/** Who asks waits for it, and it is soon old. */
const TALKERS_MS = 700;
/** Allocations in one message, whose length is limited. */
const TALKERS_AT_ONCE = 500;

export interface MediaResourceManagerOptions {
  readonly config: WalkConfig;
  readonly directory: DeviceDirectory;
  readonly messenger: ProcessMessenger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly clusterName: string;
  readonly nodeId: number;
  /** Incarnation of this node. */
  readonly boot: number;
  readonly metrics: Metrics;
  /** Ends a session at the engine of a device whose node is lost. */
  readonly endOrphan: (device: string, session: string) => void;
}

interface Grant {
  readonly target: ResourceTarget;
  readonly leaseMs: number;
  readonly session: string | undefined;
}

interface Trial {
  readonly trial: CandidateTrial;
  readonly grant: Grant | undefined;
}

class Manager implements MediaResourceManager {
  private allocations = 0;
  private readonly held = new Set<GrantedAllocation>();
  private readonly turns = new Map<string, number>();

  constructor(private readonly options: MediaResourceManagerOptions) {
    options.directory.onGone(({ pid, boot }) => {
      for (const allocation of [...this.held])
        if (allocation.pid === pid && allocation.boot === boot) allocation.lost('down');
    });
  }

  get open(): number {
    return this.held.size;
  }

  async allocate(need: ResourceNeed, why: string): Promise<AllocationResult> {
    const { clock, clusterName, nodeId, boot } = this.options;
    const at = clock.now();
    const id = `${clusterName}-${nodeId}-${boot}-${++this.allocations}`;
    const walk = planWalk(this.options.config, need, (group) => this.takeTurn(group));
    const { trials, grant } = await this.askInOrder(walk, need, id, at);
    const explanation: AllocationExplanation = {
      type: need.type,
      why,
      ...(need.ends === undefined ? {} : { ends: need.ends }),
      device: need.device,
      list: walk.list,
      listFrom: walk.listFrom,
      ...(walk.unknownList === undefined ? {} : { unknownList: walk.unknownList }),
      trials,
      winner: grant?.target.device,
      at,
      ms: clock.now() - at,
    };
    this.report(explanation, need);
    return { allocation: grant === undefined ? undefined : this.granted(id, grant), explanation };
  }

  async talkers(
    process: Pick<ResourceTarget, 'pid' | 'boot'>,
    allocations: readonly string[],
  ): Promise<ReadonlySet<string> | undefined> {
    const talking = new Set<string>();
    for (let from = 0; from < allocations.length; from += TALKERS_AT_ONCE) {
      const some = allocations.slice(from, from + TALKERS_AT_ONCE);
      const request = { op: 'talkers', allocations: some } as const;
      const reply = await ask(this.options.messenger, process, request, TALKERS_MS);
      if (reply?.ok !== true || reply.talking === undefined) return undefined;
      for (const allocation of reply.talking) talking.add(allocation);
    }
    return talking;
  }

  private async askInOrder(
    walk: Walk,
    need: ResourceNeed,
    id: string,
    at: number,
  ): Promise<{ readonly trials: readonly CandidateTrial[]; readonly grant: Grant | undefined }> {
    const trials: CandidateTrial[] = [];
    const silentNodes = new Set<number>();
    // Those of a node that was silent once are asked after all others: each would cost its whole deadline.
    const deferred: Candidate[] = [];
    const mustWait = ({ device, passedOver }: Candidate): boolean => {
      const node = passedOver === undefined ? this.options.directory.find(device)?.node : undefined;
      return node !== undefined && silentNodes.has(node);
    };
    const inOrder = function* (): Generator<Candidate> {
      for (const candidate of walk.candidates)
        if (mustWait(candidate)) deferred.push(candidate);
        else yield candidate;
      yield* deferred;
    };
    for (const candidate of inOrder()) {
      const late = this.options.clock.now() - at >= WALK_MS;
      const { trial, grant } = await this.tryOne(
        late ? { ...candidate, passedOver: 'no time left' } : candidate,
        need,
        id,
      );
      trials.push(trial);
      if (trial.outcome === 'silent' && trial.node !== undefined) silentNodes.add(trial.node);
      if (grant !== undefined) return { trials, grant };
    }
    return { trials, grant: undefined };
  }

  private async tryOne(candidate: Candidate, need: ResourceNeed, id: string): Promise<Trial> {
    const { clock, directory, messenger } = this.options;
    const { group, device } = candidate;
    const place = { group, device, pid: undefined, node: undefined, ms: 0 };
    if (candidate.passedOver !== undefined)
      return { trial: { ...place, outcome: 'skipped', reason: candidate.passedOver }, grant: undefined };
    const found = directory.find(device);
    if (found === undefined) return { trial: { ...place, outcome: 'not-registered' }, grant: undefined };

    const started = clock.now();
    const target: ResourceTarget = { device, node: found.node, pid: found.pid, boot: found.boot };
    const { type, musicSource, codecs, room } = need;
    const request = { op: 'allocate', allocation: id, type, holder: need.device, musicSource, codecs, room } as const;
    const reply = await ask(messenger, target, request, ALLOCATE_MS);
    const asked = { group, device, pid: found.pid, node: found.node, ms: clock.now() - started };

    if (reply?.ok === true) {
      const { leaseMs = LEASE_MS, session } = reply;
      return { trial: { ...asked, outcome: 'granted' }, grant: { target, leaseMs, session } };
    }
    if (reply === undefined) {
      // It may have granted and been too slow to say so.
      void releaseAt(messenger, target, id);
      return { trial: { ...asked, outcome: 'silent' }, grant: undefined };
    }
    const reason = reply.detail === undefined ? reply.reason : `${reply.reason}: ${reply.detail}`;
    return { trial: { ...asked, outcome: 'unavailable', reason }, grant: undefined };
  }

  private granted(id: string, { target, leaseMs, session }: Grant): GrantedAllocation {
    const { messenger, clock, log, directory, endOrphan } = this.options;
    const allocation: GrantedAllocation = new GrantedAllocation({
      id,
      target,
      leaseMs,
      messenger,
      clock,
      log,
      onReleased: () => this.held.delete(allocation),
      isOrphan: () => !directory.isLive(target.node),
      endOrphan: () => {
        if (session !== undefined) endOrphan(target.device, session);
      },
    });
    this.held.add(allocation);
    // It may have gone while its answer was under way.
    const { device, pid, boot } = target;
    const now = this.options.directory.find(device);
    if (now?.pid !== pid || now.boot !== boot) allocation.lost('down');
    return allocation;
  }

  private takeTurn(group: string): number {
    const turn = this.turns.get(group) ?? 0;
    this.turns.set(group, turn + 1);
    return turn;
  }

  private report(explanation: AllocationExplanation, { call }: ResourceNeed): void {
    const { log, metrics } = this.options;
    const { type, device, list, winner, ms } = explanation;
    const about = call === undefined ? {} : { call };
    if (winner === undefined)
      log.warn({ ...about, type, device, list, ms, trials: explanation.trials }, 'no media resource available');
    else log.info({ ...about, type, device, list, winner, ms }, 'media resource allocated');
    const outcome = winner === undefined ? 'refused' : 'granted';
    metrics.count('tandem_media_allocations_total', { type, outcome, reason: reasonOf(explanation) });
    metrics.observe('tandem_media_allocation_seconds', ms / 1000, { type });
  }
}

/** Why no device granted, in the order in which an operator would want to know. */
const REASONS = ['full', 'down', 'draining', 'silent', 'not-registered', 'unsupported', 'error'] as const;

/** For the metrics: one word of few. */
function reasonOf({ winner, trials }: AllocationExplanation): string {
  if (winner !== undefined) return 'none';
  const words = new Set(
    trials.flatMap(({ outcome, reason }) => (outcome === 'unavailable' ? (reason?.split(':')[0] ?? 'error') : outcome)),
  );
  return (
    REASONS.find((word) => words.has(word)) ?? (words.size > 0 && !words.has('skipped') ? 'error' : 'no-candidate')
  );
}

/** The media resource manager of one node (claims M5-M15). */
export function createMediaResourceManager(options: MediaResourceManagerOptions): MediaResourceManager {
  return new Manager(options);
}
