/**
 * Tells followers of changes: everybody every change, in the same order. What a follower changes itself is told when all have been told of what
 * it follows. Whoever fails, the others are told all the same: what follows the tables must not drift apart.
 */
export class Told<Change> {
  private readonly listeners: ((change: Change) => void)[] = [];
  /** Changes of which somebody has to be told yet, in their order. */
  private untold: Change[] = [];
  private telling = false;

  /** `of`: what changes, in words. */
  constructor(private readonly of: string) {}

  follow(listener: (change: Change) => void): void {
    this.listeners.push(listener);
  }

  /** Throws an `AggregateError` of what followers threw, when all have been told. */
  tell(change: Change): void {
    this.untold.push(change);
    if (this.telling) return;
    this.telling = true;
    const failures: unknown[] = [];
    for (const next of this.untold)
      for (const listener of this.listeners) {
        try {
          listener(next);
        } catch (error) {
          failures.push(error);
        }
      }
    this.untold = [];
    this.telling = false;
    if (failures.length > 0) throw new AggregateError(failures, `a follower of ${this.of} failed`);
  }
}
