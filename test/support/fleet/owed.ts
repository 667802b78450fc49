import type { Cluster } from '../cluster';
import type { NodeProcess } from '../node-process';
import type { Chaos } from './chaos';
import type { CallResult } from './fleet-calls';
import type { FleetPhone } from './fleet-phone';
import type { LedgerState } from './ledger';

/**
 * Which calls must go through, whatever else happens in the cluster.
 *
 * A call is *owed* when, from before it began until it ended, its callee was registered beyond doubt, and every node that
 * has to know or do something for it could:
 * - the callee got its 200 from node E at least `SETTLED_MS` before the call began, and did not turn to another node,
 *   leave, or give up a REGISTER unanswered (a paused node may do that one later) until it ended;
 * - neither E nor the caller's node C was killed, stopped, paused, starved by the machine (see `Chaos`) or just back
 *   (`GRACE_MS`: six poll periods, in which tables must be whole again) from then on;
 * - the bus worked (and was back for `GRACE_MS`); or it did not, but the callee had settled before it went, and C and E
 *   have been up ever since: what a node knows it keeps, and calls do not need the bus.
 *
 * An owed call that is refused failed *because of a stale entry* when C tried an entry, and none that it tried was the
 * one by which E knows the callee.
 */
export const SETTLED_MS = 2_000;
export const GRACE_MS = 6_000;

export type CallClass = 'owed' | 'callee not settled' | 'callee in doubt' | 'a node of it was out' | 'the bus was out';

/** What is known of a callee when the call begins, to be judged by when it has ended. */
export interface Callee {
  readonly phone: FleetPhone;
  readonly ledger: LedgerState;
  readonly doubtful: boolean;
}

export function calleeNow(phone: FleetPhone): Callee {
  return { phone, ledger: phone.ledger, doubtful: phone.doubtful || phone.busy };
}

/** `before` and `after`: the callee when the call began and when it ended. */
export function classOf(call: CallResult, before: Callee, after: Callee, chaos: Chaos): CallClass {
  const { ledger } = before;
  if (before.doubtful || after.doubtful) return 'callee in doubt';
  if (ledger.state !== 'registered' || after.ledger.state !== 'registered') return 'callee not settled';
  const moved = after.ledger.node !== ledger.node || after.ledger.since !== ledger.since;
  if (moved || ledger.since + SETTLED_MS > call.startedAt) return 'callee not settled';
  const nodes = [call.node, ledger.node];
  if (chaos.hit(nodes, call.startedAt - GRACE_MS, call.endedAt)) return 'a node of it was out';
  const unheard = chaos
    .during(['bus'], call.startedAt - GRACE_MS, call.endedAt)
    .some(({ from }) => ledger.since + SETTLED_MS > from || chaos.hit(nodes, from - GRACE_MS, call.endedAt));
  return unheard ? 'the bus was out' : 'owed';
}

interface Trial {
  readonly pid: string;
  readonly node: number;
  readonly outcome: string;
}

/** What the caller's node tried, by its own account; undefined when it has no account of the call. */
export async function trialsOf(node: NodeProcess, call: CallResult): Promise<readonly Trial[] | undefined> {
  const id = callIdentity(node, call);
  if (id === undefined) return undefined;
  const record = await node.api(`/api/calls/${id}`);
  if (typeof record !== 'object' || record === null || !('trials' in record)) return undefined;
  return Array.isArray(record.trials) ? record.trials.filter(isTrial) : undefined;
}

/** The PID of the call, from what the node's log says when a call is over. */
function callIdentity(node: NodeProcess, { caller, dialled, startedAt }: CallResult): string | undefined {
  const lines = node.log().split('\n').reverse();
  const line = lines.find((text) => text.includes(`"caller":"${caller}","dialled":"${dialled}"`)) ?? '';
  const time = /"time":"([^"]+)"/.exec(line)?.[1];
  // An earlier call between the two is another one.
  if (time === undefined || Date.parse(time) < startedAt) return undefined;
  return /"call":"([^"]+)"/.exec(line)?.[1];
}

function isTrial(value: unknown): value is Trial {
  return typeof value === 'object' && value !== null && 'pid' in value && 'node' in value && 'outcome' in value;
}

/** Why an owed call failed: because of a stale entry or not, with what was tried. */
export async function explain(
  cluster: Cluster,
  call: CallResult,
  callee: Callee,
): Promise<{ stale: boolean; why: string }> {
  const at = callee.ledger.state === 'registered' ? callee.ledger.node : 0;
  const what = `${call.caller}@${call.node} -> ${call.dialled}@${at}: ${call.status} ${call.reason}`;
  try {
    const own = (await cluster.node(at).registrations(call.dialled)).find((row) => row.local);
    const trials = (await trialsOf(cluster.node(call.node), call)) ?? [];
    const right = trials.some(({ node, pid }) => node === at && pid === own?.pid);
    const tried = trials.map(({ node, pid, outcome }) => `node ${node} ${pid}: ${outcome}`).join(', ');
    const why = `${what}; ${own?.pid ?? 'unknown'} there; tried: ${tried || 'nothing'}`;
    return { stale: trials.length > 0 && !right, why };
  } catch (error) {
    // Its node has been hit since.
    return { stale: false, why: `${what}; no account of it (${String(error)})` };
  }
}
