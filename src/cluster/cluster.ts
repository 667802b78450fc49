import { randomBytes } from 'node:crypto';
import type { CancelTimer } from '../process/clock';
import type { GraveStore } from '../registration/grave';
import { Convergence } from './convergence';
import { silentMetrics, type Metrics } from '../telemetry/metrics';
import { delaysOf } from './delays';
import { GraveKeeper } from './grave-keeper';
import { claimedSender, Envelope, type Refusal } from './envelope';
import { ClusterMessenger } from './messenger';
import type { ClusterCounters, ClusterOptions, PeerStatus } from './options';
import type { Effect } from './protocol/effects';
import type { Deltas, Destination, Header } from './protocol/messages';
import { NodeProtocol } from './protocol/node-protocol';
import type { Peer } from './protocol/peer';
import { StartProbe } from './protocol/start-probe';
import { BATCH_DELAY_MS, PROBE_INTERVAL_MS, PROBE_MS } from './protocol/timing';
import type { ClusterMessage } from './schema';
import { Seldom } from './seldom';
import { type NodeStatus, type StatusMessage, StatusOrder } from './status';
import { type LocalChange, Tables } from './tables';
import { Ticker } from './ticker';

/** The node cannot start: its number is in use. */
export class NodeNumberTakenError extends Error {
  override readonly name = 'NodeNumberTakenError';
}

const BUS_START_MS = 2_000;
const BUS_STOP_MS = 1_000;

/** This node as a member of the cluster: the shell around the protocol core. Nothing received throws out of it. */
export class Cluster {
  readonly messenger: ClusterMessenger;
  readonly counters: ClusterCounters = {
    published: 0,
    dropped: 0,
    received: 0,
    refused: { 'too-large': 0, version: 0, forged: 0, malformed: 0 },
  };
  private readonly metrics: Metrics;
  private readonly tables: Tables;
  private readonly convergence: Convergence;
  private readonly token = randomBytes(12).toString('hex');
  private readonly envelope: Envelope;
  private readonly effects: Effect[] = [];
  private probe: StartProbe | undefined;
  private readonly graves = new GraveKeeper();
  private protocol: NodeProtocol | undefined;
  private boot = 0;
  private performing = false;
  private stopped = false;
  private wasConnected = false;
  private readonly seldom: Seldom;
  private readonly statuses = new StatusOrder();
  private readonly ticker: Ticker;
  private cancelFlush: CancelTimer = () => undefined;
  private flushArmed = false;
  private flushedAt = 0;

  constructor(private readonly options: ClusterOptions) {
    const { node, clock, clusterName, secret, bus, composite, entries } = options;
    this.metrics = options.metrics ?? silentMetrics;
    this.metrics.onCollect(() => this.countChanges());
    this.seldom = new Seldom(() => clock.now());
    this.ticker = new Ticker(clock, () => this.perform(this.protocol?.tick(clock.now()) ?? []));
    this.tables = new Tables(node, composite, entries, (change) => this.changedHere(change));
    this.convergence = new Convergence(options.others ?? [], clock.now());
    this.envelope = new Envelope(clusterName, secret);
    this.messenger = new ClusterMessenger({
      node,
      clock,
      header: () => this.header(),
      send: (to, message) => this.publish(to, message),
      onError: (error, pid) => options.log.error('a request to a process failed', { pid, error: String(error) }),
    });
    for (const to of ['poll', 'cluster', node] as const) {
      const channel = this.channel(to);
      bus.subscribe(channel, (payload) => this.receive(channel, payload), { urgent: to === 'poll' });
    }
    bus.onConnected((connected) => this.guard(() => this.connectionChanged(connected)));
  }

