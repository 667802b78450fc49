import { Beats, EARLY_MS, systemClock } from '../../../src/process/clock';

const BEAT_MS = 500;

beforeEach(() => jest.useFakeTimers({ advanceTimers: false }));
afterEach(() => jest.useRealTimers());

describe('timers that are only roughly on time', () => {
  test.each([500, 700, 1_000, 1_001, 1_299, 5_000])('%i ms: early by little, late by less than half a second', (ms) => {
    jest.advanceTimersByTime(137);
    const began = performance.now();
    let firedAt: number | undefined;
    systemClock.setTimer(ms, () => (firedAt = performance.now() - began), true);
    jest.advanceTimersByTime(ms + BEAT_MS);
    expect(firedAt).toBeGreaterThanOrEqual(ms - EARLY_MS);
    expect(firedAt).toBeLessThanOrEqual(ms - EARLY_MS + BEAT_MS);
  });

  test('whatever their times, they wake the process twice a second at most', () => {
    const wakeUps = new Set<number>();
    let fired = 0;
    for (const ms of [500, 750, 1_000, 2_000, 5_000]) {
      const again = (): void => {
        fired += 1;
        wakeUps.add(performance.now());
        systemClock.setTimer(ms, again, true);
      };
      systemClock.setTimer(ms, again, true);
    }
    jest.advanceTimersByTime(60_000);
    expect(fired).toBeGreaterThan(250);
    expect(wakeUps.size).toBeLessThanOrEqual(120);
  });

  test('one that is done a little late each time keeps its pace', () => {
    let fired = 0;
    const again = (): void => {
      fired += 1;
      const busy = setTimeout(() => systemClock.setTimer(1_000, again, true), 150);
      busy.unref();
    };
    systemClock.setTimer(1_000, again, true);
    jest.advanceTimersByTime(60_500);
    expect(fired).toBeGreaterThanOrEqual(60);
  });

  test('a cancelled one does not fire, also when another of its beat cancels it', () => {
    const fired: string[] = [];
    const cancelFirst = systemClock.setTimer(1_000, () => fired.push('first'), true);
    systemClock.setTimer(1_000, () => cancelThird(), true);
    const cancelThird = systemClock.setTimer(1_000, () => fired.push('third'), true);
    cancelFirst();
    jest.advanceTimersByTime(5_000);
    expect(fired).toEqual([]);
  });

  test('one that throws is told as an error, and the others of its beat fire all the same', () => {
    const errors: unknown[] = [];
    const fired: string[] = [];
    const beats = new Beats((error) => errors.push(error));
    beats.set(1_000, () => fired.push('before'));
    beats.set(1_000, () => {
      throw new Error('a defect');
    });
    beats.set(1_000, () => fired.push('after'));
    beats.set(2_000, () => fired.push('later'));
    jest.advanceTimersByTime(3_000);
    expect(fired).toEqual(['before', 'after', 'later']);
    expect(errors).toEqual([new Error('a defect')]);
  });

  test('a short one is exact', () => {
    let firedAt = 0;
    const began = performance.now();
    systemClock.setTimer(250, () => (firedAt = performance.now() - began), true);
    jest.advanceTimersByTime(250);
    expect(firedAt).toBe(250);
  });
});
