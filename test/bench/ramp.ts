import { descendants, processorSeconds } from '../support/processes';
import { quantile, type SippResult } from '../support/sipp';
import { type Measurement, note, report } from './result';

export interface Step {
  /** Offered operations per second. */
  readonly rate: number;
  readonly seconds: number;
  readonly results: readonly SippResult[];
  /** Processor seconds used by each of the watched processes. */
  readonly processor: ReadonlyMap<string, number>;
}

export interface Ramp {
  readonly bench: string;
  /** What is measured, for the output: `within one node`. */
  readonly where: string;
  /** `registrations` or `calls`. */
  readonly operations: string;
  readonly peer?: string;
  /** Response times to report, by sipp's names. */
  readonly responses: readonly string[];
  /** Process numbers by part; a part's processor time is that of all its processes. */
  readonly watched: ReadonlyMap<string, readonly number[]>;
  /** Runs the load: so many operations at so many per second. */
  readonly run: (rate: number, count: number) => Promise<readonly SippResult[]>;
}

const rates = [25, 50, 100, 150, 200, 300, 400, 600, 800, 1000, 1300, 1600, 2000, 2500, 3000, 4000, 6000, 8000, 12000];
const stepSeconds = 4;

async function runStep(ramp: Ramp, rate: number): Promise<Step> {
  const used = (): Map<string, number> =>
    new Map([...ramp.watched].map(([part, pids]) => [part, pids.reduce((sum, pid) => sum + processorSeconds(pid), 0)]));
  const before = used();
  const started = Date.now();
  const results = await ramp.run(rate, rate * stepSeconds);
  const seconds = (Date.now() - started) / 1000;
  const after = used();
  const processor = new Map([...after].map(([part, value]) => [part, value - (before.get(part) ?? 0)]));
  return { rate, seconds, results, processor };
}

const total = (step: Step, count: (result: SippResult) => number): number =>
  step.results.reduce((sum, result) => sum + count(result), 0);

/** All operations good, hardly a message sent again, and not later than they were offered. */
function carried(step: Step): boolean {
  const good = total(step, (result) => result.successful);
  const again = total(step, (result) => result.retransmissions);
  return (
    step.results.every((result) => result.code === 0 && result.failed === 0) &&
    again <= good * 0.01 &&
    step.seconds <= stepSeconds * 1.4 + 2
  );
}

function describe(plan: Ramp, step: Step): string {
  const failed = total(step, (result) => result.failed);
  const again = total(step, (result) => result.retransmissions);
  const errors = step.results.map((result) => result.errors.slice(0, 300)).join(' ');
  const verdict = carried(step) ? 'carried' : `not carried: ${failed} failed, ${again} sent again ${errors}`;
  return `${step.rate} ${plan.operations}/s for ${step.seconds.toFixed(1)} s: ${verdict}`;
}

function reportStep(ramp: Ramp, step: Step): void {
  const { bench, where, operations, peer } = ramp;
  const line = (metric: string, value: number, unit: string): void => {
    const measurement: Measurement = { bench, metric, value, unit, where, rate: step.rate, ...(peer && { peer }) };
    report(measurement);
  };
  const good = total(step, (result) => result.successful);
  line(`${operations} carried without failure`, step.rate, `${operations}/s`);
  let all = 0;
  for (const [part, seconds] of step.processor) {
    all += seconds;
    line(`processor time, ${part}`, Number(((seconds / good) * 1e6).toFixed(1)), 'us/operation');
  }
  line('processor time, all', Number(((all / good) * 1e6).toFixed(1)), 'us/operation');
}

/** Response times, of a step well below the limit: at the limit they say how long the queue is. */
function reportTimes(ramp: Ramp, step: Step): void {
  const { bench, where, peer } = ramp;
  const line = (metric: string, value: number): void => {
    report({ bench, metric, value, unit: 'ms', where, rate: step.rate, ...(peer && { peer }) });
  };
  for (const name of ramp.responses) {
    const times = step.results.flatMap((result) => result.responseTimes.get(name) ?? []);
    line(`${name} response time p50`, quantile(times, 0.5));
    line(`${name} response time p99`, quantile(times, 0.99));
  }
}

/** Offers more and more until something fails, and reports the last rate that was carried. Bounded in number and time. */
export async function ramp(plan: Ramp): Promise<void> {
  const good: Step[] = [];
  let failures = 0;
  for (let index = 0; index < rates.length && failures < 2;) {
    const step = await runStep(plan, rates[index] ?? 0);
    note(`${plan.peer ?? 'tandem'} ${plan.where}: ${describe(plan, step)}`);
    if (carried(step)) {
      good.push(step);
      failures = 0;
      index++;
    } else {
      // Once more, since other programs of the machine may have been in the way.
      failures++;
    }
  }
  const best = good.at(-1);
  if (best !== undefined) {
    reportStep(plan, best);
    return reportTimes(plan, good.findLast((step) => step.rate <= best.rate / 2) ?? best);
  }
  const { bench, where, operations, peer } = plan;
  report({
    bench,
    metric: `${operations} carried without failure`,
    value: 0,
    unit: `${operations}/s`,
    where,
    ...(peer && { peer }),
  });
}

/** A process with all below it. */
export function family(pid: number): number[] {
  return [pid, ...descendants(pid).map((child) => child.pid)];
}
