import { join } from 'node:path';
import { bindingKey } from '../../src/registration/binding-key';
import { Cluster } from '../support/cluster';
import { addFleet, Fleet } from '../support/fleet/fleet';
import type { FleetPhone } from '../support/fleet/fleet-phone';
import { processorSeconds } from '../support/processes';
import { Scope } from '../support/scope';
import { quantile } from '../support/sipp';
import { askArrivals, monotonicMs, probed } from './probe';
import { redisBytes } from './redis-bytes';
import { note, report } from './result';

const RATES = [1, 100, 500, 1_000];
/** Seconds of each rate; the slowest needs longer to say anything. */
const SECONDS = 5;
const SLOWEST_SECONDS = 15;
/** The same load on clusters of these sizes, for the cost of a registration. */
const SIZES = [2, 4, 8];
const COST_RATE = 100;
/** What is not everywhere after this time is reported as missing. */
const SETTLE_MS = 10_000;
const LOOK_MS = 100;
const WARM_UP = 200;

interface Running {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  /** Questions to the nodes. */
  readonly sockets: readonly string[];
}

interface Run {
  /** From the 200 at the phone to the entry in the tables of the last of the other nodes, ms, one for each registration. */
  readonly last: number[];
  /** The same for each of the other nodes. */
  readonly each: number[];
  /** Registrations that have not reached every node. */
  readonly missing: number;
  readonly accepted: number;
  readonly seconds: number;
}

async function start(scope: Scope, nodes: number, phones: number): Promise<Running> {
  const directory = scope.directory('bench');
  const socket = (id: number) => join(directory, `node-${id}`);
  const cluster = await Cluster.start({
    nodes,
    engines: [],
    change: (file) => addFleet(file, phones),
    launch: (id) => probed(socket(id)),
  });
  scope.defer(() => cluster.close());
  const fleet = await Fleet.open(scope, cluster, { phones, expires: 3600, phonesOfSocket: 50 });
  return { cluster, fleet, sockets: cluster.nodes.map(({ id }) => socket(id)) };
}

/** Registers phones for the first time, evenly spread over time, and sees when every other node has each. */
async function register({ sockets }: Running, phones: readonly FleetPhone[], rate: number): Promise<Run> {
  for (const socket of sockets) await askArrivals(socket);
  const answeredAt = new Map<string, number>();
  const began = monotonicMs();
  const running: Promise<void>[] = [];
  for (const phone of phones) {
    const due = began + (running.length * 1000) / rate;
    while (monotonicMs() < due) await new Promise((resolve) => setTimeout(resolve, 1));
    const key = bindingKey(`fleet-${phone.dn}`, phone.instance);
    running.push(phone.register().then(() => void answeredAt.set(key, monotonicMs())));
  }
  await Promise.all(running);
  const seconds = (monotonicMs() - began) / 1000;
  const delays = new Map<string, number[]>();
  const complete = () => [...delays.values()].filter(({ length }) => length === sockets.length).length;
  for (const end = monotonicMs() + SETTLE_MS; complete() < phones.length && monotonicMs() < end;) {
    for (const socket of sockets)
      for (const [key, at] of (await askArrivals(socket)).noted) {
        const answered = answeredAt.get(key);
        if (answered !== undefined) delays.set(key, [...(delays.get(key) ?? []), at - answered]);
      }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  // The owner has put it too, before it answered: that is no delay.
  const others = [...delays.values()]
    .filter(({ length }) => length === sockets.length)
    .map((all) => all.sort((a, b) => a - b).slice(1));
  return {
    last: others.map((all) => Math.max(0, ...all)),
    each: others.flat().map((delay) => Math.max(0, delay)),
    missing: phones.length - others.length,
    accepted: answeredAt.size,
    seconds,
  };
}

async function benchDelay(): Promise<void> {
  const counts = RATES.map((rate) => rate * (rate === 1 ? SLOWEST_SECONDS : SECONDS));
  const scope = new Scope();
  try {
    const all = await start(scope, 4, WARM_UP + counts.reduce((sum, count) => sum + count, 0));
    const phones = [...all.fleet.phones];
    await register(all, phones.splice(0, WARM_UP), 100);
    for (const [index, rate] of RATES.entries()) {
      const run = await register(all, phones.splice(0, counts[index]), rate);
      const line = (metric: string, value: number, unit: string) =>
        report({ bench: 'replication', metric, value: Number(value.toFixed(2)), unit, nodes: 4, rate });
      line('registrations', run.accepted / run.seconds, 'registrations/s');
      line('200 to visible on every other node p50', quantile(run.last, 0.5), 'ms');
      line('200 to visible on every other node p99', quantile(run.last, 0.99), 'ms');
      line('200 to visible on one other node p50', quantile(run.each, 0.5), 'ms');
      line('not visible on every other node', run.missing, 'registrations');
    }
  } finally {
    await scope.close();
  }
}

/** What one registration costs the cluster, for clusters of several sizes. */
async function benchCost(nodes: number): Promise<void> {
  const scope = new Scope();
  try {
    const count = COST_RATE * SECONDS;
    const running = await start(scope, nodes, WARM_UP + count);
    const { cluster, fleet } = running;
    const phones = [...fleet.phones];
    await register(running, phones.splice(0, WARM_UP), 100);
    const redis = cluster.redis?.port ?? 0;
    const pids = cluster.nodes.map(({ pid }) => pid);
    const used = (of: readonly number[]) => of.reduce((sum, pid) => sum + processorSeconds(pid), 0);
    const measure = async () => ({ at: monotonicMs(), managers: used(pids), bytes: await redisBytes(redis) });
    // Polls and idle timers cost the same without registrations.
    const beforeIdle = await measure();
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    const before = await measure();
    const run = await register(running, phones, COST_RATE);
    const after = await measure();
    const line = (metric: string, of: 'managers' | 'bytes', scale: number, unit: string) => {
      const idle = ((before[of] - beforeIdle[of]) * (after.at - before.at)) / (before.at - beforeIdle.at);
      const value = ((after[of] - before[of] - idle) * scale) / run.accepted;
      report({ bench: 'replication', metric, value: Number(value.toFixed(1)), unit, nodes, rate: COST_RATE });
    };
    line('processor time of all call managers', 'managers', 1e6, 'us/registration');
    line('bytes out of Redis', 'bytes', 1, 'B/registration');
    if (run.missing > 0) note(`${nodes} nodes: ${run.missing} registrations are not on every node`);
  } finally {
    await scope.close();
  }
}

/** `TANDEM_BENCH_PART=delay` or `cost` measures that only. */
export async function benchReplication(): Promise<void> {
  const part = process.env['TANDEM_BENCH_PART'];
  if (part !== 'cost') await benchDelay();
  if (part !== 'delay') for (const nodes of SIZES) await benchCost(nodes);
}
