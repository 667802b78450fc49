import fc from 'fast-check';
import { ExpiryQueue } from '../../../src/device/expiry-queue';
import { SimulatedClock } from '../../../src/process/clock';

describe('the queue of expiries', () => {
  function queue(): { clock: SimulatedClock; expired: string[]; times: ExpiryQueue } {
    const clock = new SimulatedClock(0);
    const expired: string[] = [];
    return { clock, expired, times: new ExpiryQueue(clock, (key) => void expired.push(key)) };
  }

  test('tells each key once, in order of time, with one timer for all', () => {
    const { clock, expired, times } = queue();
    for (const [key, at] of [
      ['c', 3000],
      ['a', 1000],
      ['b', 2000],
    ] as const)
      times.set(key, at);
    expect(clock.pending).toBe(1);
    clock.advance(2500);
    expect(expired).toEqual(['a', 'b']);
    clock.advance(10_000);
    expect(expired).toEqual(['a', 'b', 'c']);
    expect(clock.pending).toBe(0);
  });

  test('a key that is moved or deleted does not expire at its old time', () => {
    const { clock, expired, times } = queue();
    times.set('a', 1000);
    times.set('b', 1000);
    times.set('a', 5000);
    times.delete('b');
    clock.advance(4000);
    expect(expired).toEqual([]);
    clock.advance(2000);
    expect(expired).toEqual(['a']);
  });

  test('an expiry handler may set and delete keys', () => {
    const clock = new SimulatedClock(0);
    const expired: string[] = [];
    const times: ExpiryQueue = new ExpiryQueue(clock, (key) => {
      expired.push(key);
      times.delete('b');
      if (expired.length < 3) times.set('again', clock.now() + 500);
    });
    times.set('a', 1000);
    times.set('b', 1000);
    clock.advance(5000);
    expect(expired).toEqual(['a', 'again', 'again']);
  });

  test('refreshing for ever does not fill memory', () => {
    const { clock, times } = queue();
    for (let at = 0; at < 10_000; at += 1) times.set(`key-${at % 10}`, 100_000 + at);
    expect(times.size).toBe(10);
    expect((Reflect.get(times, 'heap') as unknown[]).length).toBeLessThan(100);
    clock.advance(99_000);
    times.stop();
    expect(clock.pending).toBe(0);
  });

  test('is what a plain list of times would be, whatever is set, deleted and waited for', () => {
    const step = fc.oneof(
      fc.record({ key: fc.integer({ min: 0, max: 9 }), in: fc.integer({ min: 0, max: 5000 }) }),
      fc.record({ drop: fc.integer({ min: 0, max: 9 }) }),
      fc.record({ wait: fc.integer({ min: 1, max: 3000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: 'max' }), (steps) => {
        const { clock, expired, times } = queue();
        const model = new Map<string, number>();
        for (const each of steps) {
          if ('key' in each) {
            times.set(String(each.key), clock.now() + each.in);
            model.set(String(each.key), clock.now() + each.in);
          } else if ('drop' in each) {
            times.delete(String(each.drop));
            model.delete(String(each.drop));
          } else {
            clock.advance(each.wait);
            for (const key of expired.splice(0)) {
              expect(model.get(key)).toBeLessThanOrEqual(clock.now());
              model.delete(key);
            }
            // Told at most a tenth of a second late.
            for (const at of model.values()) expect(at).toBeGreaterThan(clock.now() - 101);
          }
        }
        times.stop();
      }),
      { numRuns: 300 },
    );
  });
});
