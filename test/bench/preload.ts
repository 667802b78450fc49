import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { CompositeSet as Set } from '../../src/registration/composite-set';
import { answer, monotonicMs } from './probe';

/**
 * Loaded into a call manager before its own code: notes when entries of others stand in its tables, and answers what
 * the benchmarks ask.
 */
const path = process.env['TANDEM_BENCH_PROBE'];
/** More would show as memory of the process that is measured. */
const MAX_NOTED = 10_000;

if (path !== undefined) {
  const nothing = () => ({ count: 0, first: 0, last: 0, noted: new Array<[string, number]>() });
  let arrivals = nothing();
  const built = createRequire(__filename)(resolve(__dirname, '../../dist/registration/composite-set.js')) as {
    CompositeSet: typeof Set;
  };
  const put = built.CompositeSet.prototype.put;
  built.CompositeSet.prototype.put = function (owner, record) {
    put.call(this, owner, record);
    arrivals.last = Date.now();
    if (arrivals.count++ === 0) arrivals.first = arrivals.last;
    if (arrivals.noted.length < MAX_NOTED) arrivals.noted.push([record.key, monotonicMs()]);
  };
  answer(path, () => {
    const told = arrivals;
    arrivals = nothing();
    return told;
  });
}
