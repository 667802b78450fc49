import { setTimeout as pause } from 'node:timers/promises';
import { Cluster } from '../support/cluster';
import { usesDrachtio } from '../support/drachtio';
import { addFleet, Fleet } from '../support/fleet/fleet';
import { processorSeconds } from '../support/processes';
import { watched } from './load';
import { note, report } from './result';

const PHONES = 1000;
const REGISTRATIONS_PER_SECOND = 100;
/** What starting and registering leave to be done (compilation, garbage) is over by then. */
const SETTLE_MS = 20_000;
const SECONDS = Number(process.env['IDLE_SECONDS'] ?? 90);

/** Share of a core that each part uses while nothing happens. */
async function measure(cluster: Cluster, phones: number): Promise<number> {
  await pause(SETTLE_MS);
  const used = (pids: readonly number[]): number => pids.reduce((sum, pid) => sum + processorSeconds(pid), 0);
  const parts = [...watched(cluster)].map(([part, pids]) => ({ part, pids, before: used(pids) }));
  const started = performance.now();
  await pause(SECONDS * 1000);
  const seconds = (performance.now() - started) / 1000;
  let all = 0;
  for (const { part, pids, before } of parts) {
    const share = ((used(pids) - before) / seconds) * 100;
    all += share;
    report({
      bench: 'idle',
      metric: `processor, ${part}`,
      value: Number(share.toFixed(2)),
      unit: '% of a core',
      phones,
    });
  }
  report({ bench: 'idle', metric: 'processor, all', value: Number(all.toFixed(2)), unit: '% of a core', phones });
  return all;
}

/** What a node costs that has nothing to do: alone, and with phones that are registered and polled. */
export async function benchIdle(): Promise<void> {
  if (usesDrachtio) note('of a drachtio-server nothing is measured');
  const cluster = await Cluster.start({ nodes: 1, engines: [], change: (file) => addFleet(file, PHONES) });
  try {
    const alone = await measure(cluster, 0);
    const fleet = await Fleet.open(cluster.scope, cluster, { phones: PHONES, expires: 3600 });
    await fleet.each((phone) => phone.register(), REGISTRATIONS_PER_SECOND);
    const withPhones = await measure(cluster, PHONES);
    const ratio = Number((withPhones / alone).toFixed(2));
    report({ bench: 'idle', metric: 'with phones, to without', value: ratio, unit: 'ratio', phones: PHONES });
  } finally {
    await cluster.close();
  }
}