  /**
   * Connects, probes for our number, and comes on-line. Rejects with `NodeNumberTakenError` when the number is in use;
   * a bus that is not there is no error: it is tried for ever. Resolves with our incarnation.
   */
  async start(): Promise<{ readonly boot: number }> {
    const { bus, clock, hybridClock, log, node, sipAddress } = this.options;
    const probe = new StartProbe(node, this.token, sipAddress, () => hybridClock.next());
    this.probe = probe;
    await bus.start(BUS_START_MS);
    if (bus.connected) await this.probeForNumber(probe);
    else log.warn('the bus is not reachable: this node runs alone until it is', { node });
    this.probe = undefined;
    if (probe.refused !== undefined) {
      await this.stop();
      throw new NodeNumberTakenError(`node number ${node} is in use by ${probe.refused}`);
    }
    if (this.stopped) throw new Error('the node was stopped while it started');
    const now = clock.now();
    this.boot = probe.boot(now);
    const { vitals, longestLifeMs } = this.options;
    const common = { node, boot: this.boot, token: this.token, address: sipAddress };
    const self = { ...common, longestLifeMs, ...(vitals && { vitals }) };
    this.protocol = new NodeProtocol(self, hybridClock, now);
    this.wasConnected = bus.connected;
    for (const entry of this.tables.own()) this.perform(this.protocol.localPut(entry));
    for (const entry of this.tables.common) this.perform(this.protocol.commonPut(entry, true));
    this.perform(this.protocol.start(now));
    return { boot: this.boot };
  }

  /** What this knows that has left counts, and what leaves from now on is remembered in it. */
  keepGraves(store: GraveStore): void {
    if (this.protocol !== undefined) this.perform(this.graves.open(store, this.protocol, this.options.clock.now()));
  }

  /** Says goodbye and disconnects. Never rejects. */
  async stop(): Promise<void> {
    if (this.stopped) return;
    if (this.protocol !== undefined) this.perform(this.protocol.goodbye());
    this.stopped = true;
    this.ticker.stop();
    this.cancelFlush();
    this.messenger.stop();
    await this.options.bus.stop(BUS_STOP_MS);
  }

  /** This node is connected, and hears its own polls. */
  get busAlive(): boolean {
    return this.options.bus.connected && this.protocol?.busAlive === true;
  }

  /** As far as we know, every live node's entries are here. */
  get converged(): boolean {
    const { protocol } = this;
    if (protocol === undefined || !this.busAlive) return false;
    return this.convergence.reached(protocol.peersByNumber, this.options.clock.now());
  }

  /** The other nodes that were ever heard. */
  peers(): PeerStatus[] {
    return this.protocol === undefined ? [] : Array.from(this.protocol.peers, (peer) => this.status(peer));
  }

  peer(node: number): PeerStatus | undefined {
    const peer = this.protocol?.peer(node);
    return peer === undefined ? undefined : this.status(peer);
  }

  /** An entry of that node was answered "no longer mine": mends our copy of its entries (R13). */
  refute(node: number): void {
    if (this.protocol !== undefined) this.perform(this.protocol.refute(node, this.options.clock.now()));
  }

  /** Tells the other nodes something of ourselves, apart from our entries. */
  tell(status: NodeStatus): void {
    if (this.protocol !== undefined && !this.stopped)
      this.publish('cluster', { type: 'status', ...this.header(), number: this.statuses.next(), ...status });
  }

  private statusHeard(message: StatusMessage): void {
    const { node, boot, time, configuration } = message;
    const peer = node === this.options.node ? undefined : this.protocol?.peer(node);
    if (peer?.live !== true || peer.boot !== boot || !this.statuses.isNews(message)) return;
    this.options.onStatus?.(node, { time, configuration });
  }

  private async probeForNumber(probe: StartProbe): Promise<void> {
    for (let waited = 0; waited < PROBE_MS && probe.refused === undefined; waited += PROBE_INTERVAL_MS) {
      this.publish('cluster', probe.message());
      await new Promise<void>((resolve) => this.options.clock.setTimer(PROBE_INTERVAL_MS, resolve));
    }
  }

  private receive(channel: string, payload: string): void {
    if (this.stopped) return;
    this.counters.received += 1;
    this.metrics.count('tandem_bus_messages_total', { result: 'received' });
    const opened = this.envelope.open(channel, payload);
    if (!opened.ok) return this.refuse(opened.refusal, channel, payload);
    this.guard(() => this.dispatch(opened.message));
  }

