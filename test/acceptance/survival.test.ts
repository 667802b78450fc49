import { monitorEventLoopDelay } from 'node:perf_hooks';
import { figure } from '../support/figures';
import { Gaps, SurvivalStage, takenUp } from '../support/survival-stage';
import { hearEachOther, hold, over, resume } from '../support/transfer-stage';

jest.setTimeout(180_000);

/** Calls of each kind; the long form has ten. */
const CALLS = Number(process.env['SURVIVAL_CALLS'] ?? 2);
const several = <T>(value: T): T[] => Array.from({ length: CALLS }, () => value);

describe('a call whose call manager is killed', () => {
  it('goes on at the other node of the two as soon as the phone is registered again: hold and hang-up too', async () => {
    const stage = await SurvivalStage.start({ pairs: several([1, 2] as const) });
    try {
      const calls = await stage.talk();
      await stage.cluster.node(1).kill9();
      const killed = performance.now();
      const stall = monitorEventLoopDelay({ resolution: 5 });
      stall.enable();
      const gaps = calls.flat().map(({ party }) => new Gaps(party));
      await Promise.all(calls.map(([{ party }], index) => party.moveTo(stage.port(index % 2 === 0 ? 2 : 3))));
      figure('phones are registered again after', Math.round(performance.now() - killed), 'ms');
      const again = await Promise.all(calls.map(async ([lost, kept]) => [await takenUp(lost), kept] as const));
      figure('calls between nodes are in service again after', Math.round(performance.now() - killed), 'ms');
      for (const [one, other] of again) await hearEachOther(one, other);
      const longest = Math.max(...gaps.map((gap) => gap.end()));
      figure('the longest gap of sound of calls between nodes', Math.round(longest), 'ms');
      // A test that stood still has counted that as silence.
      expect(longest - stall.max / 1e6).toBeLessThan(500);
      for (const [one, other] of again) {
        await hold(one, other);
        await resume(one, other);
        await hold(other, one);
        await resume(other, one);
      }
      for (const [one, other] of again) {
        expect(await one.call.hangUp()).toBe(200);
        await over(other);
      }
      await stage.cluster.nothingIsLeft();
    } finally {
      await stage.close();
    }
  });

  it('goes on at a third node when both phones were at the one that died', async () => {
    const stage = await SurvivalStage.start({ pairs: several([1, 1] as const) });
    try {
      const calls = await stage.talk();
      await stage.cluster.node(1).kill9();
      const killed = performance.now();
      const stall = monitorEventLoopDelay({ resolution: 5 });
      stall.enable();
      const gaps = calls.flat().map(({ party }) => new Gaps(party));
      // One of them where the call is rebuilt, or both at the third node.
      await Promise.all(
        calls.map(async ([one, other], index) => {
          await one.party.moveTo(stage.port(index % 2 === 0 ? 2 : 3));
          await other.party.moveTo(stage.port(3));
        }),
      );
      const again = await Promise.all(
        calls.map(async ([one, other]) => [await takenUp(one), await takenUp(other)] as const),
      );
      figure('calls within a node are in service again after', Math.round(performance.now() - killed), 'ms');
      for (const [one, other] of again) await hearEachOther(one, other);
      const longest = Math.max(...gaps.map((gap) => gap.end()));
      figure('the longest gap of sound of calls within a node', Math.round(longest), 'ms');
      // Both have to be told a new address, by programs that share this machine with many others.
      expect(longest - stall.max / 1e6).toBeLessThan(1000);
      for (const [one, other] of again) {
        await hold(one, other);
        await resume(one, other);
        await hold(other, one);
        await resume(other, one);
        expect(await one.call.hangUp()).toBe(200);
        await over(other);
      }
      await stage.cluster.nothingIsLeft();
    } finally {
      await stage.close();
    }
  });
});
