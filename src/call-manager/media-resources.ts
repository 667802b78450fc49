import { join } from 'node:path';
import type { NodeConfig, TandemConfig } from '../config/types';
import type { ResourceDeviceProcess } from '../media-resource/device-process';
import { prepareSilence } from '../media-resource/music';
import { openMusicLibrary } from '../media-resource/music-library';
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

/** Prepares the music and starts the device processes of the media resources that this node controls. */
export async function startMediaResources(parts: MediaResourceParts): Promise<ResourceProcesses> {
  const { config, node, boot, pids, clock, userAgent, localAddress, log, metrics } = parts;
  const directory = join(node.stateDir, 'music');
  const music = await openMusicLibrary({
    sources: config.musicSources,
    directory,
    clock,
    refused: (error) => log.error({ error }, 'a music source cannot be used'),
  });
  const silence = await prepareSilence(directory);
  const engineParts = { owner: `${config.cluster.name}-${node.id}`, localAddress, userAgent, clock, log, silence };
  return createResourceProcesses({
    clusterName: config.cluster.name,
    nodeId: node.id,
    boot,
    mediaResources: config.mediaResources,
    pids,
    clock,
    log,
    metrics,
    music,
    createEngine: (resource) => createMediaEngine(resource, engineParts),
    onHealth: (process, up) => healthChanged(parts, process, up),
  });
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
