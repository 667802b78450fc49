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
import { kamailioDelays } from './replication-peer';
import { note, report } from './result';

const RATES = [1, 100, 500, 1_000];
const NODES = 4;
/** Rates at which Kamailio is asked for the same. */
const PEER_RATES = [1, 100];
const PEER = 'kamailio dmq_usrloc';
/** Seconds of each rate; the slowest needs longer to say anything. */
const SECONDS = 5;
const SLOWEST_SECONDS = 15;
/** The same load on clusters of these sizes, for the cost of a registration. */
const SIZES = [2, 4, 8];
const COST_SECONDS = 5;
/** Registrations a second for each node: so as many share a message whatever the number of nodes. */
const COST_RATE = 12;
const COST_WARM_UP = 80;
/** What is not everywhere after this time is reported as missing. */
const SETTLE_MS = 10_000;
const LOOK_MS = 100;
const WARM_UP = 200;

interface Running {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  /** Questions to the nodes. */
  readonly sockets: readonly string[];
  /** Of all call managers together, since they began. */
  readonly managers: () => Promise<ManagersUse>;
}

interface ManagersUse {
  /** Seconds. */
  readonly processor: number;
  /** Messages from the bus, and questions for what was missed. */
  readonly received: number;
  readonly pulls: number;
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
  const managers = () => managersUse(cluster);
  return { cluster, fleet, sockets: cluster.nodes.map(({ id }) => socket(id)), managers };
}

async function managersUse({ nodes }: Cluster): Promise<ManagersUse> {
  const use = { processor: 0, received: 0, pulls: 0 };
  for (const node of nodes) {
    use.processor += processorSeconds(node.pid);
    const text = await (await node.fetch('/metrics')).text();
    use.received += sample(text, /^tandem_bus_messages_total\{[^}]*result="received"[^}]*\} (\S+)$/m);
    use.pulls += sample(text, /^tandem_replication_pulls_total(?:\{[^}]*\})? (\S+)$/m);
  }
  return use;
}

