import { SimulatedClock } from '../../../src/process/clock';
import { judge, Watchdog, type ProcessActivity, type Verdict } from '../../../src/sip-server/watchdog';

/** A process as the watchdog sees it; the clock is advanced in small steps, as a machine that is not paused does. */
function watched() {
  const clock = new SimulatedClock();
  const verdicts: Verdict[] = [];
  const state = { activity: 'resting' as ProcessActivity, answerAfterMs: 5, pings: 0 };
  const watchdog: Watchdog = new Watchdog({
    clock,
    ping: () => {
      state.pings += 1;
      if (Number.isFinite(state.answerAfterMs)) clock.setTimer(state.answerAfterMs, () => watchdog.answered());
    },
    activity: () => state.activity,
    onVerdict: (verdict) => verdicts.push(verdict),
  });
  return { clock, verdicts, state, watchdog };
}

test.each<[number, ProcessActivity, Verdict]>([
  [900, 'resting', 'good'],
  [1_000, 'resting', 'dead'],
  [2_900, 'working', 'good'],
  [3_000, 'working', 'silent'],
  [7_900, 'working', 'silent'],
  [8_000, 'working', 'dead'],
  [3_000, 'unknown', 'silent'],
  [8_000, 'unknown', 'dead'],
])('%i ms without an answer, %s: %s', (ms, activity, expected) => expect(judge(ms, activity)).toBe(expected));

describe('watchdog', () => {
  test('a process that answers is good for ever', () => {
    const { clock, verdicts, state, watchdog } = watched();
    clock.advance(600_000);
    expect(verdicts).toEqual([]);
    expect(state.pings).toBe(600);
    watchdog.stop();
    clock.advance(1_000);
    expect(clock.pending).toBe(0);
  });

  test('one that is stopped is dead within some two seconds', () => {
    const { clock, verdicts, state } = watched();
    clock.advance(10_000);
    state.answerAfterMs = Infinity;
    clock.advance(2_500);
    expect(verdicts).toEqual(['dead']);
    clock.advance(60_000);
    expect(verdicts).toEqual(['dead']);
    expect(clock.pending).toBe(0);
  });

  test('a busy one is called silent, and good again when it answers', () => {
    const { clock, verdicts, state } = watched();
    clock.advance(10_000);
    Object.assign(state, { activity: 'working', answerAfterMs: 5_000 });
    clock.advance(8_000);
    expect(verdicts.slice(0, 2)).toEqual(['silent', 'good']);
    expect(verdicts).not.toContain('dead');
  });

  test('a loop without end is dead after some seconds', () => {
    const { clock, verdicts, state } = watched();
    Object.assign(state, { activity: 'working', answerAfterMs: Infinity });
    clock.advance(10_000);
    expect(verdicts).toEqual(['silent', 'dead']);
  });

  test('when we were paused ourselves, the answer that waits for us is read first', () => {
    let now = 0;
    const timers: (() => void)[] = [];
    const clock = {
      now: () => now,
      setTimer: (_ms: number, fire: () => void) => {
        timers.push(fire);
        return () => undefined;
      },
    };
    const verdicts: Verdict[] = [];
    new Watchdog({ clock, ping: () => undefined, activity: () => 'resting', onVerdict: (one) => verdicts.push(one) });
    const tickAfter = (ms: number): void => {
      now += ms;
      timers.shift()?.();
    };
    tickAfter(500);
    // The whole machine stood still; then the timers run before anything is read.
    tickAfter(40_000);
    expect(verdicts).toEqual([]);
    tickAfter(500);
    expect(verdicts).toEqual([]);
  });
});
