import { RequestError } from '../admin/request-error';
import type {
  AdminSource,
  CallView,
  CommandOutcome,
  ConferenceOutcome,
  ConferenceView,
  MediaResourceView,
  ModeratorCommand,
  NodeView,
  RegistrationView,
} from '../admin/source';
import { type CallControl, type CallDetailRecord, type Conferences, isNamed, type Moderation } from '../call-control';
import type { Cluster } from '../cluster/cluster';
import type { TandemConfig } from '../config/types';
import type { RegistrationInformationTable } from '../digit-analysis/table';
import type { LineState } from '../line/line-states';
import { type LineSettings, type Settings, SettingsError } from '../line/settings';
import type { MediaResourceDescription, ResourceProcesses } from '../media-resource/resource-processes';
import type { CompositeSet } from '../registration/composite-set';
import type { DeviceManager } from '../registration/device-manager';
import type { Metrics } from '../telemetry/metrics';
import type { LineWatch } from './line-watch';
import type { Problems } from './problems';

/** How many calls that are over can still be asked for by id. */
const RECENT_CALLS = 200;

/** The records of the last calls that are over, so that they can still be explained. */
export class RecentCalls {
  private readonly records = new Map<string, CallDetailRecord>();

  readonly add = (record: CallDetailRecord): void => {
    this.records.set(record.pid, record);
    if (this.records.size <= RECENT_CALLS) return;
    const oldest = this.records.keys().next();
    if (oldest.done !== true) this.records.delete(oldest.value);
  };

  /** `id`: as with `CallControl.call`. */
  get(id: string): CallDetailRecord | undefined {
    return this.records.get(id) ?? [...this.records.values()].find((record) => isNamed(record, id));
  }
}

export interface AdminViewParts {
  readonly config: TandemConfig;
  readonly node: number;
  readonly boot: number;
  readonly composite: CompositeSet;
  readonly table: RegistrationInformationTable;
  readonly devices: DeviceManager;
  readonly cluster: Cluster;
  readonly calls: CallControl;
  readonly conferences: Conferences;
  readonly moderation: Moderation;
  readonly recentCalls: RecentCalls;
  readonly settings: Settings;
  readonly lineWatch: LineWatch;
  readonly resources: ResourceProcesses;
  readonly sipAddress: string;
  readonly now: () => number;
  /** As `Devices.homes`. */
  readonly homes: () => ReadonlyMap<string, number | undefined>;
}

/** What can be told of a node from the first moment on. */
export interface NodeHealth {
  readonly metrics: Metrics;
  readonly problems: Problems;
  readonly notReady: () => readonly string[];
}

/** What the API shows of this node. */
export class AdminView implements AdminSource {
  private built: AdminViewParts | undefined;

  constructor(private readonly health: NodeHealth) {}

  /** The node runs: all else can be shown too. */
  show(parts: AdminViewParts): void {
    this.built = parts;
  }

  private get parts(): AdminViewParts {
    if (this.built === undefined) throw new RequestError(503, 'this node is starting: /readyz says what it waits for');
    return this.built;
  }

  *registrations(): Iterable<RegistrationView> {
    yield* this.parts.table.entries();
  }

  *nodes(): Iterable<NodeView> {
    const { config, node, boot, cluster, composite, sipAddress, now } = this.parts;
    const { problems } = this.health;
    const homes = [...this.parts.homes()];
    for (const { id, name, site, capacity } of config.nodes) {
      const place = { capacity, homeOf: homes.flatMap(([of, home]) => (home === id ? [of] : [])) };
      if (id === node) {
        const state = cluster.busAlive ? 'on-line' : 'alone';
        const own = { node: id, name, site, self: true, state: 'on-line', boot, address: sipAddress } as const;
        yield {
          ...own,
          ...place,
          registrations: composite.count(id, 'station'),
          lastHeardAt: now(),
          problems: problems.texts(undefined),
          ...{ bus: state, converged: cluster.converged },
        };
        continue;
      }
      const peer = cluster.peer(id);
      yield {
        node: id,
        name,
        site,
        self: false,
        ...place,
        state: peer === undefined ? 'unknown' : peer.live ? 'on-line' : 'off-line',
        boot: peer?.boot,
        address: peer?.address,
        registrations: composite.count(id, 'station'),
        lastHeardAt: peer?.heardAt,
        problems: problems.texts(id),
        ...(peer === undefined ? {} : { replication: replicationOf(peer) }),
      };
    }
  }

