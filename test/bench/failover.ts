import { Cluster } from '../support/cluster';
import { eventually, within } from '../support/eventually';
import { addFleet, Fleet } from '../support/fleet/fleet';
import type { CallResult } from '../support/fleet/fleet-calls';
import type { FleetPhone } from '../support/fleet/fleet-phone';
import { trialsOf } from '../support/fleet/owed';
import { note, report } from './result';

const REPETITIONS = 5;
/** The phone refreshes every two to three seconds (half of its lifetime), and gives a silent node up after this. */
const EXPIRES_S = 5;
const PATIENCE_MS = 1500;
const CALL_EVERY_MS = 50;
const LOOK_EVERY_MS = 5;
const CAP_MS = 60_000;

/** The node that dies, with whom the phone was; the next one of its list; the caller's. */
const [dead, next, callers] = [3, 1, 2];

/**
 * How the phone learns that its node is gone: its refresh is not answered; or it sees its connection close, and turns to
 * the next node at once (then the caller's node still has the entry of the dead one).
 */
const detections = ['refresh not answered', 'connection closed'] as const;
type Detection = (typeof detections)[number];

/** One failover in its parts, ms. */
interface Failover {
  /** From the kill to the call's 200. */
  readonly total: number;
  /** From the kill until the phone turns to the next node. */
  readonly detection: number;
  /** From there to the phone's 200. */
  readonly registration: number;
  /** From there until the caller's node has the entry. */
  readonly replication: number;
  /** From the kill until the caller's node has purged the entries of the dead node. */
  readonly purge: number;
  /** Of the call that succeeded: from its INVITE to its 200. */
  readonly setup: number;
  /** Entries that this call tried. */
  readonly trials: number;
}

/** Resolves with the time when the caller's node has, or no longer has, an entry of a node for the number. */
async function seen(cluster: Cluster, dn: string, owner: number, there: boolean): Promise<number> {
  await eventually(
    `node ${callers} ${there ? 'has' : 'has no'} entry of node ${owner} for ${dn}`,
    () => cluster.node(callers).registrations(dn),
    (rows) => rows.some((row) => row.node === owner) === there,
    { cap: CAP_MS, every: LOOK_EVERY_MS },
  );
  return Date.now();
}

/** Calls again and again, whatever becomes of each; resolves with the first that is answered. */
async function firstAnswered(caller: FleetPhone, dialled: string): Promise<CallResult> {
  const running = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  const answered = new Promise<CallResult>((resolve) => {
    timer = setInterval(() => {
      const call = caller.call(dialled).then((result) => {
        running.delete(call);
        if (result.status === 200) resolve(result);
      });
      running.add(call);
    }, CALL_EVERY_MS);
  });
  try {
    return await within(CAP_MS, 'a call is answered', answered);
  } finally {
    clearInterval(timer);
    await Promise.all(running);
  }
}

/** As a phone does whose connection has closed; resolves with the time. */
function turnToNext(phone: FleetPhone): number {
  void phone.moveTo(next);
  return Date.now();
}

async function failover(cluster: Cluster, phone: FleetPhone, caller: FleetPhone, by: Detection): Promise<Failover> {
  const { dn } = phone;
  const killedAt = Date.now();
  const killed = cluster.node(dead).kill9();
  const turned = by === 'connection closed' ? killed.then(() => turnToNext(phone)) : undefined;
  const looks = [seen(cluster, dn, next, true), seen(cluster, dn, dead, false)] as const;
  const call = await firstAnswered(caller, dn);
  await killed;
  const [visibleAt, purgedAt] = await Promise.all(looks);
  const turnedAt = (await turned) ?? phone.lostAt;
  const registeredAt = phone.ledger.state === 'registered' ? phone.ledger.since : NaN;
  const trials = await eventually(
    'the record of the call',
    () => trialsOf(cluster.node(callers), call),
    (found) => found !== undefined,
  );
  return {
    total: call.endedAt - killedAt,
    detection: turnedAt - killedAt,
    registration: registeredAt - turnedAt,
    replication: Math.max(0, visibleAt - registeredAt),
    purge: purgedAt - killedAt,
    setup: call.endedAt - call.startedAt,
    trials: trials?.length ?? 0,
  };
}

function print(runs: readonly Failover[], by: Detection): void {
  const parts = ['total', 'detection', 'registration', 'replication', 'purge', 'setup', 'trials'] as const;
  for (const part of parts) {
    const values = runs.map((run) => run[part]).sort((a, b) => a - b);
    const unit = part === 'trials' ? 'entries' : 'ms';
    const common = { bench: 'failover', unit, detection: by, runs: runs.length };
    report({ ...common, metric: `${part} p50`, value: values[Math.floor(values.length / 2)] ?? NaN });
    report({ ...common, metric: `${part} max`, value: values.at(-1) ?? NaN });
  }
}

/** From the death of a node to the first successful call to a phone that was registered with it, on three nodes. */
export async function benchFailover(): Promise<void> {
  const options = { phones: 3, expires: EXPIRES_S, patienceMs: PATIENCE_MS };
  const cluster = await Cluster.start({ nodes: 3, engines: [], change: (file) => addFleet(file, options.phones) });
  try {
    const fleet = await Fleet.open(cluster.scope, cluster, options);
    const [caller, phone] = [fleet.phone(callers - 1), fleet.phone(dead - 1)];
    await caller.register();
    for (const by of detections) {
      const runs: Failover[] = [];
      for (let run = 1; run <= REPETITIONS; run++) {
        await phone.moveTo(dead);
        await seen(cluster, phone.dn, dead, true);
        await seen(cluster, phone.dn, next, false);
        runs.push(await failover(cluster, phone, caller, by));
        note(`${by}, ${run} of ${REPETITIONS}: ${JSON.stringify(runs.at(-1))}`);
        await cluster.node(dead).start();
      }
      print(runs, by);
    }
  } finally {
    await cluster.close();
  }
}
