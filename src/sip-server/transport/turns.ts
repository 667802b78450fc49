import { performance } from 'node:perf_hooks';

/** In ms. */
const TURN_MS = 20;

/** Somebody who has received more than there was time for. */
export interface Backlogged {
  /** Handles one piece of it. False: nothing is left. */
  workOff(): boolean;
}

/**
 * The time that all connections together have in one turn of the event loop. The kernel hands over megabytes of each connection
 * in one turn, and datagrams, timers and the question whether we live would wait until all of it was handled. What comes when
 * the time is used up waits, and is handled in the turns that follow, a piece of each connection after the other: who has
 * sent little is not behind who has sent much.
 */
export class Turns {
  private readonly waiting = new Set<Backlogged>();
  private endsAt: number | undefined;
  private begun = false;

  constructor(
    private readonly now: () => number = () => performance.now(),
    private readonly nextTurn: (callback: () => void) => void = setImmediate,
  ) {}

  /** Whether there is time left in this turn. */
  get hasTime(): boolean {
    const now = this.now();
    this.endsAt ??= now + TURN_MS;
    this.begin();
    return now < this.endsAt;
  }

  wait(one: Backlogged): void {
    this.waiting.add(one);
    this.begin();
  }

  forget(one: Backlogged): void {
    this.waiting.delete(one);
  }

  private begin(): void {
    if (this.begun) return;
    this.begun = true;
    this.nextTurn(() => this.turn());
  }

  private turn(): void {
    this.begun = false;
    this.endsAt = undefined;
    const until = this.now() + TURN_MS;
    // Whoever has something left comes again, behind the others.
    for (const one of this.waiting) {
      this.waiting.delete(one);
      if (one.workOff()) this.waiting.add(one);
      if (this.now() >= until) break;
    }
    if (this.waiting.size > 0) this.begin();
  }
}
