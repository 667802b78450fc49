import type { CallControl, CallHooks, Conferences } from '../call-control';
import type { Cluster } from '../cluster/cluster';
import type { ResourceProcesses } from '../media-resource/resource-processes';
import type { CompositeSet } from '../registration/composite-set';
import type { Metrics } from '../telemetry/metrics';

/** Counts calls by how they ended. */
export function countCalls(metrics: Metrics): CallHooks {
  return {
    answered: (setupMs) => metrics.observe('tandem_invite_seconds', setupMs / 1000, { result: 'answered' }),
    ended: ({ status }) => metrics.count('tandem_calls_total', { result: resultOf(status) }),
    refused: (status) => metrics.count('tandem_calls_total', { result: resultOf(status) }),
  };
}

function resultOf(status: number): string {
  if (status < 300) return 'answered';
  switch (status) {
    case 404:
      return 'unknown-number';
    case 480:
      return 'unavailable';
    case 486:
    case 600:
      return 'busy';
    case 487:
      return 'cancelled';
    case 488:
      return 'no-common-codec';
    default:
      return status >= 500 ? 'failed' : 'refused';
  }
}

/** Gauges that are read when somebody asks. */
export function watchGauges(
  metrics: Metrics,
  parts: {
    readonly node: number;
    /** The other nodes of the configuration. */
    readonly others: readonly number[];
    readonly composite: CompositeSet;
    readonly cluster: Cluster;
    readonly calls: CallControl;
    readonly conferences: Conferences;
    readonly resources: ResourceProcesses;
    readonly sipConnected: () => boolean;
  },
): void {
  const { node, others, composite, cluster, calls, conferences, resources, sipConnected } = parts;
  metrics.onCollect(() => {
    const local = composite.count(node, 'station');
    const remote = composite.countAll('station') - local;
    metrics.set('tandem_registrations', local, { where: 'local' });
    metrics.set('tandem_registrations', remote, { where: 'remote' });
    metrics.set('tandem_calls', calls.count);
    const rooms = conferences.views().filter(({ members }) => members.length > 0);
    metrics.set('tandem_conferences', rooms.length);
    metrics.set('tandem_conferences_locked', rooms.filter(({ locked }) => locked).length);
    const members = rooms.flatMap((room) => room.members);
    metrics.set('tandem_conference_members', members.length);
    metrics.set('tandem_conference_members_muted', members.filter(({ muted }) => muted).length);
    const live = cluster.peers().filter((peer) => peer.live).length;
    metrics.set('tandem_cluster_peers', live, { state: 'on-line' });
    metrics.set('tandem_cluster_peers', cluster.peers().length - live, { state: 'off-line' });
    metrics.set('tandem_bus_connected', cluster.busAlive ? 1 : 0);
    watchReplication(metrics, cluster, others);
    metrics.set('tandem_sip_server_connected', sipConnected() ? 1 : 0);
    const used = new Map<string, number>();
    for (const { name: resource, type, inUse, capacity, up } of resources.describe()) {
      used.set(type, (used.get(type) ?? 0) + inUse);
      metrics.set('tandem_media_resource_capacity', capacity, { resource, type });
      metrics.set('tandem_media_resource_in_use', inUse, { resource, type });
      metrics.set('tandem_media_resource_up', up ? 1 : 0, { resource, type });
    }
    for (const [type, inUse] of used) metrics.set('tandem_media_sessions', inUse, { type });
  });
}

/** One series for each configured node that was ever heard. */
export function watchReplication(metrics: Metrics, cluster: Cluster, others: readonly number[]): void {
  metrics.set('tandem_converged', cluster.converged ? 1 : 0);
  for (const node of others) {
    const known = cluster.peer(node);
    if (known === undefined) continue;
    const peer = { peer: String(node) };
    metrics.set('tandem_replication_peer_online', known.live ? 1 : 0, peer);
    metrics.set('tandem_replication_sequence', known.sequence, peer);
    metrics.set('tandem_replication_our_sequence', known.ourSequence, peer);
    metrics.set('tandem_replication_entries', known.entries, peer);
    metrics.set('tandem_replication_digest_equal', known.digestEqual ? 1 : 0, peer);
    metrics.set('tandem_replication_lag_seconds', known.lagMs / 1000, peer);
  }
}
