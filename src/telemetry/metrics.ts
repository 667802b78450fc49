import { performance } from 'node:perf_hooks';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

interface Declaration {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds, in seconds. */
  readonly buckets?: readonly number[];
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;

/**
 * Every metric of Tandem. Labels hold words of a small fixed set (results, reasons, states) or numbers of configured
 * nodes (`peer`), never names of devices or anything else that is received: each new value would be a new series for ever.
 */
export const METRICS = {
  tandem_registrations: { type: 'gauge', help: 'Registrations known to this node', labels: ['where'] },
  tandem_register_total: { type: 'counter', help: 'REGISTER requests answered', labels: ['result'] },
  tandem_auto_registrations_total: {
    type: 'counter',
    help: 'REGISTERs of devices that are not configured, by what became of their number',
    labels: ['result'],
  },
  tandem_registrations_removed_total: { type: 'counter', help: 'Local registrations removed', labels: ['reason'] },
  tandem_polls_total: { type: 'counter', help: 'OPTIONS to phones', labels: ['result'] },
  tandem_poll_backlog: { type: 'gauge', help: 'Phones whose poll is due and not yet begun', labels: [] },
  tandem_auth_failures_total: { type: 'counter', help: 'Digest authentications that failed', labels: ['reason'] },
  tandem_stale_cseq_total: { type: 'counter', help: 'REGISTERs out of order, refused', labels: [] },
  tandem_sip_refused_total: { type: 'counter', help: 'SIP requests refused before call control', labels: ['reason'] },
  tandem_node_signatures_total: { type: 'counter', help: 'Signed requests of nodes checked', labels: ['result'] },
  tandem_calls: { type: 'gauge', help: 'Calls in progress', labels: [] },
  tandem_conferences: { type: 'gauge', help: 'Conferences in progress at this node', labels: [] },
  tandem_conference_members: { type: 'gauge', help: 'Participants of conferences at this node', labels: [] },
  tandem_conferences_locked: { type: 'gauge', help: 'Conferences at this node that let nobody in', labels: [] },
  tandem_conference_members_muted: {
    type: 'gauge',
    help: 'Participants at this node that a moderator has muted',
    labels: [],
  },
  tandem_conference_commands_total: {
    type: 'counter',
    help: 'Commands of moderators that were given to this node',
    labels: ['command', 'result'],
  },
  tandem_calls_total: { type: 'counter', help: 'Calls that ended', labels: ['result'] },
  tandem_invite_seconds: {
    type: 'histogram',
    help: 'From an INVITE to its final answer',
    labels: ['result'],
    buckets: [...SECONDS, 60, 180],
  },
  tandem_digit_analysis_total: { type: 'counter', help: 'Dialled numbers analysed', labels: ['result'] },
  tandem_not_mine_total: { type: 'counter', help: 'Signals to a device process that was gone', labels: ['direction'] },
  tandem_cluster_peers: { type: 'gauge', help: 'Other nodes', labels: ['state'] },
  tandem_cluster_transitions_total: { type: 'counter', help: 'Nodes that went on-line or off-line', labels: ['to'] },
  tandem_bus_connected: { type: 'gauge', help: '1 while the bus between nodes works', labels: [] },
  tandem_bus_messages_total: { type: 'counter', help: 'Messages over the bus', labels: ['result'] },
  tandem_converged: { type: 'gauge', help: '1 while all tables are known to be equal', labels: [] },
  tandem_replication_peer_online: { type: 'gauge', help: '1 while the other node is on-line', labels: ['peer'] },
  tandem_replication_sequence: { type: 'gauge', help: 'Last change of the other node, as it says', labels: ['peer'] },
  tandem_replication_our_sequence: { type: 'gauge', help: 'Last change of it that is here', labels: ['peer'] },
  tandem_replication_entries: { type: 'gauge', help: 'Entries of the other node here', labels: ['peer'] },
  tandem_replication_digest_equal: { type: 'gauge', help: '1 while our copy has its digest', labels: ['peer'] },
  tandem_replication_lag_seconds: {
    type: 'gauge',
    help: 'For how long our copy has not been known to equal its entries',
    labels: ['peer'],
  },
  tandem_replication_deltas_total: { type: 'counter', help: 'Registration changes', labels: ['direction'] },
  tandem_replication_delay_seconds: {
    type: 'histogram',
    help: 'From the stamp of a registration at its node to its standing here; the difference of the clocks is in it',
    labels: [],
    buckets: [0.001, 0.002, 0.003, 0.005, 0.0075, ...SECONDS.slice(3)],
  },
  tandem_replication_pulls_total: { type: 'counter', help: 'Pieces of snapshots asked of other nodes', labels: [] },
  tandem_replication_purged_total: { type: 'counter', help: 'Entries dropped because their node went', labels: [] },
  tandem_media_allocations_total: {
    type: 'counter',
    help: 'Media resources asked for; of a refused one the reason that matters most',
    labels: ['type', 'outcome', 'reason'],
  },
  tandem_media_resource_capacity: {
    type: 'gauge',
    help: 'Sessions that a media resource of this node may have',
    labels: ['resource', 'type'],
  },
  tandem_media_resource_in_use: {
    type: 'gauge',
    help: 'Sessions that a media resource of this node has',
    labels: ['resource', 'type'],
  },
  tandem_media_resource_up: {
    type: 'gauge',
    help: '1 while the engine of a media resource of this node answers',
    labels: ['resource', 'type'],
  },
  tandem_media_sessions: { type: 'gauge', help: 'Media resource sessions leased here', labels: ['type'] },
  tandem_media_allocation_seconds: {
    type: 'histogram',
    help: 'From the need of a media resource to the decision',
    labels: ['type'],
    buckets: SECONDS,
  },
  tandem_media_leases_expired_total: { type: 'counter', help: 'Leases that ran out', labels: ['type'] },
  tandem_media_source_failures_total: {
    type: 'counter',
    help: 'Failures of players that several held parties share, by music server',
    labels: ['resource'],
  },
  tandem_sip_server_connected: { type: 'gauge', help: '1 while the SIP server is connected', labels: [] },
  tandem_sip_server_silent_total: {
    type: 'counter',
    help: 'Times that the SIP server did not answer',
    labels: [],
  },
  tandem_sip_server_restarts_total: { type: 'counter', help: 'Restarts of the embedded SIP server', labels: [] },
  tandem_problem: {
    type: 'gauge',
    help: '1 while something is wrong that an operator should know: docs/operations.md has the kinds; peer: the other node concerned',
    labels: ['problem', 'peer'],
  },
  tandem_event_loop_busy: {
    type: 'gauge',
    help: 'Share of its time that the event loop works, since the metrics were asked for the last time',
    labels: [],
  },
  tandem_errors_total: { type: 'counter', help: 'Errors that should not happen, by room', labels: ['room'] },
} as const satisfies Record<string, Declaration>;

type Table = typeof METRICS;
type NameOf<Type extends Declaration['type']> = {
  [Name in keyof Table]: Table[Name]['type'] extends Type ? Name : never;
}[keyof Table];

export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;
/** Exactly the labels that the table declares. */
export type LabelsOf<Name extends keyof Table> = Readonly<Record<Table[Name]['labels'][number], string>>;
/** The labels may be left out where there are none. */
type Labels<Name extends keyof Table> = Table[Name]['labels'][number] extends never ? [] : [labels: LabelsOf<Name>];

/** What rooms measure with. Names and labels are checked by the compiler. Never throws. */
export interface Metrics {
  /** Adds one. */
  count<Name extends CounterName>(name: Name, ...labels: Labels<Name>): void;
  /** Adds `amount`, 0 or more. */
  add<Name extends CounterName>(name: Name, amount: number, ...labels: Labels<Name>): void;
  set<Name extends GaugeName>(name: Name, value: number, ...labels: Labels<Name>): void;
  observe<Name extends HistogramName>(name: Name, seconds: number, ...labels: Labels<Name>): void;
  /** Calls `read` whenever the metrics are asked for, so that a gauge need not be kept up at every change. */
  onCollect(read: () => void): void;
  /** Everything, in the text format of Prometheus. */
  text(): Promise<string>;
}

/** So often the library would wake the process up to see how late it wakes up; an hour: never. */
const LAG_PRECISION_MS = 3_600_000;
/** What it makes of that. */
const LAG_STATISTICS = ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];

