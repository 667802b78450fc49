import { mkdir } from 'node:fs/promises';
import { startAdmin, type AdminServer } from '../admin/server';
import { Cluster } from '../cluster/cluster';
import type { NodeConfig, TandemConfig } from '../config/types';
import type { Devices } from '../device/devices';
import { systemClock } from '../process/clock';
import { ClockOffsets } from '../process/clock-offsets';
import { ConfigurationError } from '../process/exit';
import { HybridClock } from '../process/hlc';
import { CompositeSet } from '../registration/composite-set';
import { EntrySet } from '../registration/entry-set';
import { CommonJournal } from '../registration/common-journal';
import { reachedByOthers } from '../process/address';
import { DeviceManager } from '../registration/device-manager';
import { DrachtioUserAgent } from '../sip/drachtio';
import type { ListenAddress } from '../sip/user-agent';
import type { Logger } from '../telemetry/logger';
import type { Metrics } from '../telemetry/metrics';
import { AdminView } from './admin-view';
import { createBus } from './makers';
import { buildParts, type Parts } from './parts';
import { Problems } from './problems';
import { SipServerProcess } from './sip-server-process';
import { allowedPages } from './web-pages';
import { WaitingEvents } from './waiting-events';
import { persistenceAdvice } from './watch';

export interface NodeOptions {
  readonly config: TandemConfig;
  /** Node number. */
  readonly node: number;
  /** Path of main.js. */
  readonly entry: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** The node cannot go on: another process has its number. */
  readonly onFatal: (message: string) => void;
}

/**
 * For the embedded SIP server: a port may still be its predecessor's, an address may come a moment later. Whoever started us tries
 * again after that. For a drachtio-server we wait as long as it takes.
 */
const SIP_SERVER_START_MS = 8_000;
/** After the last BYE, so that its answer and the release of resources can come in. */
const LAST_WORDS_MS = 1500;

/** One call manager: builds it from the rooms, and takes it down again in the right order. */
export class CallManagerNode {
  private readonly clock = systemClock;
  private readonly composite = new CompositeSet();
  private readonly entries = new EntrySet();
  private readonly deviceManager = new DeviceManager(this.composite);
  private readonly waiting = new WaitingEvents();
  private readonly nodeConfig: NodeConfig;
  private readonly stamps: HybridClock;
  private readonly sipServer: SipServerProcess;
  private readonly userAgent: DrachtioUserAgent;
  private cluster: Cluster | undefined;
  private parts: Parts | undefined;
  private listen: readonly ListenAddress[] = [];
  private stopping = false;
  /** Counts the connections to SIP servers: what an earlier one had is lost. */
  private sipIncarnation = 0;
  /** Incarnations of the other nodes, as they were last heard. */
  private readonly boots = new Map<number, number>();
  private readonly clockOffsets = new ClockOffsets();
  private readonly problems: Problems;
  private readonly view: AdminView;
  private admin: AdminServer | undefined;
  private settingsJournal: CommonJournal | undefined;

  constructor(private readonly options: NodeOptions) {
    const { config, node, entry, log, metrics } = options;
    const nodeConfig = config.nodes.find(({ id }) => id === node);
    if (nodeConfig === undefined) throw new Error(`no node ${node} in the configuration`);
    this.nodeConfig = nodeConfig;
    this.stamps = new HybridClock(node, () => this.clock.now());
    const { sourceLimits: limits } = config;
    this.sipServer = new SipServerProcess({
      node: nodeConfig,
      limits,
      origins: allowedPages(config, nodeConfig),
      entry,
      log,
      metrics,
      onSilent: (silent) => this.parts?.devices.serverSilent(silent),
      flowOf: (dialog): string | undefined => this.userAgent.flowOf(dialog),
    });
    this.userAgent = new DrachtioUserAgent({
      server: this.sipServer.address,
      namesFlows: this.sipServer.flows !== undefined,
      clock: this.clock,
      log,
      // The embedded one is watched where it was started.
      ...(nodeConfig.drachtio === 'embedded' ? {} : { onSilent: this.sipServer.setSilent }),
    });
    this.problems = new Problems({ clock: this.clock, log, metrics });
    this.view = new AdminView({ metrics, problems: this.problems, notReady: () => this.notReady() });
  }