  private dispatch(message: ClusterMessage): void {
    if (message.type === 'status') this.statusHeard(message);
    else if (message.type === 'request' || message.type === 'reply') {
      if (this.protocol !== undefined && this.options.hybridClock.merge(message.at)) this.messenger.receive(message);
    } else if (this.protocol !== undefined) {
      this.perform(this.protocol.receive(message, this.options.clock.now()));
      if (message.type === 'deltas') this.measureDelay(message);
    } else {
      const answer = this.probe?.receive(message);
      if (answer !== undefined) this.publish(this.options.node, answer.publish);
    }
  }

  private measureDelay(deltas: Deltas): void {
    if (deltas.node === this.options.node) return;
    for (const ms of delaysOf(deltas, this.options.clock.now()))
      this.metrics.observe('tandem_replication_delay_seconds', ms / 1000);
  }

  private refuse(refusal: Refusal, channel: string, payload: string): void {
    const claimed = refusal === 'forged' ? claimedSender(payload) : undefined;
    if (claimed !== undefined) this.options.onForged?.(claimed);
    this.counters.refused[refusal] += 1;
    this.metrics.count('tandem_bus_messages_total', { result: refusal });
    if (!this.seldom.may(refusal)) return;
    this.options.log.warn('a message on the bus was refused', { refusal, channel, refused: this.counters.refused });
  }

  private changedHere(change: LocalChange): void {
    const { protocol } = this;
    if (protocol === undefined || this.stopped) return;
    switch (change.type) {
      case 'put':
        return this.perform(protocol.localPut(change.entry));
      case 'common':
        return this.perform(protocol.commonPut(change.entry));
      case 'delete':
        return this.perform(protocol.localDelete(change.key, change.reason));
    }
  }

  private connectionChanged(connected: boolean): void {
    this.options.log.info(connected ? 'connected to the bus' : 'the connection to the bus is lost');
    if (connected) this.convergence.restart(this.options.clock.now());
    if (this.protocol !== undefined && connected !== this.wasConnected) this.options.onPeersChanged?.();
    if (connected && !this.wasConnected && this.protocol !== undefined && !this.stopped)
      this.perform(this.protocol.reconnected());
    this.wasConnected = connected;
  }

  /** Does what the core wants, in order, also when doing it makes the core want more. */
  private perform(effects: readonly Effect[]): void {
    for (const effect of effects) this.effects.push(effect);
    if (this.performing) return;
    this.performing = true;
    for (const effect of this.effects) {
      try {
        this.performOne(effect);
      } catch (error) {
        this.failed(error);
      }
    }
    this.effects.length = 0;
    this.performing = false;
    this.armFlush();
    this.ticker.want(this.protocol?.tickAt ?? Infinity);
  }

  /**
   * Changes go at once when none went a moment ago, but after what the present turn has still to change; those that follow
   * closely wait for each other, so that a burst costs few messages.
   */
  private armFlush(): void {
    const { protocol } = this;
    if (protocol === undefined || protocol.changesWaiting === 0 || this.flushArmed || this.stopped) return;
    this.flushArmed = true;
    const since = this.options.clock.now() - this.flushedAt;
    if (since < 0 || since >= BATCH_DELAY_MS) queueMicrotask(() => this.flush());
    else this.cancelFlush = this.options.clock.setTimer(BATCH_DELAY_MS - since, () => this.flush());
  }

  private flush(): void {
    this.flushArmed = false;
    if (this.stopped || this.protocol === undefined) return;
    this.flushedAt = this.options.clock.now();
    this.perform(this.protocol.flush());
  }

