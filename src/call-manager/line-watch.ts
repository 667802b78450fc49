import type { LineState, LineStates } from '../line/line-states';
import type { Watches } from '../line/watches';
import type { Clock } from '../process/clock';

/** Other nodes say within this time what they have, ms. */
const FIRST_ANSWER_MS = 300;
/** A line is watched for so long after somebody has asked, ms: who asks again and again hears of changes at once. */
const KEPT_MS = 30_000;
const MAX_LINES = 1_000;

/** Lines that somebody asks for now and then. */
export class LineWatch {
  /** What ends each watch, and its timer. */
  private readonly watched = new Map<string, { release: () => void; cancel: () => void }>();

  constructor(
    private readonly watches: Watches,
    private readonly states: LineStates,
    private readonly clock: Clock,
  ) {}

  /** What is known of the line; the first answer takes a moment. */
  async state(line: string): Promise<readonly LineState[]> {
    const isNew = !this.watched.has(line);
    this.keep(line);
    if (isNew) await new Promise<void>((resolve) => this.clock.setTimer(FIRST_ANSWER_MS, resolve));
    return this.states.of(line);
  }

  stop(): void {
    for (const line of [...this.watched.keys()]) this.end(line);
  }

  private keep(line: string): void {
    const known = this.watched.get(line);
    known?.cancel();
    const oldest = this.watched.keys().next();
    if (known === undefined && this.watched.size >= MAX_LINES && oldest.done !== true) this.end(oldest.value);
    const release = known?.release ?? this.watches.watch(line);
    this.watched.delete(line);
    this.watched.set(line, { release, cancel: this.clock.setTimer(KEPT_MS, () => this.end(line)) });
  }

  private end(line: string): void {
    const watched = this.watched.get(line);
    this.watched.delete(line);
    watched?.cancel();
    watched?.release();
  }
}
