import type { CancelTimer, Clock } from '../process/clock';
import { ExpiryQueue } from './expiry-queue';
import {
  afterPoll,
  firstState,
  signOfLife,
  spread,
  suspectedState,
  type PollOutcome,
  type PollPolicy,
  type PollState,
  type PollSubject,
} from './poll-policy';

export interface PollsOptions {
  readonly clock: Clock;
  readonly policy: PollPolicy;
  /** Polls that are begun in a second, at most. */
  readonly perSecond: number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Asks the device with this key. Never rejects. */
  readonly ask: (key: string) => Promise<PollOutcome>;
  readonly onUnreachable: (key: string) => void;
}

interface Polled {
  readonly subject: PollSubject;
  /** Replaced by every sign of life: the outcome of a poll that began before it says nothing any more. */
  state: PollState;
}

const PUMP_MS = 50;
/** Polls that fall due within a second are made together, as far as their rate allows: together they cost less. Ms. */
const TOGETHER_MS = 1_000;
/** Where devices are polled more often than usual, in shares of the interval. */
const TOGETHER = 30;

/**
 * Polls devices at a bounded rate: each waits in one heap until its poll is due, then in a line until it may be begun;
 * those that missed one go first. While paused nothing is asked, and what was being asked says nothing.
 */
export class Polls {
  private readonly polled = new Map<string, Polled>();
  private readonly waiting: ExpiryQueue;
  /** In order of their time. */
  private readonly due = new Set<string>();
  private readonly suspects = new Set<string>();
  private allowance: number;
  private allowanceAt: number;
  private cancelPump: CancelTimer | undefined;
  private paused = true;
  private pauses = 0;

  constructor(private readonly options: PollsOptions) {
    const together = Math.max(1, Math.min(TOGETHER_MS, options.policy.intervalMs / TOGETHER));
    this.waiting = new ExpiryQueue(options.clock, (key) => this.fallDue(key), together);
    this.allowance = options.perSecond;
    this.allowanceAt = options.clock.now();
  }

  /** A device is there, or there again: its next poll is an interval away. */
  watch(key: string, subject: PollSubject): void {
    const known = this.polled.get(key);
    const isNew = known?.subject.mayCloseUnseen !== subject.mayCloseUnseen;
    const state = isNew ? firstState(this.options.policy, subject) : signOfLife(known.state);
    this.polled.set(key, { subject, state });
    this.wait(key, spread(state.intervalMs, this.options.random()));
  }

  /** A device that may have gone while nobody looked: it is asked as soon as may be. */
  suspect(key: string, subject: PollSubject): void {
    this.polled.set(key, { subject, state: suspectedState(this.options.policy, subject) });
    this.waiting.delete(key);
    this.fallDue(key);
  }

  /** The device has sent something that proves who it is. */
  alive(key: string): void {
    const device = this.polled.get(key);
    if (device !== undefined) this.watch(key, device.subject);
  }

  forget(key: string): void {
    this.polled.delete(key);
    this.waiting.delete(key);
    this.due.delete(key);
    this.suspects.delete(key);
  }

  /** Our own way to the devices is lost, which is no failure of theirs. */
  pause(): void {
    this.paused = true;
    this.pauses += 1;
  }

  resume(): void {
    this.paused = false;
    this.pump();
  }

  /** Devices whose poll is due and not begun. */
  get backlog(): number {
    return this.due.size + this.suspects.size;
  }

  stop(): void {
    this.pause();
    this.cancelPump?.();
    this.cancelPump = undefined;
    for (const key of [...this.polled.keys()]) this.forget(key);
    this.waiting.stop();
  }

  private wait(key: string, delayMs: number): void {
    this.due.delete(key);
    this.suspects.delete(key);
    this.waiting.set(key, this.options.clock.now() + delayMs);
  }

  private fallDue(key: string): void {
    const device = this.polled.get(key);
    if (device === undefined) return;
    (device.state.misses > 0 ? this.suspects : this.due).add(key);
    this.pump();
  }

  private pump(): void {
    if (this.paused || this.cancelPump !== undefined) return;
    this.refill();
    while (this.allowance >= 1) {
      const key = takeFirst(this.suspects) ?? takeFirst(this.due);
      if (key === undefined) return;
      this.allowance -= 1;
      void this.poll(key);
    }
    if (this.backlog === 0) return;
    this.cancelPump = this.options.clock.setTimer(Math.max(PUMP_MS, 1000 / this.options.perSecond), () => {
      this.cancelPump = undefined;
      this.pump();
    });
  }

  private refill(): void {
    const { clock, perSecond } = this.options;
    const now = clock.now();
    // A clock that goes back gives nothing.
    const elapsed = Math.max(0, now - this.allowanceAt);
    this.allowance = Math.min(perSecond, this.allowance + (elapsed * perSecond) / 1000);
    this.allowanceAt = now;
  }

  private async poll(key: string): Promise<void> {
    const device = this.polled.get(key);
    if (device === undefined) return;
    const { state, subject } = device;
    const { pauses } = this;
    const outcome = await this.options.ask(key);
    const now = this.polled.get(key);
    if (now?.state !== state) return;
    const { policy, random, onUnreachable } = this.options;
    if (pauses !== this.pauses) return this.wait(key, spread(state.intervalMs, random()));
    const decision = afterPoll(state, outcome, policy, subject, random());
    if (decision.type === 'unreachable') return onUnreachable(key);
    now.state = decision.state;
    this.wait(key, decision.afterMs);
  }
}

function takeFirst(keys: Set<string>): string | undefined {
  const first = keys.values().next();
  if (first.done === true) return undefined;
  keys.delete(first.value);
  return first.value;
}
