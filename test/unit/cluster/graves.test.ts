import fc from 'fast-check';
import { Graves } from '../../../src/cluster/protocol/graves';

const LIFE_MS = 1000;
const stampAt = (ms: number) => ({ ms, counter: 0, node: 1 });

describe('what is known to be deleted', () => {
  test('is remembered for as long as any older binding of its key can live, however short its own life was', () => {
    fc.assert(
      fc.property(
        fc.record({ at: fc.nat(5000), life: fc.integer({ min: 1, max: LIFE_MS }) }),
        fc.record({ at: fc.nat(5000), life: fc.integer({ min: 1, max: LIFE_MS }) }),
        fc.nat(8000),
        (first, second, now) => {
          const [older, ended] = first.at <= second.at ? [first, second] : [second, first];
          const graves = new Graves(LIFE_MS);
          graves.bury({ key: 'k', stamp: stampAt(ended.at), expiresAt: ended.at + ended.life }, 'unregistered');
          // Two turns: the first ends with the last grave.
          graves.prune(now);
          graves.prune(now);
          const couldLive = older.at + older.life > now;
          if (couldLive) expect(graves.of({ key: 'k', stamp: stampAt(older.at) })?.reason).toBe('unregistered');
          if (now >= ended.at + LIFE_MS) expect(graves.size).toBe(0);
        },
      ),
    );
  });

  test('what does not expire has no grave', () => {
    const graves = new Graves(LIFE_MS);
    graves.bury({ key: 'k', stamp: stampAt(1), expiresAt: 0 }, 'unregistered');
    expect(graves.size).toBe(0);
  });
});
