import type { Cluster } from '../support/cluster';
import { freePort } from '../support/ports';
import { Sipp, type SippResult } from '../support/sipp';
import { callees, callers, startCluster, watched } from './load';
import { ramp } from './ramp';

/** Registers users from a port, so that the calls that come from there later are those of known phones. */
async function register(cluster: Cluster, server: string, port: number): Promise<void> {
  const users = callers();
  const options = { scenario: 'register', server, users, port, calls: users.length, rate: 100, timeout: 30 } as const;
  const { code, errors } = await (await Sipp.start(cluster.scope, options)).finished();
  if (code !== 0) throw new Error(`the callers cannot register: ${errors}`);
}

/** Phones that register and stay, and answer every call at once. */
async function startCallees(cluster: Cluster, server: string): Promise<Sipp> {
  const users = callees();
  const sipp = await Sipp.start(cluster.scope, {
    scenario: 'register-stay',
    outOfCall: 'signalling-answer',
    server,
    users,
    calls: users.length,
    rate: 100,
    pause: 3_600_000,
    timeout: 3600,
  });
  for (const { username } of users) await cluster.everybodyKnows(username);
  return sipp;
}

/** One call is INVITE (challenged once), 180, 200, ACK, BYE at once. */
async function benchPath(where: string, calleeNode: number): Promise<void> {
  const cluster = await startCluster();
  try {
    const server = cluster.node(1).sip;
    const port = await freePort();
    await register(cluster, server, port);
    await startCallees(cluster, cluster.node(calleeNode).sip);
    const run = async (rate: number, count: number): Promise<SippResult[]> => {
      const options = { scenario: 'signalling-call', server, users: callers(), port, pause: 0, timeout: 20 } as const;
      const sipp = await Sipp.start(cluster.scope, { ...options, calls: count, rate });
      return [await sipp.finished()];
    };
    await ramp({
      bench: 'call',
      where,
      operations: 'calls',
      responses: ['ringing', 'setup', 'bye'],
      watched: watched(cluster),
      run,
    });
  } finally {
    await cluster.close();
  }
}

export async function benchCall(): Promise<void> {
  await benchPath('within one node', 1);
  await benchPath('across two nodes', 2);
}
