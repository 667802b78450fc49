import type { CancelTimer, Clock } from '../../process/clock';

/** What still rings at a node that is gone is given up after this, ms: it may be back at once. */
const RINGS_MS = 3000;
/** Calls with it are asked for so often after that, ms: it may be cut off from the bus only. */
const PROBE_MS = 20_000;

/** Nodes that are gone, and what is done for their calls while they are. */
export class GoneNodes {
  private readonly timers = new Map<number, CancelTimer>();

  constructor(
    private readonly clock: Clock,
    private readonly does: {
      readonly ringsNoMore: (node: number) => void;
      readonly probe: (node: number) => void;
    },
  ) {}

  gone(node: number): void {
    if (this.timers.has(node)) return;
    this.wait(node, RINGS_MS, () => {
      this.does.ringsNoMore(node);
      this.probeLater(node);
    });
  }

  /** It is there (again). False: it was all the time. */
  back(node: number): boolean {
    this.timers.get(node)?.();
    return this.timers.delete(node);
  }

  stop(): void {
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
  }

  private probeLater(node: number): void {
    this.wait(node, PROBE_MS, () => {
      this.does.probe(node);
      this.probeLater(node);
    });
  }

  private wait(node: number, ms: number, then: () => void): void {
    this.timers.set(node, this.clock.setTimer(ms, then));
  }
}
