import { Cluster } from '../support/cluster';
import { domain } from '../support/cluster-config';
import { usesDrachtio } from '../support/drachtio';
import type { SippUser } from '../support/sipp';

export const callerCount = 300;
export const calleeCount = 100;
export const password = 'bench-password';

/** Callers are 30000 and up, callees 40000 and up; each number is its own user name. */
export function callers(): SippUser[] {
  return Array.from({ length: callerCount }, (_, index) => ({
    username: String(30_000 + index),
    domain,
    password,
    target: String(40_000 + (index % calleeCount)),
  }));
}

export function callees(): SippUser[] {
  return Array.from({ length: calleeCount }, (_, index) => ({ username: String(40_000 + index), domain, password }));
}

/** Two nodes with the devices of the load. */
export function startCluster(): Promise<Cluster> {
  return Cluster.start({
    engines: [],
    change: (file) => {
      for (const { username } of [...callers(), ...callees()]) {
        file.devices.push({ name: `load-${username}`, username, password, lines: [username], site: 'dallas' });
      }
    },
  });
}

/** The processes whose time is measured: the call managers, and their SIP servers. */
export function watched(cluster: Cluster): Map<string, number[]> {
  const parts = new Map([['call manager', cluster.nodes.map((node) => node.pid)]]);
  // A drachtio-server that is named is no child of its node.
  if (!usesDrachtio) {
    parts.set(
      'SIP server',
      cluster.nodes.map((node) => node.sipServerPid),
    );
  }
  return parts;
}