  private performOne(effect: Effect): void {
    const { composite, log, node, onFatal, onPeersChanged } = this.options;
    switch (effect.type) {
      case 'publish':
        this.publish(effect.to, effect.message);
        return;
      case 'put':
        return this.tables.put(effect.owner, effect.entry);
      case 'delete':
        return this.tables.delete(effect.owner, effect.key, effect.reason);
      case 'purge': {
        const purged = this.tables.purge(effect.owner, effect.reason);
        this.metrics.add('tandem_replication_purged_total', purged);
        return log.info('entries of a node purged', { peer: effect.owner, entries: purged });
      }
      case 'own-moved':
        composite.delete(node, effect.key, 'moved');
        return;
      case 'own-gone':
        composite.delete(node, effect.key, effect.reason);
        return log.info('an entry of ours is dead, as another node knows', { key: effect.key, reason: effect.reason });
      case 'own-back':
        return this.options.onMovedBinding?.(effect.key, 'back');
      case 'own-settled':
        return this.options.onMovedBinding?.(effect.key, 'settled');
      case 'buried':
        return this.graves.bury(effect.key, effect.grave);
      case 'exhumed':
        return this.graves.exhume(effect.key);
      case 'peer-online':
        this.metrics.count('tandem_cluster_transitions_total', { to: 'on-line' });
        log.info('a node is on-line', { peer: effect.node, boot: effect.boot, address: effect.address });
        return onPeersChanged?.();
      case 'peer-offline':
        this.metrics.count('tandem_cluster_transitions_total', { to: 'off-line' });
        log.warn('a node is off-line', { peer: effect.node, boot: effect.boot, reason: effect.reason });
        this.messenger.nodeGone(effect.node);
        return onPeersChanged?.();
      case 'peer-sip-restarted':
        log.warn('the SIP server of a node was started again: its calls are over', { peer: effect.node });
        return this.options.onSipServerRestarted?.(effect.node);
      case 'clock-set-back':
        return this.options.onClockSetBack?.();
      case 'bus-lost':
        log.warn('the bus is lost: membership is frozen, entries of other nodes are stale');
        return onPeersChanged?.();
      case 'bus-back':
        this.convergence.restart(this.options.clock.now());
        log.info('the bus works');
        return onPeersChanged?.();
      case 'fatal':
        this.ticker.stop();
        log.error(effect.message);
        return onFatal(effect.message);
      case 'report':
        if (effect.report === 'paused') this.convergence.restart(this.options.clock.now());
        if (this.seldom.may(`${effect.report}/${effect.node}`))
          log.warn('cluster protocol', { report: effect.report, peer: effect.node, detail: effect.detail });
    }
  }

  private countChanges(): void {
    const changes = this.tables.takeChanges();
    for (const direction of ['sent', 'received'] as const)
      this.metrics.add('tandem_replication_deltas_total', changes[direction], { direction });
  }

  private publish(to: Destination, message: ClusterMessage): boolean {
    const channel = this.channel(to);
    const payload = this.envelope.seal(channel, message);
    const sent = payload !== undefined && this.options.bus.publish(channel, payload);
    const result = sent ? 'published' : 'dropped';
    this.counters[result] += 1;
    this.metrics.count('tandem_bus_messages_total', { result });
    if (message.type === 'pull') this.metrics.count('tandem_replication_pulls_total');
    return sent;
  }

  private channel(to: Destination): string {
    const prefix = `tandem:${this.options.clusterName}`;
    return typeof to === 'number' ? `${prefix}:node:${to}` : `${prefix}:${to}`;
  }

  private header(): Header {
    const { node, hybridClock } = this.options;
    return { node, boot: this.boot, token: this.token, at: hybridClock.next() };
  }

  private status(peer: Peer): PeerStatus {
    const { node, boot, live, address } = peer;
    return {
      node,
      boot,
      live,
      stale: !this.busAlive,
      address,
      sequence: peer.announced.sequence,
      ourSequence: peer.sequence,
      entries: peer.table.count,
      digestEqual: this.convergence.isEqual(peer),
      lagMs: this.convergence.lagMs(peer, this.options.clock.now(), this.busAlive),
      heardAt: peer.comparedAt,
    };
  }

  /** What a listener throws must not stop the others, nor the membership. */
  private guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.failed(error);
    }
  }

  private failed(error: unknown): void {
    if (this.seldom.may('error'))
      this.options.log.error('an error while a cluster message was handled', { error: String(error) });
  }
}