function sample(text: string, line: RegExp): number {
  return Number(line.exec(text)?.[1] ?? 0);
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

const countOf = (rate: number) => rate * (rate === 1 ? SLOWEST_SECONDS : SECONDS);

/** Delays by rate, from the 200 to the last of the other nodes. */
type Delays = Map<number, readonly number[]>;

async function benchDelay(): Promise<Delays> {
  const scope = new Scope();
  const delays: Delays = new Map();
  try {
    const all = await start(scope, NODES, WARM_UP + RATES.reduce((sum, rate) => sum + countOf(rate), 0));
    const phones = [...all.fleet.phones];
    await register(all, phones.splice(0, WARM_UP), 100);
    for (const rate of RATES) {
      const before = await all.managers();
      const run = await register(all, phones.splice(0, countOf(rate)), rate);
      const after = await all.managers();
      delays.set(rate, run.last);
      const line = (metric: string, value: number, unit: string) => row(metric, value, unit, { nodes: NODES, rate });
      line('registrations', run.accepted / run.seconds, 'registrations/s');
      line('200 to visible on every other node p50', quantile(run.last, 0.5), 'ms');
      line('200 to visible on every other node p99', quantile(run.last, 0.99), 'ms');
      line('200 to visible on one other node p50', quantile(run.each, 0.5), 'ms');
      line('not visible on every other node', run.missing, 'registrations');
      line('pulls', after.pulls - before.pulls, 'pulls');
    }
    return delays;
  } finally {
    await scope.close();
  }
}

/** The same of Kamailio, in the same run, and ours in relation to it. */
async function benchPeer(ours: Delays): Promise<void> {
  const runs = await kamailioDelays(
    NODES,
    PEER_RATES.map((rate) => ({ rate, count: countOf(rate) })),
  );
  if (runs === undefined) return note('kamailio is not installed: not compared');
  for (const { rate, last, missing, resolution } of runs) {
    const at = { nodes: NODES, rate };
    const line = (metric: string, value: number, unit: string) => row(metric, value, unit, { ...at, peer: PEER });
    line('resolution of the following', resolution, 'ms');
    for (const part of [0.5, 0.99]) {
      const metric = `200 to visible on every other node p${part * 100}`;
      const [mine, theirs] = [quantile(ours.get(rate) ?? [], part), quantile(last, part)];
      line(metric, theirs, 'ms');
      if (theirs > 0) row(`${metric}, ours to theirs`, mine / theirs, 'ratio', { ...at, peer: PEER });
      else note(`${metric} at ${rate}/s: no ratio to nothing; ours is ${mine.toFixed(2)} ms`);
    }
    line('not visible on every other node', missing, 'registrations');
  }
}

function row(metric: string, value: number, unit: string, more: Readonly<Record<string, string | number>>): void {
  report({ bench: 'replication', metric, value: Number(value.toFixed(2)), unit, ...more });
}

/** What one registration costs the cluster, for clusters of several sizes. */
async function benchCost(nodes: number): Promise<Cost> {
  const scope = new Scope();
  try {
    const [rate, warmUp] = [COST_RATE * nodes, COST_WARM_UP * nodes];
    const running = await start(scope, nodes, warmUp + rate * COST_SECONDS);
    const phones = [...running.fleet.phones];
    await register(running, phones.splice(0, warmUp), 200);
    const redis = running.cluster.redis?.port ?? 0;
    const measure = async () => ({ at: monotonicMs(), ...(await running.managers()), bytes: await redisBytes(redis) });
    // Polls and idle timers cost the same without registrations.
    const beforeIdle = await measure();
    await new Promise((resolve) => setTimeout(resolve, COST_SECONDS * 1000));
    const before = await measure();
    const run = await register(running, phones, rate);
    const after = await measure();
    const each = (of: 'processor' | 'bytes' | 'received') => {
      const idle = ((before[of] - beforeIdle[of]) * (after.at - before.at)) / (before.at - beforeIdle.at);
      return (after[of] - before[of] - idle) / run.accepted;
    };
    const cost = { nodes, processor: each('processor') * 1e6, bytes: each('bytes') };
    const at = { nodes, rate };
    row('processor time of all call managers', cost.processor, 'us/registration', at);
    row('bytes out of Redis', cost.bytes, 'B/registration', at);
    row('bytes out of Redis for each node', cost.bytes / nodes, 'B/registration', at);
    row('messages out of Redis for each node', each('received') / nodes, 'messages', at);
    row('pulls', after.pulls - before.pulls, 'pulls', at);
    if (run.missing > 0) note(`${nodes} nodes: ${run.missing} registrations are not on every node`);
    return cost;
  } finally {
    await scope.close();
  }
}

interface Cost {
  readonly nodes: number;
  readonly processor: number;
  readonly bytes: number;
}

/** Linear in the number of nodes: each of them adds the same, from two to four as from four to eight. */
function reportSlope(costs: readonly Cost[]): void {
  for (const what of ['bytes', 'processor'] as const) {
    const slopes = costs.slice(1).map((cost, index) => {
      const smaller = costs[index] ?? cost;
      return (cost[what] - smaller[what]) / (cost.nodes - smaller.nodes);
    });
    const [first = NaN, second = NaN] = slopes;
    row(`${what}: a further node above four to one below`, second / first, 'ratio', { nodes: 8 });
  }
}

/** `TANDEM_BENCH_PART=delay` or `cost` measures that only. */
export async function benchReplication(): Promise<void> {
  const part = process.env['TANDEM_BENCH_PART'];
  if (part !== 'cost') await benchPeer(await benchDelay());
  if (part === 'delay') return;
  const costs: Cost[] = [];
  for (const nodes of SIZES) costs.push(await benchCost(nodes));
  reportSlope(costs);
}
