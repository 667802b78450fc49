import type { CancelTimer, Clock } from '../../process/clock';
import type { TimerName } from '../core/signals';

/** The timers of one call. */
export class CallTimers {
  private readonly running = new Map<TimerName, CancelTimer>();

  constructor(
    private readonly clock: Clock,
    private readonly fired: (timer: TimerName) => void,
  ) {}

  /** In `ms` from now, instead of when it was set for. */
  set(timer: TimerName, ms: number): void {
    this.cancel(timer);
    const fire = (): void => {
      this.running.delete(timer);
      this.fired(timer);
    };
    this.running.set(timer, this.clock.setTimer(ms, fire));
  }

  cancel(timer: TimerName): void {
    this.running.get(timer)?.();
    this.running.delete(timer);
  }

  cancelAll(): void {
    for (const cancel of this.running.values()) cancel();
    this.running.clear();
  }
}
