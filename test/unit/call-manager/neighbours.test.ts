import type { NodeStatus } from '../../../src/cluster/status';
import { Neighbours } from '../../../src/call-manager/neighbours';
import { Problems } from '../../../src/call-manager/problems';
import { SimulatedClock } from '../../../src/process/clock';
import { ClockOffsets } from '../../../src/process/clock-offsets';
import { silentLogger } from '../../../src/telemetry/logger';
import { createMetrics } from '../../../src/telemetry/metrics';

describe('what a node tells of its clock', () => {
  test.each([9_000, 60_000, 3_600_000])('set back by %i ms: the others believe it at once', (by) => {
    const ours = new SimulatedClock();
    const theirs = new SimulatedClock();
    const offsets = new ClockOffsets();
    const neighbours = new Neighbours({
      others: [2],
      cluster: {
        peer: () => undefined,
        tell: ({ time }: NodeStatus) => offsets.heard(1, time, theirs.now()),
      },
      userAgent: { request: () => Promise.reject(new Error('nobody is on-line')) },
      sipConnected: () => true,
      configuration: {},
      clock: { now: () => ours.now() - setBack, setTimer: (ms, fire) => ours.setTimer(ms, fire) },
      problems: new Problems({ clock: ours, log: silentLogger, metrics: createMetrics({ process: false }) }),
    });
    let setBack = 0;
    neighbours.start();
    for (const clock of [theirs, ours]) clock.advance(60_000);
    const before = offsets.of(1) ?? 0;
    setBack = by;
    neighbours.clockSetBack();
    expect(offsets.of(1)).toBe(before - by);
    neighbours.stop();
  });
});
