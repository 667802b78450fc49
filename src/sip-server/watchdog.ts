import { readFileSync } from 'node:fs';
import type { CancelTimer, Clock } from '../process/clock';

/** In ms: from question to question, and between two looks at one that waits for its answer. */
const PING_MS = 1_000;
const LOOK_MS = 500;
/** A process that is not even running has so long to answer. */
const HUNG_MS = 1_000;
/** One that runs, or waits for a processor, is busy: what it is asked now it answers when it has done what came before. */
const SLOW_MS = 3_000;
const BUSY_MS = 8_000;

/** What the kernel says of a process: `working`: it runs or would run; `resting`: it waits for something, or is stopped. */
export type ProcessActivity = 'working' | 'resting' | 'unknown';

/** `good`, then `silent` (it may be hung: what it does not tell says nothing), then `dead` (to be ended). */
export type Verdict = 'good' | 'silent' | 'dead';

/**
 * Whether a process that was asked `unansweredMs` ago and has not answered is hung. A process that rests although a question
 * waits for it is; one that works may only be slow.
 */
export function judge(unansweredMs: number, activity: ProcessActivity): Verdict {
  if (activity === 'resting' && unansweredMs >= HUNG_MS) return 'dead';
  if (unansweredMs >= BUSY_MS) return 'dead';
  return unansweredMs >= SLOW_MS ? 'silent' : 'good';
}

export interface WatchdogOptions {
  readonly clock: Clock;
  readonly ping: () => void;
  readonly activity: () => ProcessActivity;
  /** Told each change, and the end once. */
  readonly onVerdict: (verdict: Verdict, unansweredMs: number) => void;
}

/**
 * Asks a process again and again whether it lives. Time is counted in looks: that in which we did not run ourselves does not
 * count.
 */
export class Watchdog {
  /** Since the last question, as we have seen it pass. */
  private sinceAskedMs = 0;
  private waits = false;
  private lookedAt: number;
  private verdict: Verdict = 'good';
  /** Rested at the last look too: one look may meet a process between two pieces of work. */
  private rested = false;
  private cancel: CancelTimer | undefined;

  constructor(private readonly options: WatchdogOptions) {
    this.lookedAt = options.clock.now();
    this.next();
  }

  answered(): void {
    this.waits = false;
    this.rested = false;
    this.tell('good', 0);
  }

  stop(): void {
    this.cancel?.();
  }

  private next(): void {
    if (this.verdict === 'dead') return;
    this.cancel = this.options.clock.setTimer(
      LOOK_MS,
      () => {
        this.look();
        this.next();
      },
      true,
    );
  }

  private look(): void {
    const now = this.options.clock.now();
    const late = Math.abs(now - this.lookedAt - LOOK_MS);
    this.lookedAt = now;
    // We were paused, or the clock was set: what has been answered meanwhile is still to be read.
    if (late > LOOK_MS) this.sinceAskedMs = Math.min(this.sinceAskedMs, HUNG_MS / 2);
    else this.sinceAskedMs += LOOK_MS;
    if (!this.waits && this.sinceAskedMs >= PING_MS) this.ask();
    else if (this.waits && late <= LOOK_MS) this.judge(this.sinceAskedMs);
  }

  private ask(): void {
    this.sinceAskedMs = 0;
    this.waits = true;
    this.options.ping();
  }

  private judge(unansweredMs: number): void {
    const activity = this.options.activity();
    const restsAgain = activity === 'resting' && this.rested;
    this.rested = activity === 'resting';
    const verdict = judge(unansweredMs, activity === 'resting' && !restsAgain ? 'working' : activity);
    if (verdict !== 'good' || unansweredMs >= HUNG_MS) this.tell(verdict, unansweredMs);
  }

  private tell(verdict: Verdict, unansweredMs: number): void {
    if (verdict === this.verdict || this.verdict === 'dead') return;
    this.verdict = verdict;
    this.options.onVerdict(verdict, unansweredMs);
  }
}

/** From the kernel's table; `unknown` where there is none. */
export function activityOf(pid: number): ProcessActivity {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    return state === 'R' ? 'working' : 'resting';
  } catch {
    return 'unknown';
  }
}