  *calls(): Iterable<CallView> {
    yield* this.parts.calls.calls();
  }

  call(id: string): CallView | undefined {
    const call = this.parts.calls.call(id);
    if (call !== undefined) return call;
    const record = this.parts.recentCalls.get(id);
    return record === undefined ? undefined : recordView(record);
  }

  *mediaResources(): Iterable<MediaResourceView> {
    const { config, node, devices, resources, cluster } = this.parts;
    const own = new Map(resources.describe().map((resource) => [resource.name, resource]));
    for (const { name, type, engine, node: owner, site, capacity } of config.mediaResources) {
      const place = devices.newest(name);
      const here = own.get(name);
      const common = { name, type, engine, node: owner, site, capacity, pid: place?.pid, boot: place?.boot };
      if (owner === node) {
        const up = here?.up === true;
        const why = here === undefined ? 'engine is not supported' : 'engine does not answer';
        yield {
          ...common,
          inUse: here?.inUse ?? 0,
          state: up ? 'up' : 'down',
          ...(up ? {} : { reason: why }),
          ...detail(here),
        };
      } else {
        const live = cluster.peer(owner)?.live === true;
        const reason = live ? 'not registered by its node' : 'its node is off-line';
        yield { ...common, inUse: undefined, state: place === undefined ? 'down' : 'up', ...(place ? {} : { reason }) };
      }
    }
  }

  *conferences(): Iterable<ConferenceView> {
    yield* this.parts.conferences.views();
  }

  conference(number: string): Promise<ConferenceOutcome> {
    return this.parts.moderation.show(number);
  }

  moderate(number: string, command: ModeratorCommand): Promise<CommandOutcome> {
    return this.parts.moderation.control(number, command);
  }

  settings(line: string): LineSettings | undefined {
    const { config, settings } = this.parts;
    const known =
      config.devices.some(({ lines }) => lines.includes(line)) ||
      config.numbers.some(({ number }) => number === line) ||
      this.givenNumberTo(line) !== undefined;
    return known ? settings.get(line) : undefined;
  }

  set(line: string, change: unknown): string | undefined {
    try {
      this.parts.settings.set(line, change);
      return undefined;
    } catch (error) {
      if (error instanceof SettingsError) return error.message;
      throw error;
    }
  }

  lineState(line: string): Promise<readonly LineState[]> {
    return this.parts.lineWatch.state(line);
  }

  explain(from: string, to: string): object | undefined {
    const { config, table } = this.parts;
    const device = config.devices.find(({ name, lines }) => name === from || lines.includes(from));
    const gateway = device === undefined ? config.gateways.find(({ name }) => name === from) : undefined;
    const caller = device?.name ?? gateway?.name ?? this.givenNumberTo(from);
    return caller === undefined ? undefined : table.explain(to, caller, gateway !== undefined);
  }

  /** The name of a device that is not configured, by its name or the number that it was given, here or at another node. */
  private givenNumberTo(from: string): string | undefined {
    for (const { record } of this.parts.composite.all())
      if (record.assignment !== undefined && (record.device === from || record.lines.includes(from)))
        return record.device;
    return undefined;
  }

  metricsText(): Promise<string> {
    return this.health.metrics.text();
  }

  alive(): boolean {
    return true;
  }

  notReady(): readonly string[] {
    return this.health.notReady();
  }

  problems(): readonly string[] {
    return this.health.problems.texts();
  }

  converged(): boolean {
    return this.built?.cluster.converged === true;
  }
}

/** What only the node that controls a resource knows. */
function detail(here: MediaResourceDescription | undefined): object {
  if (here === undefined) return {};
  const { control, draining, leases, answeredAt } = here;
  return { control, draining, leases, answeredAt };
}

function replicationOf(peer: {
  sequence: number;
  ourSequence: number;
  entries: number;
  digestEqual: boolean;
  lagMs: number;
  stale: boolean;
}): object {
  const { sequence, ourSequence, entries, digestEqual, lagMs, stale } = peer;
  return { sequence, ourSequence, entries, digestEqual, lagMs, stale };
}

function recordView(record: CallDetailRecord): CallView {
  const { pid, callerDevice, calleeDevice, ...rest } = record;
  return { ...rest, id: pid, state: 'ended', from: callerDevice, to: calleeDevice };
}
