/** Cancels the timer; does nothing when it has fired or was cancelled already. */
export type CancelTimer = () => void;

/** Time as a port, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /**
   * Calls `fire` once, `delayMs` from now, unless cancelled. Timers do not keep the process alive. `roughly`: up to `EARLY_MS`
   * early, or the rest of half a second late, with all others of the kind: for what is only looked at from time to time, since
   * each waking up of a process costs more than what it does then.
   */
  setTimer(delayMs: number, fire: () => void, roughly?: boolean): CancelTimer;
}

const MAX_DELAY_MS = 0x7fffffff;
const BEAT_MS = 500;
/** What was a little late the last time comes back to its beat. */
export const EARLY_MS = 200;

/** As an error of any other timer: nobody has caught it. */
function throwLater(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

/** Timers that share their wake-ups: each waits for one of the beats of this process, two a second. One that throws takes none of the others along. */
export class Beats {
  private readonly waiting = new Map<number, Set<() => void>>();
  private timer: NodeJS.Timeout | undefined;
  private nextBeat = Infinity;

  constructor(private readonly failed: (error: unknown) => void = throwLater) {}

  set(delayMs: number, fire: () => void): CancelTimer {
    const beat = Math.ceil((performance.now() + delayMs - EARLY_MS) / BEAT_MS);
    const all = this.waiting.get(beat) ?? new Set();
    const once = (): void => fire();
    this.waiting.set(beat, all.add(once));
    if (beat < this.nextBeat) this.arm(beat);
    return () => all.delete(once);
  }

  private arm(beat: number): void {
    clearTimeout(this.timer);
    this.nextBeat = beat;
    this.timer = setTimeout(() => this.beat(), Math.ceil(beat * BEAT_MS - performance.now()));
    this.timer.unref();
  }

  private beat(): void {
    // Node.js may be a millisecond early.
    const now = Math.floor((performance.now() + 2) / BEAT_MS);
    const due: Set<() => void>[] = [];
    this.nextBeat = Infinity;
    for (const [beat, all] of this.waiting) {
      if (beat > now) this.nextBeat = Math.min(this.nextBeat, beat);
      else if (this.waiting.delete(beat)) due.push(all);
    }
    if (this.nextBeat < Infinity) this.arm(this.nextBeat);
    // A cancelled one is no longer among them.
    for (const all of due) for (const fire of all) this.fire(fire);
  }

  private fire(fire: () => void): void {
    try {
      fire();
    } catch (error) {
      this.failed(error);
    }
  }
}

const beats = new Beats();

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delayMs, fire, roughly = false) {
    if (roughly && delayMs >= BEAT_MS) return beats.set(Math.min(delayMs, MAX_DELAY_MS), fire);
    const timer = setTimeout(fire, Math.min(Math.max(0, delayMs), MAX_DELAY_MS));
    timer.unref();
    return () => clearTimeout(timer);
  },
};

interface SimulatedTimer {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** A clock that stands still until `advance` is called; timers fire in order of time, then of creation. */
export class SimulatedClock implements Clock {
  private timers: SimulatedTimer[] = [];
  private order = 0;

  constructor(private time = 1_700_000_000_000) {}

  now(): number {
    return this.time;
  }

  setTimer(delayMs: number, fire: () => void): CancelTimer {
    const timer: SimulatedTimer = { at: this.time + Math.max(0, delayMs), order: this.order++, fire };
    this.timers.push(timer);
    return () => {
      this.timers = this.timers.filter((other) => other !== timer);
    };
  }

  /** Moves time on by `ms` and fires every timer that falls due, also those set meanwhile. */
  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
      if (due === undefined) break;
      this.timers = this.timers.filter((timer) => timer !== due);
      this.time = Math.max(this.time, due.at);
      due.fire();
    }
    this.time = end;
  }

  /** Timers that are set and have not fired. */
  get pending(): number {
    return this.timers.length;
  }
}
