import type { CancelTimer, Clock } from '../../process/clock';
import type { Destination } from '../layers';

/** What is left of a transaction that was answered for good. */
export interface Refusal {
  readonly bytes: Buffer;
  readonly to: Destination;
  /** To tag of the response: who repeats it has received it. */
  readonly toTag: string | undefined;
}

interface Kept {
  readonly refusal: Refusal;
  readonly until: number;
  /** Tells the user that the transaction is over; undefined: it was told. */
  over: (() => void) | undefined;
}

/** About 1 KB each. */
const MAX_KEPT = 8_192;
/** Of the newest the user still has the request, about 13 KB each. */
const MAX_RECENT = 256;

/**
 * Final responses to datagrams of strangers: each is sent once for each time that the request comes, and neither timers nor the
 * request are kept. The oldest give way; a request that comes again after that is a new one (RFC 3261 section 26.3.2.4).
 */
export class Refusals {
  /** The oldest first. */
  private readonly kept = new Map<string, Kept>();
  /** Those of whose end the user has not been told, the oldest first. */
  private readonly recent = new Set<Kept>();
  private cancelSweep: CancelTimer | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly lifeMs: number,
  ) {}

  keep(key: string, refusal: Refusal, over: () => void): void {
    const kept: Kept = { refusal, until: this.clock.now() + this.lifeMs, over };
    this.kept.set(key, kept);
    this.recent.add(kept);
    if (this.recent.size > MAX_RECENT) this.tell(this.recent.values().next().value);
    if (this.kept.size > MAX_KEPT) this.forget(this.kept.keys().next().value ?? '');
    this.cancelSweep ??= this.clock.setTimer(this.lifeMs, () => this.sweep());
  }

  find(key: string): Refusal | undefined {
    return this.kept.get(key)?.refusal;
  }

  clear(): void {
    this.cancelSweep?.();
    this.kept.clear();
    this.recent.clear();
  }

  get size(): number {
    return this.kept.size;
  }

  private sweep(): void {
    this.cancelSweep = undefined;
    const now = this.clock.now();
    for (const [key, { until }] of this.kept) {
      if (until > now) {
        this.cancelSweep = this.clock.setTimer(until - now, () => this.sweep());
        return;
      }
      this.forget(key);
    }
  }

  private forget(key: string): void {
    const kept = this.kept.get(key);
    this.kept.delete(key);
    this.tell(kept);
  }

  private tell(kept: Kept | undefined): void {
    if (kept === undefined) return;
    const { over } = kept;
    kept.over = undefined;
    this.recent.delete(kept);
    over?.();
  }
}
