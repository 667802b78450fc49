import type { CancelTimer, Clock } from '../process/clock';

interface Entry {
  readonly key: string;
  readonly at: number;
}

/** An expiry is told at most this late, ms, unless said otherwise: many of them share one timer. */
const GRANULARITY_MS = 100;

/**
 * When keys expire: a heap with one timer for all, so that a hundred thousand registrations cost no hundred thousand
 * timers. Setting and deleting are cheap; a replaced entry stays in the heap until its time or the next clearing.
 */
export class ExpiryQueue {
  private heap: Entry[] = [];
  private readonly times = new Map<string, number>();
  private cancelTimer: CancelTimer | undefined;
  private timerAt = Infinity;

  constructor(
    private readonly clock: Clock,
    private readonly onExpired: (key: string) => void,
    /** Ms. */
    private readonly granularity = GRANULARITY_MS,
  ) {}

  /** Sets or moves the time of a key, ms since the epoch. */
  set(key: string, at: number): void {
    this.times.set(key, at);
    this.push({ key, at });
    if (this.heap.length > 2 * this.times.size + 64) this.rebuild();
    this.arm();
  }

  delete(key: string): void {
    this.times.delete(key);
    if (this.times.size === 0) this.stop();
  }

  get size(): number {
    return this.times.size;
  }

  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.timerAt = Infinity;
    this.times.clear();
    this.heap = [];
  }

  private arm(): void {
    const first = this.heap[0];
    if (first === undefined || first.at >= this.timerAt) return;
    this.cancelTimer?.();
    this.timerAt = first.at;
    const delay = Math.max(this.granularity, first.at - this.clock.now());
    this.cancelTimer = this.clock.setTimer(delay, () => this.fire());
  }

  private fire(): void {
    this.cancelTimer = undefined;
    this.timerAt = Infinity;
    const now = this.clock.now();
    for (let first = this.heap[0]; first !== undefined && first.at <= now; first = this.heap[0]) {
      this.pop();
      if (this.times.get(first.key) !== first.at) continue;
      this.times.delete(first.key);
      this.onExpired(first.key);
    }
    this.arm();
  }

  private rebuild(): void {
    this.heap = [...this.times].map(([key, at]) => ({ key, at })).sort((a, b) => a.at - b.at);
  }

  private push(entry: Entry): void {
    let index = this.heap.length;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = this.heap[parent];
      if (above === undefined || above.at <= entry.at) break;
      this.heap[index] = above;
      index = parent;
    }
    this.heap[index] = entry;
  }

  private pop(): void {
    const last = this.heap.pop();
    if (last === undefined || this.heap.length === 0) return;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const [a, b] = [this.heap[left], this.heap[left + 1]];
      if (a === undefined) break;
      const [child, at] = b !== undefined && b.at < a.at ? [b, left + 1] : [a, left];
      if (child.at >= last.at) break;
      this.heap[index] = child;
      index = at;
    }
    this.heap[index] = last;
  }
}
