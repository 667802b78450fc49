import { Conferences, type ConferencesOptions, Moderation } from '../call-control';
import type { Cluster } from '../cluster/cluster';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';

/** What the conferences of a node are made of. */
export interface ConferenceParts extends Omit<ConferencesOptions, 'settled' | 'refreshSeconds' | 'log'> {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly cluster: Cluster;
}

/** The conferences of this node, and what moderators do with those of any node. */
export function createConferences(parts: ConferenceParts): {
  readonly conferences: Conferences;
  readonly moderation: Moderation;
} {
  const { cluster, metrics, ...common } = parts;
  const conferences = new Conferences({ ...common, settled: () => cluster.converged });
  const { config, composite, boot } = common;
  const moderation = new Moderation({
    composite,
    messenger: cluster.messenger,
    numbers: new Set(config.conferences.map(({ number }) => number)),
    find: (pid) => conferences.withPid(pid),
    boot,
    onCommand: (command, result) => metrics.count('tandem_conference_commands_total', { command, result }),
  });
  return { conferences, moderation };
}
