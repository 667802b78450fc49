import type { CancelTimer, Clock } from '../process/clock';

export interface DepartureOptions {
  readonly clock: Clock;
  /** In what time everybody should be gone who can go, ms. */
  readonly withinMs: number;
  /** The flows of connections that are open, asked for anew each time. */
  readonly flows: () => readonly string[];
  /** Names of the devices that are in a call. */
  readonly inCalls: () => ReadonlySet<string>;
  /** Names of the devices that are bound to the connection. */
  readonly devicesOn: (flow: string) => readonly string[];
  readonly close: (flow: string) => void;
}

const STEP_MS = 100;

/**
 * Sends phones on connections away before a stop (claim R15): their connections are closed a few at a time, so that they
 * do not arrive at the next node all at once; one in a call keeps its connection until the call is over.
 */
export class Departure {
  private cancelStep: CancelTimer | undefined;
  private readonly startedAt: number;

  constructor(private readonly options: DepartureOptions) {
    this.startedAt = options.clock.now();
    this.step();
  }

  stop(): void {
    this.cancelStep?.();
    this.cancelStep = undefined;
  }

  private step(): void {
    const { clock, close, devicesOn, flows, inCalls, withinMs } = this.options;
    const open = flows();
    const busy = open.length === 0 ? new Set<string>() : inCalls();
    const stepsLeft = Math.max(1, Math.floor((this.startedAt + withinMs - clock.now()) / STEP_MS));
    let allowed = Math.ceil(open.length / stepsLeft);
    for (const flow of open) {
      if (allowed === 0) break;
      if (devicesOn(flow).some((device) => busy.has(device))) continue;
      close(flow);
      allowed -= 1;
    }
    this.cancelStep = clock.setTimer(STEP_MS, () => this.step());
  }
}
