import { CallControl, LineView, type Conferences } from '../call-control';
import type { Cluster } from '../cluster/cluster';
import type { NodeConfig, TandemConfig } from '../config/types';
import { ClaimFile } from '../device/auto-registration-store';
import { Devices } from '../device/devices';
import { connectedHeaders } from '../device/outgoing';
import { LineStates } from '../line/line-states';
import { Lines } from '../line/lines';
import { Settings } from '../line/settings';
import { Watches } from '../line/watches';
import { chooseCodecPolicy } from '../media-control';
import { createMediaResourceManager } from '../media-resource/manager';
import { chooseMusicSource } from '../media-resource/music-choice';
import type { OrphanedSessions } from '../media-resource/orphaned-sessions';
import type { ResourceProcesses } from '../media-resource/resource-processes';
import type { Clock } from '../process/clock';
import type { ClockOffsets } from '../process/clock-offsets';
import type { HybridClock } from '../process/hlc';
import { parsePid, PidAllocator } from '../process/pid';
import type { CompositeSet } from '../registration/composite-set';
import type { EntrySet } from '../registration/entry-set';
import type { DeviceManager } from '../registration/device-manager';
import { RegistrationJournal } from '../registration/journal';
import { addressPair } from '../sdp';
import type { ListenAddress, UserAgent } from '../sip/user-agent';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { type AdminView, RecentCalls } from './admin-view';
import { createConferences } from './conferences';
import { gatewayLocator } from './gateway-locator';
import { LineWatch } from './line-watch';
import { callControlOf, createTable, entryOf, parkingOf } from './makers';
import { countCalls, watchGauges } from './measurements';
import { startMediaResources } from './media-resources';
import type { Problems } from './problems';
import type { SipServerProcess } from './sip-server-process';
import { persistenceAdvice } from './watch';
import { startWatching, type Watching } from './watching';

/** Everything of one node that is made when its incarnation is known. */
export interface Parts {
  readonly devices: Devices;
  readonly calls: CallControl;
  readonly conferences: Conferences;
  readonly resources: ResourceProcesses;
  readonly orphans: OrphanedSessions;
  readonly journal: RegistrationJournal;
  readonly watching: Watching;
  readonly settings: Settings;
  readonly watches: Watches;
  readonly lineStates: LineStates;
  readonly lineWatch: LineWatch;
}

