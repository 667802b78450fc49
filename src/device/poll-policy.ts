/** When a device is polled next: decided here, done by `Polls` (claim R7). Times in ms. */
export interface PollPolicy {
  /** Between two polls of a device of which little is known. */
  readonly intervalMs: number;
  /** So many polls in a row without an answer: the device is gone. */
  readonly misses: number;
}

export interface PollState {
  /** Polls without an answer since the last sign of life. */
  readonly misses: number;
  /** How long the device is left alone after a sign of life. */
  readonly intervalMs: number;
}

/** What a poll depends on besides its history. */
export interface PollSubject {
  /** For how long its registration was granted. */
  readonly lifetimeMs: number;
  /** A connection may close without anybody being told: a poll over it is the only way to know. */
  readonly mayCloseUnseen: boolean;
}

/** `closed`: the connection to it is closed, which needs no second look. */
export type PollOutcome = 'answered' | 'silent' | 'closed';

export type PollDecision =
  { readonly type: 'wait'; readonly state: PollState; readonly afterMs: number } | { readonly type: 'unreachable' };

/** How much longer a device is left alone after each answer. */
const GROWTH = 1.5;
/** The longest interval, in intervals of the policy. */
const LONGEST = 8;
/** After a miss the device is asked again soon: a quarter of the interval, at most this. */
const LONGEST_RETRY_MS = 5000;
/** Delays are spread by a quarter to both sides. */
const SPREAD = 0.5;

export function firstState({ intervalMs }: PollPolicy, subject: PollSubject): PollState {
  return { misses: 0, intervalMs: subject.mayCloseUnseen ? intervalMs / 2 : intervalMs };
}

/** For a device that may have gone while nobody looked: one more silence is enough. */
export function suspectedState(policy: PollPolicy, subject: PollSubject): PollState {
  return { ...firstState(policy, subject), misses: policy.misses - 1 };
}

/** It has sent something that proves who it is. A new state, also when it says the same as the old one. */
export function signOfLife({ intervalMs }: PollState): PollState {
  return { misses: 0, intervalMs };
}

/** `random`: from 0 up to 1. */
export function spread(delayMs: number, random: number): number {
  return delayMs * (1 - SPREAD / 2 + SPREAD * random);
}

/**
 * What follows a poll. A device that answers is asked ever more rarely, up to eight intervals and half of its
 * registration's lifetime; one that is silent is asked again soon, and is gone after `misses`.
 */
export function afterPoll(
  state: PollState,
  outcome: PollOutcome,
  policy: PollPolicy,
  subject: PollSubject,
  random: number,
): PollDecision {
  switch (outcome) {
    case 'closed':
      return { type: 'unreachable' };
    case 'silent': {
      const misses = state.misses + 1;
      if (misses >= policy.misses) return { type: 'unreachable' };
      const retryMs = Math.min(LONGEST_RETRY_MS, policy.intervalMs / 4);
      const { intervalMs } = firstState(policy, subject);
      return { type: 'wait', state: { misses, intervalMs }, afterMs: spread(retryMs, random) };
    }
    case 'answered': {
      const longest = Math.min(LONGEST * policy.intervalMs, subject.lifetimeMs / 2);
      const grown = Math.max(policy.intervalMs, Math.min(longest, state.intervalMs * GROWTH));
      const intervalMs = subject.mayCloseUnseen ? policy.intervalMs / 2 : grown;
      return { type: 'wait', state: { misses: 0, intervalMs }, afterMs: spread(intervalMs, random) };
    }
  }
}

const LONGEST_ANSWER_MS = 5000;

/** How long a phone has for its answer, ms: time for a few retransmissions, and no longer than until its next poll. */
export function answerTime(pollSeconds: number): number {
  return Math.min(LONGEST_ANSWER_MS, pollSeconds * 1000);
}
