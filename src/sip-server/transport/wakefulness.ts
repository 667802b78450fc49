import { TRANSACTION_MS } from '../../sip-message/lateness';

/** In ms. */
const BEAT_MS = 1_000;
/** We did not run for so long; shorter than this a machine with too much to do may be. A datagram that is still meant comes again (Timer T2). */
const PAUSE_MS = 7_000;
/** Until what waited in the kernel has been read. */
const SETTLE_MS = 200;

/**
 * Notices that this process did not run for a while (stopped, or its machine was). What comes right afterwards may have waited
 * all that time: who sent it may be gone.
 */
export class Wakefulness {
  private lastMs: number;
  private settledAt = 0;
  private pauseMs = 0;

  constructor(private readonly now: () => number = Date.now) {
    this.lastMs = now();
    setInterval(() => this.look(), BEAT_MS).unref();
  }

  /** What is received now may be old; in ms, at most so old. 0: it is new. */
  get lateBy(): number {
    this.look();
    return this.lastMs < this.settledAt ? this.pauseMs : 0;
  }

  /** What may be as old as this is dead. */
  static isBeyondUse(lateBy: number): boolean {
    return lateBy >= TRANSACTION_MS;
  }

  /** When what waited has been read. */
  get settleMs(): number {
    return SETTLE_MS;
  }

  private look(): void {
    const now = this.now();
    const pause = now - this.lastMs;
    this.lastMs = now;
    if (pause < PAUSE_MS) return;
    this.pauseMs = pause;
    this.settledAt = now + SETTLE_MS;
  }
}
