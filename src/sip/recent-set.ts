/**
 * Remembers what was seen lately, in bounded memory, for refusing replays. When it is full the oldest is forgotten, and
 * everything as old as that is refused from then on: memory is never bought with a replay that gets through.
 */
export class RecentSet<Value> {
  private readonly seen = new Map<string, { readonly at: number; value: Value }>();
  private floor = -Infinity;

  /** Entries older than `lifetimeMs` are forgotten; the caller refuses by itself what is older than that. */
  constructor(
    private readonly lifetimeMs: number,
    private readonly capacity: number,
  ) {}

  get size(): number {
    return this.seen.size;
  }

  get(key: string): Value | undefined {
    return this.seen.get(key)?.value;
  }

  /** Whether something of this age may have been seen and forgotten for want of room. */
  forgets(at: number): boolean {
    return at <= this.floor;
  }

  /** `at`: when the thing was made (for example issued), ms. */
  set(key: string, at: number, value: Value, now: number): void {
    const entry = this.seen.get(key);
    if (entry !== undefined) {
      entry.value = value;
      return;
    }
    this.sweep(now);
    this.seen.set(key, { at, value });
  }

  private sweep(now: number): void {
    for (const [key, { at }] of this.seen) {
      const expired = at < now - this.lifetimeMs;
      if (!expired && this.seen.size < this.capacity) return;
      if (!expired) this.floor = Math.max(this.floor, at);
      this.seen.delete(key);
    }
  }
}
