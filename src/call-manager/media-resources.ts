import { join } from 'node:path';
import { isLoopback } from '../process/address';
import type { MediaResourceConfig, NodeConfig, TandemConfig } from '../config/types';
import type { ResourceDeviceProcess } from '../media-resource/device-process';
import { prepareSilence, silenceIn } from '../media-resource/music';
import { openMusicLibrary } from '../media-resource/music-library';
import { OrphanedSessions } from '../media-resource/orphaned-sessions';
import type { MediaEngine } from '../media-resource/ports';
import { createResourceProcesses, type ResourceProcesses } from '../media-resource/resource-processes';
import type { Clock } from '../process/clock';
import type { HybridClock } from '../process/hlc';
import type { PidAllocator } from '../process/pid';
import type { CompositeSet } from '../registration/composite-set';
import type { UserAgent } from '../sip/user-agent';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { createMediaEngine } from './media-engines';

/** What the media resources of a node are made of. */
export interface MediaResourceParts {
  readonly config: TandemConfig;
  readonly node: NodeConfig;
  /** Incarnation of the node. */
  readonly boot: number;
  readonly pids: PidAllocator;
  readonly clock: Clock;
  readonly stamps: HybridClock;
  /** Where a resource stands while its engine works. */
  readonly composite: CompositeSet;
  readonly userAgent: UserAgent;
  /** Our address for SIP towards engines. */
  readonly localAddress: string;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface MediaResources {
  /** Of the resources that this node controls. */
  readonly processes: ResourceProcesses;
  /** Of resources whose node is lost. */
  readonly orphans: OrphanedSessions;
}

/** Prepares the music and starts the device processes of the media resources that this node controls. */
export async function startMediaResources(parts: MediaResourceParts): Promise<MediaResources> {
  const { config, node, boot, pids, clock, userAgent, localAddress, log, metrics } = parts;
  const { mediaResources } = config;
  const clusterName = config.cluster.name;
  const directory = node.musicDir ?? join(node.stateDir, 'music');
  const music = await openMusicLibrary({
    sources: config.musicSources,
    directory,
    clock,
    refused: (error) => log.error({ error }, 'a music source cannot be used'),
  });
  const silence = await prepareSilence(directory).catch((error: unknown) => {
    log.error(
      { error },
      'the silence that opens a conference cannot be written: participants of janus may hear nothing',
    );
    return silenceIn(directory);
  });
  const engineParts = { clusterName, localAddress, userAgent, clock, log, metrics, silence };
  const createEngine = (resource: MediaResourceConfig): MediaEngine | undefined =>
    createMediaEngine(resource, engineParts);
  const orphans = new OrphanedSessions({
    clusterName,
    mediaResources,
    createEngine: (resource) => (isReachable(resource, parts) ? createEngine(resource) : undefined),
    clock,
    log,
  });
  const processes = createResourceProcesses({
    clusterName,
    nodeId: node.id,
    boot,
    mediaResources,
    pids,
    clock,
    log,
    metrics,
    music,
    createEngine,
    onHealth: (process, up) => healthChanged(parts, process, up),
  });
  return { processes, orphans };
}

function hostsOf({ listen, address, drachtio }: NodeConfig): readonly string[] {
  const others = [address, drachtio === 'embedded' ? undefined : drachtio.host];
  return [...listen.map((listener) => listener.address), ...others.filter((host) => host !== undefined)];
}

/** Engines with a loopback address are on the machine of their node: on ours the same address leads to another engine. */
function isReachable(
  { control, rtpengine, eventSocket, node: id }: MediaResourceConfig,
  parts: MediaResourceParts,
): boolean {
  const addresses = [control, rtpengine, eventSocket].flatMap((place) => (place === undefined ? [] : [place.address]));
  if (!addresses.some(isLoopback)) return true;
  const other = parts.config.nodes.find((candidate) => candidate.id === id);
  const ours = hostsOf(parts.node);
  return other !== undefined && hostsOf(other).some((host) => ours.includes(host));
}

/** A media resource is a device like others: it is registered while its engine works. */
function healthChanged(parts: MediaResourceParts, process: ResourceDeviceProcess, up: boolean): void {
  const { composite, node, boot, stamps } = parts;
  const { name, control } = process.resource;
  const key = `media-resource:${name}`;
  if (!up) {
    composite.delete(node.id, key, 'unreachable');
    return;
  }
  const address = `${control.protocol}:${control.address}:${control.port}`;
  composite.put(node.id, {
    key,
    kind: 'media-resource',
    device: name,
    lines: [],
    instance: name,
    pid: process.pid,
    boot,
    contact: address,
    address,
    stamp: stamps.next(),
    expiresAt: 0,
  });
}