  /**
   * Starts: the API first (it says what is waited for), then the SIP server (its addresses are what we announce), the cluster (it
   * knows our incarnation), and all else. What phones send meanwhile waits. Rejects when the node cannot run, with a
   * `ConfigurationError` when it could not either if it were started again.
   */
  async start(): Promise<void> {
    const { log, node } = this.options;
    this.admin = await this.createAdmin();
    // Without it the node runs all the same: what is kept there says what is lost.
    await mkdir(this.nodeConfig.stateDir, { recursive: true, mode: 0o755 }).catch((error: unknown) =>
      log.warn({ error }, 'the state directory cannot be made'),
    );
    this.settingsJournal = await this.openSettings();
    const embedded = this.nodeConfig.drachtio === 'embedded';
    this.listen = await this.userAgent.start(this.waiting, embedded ? SIP_SERVER_START_MS : undefined);
    const sipAddress = this.sipAddress();
    this.cluster = this.createCluster(sipAddress);
    const { boot } = await this.cluster.start();
    this.parts = await this.build(this.cluster, boot, sipAddress);
    this.waiting.release({
      ...pick(this.parts.devices),
      serverChanged: (listen) => this.serverChanged(listen),
    });
    log.info({ node, boot, sip: sipAddress, listen: this.listen }, 'node runs');
  }

  /** Why no call can be taken; empty when one can. */
  notReady(): readonly string[] {
    const reasons: string[] = [];
    if (this.parts === undefined) reasons.push('starting');
    if (this.stopping) reasons.push('draining');
    const { drachtio } = this.nodeConfig;
    const where = drachtio === 'embedded' ? '' : `: no drachtio-server at ${drachtio.host}:${drachtio.port}`;
    reasons.push(...(this.parts?.watching.notReady() ?? []));
    if (this.listen.length === 0) reasons.push(`the SIP server is not connected${where}`);
    else if (this.sipServer.isSilent) reasons.push('the SIP server does not answer');
    return reasons;
  }

  /** No new calls; waits `drainSeconds` for those in progress, and for phones to move to other nodes. */
  async drain(): Promise<void> {
    this.stopping = true;
    const { calls, conferences, devices, resources } = this.parts ?? {};
    const withinMs = this.nodeConfig.drainSeconds * 1000;
    const deadline = this.clock.now() + withinMs;
    devices?.drain(withinMs);
    calls?.drain();
    conferences?.drain();
    resources?.drain();
    const left = (): number => (calls?.count ?? 0) + (devices?.waitingToMove ?? 0);
    while (left() > 0 && this.clock.now() < deadline) await this.pause(100);
  }

  /** Ends what is left, gives resources back, says goodbye, and stops. Never rejects. */
  async stop(): Promise<void> {
    this.stopping = true;
    const { parts, cluster } = this;
    if (parts !== undefined) {
      const open = parts.calls.count;
      parts.calls.endAll('SIP;cause=503;text="Node stops"');
      if (open > 0) await this.pause(LAST_WORDS_MS);
      parts.devices.stop();
      parts.conferences.stop();
      await this.quietly('media resources', parts.resources.stop());
      parts.orphans.stop();
      parts.watching.stop();
      parts.lineWatch.stop();
    }
    if (cluster !== undefined) await this.quietly('cluster', cluster.stop());
    this.userAgent.stop();
    await this.quietly('SIP server', this.sipServer.stop());
    if (parts !== undefined) {
      await this.quietly('journal', parts.journal.close());
    }
    await this.quietly('journal of settings', this.settingsJournal?.close() ?? Promise.resolve());
    await this.quietly('API', this.admin?.close() ?? Promise.resolve());
  }

  /** What stands on our disk is known before another node says what it has. */
  private openSettings(): Promise<CommonJournal> {
    const { config, node, log } = this.options;
    return CommonJournal.open({
      directory: this.nodeConfig.stateDir,
      identity: { cluster: config.cluster.name, node },
      entries: this.entries,
      clock: this.clock,
      log,
      onTrouble: (reason) => this.problems.set('settings', reason && persistenceAdvice(reason)),
    });
  }

