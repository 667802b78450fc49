import type { LogFields, Logger } from '../telemetry/logger';

const SAME_AGAIN_MS = 60_000;
const LINES_OF_A_KIND = 20;
const INTERVAL_MS = 10_000;
const MAX_REMEMBERED = 10_000;
const MAX_WHO = 128;

/**
 * Refusals in the log: one line for each that an administrator could do something about, however often a phone tries again. The same kind
 * for the same one is told once a minute, one kind twenty times in ten seconds; how many were left out stands in the next line of it.
 */
export class RefusalLog {
  private readonly told = new Map<string, number>();
  private readonly kinds = new Map<string, { since: number; lines: number; leftOut: number }>();

  constructor(
    private readonly log: Logger,
    private readonly now: () => number,
  ) {}

  /**
   * `kind`: a word of the code, never of a message. `who`: whose repetitions are left out; undefined: each counts. `message` says what
   * happened; `todo` in the fields what to do.
   */
  warn(kind: string, who: string | undefined, fields: LogFields, message: string): void {
    const now = this.now();
    const held = this.kinds.get(kind) ?? { since: now, lines: 0, leftOut: 0 };
    this.kinds.set(kind, held);
    if (now - held.since >= INTERVAL_MS || now < held.since) Object.assign(held, { since: now, lines: 0 });
    if (held.lines >= LINES_OF_A_KIND || (who !== undefined && !this.isNews(`${kind} ${who.slice(0, MAX_WHO)}`, now))) {
      held.leftOut += 1;
      return;
    }
    held.lines += 1;
    const leftOut = held.leftOut === 0 ? {} : { leftOut: held.leftOut };
    held.leftOut = 0;
    this.log.warn({ ...fields, ...leftOut }, message);
  }

  private isNews(key: string, now: number): boolean {
    const at = this.told.get(key);
    if (at !== undefined && now - at < SAME_AGAIN_MS && now >= at) return false;
    this.told.delete(key);
    const [oldest] = this.told.keys();
    if (this.told.size >= MAX_REMEMBERED && oldest !== undefined) this.told.delete(oldest);
    this.told.set(key, now);
    return true;
  }
}
