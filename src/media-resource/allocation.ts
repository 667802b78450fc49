import type {
  Allocation,
  ConnectRequest,
  LossReason,
  OfferRequest,
  ProcessMessenger,
  ResourceReply,
  ResourceRequest,
} from './ports';
import type { CancelTimer, Clock } from '../process/clock';
import type { Logger } from '../telemetry/logger';
import { readReply } from './validation';

/** The engine's own deadlines, twice for a lost datagram, fit in this. */
const COMMAND_MS = 3000;
const RENEW_MS = 1000;
const RELEASE_MS = 2000;
/** After that the lease runs out by itself. */
const RELEASE_ATTEMPTS = 3;

const SILENT: ResourceReply = { ok: false, reason: 'error', detail: 'no answer from the media resource' };
const GONE: ResourceReply = { ok: false, reason: 'unknown-allocation', detail: 'released' };

export interface ResourceTarget {
  readonly device: string;
  /** The node that controls it. */
  readonly node: number;
  readonly pid: string;
  readonly boot: number;
}

/** Undefined: no answer in time. A reply that cannot be understood is an error. Never rejects. */
export async function ask(
  messenger: ProcessMessenger,
  target: Pick<ResourceTarget, 'pid' | 'boot'>,
  request: ResourceRequest,
  deadlineMs: number,
): Promise<ResourceReply | undefined> {
  try {
    const body = await messenger.request({ pid: target.pid, boot: target.boot }, request, deadlineMs);
    if (body === undefined) return undefined;
    return readReply(body) ?? { ok: false, reason: 'error', detail: 'a reply that cannot be understood' };
  } catch (error) {
    return { ok: false, reason: 'error', detail: error instanceof Error ? error.message : String(error) };
  }
}

export interface AllocationOptions {
  readonly id: string;
  readonly target: ResourceTarget;
  readonly leaseMs: number;
  readonly messenger: ProcessMessenger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onReleased: () => void;
  /** Whether the node that controls the resource is lost. */
  readonly isOrphan: () => boolean;
  /** Then: ends what the engine may still have of it. */
  readonly endOrphan: () => void;
}

/** Gives a resource back, trying again while its process is silent. */
export async function releaseAt(
  messenger: ProcessMessenger,
  target: ResourceTarget,
  allocation: string,
): Promise<boolean> {
  for (let attempt = 1; attempt <= RELEASE_ATTEMPTS; attempt++) {
    const reply = await ask(messenger, target, { op: 'release', allocation }, RELEASE_MS);
    if (reply !== undefined) return true;
  }
  return false;
}

/** A granted resource, held by its call. Its lease is renewed at each third of its time, so that two lost messages do no harm. */
export class GrantedAllocation implements Allocation {
  readonly id: string;
  readonly device: string;
  readonly pid: string;
  readonly boot: number;
  private released: Promise<void> | undefined;
  private loss: LossReason | undefined;
  private stopRenewing: CancelTimer = () => undefined;
  /** The engine was given a command for it, and may have a session. */
  private used = false;
  private readonly lostListeners: ((reason: LossReason) => void)[] = [];

  constructor(private readonly options: AllocationOptions) {
    this.id = options.id;
    this.device = options.target.device;
    this.pid = options.target.pid;
    this.boot = options.target.boot;
    this.renewLater(options.leaseMs);
  }

  offer(request: OfferRequest): Promise<ResourceReply> {
    return this.command({ op: 'offer', allocation: this.id, ...request }, COMMAND_MS);
  }

  connect(request: ConnectRequest): Promise<ResourceReply> {
    return this.command({ op: 'connect', allocation: this.id, ...request }, COMMAND_MS);
  }

  accept(offer: string): Promise<ResourceReply> {
    return this.command({ op: 'accept', allocation: this.id, offer }, COMMAND_MS);
  }

  control(muted: boolean): Promise<ResourceReply> {
    return this.command({ op: 'control', allocation: this.id, muted }, COMMAND_MS);
  }

  release(): Promise<void> {
    this.released ??= this.giveBack();
    return this.released;
  }

  onLost(listener: (reason: LossReason) => void): void {
    if (this.loss === undefined) this.lostListeners.push(listener);
    else listener(this.loss);
  }

  /** `down`: the device process that granted is gone. */
  lost(reason: LossReason): void {
    this.loss ??= reason;
    this.stopRenewing();
    for (const listener of this.lostListeners.splice(0)) listener(reason);
  }

  private renewLater(leaseMs: number): void {
    this.stopRenewing = this.options.clock.setTimer(leaseMs / 3, () => void this.renew(leaseMs), true);
  }

  private async renew(leaseMs: number): Promise<void> {
    const { messenger, target } = this.options;
    const reply = await ask(messenger, target, { op: 'renew', allocation: this.id }, RENEW_MS);
    if (this.released !== undefined || this.loss !== undefined) return;
    // Without an answer the next one may come: it is asked again long before the lease is over.
    if (reply?.ok === false && reply.reason === 'unknown-allocation') return this.lost(reply.reason);
    this.renewLater(reply?.ok === true ? (reply.leaseMs ?? leaseMs) : leaseMs);
  }

  private async giveBack(): Promise<void> {
    const { messenger, target, onReleased, log, isOrphan, endOrphan } = this.options;
    this.stopRenewing();
    onReleased();
    // A lost node is asked nothing; one that is lost only now has not answered.
    const confirmed = !isOrphan() && (await releaseAt(messenger, target, this.id));
    if (confirmed) return;
    if (!isOrphan())
      log.warn({ allocation: this.id, resource: this.device }, 'media resource did not confirm its release');
    else if (this.used) endOrphan();
  }

  private async command(request: ResourceRequest, deadlineMs: number): Promise<ResourceReply> {
    if (this.released !== undefined) return GONE;
    this.used = true;
    const reply = await ask(this.options.messenger, this.options.target, request, deadlineMs);
    return reply ?? SILENT;
  }
}
