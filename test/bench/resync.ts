import { join, resolve } from 'node:path';
import { Cluster } from '../support/cluster';
import { eventually } from '../support/eventually';
import { LaunchedProcess } from '../support/processes';
import type { Scope } from '../support/scope';
import { redisBytes } from './redis-bytes';
import { askArrivals, askUsage, probed } from './probe';
import { note, report } from './result';
import { kamailioNewcomer } from './resync-peer';

const SIZES = [10_000, 100_000, 1_000_000];
const CAP_MS = 300_000;
const PEER = 'kamailio dmq_usrloc';
/** More contacts are not asked of Kamailio: to register them one by one takes too long. */
const PEER_SIZE = 100_000;

interface NodeRow {
  readonly node: number;
  readonly replication?: { readonly entries: number; readonly digestEqual: boolean };
}

/** A node that holds `size` entries, in a process of its own. */
async function startOwner(scope: Scope, cluster: Cluster, size: number): Promise<{ pid: number; socket: string }> {
  const directory = scope.directory('owner');
  const socket = join(directory, 'socket');
  const { name, secret } = cluster.file.cluster;
  const redis = cluster.redis?.url ?? '';
  const process = LaunchedProcess.launch(scope, {
    command: globalThis.process.execPath,
    args: [
      ...['--expose-gc', '-r', resolve(__dirname, '../../scripts/ts.js'), resolve(__dirname, 'owner.ts')],
      ...[redis, name, secret, '2', String(size), socket],
    ],
    log: join(directory, 'log'),
    package: 'nodejs',
  });
  await process.ready(() => askUsage(socket).then(() => true), CAP_MS);
  await settled(cluster.redis?.port ?? 0);
  return { pid: process.pid, socket };
}

/** Waits until what the owner told while it made its entries has gone out. */
async function settled(port: number): Promise<void> {
  let last = -1;
  await eventually(
    'the owner is quiet',
    () => redisBytes(port),
    (bytes) => {
      const quiet = bytes - last < 100_000;
      last = bytes;
      return quiet;
    },
    { cap: CAP_MS, every: 1_000 },
  );
}

/** Milliseconds since the epoch at which the node came to know the owner. */
function onlineAt(log: string): number {
  const line = log.split('\n').find((each) => each.includes('a node is on-line'));
  return line === undefined ? NaN : Date.parse((JSON.parse(line) as { time: string }).time);
}

/** Seconds until the newcomer's table was complete, from when it came to know the owner. */
async function benchSize(size: number): Promise<number> {
  let socket = '';
  const cluster = await Cluster.start({
    engines: [],
    start: false,
    launch: (id) => probed((socket = join('/tmp', `tandem-bench-${process.pid}-${id}-${size}.sock`))),
  });
  try {
    const { redis } = cluster;
    const newcomer = cluster.node(1);
    socket = newcomer.place.env?.['TANDEM_BENCH_PROBE'] ?? '';
    if (redis === undefined) throw new Error('no Redis');
    // Alone first: what the process takes without entries.
    await newcomer.start();
    const empty = await askUsage(socket);
    await newcomer.stop();
    const owner = await startOwner(cluster.scope, cluster, size);
    const ownerBefore = await askUsage(owner.socket);
    const bytesBefore = await redisBytes(redis.port);
    const launched = Date.now();
    await newcomer.start();
    await eventually(
      `node 1 has ${size} entries`,
      async () => (await newcomer.api('/api/nodes')) as NodeRow[],
      (rows) =>
        rows.some(({ node, replication }) => node === 2 && replication?.entries === size && replication.digestEqual),
      { cap: CAP_MS, every: 100 },
    );
    const bytes = (await redisBytes(redis.port)) - bytesBefore;
    const arrivals = await askArrivals(socket);
    const usage = await askUsage(socket);
    const ownerUsage = await askUsage(owner.socket);
    const line = (metric: string, value: number, unit: string, digits = 1) =>
      report({ bench: 'resync', metric, value: Number(value.toFixed(digits)), unit, entries: size });
    const complete = (arrivals.last - onlineAt(newcomer.log().slice(-200_000))) / 1000;
    line('table complete after', complete, 's', 3);
    line('table complete after its launch', (arrivals.last - launched) / 1000, 's', 3);
    line('bytes over the bus', bytes / size, 'B/entry');
    line('processor time, newcomer', ((usage.processor - empty.processor) / size) * 1e6, 'us/entry', 2);
    line('processor time, owner', ((ownerUsage.processor - ownerBefore.processor) / size) * 1e6, 'us/entry', 2);
    line('heap, newcomer', (usage.heap - empty.heap) / size, 'B/entry', 0);
    line('resident memory, newcomer', usage.rss / 2 ** 20, 'MiB', 0);
    line('longest stall, newcomer', usage.longestStall, 'ms', 0);
    line('longest stall, owner', ownerUsage.longestStall, 'ms', 0);
    const offline = newcomer.log().includes('a node is off-line');
    note(`${size} entries: ${offline ? 'A NODE WAS DECLARED OFF-LINE MEANWHILE' : 'nobody was declared off-line'}`);
    return complete;
  } finally {
    await cluster.close();
  }
}

/** The same of Kamailio with dmq_usrloc, in the same run, and ours in relation to it. */
async function benchPeer(size: number, ours: number): Promise<void> {
  if (size > PEER_SIZE) return note(`${size} entries: not compared with kamailio`);
  const newcomer = await kamailioNewcomer(size);
  if (newcomer === undefined) return note('kamailio is not installed: not compared');
  const line = (metric: string, value: number, unit: string) =>
    report({ bench: 'resync', metric, value: Number(value.toFixed(3)), unit, entries: size, peer: PEER });
  line('table complete after', newcomer.sinceAnswer, 's');
  line('table complete after its launch', newcomer.sinceLaunch, 's');
  line('entries missing', size - newcomer.count, 'entries');
  line('table complete after, ours to theirs', ours / newcomer.sinceAnswer, 'ratio');
}

/** `TANDEM_BENCH_ENTRIES=10000,100000` measures these sizes only. */
export async function benchResync(): Promise<void> {
  const wanted = process.env['TANDEM_BENCH_ENTRIES']?.split(',').map(Number) ?? SIZES;
  for (const size of wanted) await benchPeer(size, await benchSize(size));
}
