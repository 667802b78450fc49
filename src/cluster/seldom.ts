const INTERVAL_MS = 10_000;
const MAX_KINDS = 1_000;

/** Whatever somebody sends, the log gets one line of a kind in a while. */
export class Seldom {
  private readonly at = new Map<string, number>();

  constructor(private readonly now: () => number) {}

  /** Whether a line of this kind may be written now; then it counts as written. */
  may(kind: string): boolean {
    const now = this.now();
    const last = this.at.get(kind);
    if (last !== undefined && Math.abs(now - last) < INTERVAL_MS) return false;
    if (this.at.size >= MAX_KINDS) this.at.clear();
    this.at.set(kind, now);
    return true;
  }
}
