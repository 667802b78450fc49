import type { CancelTimer, Clock } from '../process/clock';

/** One timer for the next tick, wherever it is wanted. */
export class Ticker {
  private at = Infinity;
  private cancel: CancelTimer = () => undefined;

  constructor(
    private readonly clock: Clock,
    private readonly tick: () => void,
  ) {}

  /** The next tick is to come at this time (ms since the epoch) or, when one is wanted before that, then. */
  want(at: number): void {
    if (at >= this.at) return;
    this.cancel();
    this.at = at;
    const fire = (): void => {
      this.at = Infinity;
      this.tick();
    };
    this.cancel = this.clock.setTimer(at - this.clock.now(), fire, true);
  }

  stop(): void {
    this.cancel();
    this.at = -Infinity;
  }
}