/** What a node has before it knows its incarnation. */
export interface Foundations {
  readonly config: TandemConfig;
  /** Node number. */
  readonly node: number;
  readonly nodeConfig: NodeConfig;
  readonly boot: number;
  /** The other nodes of the configuration. */
  readonly others: readonly number[];
  readonly cluster: Cluster;
  /** Our own, for SIP from other nodes. */
  readonly sipAddress: string;
  readonly host: string;
  /** What the SIP server listens on now; empty: it is not connected. */
  readonly listen: () => readonly ListenAddress[];
  readonly sipServer: SipServerProcess;
  readonly userAgent: UserAgent;
  readonly composite: CompositeSet;
  readonly entries: EntrySet;
  readonly deviceManager: DeviceManager;
  readonly stamps: HybridClock;
  readonly clock: Clock;
  readonly clockOffsets: ClockOffsets;
  readonly problems: Problems;
  readonly view: AdminView;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** Makes them, each with what it needs of the others, and starts them. */
export async function buildParts(foundations: Foundations): Promise<Parts> {
  const { config, node, nodeConfig, boot, others, cluster, sipAddress, host, listen, sipServer, userAgent } =
    foundations;
  const { composite, entries, deviceManager, stamps, clock, clockOffsets, problems, view, log, metrics } = foundations;
  const pids = new PidAllocator(node);
  const table = createTable(config, node, composite, () => clock.now());
  const { stateDir } = nodeConfig;
  const journal = await RegistrationJournal.open({
    directory: stateDir,
    identity: { cluster: config.cluster.name, node },
    clock,
    log,
    onTrouble: (reason) => problems.set('journal', reason && persistenceAdvice(reason)),
  });
  cluster.keepGraves(journal);
  const givenNumbers = new ClaimFile(stateDir, log, config.cluster.name);
  const { processes: resources, orphans } = await startMediaResources({
    config,
    node: nodeConfig,
    boot,
    pids,
    clock,
    stamps,
    composite,
    userAgent,
    localAddress: host,
    log,
    metrics,
  });
  const manager = createMediaResourceManager({
    config,
    directory: {
      find: (device) => deviceManager.newest(device),
      onGone: (listener) => deviceManager.onGone(listener),
      isLive: (other) => other === node || entryOf(cluster, other)?.live === true,
    },
    messenger: cluster.messenger,
    clock,
    log,
    clusterName: config.cluster.name,
    nodeId: node,
    boot,
    metrics,
    endOrphan: (device, session) => orphans.end(device, session),
  });
  const nodes = { find: (other: number) => entryOf(cluster, other) };
  const { conferences, moderation } = createConferences({
    config,
    node,
    boot,
    composite,
    nodes,
    resources: manager,
    clock,
    pids,
    stamps,
    log,
    metrics,
    cluster,
  });
  const recentCalls = new RecentCalls();
  const lines = new Lines(config);
  const settings = new Settings(entries, stamps);
  const watches = new Watches({ node, boot }, entries, stamps);
  const lineStates = new LineStates({ node, boot }, entries, stamps, watches, composite);
  const lineView = new LineView(
    (line, own) => lineStates.publish(line, own),
    () => clock.now(),
    (line) => lines.of(line)?.privacy === true,
  );
  const lineWatch = new LineWatch(watches, lineStates, clock);
  const devices: Devices = new Devices({
    config,
    lines,
    node,
    boot,
    userAgent,
    clock,
    composite,
    nodes,
    journal,
    locate: gatewayLocator(clock),
    givenNumbers,
    pids,
    stamps,
    log,
    metrics,
    onCall: (call) => calls.incoming(call),
    otherProcesses: conferences,
    clockOffsetOf: (other) => clockOffsets.of(other),
    inCalls: () => new Set(calls.calls().flatMap(({ id }) => calls.call(id)?.legs.map(({ device }) => device) ?? [])),
    ...(sipServer.flows === undefined ? {} : { flows: sipServer.flows }),
  });
  const calls: CallControl = new CallControl({
    digitAnalysis: {
      analyse: (dialled, about) => {
        const analysis = table.analyse(dialled, about);
        metrics.count('tandem_digit_analysis_total', { result: analysis.type });
        return analysis;
      },
    },
    router: devices.router,
    lines,
    featureCodes: config.featureCodes,
    ...parkingOf(config, { node, boot }, entries, stamps),
    otherNodes: callControlOf(cluster, others),
    adHocConference: () => conferences.adHoc(),
    resources: manager,
    clock,
    pids,
    boot,
    log,
    hooks: { ...countCalls(metrics), changed: lineView.follow },
    onRecord: recentCalls.add,
    mediaAddress: addressPair([host, ...listen().map(({ address }) => address)]),
    onStaleEntry: (other) => cluster.refute(other),
    locations: deviceManager,
    surviveMs: config.cluster.surviveSeconds * 1000,
    isOurs: (name, context) => (name === '' || devices.domain.hasHost(name)) && devices.domain.hasContext(context),
    connectedAs: (party, { kind }, as) =>
      kind === 'station' || kind === 'gateway' ? connectedHeaders(party, devices.domain.name, kind, as) : {},
    musicSourceOf: (holder) => chooseMusicSource(config, holder),
    codecPolicyOf: (caller, callee) => chooseCodecPolicy(config, caller, callee),
  });
  cluster.messenger.onRequest((pid, target, body) => {
    const process = { pid, boot: target };
    switch (parsePid(pid)?.type) {
      case 'cf':
        return moderation.handle(process, body);
      case 'cp':
        return Promise.resolve(target === boot ? calls.answer(body) : undefined);
      default:
        return resources.handle(process, body);
    }
  });
  devices.start(listen());
  conferences.start();
  watchGauges(metrics, {
    node,
    others,
    composite,
    cluster,
    calls,
    conferences,
    resources,
    sipConnected: () => listen().length > 0,
  });
  view.show({
    config,
    node,
    boot,
    composite,
    table,
    devices: deviceManager,
    cluster,
    calls,
    conferences,
    moderation,
    recentCalls,
    settings,
    lineWatch,
    resources,
    sipAddress,
    now: () => clock.now(),
    homes: () => devices.homes(),
  });
  const watching = startWatching({
    config,
    others,
    cluster,
    userAgent,
    sipConnected: () => listen().length > 0,
    sipServer: () => sipServer.pid,
    mendGivenNumbers: () => givenNumbers.mend(),
    clock,
    problems,
  });
  return {
    devices,
    calls,
    conferences,
    resources,
    orphans,
    journal,
    watching,
    settings,
    watches,
    lineStates,
    lineWatch,
  };
}
