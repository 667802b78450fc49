import { afterPoll, firstState, spread, type PollOutcome, type PollSubject } from '../../../src/device/poll-policy';
import { Polls } from '../../../src/device/polls';
import { SimulatedClock } from '../../../src/process/clock';
import { Random } from '../../simulation/random';
import { figure } from '../../support/figures';
import { settle } from './support';

const policy = { intervalMs: 30_000, misses: 3 };
const hour: PollSubject = { lifetimeMs: 3_600_000, mayCloseUnseen: false };
const MIDDLE = 0.5;

/** Interval after each of so many outcomes; `gone` at the end. */
function history(outcomes: readonly PollOutcome[], subject: PollSubject): (number | 'gone')[] {
  let state = firstState(policy, subject);
  return outcomes.map((outcome) => {
    const decision = afterPoll(state, outcome, policy, subject, MIDDLE);
    if (decision.type === 'unreachable') return 'gone';
    state = decision.state;
    return decision.afterMs / 1000;
  });
}

describe('claim R7: when a phone is polled', () => {
  const answers = (count: number): PollOutcome[] => Array.from({ length: count }, () => 'answered');

  test('ever more rarely while it answers, up to eight intervals', () => {
    expect(history(answers(7), hour)).toEqual([45, 67.5, 101.25, 151.875, 227.8125, 240, 240]);
  });

  test('not beyond half of the lifetime of its registration, and never more often than the interval', () => {
    expect(history(answers(3), { ...hour, lifetimeMs: 120_000 })).toEqual([45, 60, 60]);
    expect(history(answers(2), { ...hour, lifetimeMs: 30_000 })).toEqual([30, 30]);
  });

  test('soon again after a miss; so many in a row and it is gone; an answer between them counts', () => {
    expect(history(['silent', 'silent', 'silent'], hour)).toEqual([5, 5, 'gone']);
    expect(history(['answered', 'silent', 'silent', 'answered', 'silent'], hour)).toEqual([45, 5, 5, 45, 5]);
  });

  test('a closed connection needs no second look', () => {
    expect(history(['closed'], hour)).toEqual(['gone']);
  });

  test('twice as often on a connection that may close unseen', () => {
    expect(history(answers(3), { ...hour, mayCloseUnseen: true })).toEqual([15, 15, 15]);
  });

  test('spread by a quarter to both sides', () => {
    expect([spread(100, 0), spread(100, 0.5), spread(100, 1)]).toEqual([75, 100, 125]);
  });
});

class Phones {
  readonly clock = new SimulatedClock();
  /** Keys in the order in which they were asked, with the second. */
  readonly asked: { key: string; second: number }[] = [];
  readonly gone: string[] = [];
  readonly polls: Polls;
  answer: (key: string) => PollOutcome | Promise<PollOutcome> = () => 'answered';
  private readonly start = this.clock.now();

  constructor(perSecond = 100) {
    const random = new Random(1);
    this.polls = new Polls({
      clock: this.clock,
      policy,
      perSecond,
      random: () => random.next(),
      ask: async (key) => {
        this.asked.push({ key, second: Math.floor((this.clock.now() - this.start) / 1000) });
        return this.answer(key);
      },
      onUnreachable: (key) => {
        this.polls.forget(key);
        this.gone.push(key);
      },
    });
    this.polls.resume();
  }

  /** Time passes, and answers come, second by second. */
  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second += 1) {
      this.clock.advance(1000);
      await settle();
    }
  }
}

describe('claim R7: polling many phones', () => {
  test('10,000 phones that come in one second: no second has more polls than allowed, and everybody gets a turn', async () => {
    const phones = new Phones();
    for (let index = 0; index < 10_000; index += 1) phones.polls.watch(`phone-${index}`, hour);
    await phones.pass(240);
    const perSecond = new Map<number, number>();
    for (const { second } of phones.asked) perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
    const peak = Math.max(...perSecond.values());
    figure('10,000 phones: most polls in a second', peak, 'of 100 allowed');
    // What was saved up in a quiet second may be spent in the next.
    expect(peak).toBeLessThanOrEqual(200);
    expect(phones.asked.length).toBeLessThanOrEqual(240 * 100 + 100);
    expect(new Set(phones.asked.map(({ key }) => key)).size).toBe(10_000);
    expect(phones.gone).toEqual([]);
    phones.polls.stop();
    expect(phones.clock.pending).toBe(0);
  });

  test('phones that missed a poll go before those that are merely due', async () => {
    const phones = new Phones(1);
    for (let index = 0; index < 50; index += 1) phones.polls.watch(`phone-${index}`, hour);
    phones.answer = (key) => (key === 'phone-7' ? 'silent' : 'answered');
    for (let second = 0; second < 120 && phones.gone.length === 0; second += 1) await phones.pass(1);
    expect(phones.gone).toEqual(['phone-7']);
    const turns = phones.asked.filter(({ key }) => key === 'phone-7').map(({ second }) => second);
    expect(turns).toHaveLength(3);
    expect(turns[2]! - turns[0]!).toBeLessThan(20);
    expect(phones.polls.backlog).toBeGreaterThan(0);
  });

  test('a sign of life postpones the poll: who speaks often is never asked', async () => {
    const phones = new Phones();
    phones.polls.watch('alice', hour);
    for (let refresh = 0; refresh < 20; refresh += 1) {
      await phones.pass(20);
      phones.polls.alive('alice');
    }
    expect(phones.asked).toEqual([]);
  });

  test('a sign of life while a poll is out outweighs its silence', async () => {
    const phones = new Phones();
    let settleAsk: (outcome: PollOutcome) => void = () => undefined;
    phones.answer = () => new Promise((resolve) => (settleAsk = resolve));
    phones.polls.suspect('alice', hour);
    phones.polls.alive('alice');
    settleAsk('silent');
    await settle();
    expect(phones.gone).toEqual([]);
  });

  test('one that may have gone while nobody looked is asked at once, and one silence is enough', async () => {
    const phones = new Phones();
    phones.answer = () => 'silent';
    phones.polls.suspect('alice', hour);
    await settle();
    expect(phones.gone).toEqual(['alice']);
  });

  test('while our own way to them is lost nobody is asked, and what was being asked says nothing', async () => {
    const phones = new Phones();
    let settleAsk: (outcome: PollOutcome) => void = () => undefined;
    phones.answer = () => new Promise((resolve) => (settleAsk = resolve));
    phones.polls.suspect('alice', hour);
    phones.polls.pause();
    settleAsk('silent');
    await phones.pass(3600);
    expect(phones.asked).toHaveLength(1);
    expect(phones.gone).toEqual([]);
    phones.answer = () => 'answered';
    phones.polls.resume();
    await phones.pass(60);
    expect(phones.asked.length).toBeGreaterThan(1);
    expect(phones.gone).toEqual([]);
  });

  test('one that is forgotten is not asked, and leaves no timer', async () => {
    const phones = new Phones();
    phones.polls.watch('alice', hour);
    phones.polls.forget('alice');
    expect(phones.clock.pending).toBe(0);
    await phones.pass(100);
    expect(phones.asked).toEqual([]);
  });
});
