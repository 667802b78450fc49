import type { MediaResourceConfig } from '../config/types';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import type { Clock } from '../process/clock';
import type { PidAllocator } from '../process/pid';
import { type LeaseDescription, ResourceDeviceProcess } from './device-process';
import type { MusicLibrary } from './music-library';
import { EngineSupervisor } from './engine-supervisor';
import type { MediaEngine, ResourceReply } from './ports';
import { readRequest } from './validation';

export interface ResourceProcessesOptions {
  readonly clusterName: string;
  readonly nodeId: number;
  /** Incarnation of this node. */
  readonly boot: number;
  /** The whole cluster's; those that another node controls are left out. */
  readonly mediaResources: readonly MediaResourceConfig[];
  readonly pids: PidAllocator;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly music: MusicLibrary;
  /** One engine for each control address; undefined: a product that is not supported. */
  readonly createEngine: (resource: MediaResourceConfig) => MediaEngine | undefined;
  /** The engine of a device began or ceased to serve: its record is to be registered or removed. */
  readonly onHealth: (process: ResourceDeviceProcess, up: boolean) => void;
}

/** One row of `GET /api/media-resources`. */
export interface MediaResourceDescription {
  readonly name: string;
  readonly type: string;
  readonly engine: string;
  readonly control: string;
  readonly site: string | undefined;
  readonly node: number;
  readonly pid: string;
  readonly up: boolean;
  /** When its engine last said that it lives; undefined: never. */
  readonly answeredAt: number | undefined;
  readonly draining: boolean;
  readonly capacity: number;
  readonly inUse: number;
  readonly leases: readonly LeaseDescription[];
}

/** The device processes of all media resources that this node controls. */
export interface ResourceProcesses {
  readonly processes: readonly ResourceDeviceProcess[];
  /** A message to the process `pid` of the incarnation `boot`, from here or from another node. Never rejects. */
  handle(target: { readonly pid: string; readonly boot: number }, body: unknown): Promise<ResourceReply>;
  describe(): readonly MediaResourceDescription[];
  drain(): void;
  /** Ends every session and closes the engines. */
  stop(): Promise<void>;
}

function controlOf(resource: MediaResourceConfig): string {
  const { protocol, address, port } = resource.control;
  return `${protocol}:${address}:${port}`;
}

function escaped(text: string): string {
  return text.replace(/[^\w]/g, '\\$&');
}

interface Group {
  readonly engine: MediaEngine;
  readonly resources: readonly MediaResourceConfig[];
}

/**
 * Resources that share a control address share the engine: one connection, one heartbeat, one audit. What is said of music is said with
 * one for music.
 */
function groupByEngine(options: ResourceProcessesOptions): readonly Group[] {
  const groups = new Map<string, MediaResourceConfig[]>();
  for (const resource of options.mediaResources.filter((candidate) => candidate.node === options.nodeId)) {
    const key = `${resource.engine} ${controlOf(resource)}`;
    groups.set(key, [...(groups.get(key) ?? []), resource]);
  }
  return [...groups.values()].flatMap((resources): readonly Group[] => {
    const [first] = [...resources.filter(({ type }) => type === 'moh'), ...resources];
    const engine = first === undefined ? undefined : options.createEngine(first);
    if (engine !== undefined) return [{ engine, resources }];
    for (const { name: resource, engine: product } of resources)
      options.log.warn({ resource }, `media engine ${product} is not supported: resource left out`);
    return [];
  });
}

/** Starts the processes; each is registered (through `onHealth`) when its engine first answers. */
export function createResourceProcesses(options: ResourceProcessesOptions): ResourceProcesses {
  const { clusterName, nodeId, boot, clock, log, metrics, music, pids } = options;
  let sessions = 0;
  const newSession = (): string => `${clusterName}-${nodeId}-${boot}-${++sessions}`;
  // An engine may name sessions that it needs besides after one of ours: that of a lease, and `-music1`.
  const ours = new RegExp(`^${escaped(clusterName)}-${nodeId}-\\d+-\\d+(-music\\d+)?$`);

  const groups = groupByEngine(options).map(({ engine, resources }) => {
    const processes = resources.map(
      (resource) =>
        new ResourceDeviceProcess({
          resource,
          newPid: () => pids.allocate('mp'),
          engine,
          clock,
          log,
          metrics,
          newSession,
          music,
        }),
    );
    const isOurs = (session: string): boolean => ours.test(session);
    const supervisor = new EngineSupervisor({ engine, processes, clock, log, isOurs, onHealth: options.onHealth });
    return { engine, processes, supervisor };
  });
  const processes = groups.flatMap((group) => group.processes);
  for (const { supervisor } of groups) supervisor.start();

  return {
    processes,
    async handle(target, body) {
      const process = target.boot === boot ? processes.find((candidate) => candidate.pid === target.pid) : undefined;
      if (process === undefined) return { ok: false, reason: 'unknown-process' };
      const request = readRequest(body);
      return request === undefined ? { ok: false, reason: 'bad-request' } : process.handle(request);
    },
    describe: () =>
      groups.flatMap(({ processes: served, supervisor: { answeredAt } }) =>
        served.map((process) => {
          const { name, type, engine, site, capacity } = process.resource;
          const control = controlOf(process.resource);
          const { pid, up } = process;
          const common = { name, type, engine, control, site, node: nodeId, pid, up, answeredAt, capacity };
          return { ...common, ...process.describe() };
        }),
      ),
    drain() {
      for (const process of processes) process.drain();
    },
    async stop() {
      for (const { supervisor } of groups) supervisor.stop();
      await Promise.all(processes.map((process) => process.stop()));
      for (const { engine } of groups) engine.close();
    },
  };
}