  private createCluster(sipAddress: string): Cluster {
    const { config, node, log, metrics, onFatal } = this.options;
    return new Cluster({
      node,
      clusterName: config.cluster.name,
      secret: config.cluster.secret,
      bus: createBus(config, this.clock, log),
      clock: this.clock,
      hybridClock: this.stamps,
      composite: this.composite,
      entries: this.entries,
      others: this.others(),
      sipAddress,
      longestLifeMs: config.registrar.maxExpires * 1000,
      metrics,
      log: {
        info: (message, fields) => log.info(fields ?? {}, message),
        warn: (message, fields) => log.warn(fields ?? {}, message),
        error: (message, fields) => log.error(fields ?? {}, message),
      },
      vitals: () => ({
        sip: this.sipIncarnation,
        calls: this.parts?.calls.count ?? 0,
        phones: this.parts?.devices.registrationCount ?? 0,
      }),
      onSipServerRestarted: (other) => this.parts?.calls.nodeRestarted(other),
      onMovedBinding: (key, outcome) => this.parts?.devices.movedBinding(key, outcome),
      onPeersChanged: () => this.membershipChanged(),
      onStatus: (other, status) => {
        this.clockOffsets.heard(other, status.time, this.clock.now());
        this.parts?.watching.heard(other, status);
      },
      onClockSetBack: () => this.parts?.watching.clockSetBack(),
      onForged: (other) => this.parts?.watching.refused(other),
      onFatal,
    });
  }

  private others(): number[] {
    const { config, node } = this.options;
    return config.nodes.map(({ id }) => id).filter((id) => id !== node);
  }

  private build(cluster: Cluster, boot: number, sipAddress: string): Promise<Parts> {
    const { config, node, log, metrics } = this.options;
    const { clock, composite, entries, deviceManager, stamps, userAgent, sipServer, problems, view, clockOffsets } =
      this;
    return buildParts({
      ...{ config, node, nodeConfig: this.nodeConfig, boot, cluster, sipAddress, host: this.host(), log, metrics },
      ...{ clock, composite, entries, deviceManager, stamps, userAgent, sipServer, problems, view, clockOffsets },
      others: this.others(),
      listen: () => this.listen,
    });
  }

  private async createAdmin(): Promise<AdminServer | undefined> {
    const { config, log } = this.options;
    const { admin } = this.nodeConfig;
    if (admin === undefined) return undefined;
    const { adminToken } = config.cluster;
    return startAdmin({ ...admin, ...(adminToken === undefined ? {} : { token: adminToken }), source: this.view, log });
  }

  private membershipChanged(): void {
    const { cluster, parts } = this;
    parts?.devices.membershipChanged();
    parts?.conferences.membershipChanged();
    for (const other of this.others()) {
      const peer = cluster?.peer(other);
      if (peer === undefined) continue;
      const before = this.boots.get(other);
      this.boots.set(other, peer.boot);
      if (before !== undefined && before !== peer.boot) parts?.calls.nodeRestarted(other);
      if (peer.live) parts?.calls.nodeBack(other, peer.boot);
      else parts?.calls.nodeGone(other);
    }
  }

  private serverChanged(listen: readonly ListenAddress[]): void {
    if (this.listen.length === 0 && listen.length > 0) this.sipIncarnation += 1;
    this.listen = listen;
    this.parts?.devices.serverChanged(listen);
  }

  /** Our own address for SIP from other nodes, over TCP; of a node that is alone any. */
  private sipAddress(): string {
    const own = this.others().length === 0 ? this.listen[0] : undefined;
    const tcp = reachedByOthers(this.listen.filter(({ protocol }) => protocol === 'tcp')) ?? own;
    if (tcp === undefined)
      throw new ConfigurationError('the SIP server has no TCP listener: other nodes could not reach this one');
    const host = this.nodeConfig.address ?? tcp.address;
    return `${host.includes(':') ? `[${host}]` : host}:${tcp.port}`;
  }

  private host(): string {
    return this.nodeConfig.address ?? reachedByOthers(this.listen)?.address ?? '127.0.0.1';
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  private async quietly(what: string, work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.options.log.error({ error }, `stopping: ${what}`);
    }
  }
}

function pick(devices: Devices): Pick<Devices, 'invited' | 'requested'> {
  return { invited: devices.invited, requested: devices.requested };
}
