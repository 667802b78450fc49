/** Cancels the timer; does nothing when it has fired or was cancelled already. */
export type CancelTimer = () => void;

/** Time as a port, so that tests can own it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Calls `fire` once, `delayMs` from now, unless cancelled. Timers do not keep the process alive. */
  setTimer(delayMs: number, fire: () => void): CancelTimer;
}

const MAX_DELAY_MS = 0x7fffffff;

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimer(delayMs, fire) {
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