/**
 * Those of the library, without its histogram of the event loop's delay: that costs a hundred wake-ups a second, more than all else that
 * a node with nothing to do does. `nodejs_eventloop_lag_seconds`, of the moment, stays.
 */
function collectOfProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_PRECISION_MS });
  for (const statistic of LAG_STATISTICS) registry.removeSingleMetric(`nodejs_eventloop_lag_${statistic}_seconds`);
}

/** Metrics in a registry of their own; with those of the process too, unless `process` is false. */
export function createMetrics(options: { readonly node?: number; readonly process?: boolean } = {}): Metrics {
  const registry = new Registry();
  if (options.node !== undefined) registry.setDefaultLabels({ node: String(options.node) });
  if (options.process !== false) collectOfProcess(registry);
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, declared] of Object.entries<Declaration>(METRICS)) {
    const common = { name, help: declared.help, labelNames: [...declared.labels], registers: [registry] };
    if (declared.type === 'counter') counters.set(name, new Counter(common));
    else if (declared.type === 'gauge') gauges.set(name, new Gauge(common));
    else histograms.set(name, new Histogram({ ...common, buckets: [...(declared.buckets ?? SECONDS)] }));
  }
  const readers: (() => void)[] = [];
  let lastAsked = performance.eventLoopUtilization();
  return {
    count: (name, ...labels) => counters.get(name)?.inc({ ...labels[0] }, 1),
    add: (name, amount, ...labels) => {
      if (amount >= 0 && Number.isFinite(amount)) counters.get(name)?.inc({ ...labels[0] }, amount);
    },
    set: (name, value, ...labels) => {
      if (Number.isFinite(value)) gauges.get(name)?.set({ ...labels[0] }, value);
    },
    observe: (name, seconds, ...labels) => {
      if (Number.isFinite(seconds)) histograms.get(name)?.observe({ ...labels[0] }, seconds);
    },
    onCollect: (read) => void readers.push(read),
    text: async () => {
      for (const read of readers) read();
      const now = performance.eventLoopUtilization();
      gauges.get('tandem_event_loop_busy')?.set(performance.eventLoopUtilization(now, lastAsked).utilization);
      lastAsked = now;
      return registry.metrics();
    },
  };
}

/** Measures nothing; for tests and tools. */
export const silentMetrics: Metrics = {
  count: () => undefined,
  add: () => undefined,
  set: () => undefined,
  observe: () => undefined,
  onCollect: () => undefined,
  text: () => Promise.resolve(''),
};
