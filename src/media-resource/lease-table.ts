import type { CancelTimer, Clock } from '../process/clock';

/** A caller renews three times within a lease, so two lost messages do not end the music. */
export const LEASE_MS = 30_000;

/** How long a released allocation is remembered, so that a request for it that comes late takes nothing. */
const RELEASED_MS = 60_000;

export interface Lease {
  readonly allocation: string;
  /** Session id at the engine. */
  readonly session: string;
  /** The device that is served. */
  readonly holder: string;
  /** Music on hold: what is played. It stays while the lease lasts. */
  readonly file: string | undefined;
  /** Conference bridge: the conference. */
  readonly room: string | undefined;
  readonly since: number;
  expiresAt: number;
  phase: 'allocated' | 'offered' | 'connected';
  /** The engine was given a command for it, and may have a session. */
  touched: boolean;
  /** Commands of one lease run one after another; this is the last of them. */
  tail: Promise<void>;
}

/** The leases of one resource: how many there are, and until when. Every timer is in here. */
export class LeaseTable {
  private readonly leases = new Map<string, { readonly lease: Lease; cancel: CancelTimer }>();
  private readonly released = new Map<string, number>();

  constructor(
    private readonly clock: Clock,
    private readonly capacity: number,
    private readonly onExpired: (lease: Lease) => void,
  ) {}

  get(allocation: string): Lease | undefined {
    return this.leases.get(allocation)?.lease;
  }

  all(): readonly Lease[] {
    return [...this.leases.values()].map((entry) => entry.lease);
  }

  get size(): number {
    return this.leases.size;
  }

  get full(): boolean {
    return this.leases.size >= this.capacity;
  }

  wasReleased(allocation: string): boolean {
    const until = this.released.get(allocation);
    return until !== undefined && until > this.clock.now();
  }

  add(parts: Pick<Lease, 'allocation' | 'session' | 'holder' | 'file' | 'room'>): Lease {
    const now = this.clock.now();
    const lease: Lease = {
      ...parts,
      since: now,
      expiresAt: now + LEASE_MS,
      phase: 'allocated',
      touched: false,
      tail: Promise.resolve(),
    };
    this.leases.set(parts.allocation, { lease, cancel: this.timerFor(lease) });
    return lease;
  }

  renew(lease: Lease): void {
    const entry = this.leases.get(lease.allocation);
    if (entry?.lease !== lease) return;
    entry.cancel();
    lease.expiresAt = this.clock.now() + LEASE_MS;
    entry.cancel = this.timerFor(lease);
  }

  /** Remembers the allocation as released, whether it was here or not: its `allocate` may still be under way. */
  remove(allocation: string): Lease | undefined {
    this.forgetOldReleases();
    this.released.set(allocation, this.clock.now() + RELEASED_MS);
    const entry = this.leases.get(allocation);
    entry?.cancel();
    this.leases.delete(allocation);
    return entry?.lease;
  }

  private timerFor(lease: Lease): CancelTimer {
    return this.clock.setTimer(LEASE_MS, () => {
      this.remove(lease.allocation);
      this.onExpired(lease);
    });
  }

  private forgetOldReleases(): void {
    const now = this.clock.now();
    // Entries are in the order of their time: the first that is still wanted ends the search.
    for (const [allocation, until] of this.released) {
      if (until > now) break;
      this.released.delete(allocation);
    }
  }
}
