import type { CallControlDependencies, OtherNodes } from '../call-control';
import type { Bus } from '../cluster/bus';
import type { Cluster } from '../cluster/cluster';
import { MemoryBus, MemoryExchange } from '../cluster/memory/memory-bus';
import { RedisBus } from '../cluster/redis/redis-bus';
import type { TandemConfig } from '../config/types';
import { RegistrationInformationTable } from '../digit-analysis/table';
import { ParkSlots } from '../line/park-slots';
import type { ThisNode } from '../line/watches';
import type { Clock } from '../process/clock';
import type { HybridClock } from '../process/hlc';
import { formatPid } from '../process/pid';
import type { CompositeSet } from '../registration/composite-set';
import type { EntrySet } from '../registration/entry-set';
import type { Logger } from '../telemetry/logger';

/** The bus that the configuration names; without one a bus on which nobody else is. */
export function createBus(config: TandemConfig, clock: Clock, log: Logger): Bus {
  const { redis } = config.cluster;
  if (redis === undefined) return new MemoryBus(new MemoryExchange());
  return new RedisBus({
    ...redis,
    clock,
    onError: (error) => log.warn({ reason: error instanceof Error ? error.message : String(error) }, 'no connection'),
  });
}

/** The registration information table of a node, with what the configuration knows of numbers and routes. */
export function createTable(
  config: TandemConfig,
  node: number,
  set: CompositeSet,
  now: () => number,
): RegistrationInformationTable {
  return new RegistrationInformationTable({
    set,
    localNode: node,
    now,
    knownNumbers: [
      ...config.devices.flatMap(({ lines }) => lines),
      ...config.conferences.map(({ number }) => number),
      ...(config.autoRegistration?.numbers ?? []),
    ],
    usernames: new Map(config.devices.map(({ username, name }) => [username, name])),
    routes: config.routes,
    signalling: config.cluster.signalling,
  });
}

/** What the node directory says of another node. */
export function entryOf(
  cluster: Cluster,
  node: number,
): { readonly sipAddress: string; readonly boot: number; readonly live: boolean } | undefined {
  const peer = cluster.peer(node);
  return peer === undefined ? undefined : { sipAddress: peer.address, boot: peer.boot, live: peer.live };
}

/** The first process of its kind stands for the call control of a node. */
const CALL_CONTROL = 1;

/** The call control of the other nodes of the configuration. */
export function callControlOf(cluster: Cluster, others: readonly number[]): OtherNodes {
  return {
    live: () => others.filter((node) => entryOf(cluster, node)?.live === true),
    ask: async (node, question, deadlineMs) => {
      const entry = entryOf(cluster, node);
      if (entry === undefined) return undefined;
      const pid = formatPid({ node, type: 'cp', instance: CALL_CONTROL });
      return cluster.messenger.request({ pid, boot: entry.boot }, question, deadlineMs);
    },
  };
}

/** Where calls are parked, if the configuration has numbers for that. */
export function parkingOf(
  { park, nodes }: TandemConfig,
  self: ThisNode,
  entries: EntrySet,
  stamps: HybridClock,
): Pick<CallControlDependencies, 'parking'> {
  if (park === undefined) return {};
  const ids = nodes.map(({ id }) => id);
  const recallMs = park.recallSeconds === 0 ? undefined : park.recallSeconds * 1000;
  return { parking: { slots: new ParkSlots(self, park.slots, ids, entries, stamps), recallMs } };
}
