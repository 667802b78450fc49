import type { Effect } from '../../src/cluster/protocol/effects';
import type { ProtocolMessage } from '../../src/cluster/protocol/messages';
import { NodeProtocol } from '../../src/cluster/protocol/node-protocol';
import { StartProbe } from '../../src/cluster/protocol/start-probe';
import { BATCH_DELAY_MS, PROBE_INTERVAL_MS, PROBE_MS, PROOF_MAX_AGE_MS } from '../../src/cluster/protocol/timing';
import { Ticker } from '../../src/cluster/ticker';
import { compareStamps, HybridClock } from '../../src/process/hlc';
import { formatPid, type Pid } from '../../src/process/pid';
import { CompositeSet, type RegistrationChange } from '../../src/registration/composite-set';
import { isDevice } from '../../src/registration/entry';
import { deletionReason, type DeletionReason, type RegistrationRecord } from '../../src/registration/record';
import { corruptReplica } from './corruption';
import { kindOf, nameOf } from './names';
import type { Random } from './random';
import { Resurrections } from './resurrections';
import { WrongClock } from './simulated-clock';
import { type Disk, EMPTY_DISK, SimulatedDisk } from './simulated-disk';
import { SimulatedLines } from './simulated-lines';
import { SimulatedSipServer } from './simulated-sip-server';
import type { SimulatedWorld } from './simulated-world';

/** An own poll that proves that the bus lives may be this old, and a little more until it is handled. */
const PROOF_MS = PROOF_MAX_AGE_MS + 100;
const SWEEP_MS = 500;

/** One process of one node, from its start to its end: protocol core, tables and a clock that may be off. */
export class SimulatedNode {
  readonly composite = new CompositeSet();
  readonly lines: SimulatedLines;
  readonly events: Effect[] = [];
  readonly hybridClock: HybridClock;
  readonly sip: SimulatedSipServer;
  protocol: NodeProtocol | undefined;
  boot = 0;
  calls = 0;
  running = true;
  fatal = false;
  refused = false;
  /** It cannot publish. */
  mute = false;
  /** Since when nothing that is published reaches it. */
  deafSince: number | undefined;
  /** When it came on-line or woke up. */
  disturbedAt = 0;
  /** True time at which a local entry came or went. */
  readonly since = new Map<string, number>();
  /** Why local entries ended. */
  readonly endedBy = new Map<string, string>();
  /** Entries of which it has heard that their devices have left: `key/pid/boot`. */
  readonly witnessed = new Set<string>();
  /** Entries whose time is over are deleted. */
  sweeps = true;
  private readonly clock: WrongClock;
  private probe: StartProbe | undefined;
  private pausedInbox: (() => void)[] | undefined;
  /** Bindings that have moved to other nodes. */
  private readonly kept = new Map<string, RegistrationRecord>();
  private readonly written: SimulatedDisk;
  private flushArmed = false;
  private readonly ticker: Ticker;
  /** The timer of the tick ran out while the process stood still. */
  private timerRang = false;
  private instance = 0;
  private corrupting = false;
  private readonly resurrections = new Resurrections();

  constructor(
    private readonly world: SimulatedWorld,
    readonly number: number,
    readonly token: string,
    skewMs: number,
    /** What the process before has left on its disk. */
    private readonly found: Disk = EMPTY_DISK,
    drift = 0,
  ) {
    this.written = new SimulatedDisk(found, world.mutation.strikesHearsay);
    for (const name of found.witnessed) this.witnessed.add(name);
    this.clock = new WrongClock(() => this.world.agenda.now, skewMs, drift);
    this.sip = new SimulatedSipServer(world.agenda);
    this.hybridClock = new HybridClock(number, () => this.now());
    const clock = { now: () => this.now(), setTimer: (ms: number, act: () => void) => world.agenda.setTimer(ms, act) };
    this.ticker = new Ticker(clock, () => (this.paused ? (this.timerRang = true) : this.tick()));
    this.lines = new SimulatedLines({
      ...{ node: number, mutation: world.mutation, stamps: this.hybridClock, composite: this.composite },
      found: found.common,
      protocol: () => this.protocol,
      perform: (effects) => this.perform(effects),
      changed: (key) => void this.since.set(key, world.agenda.now),
      complain: (what) => world.complain(what),
      writtenAt: (body) => world.writtenAt(body),
    });
    this.composite.onChange((change) => {
      if (change.type === 'delete' && change.reason === 'unregistered') this.witnessed.add(nameOf(change.record));
      if (change.owner !== number) return this.lookAtOther(change);
      const replaced = change.type === 'put' && change.previous?.pid === change.record.pid;
      if (change.type === 'delete') this.endedBy.set(change.record.key, change.reason);
      if (!replaced) this.since.set(change.record.key, world.agenda.now);
      this.written.follow(change);
      if (this.protocol === undefined) return;
      this.perform(
        change.type === 'put'
          ? this.protocol.localPut(change.record)
          : this.protocol.localDelete(change.record.key, deletionReason(change.reason) ?? 'unregistered'),
      );
    });
    this.start();
  }

  now(): number {
    return this.clock.now();
  }

  /** How far its clock is off, drift aside; setting it sets the clock. */
  get skewMs(): number {
    return this.clock.skewMs;
  }

  set skewMs(skewMs: number) {
    this.clock.skewMs = skewMs;
  }

  get online(): boolean {
    return this.running && this.protocol !== undefined;
  }

  get paused(): boolean {
    return this.pausedInbox !== undefined;
  }

  receive(message: ProtocolMessage): void {
    if (!this.running) return;
    if (this.pausedInbox !== undefined) {
      this.pausedInbox.push(() => this.receive(message));
    } else if (this.protocol !== undefined) {
      const { received } = this.world.mutation;
      this.perform(this.protocol.receive(received === undefined ? message : received(this, message), this.now()));
    } else {
      const answer = this.probe?.receive(message);
      if (answer !== undefined) this.world.send(this, this.number, answer.publish);
    }
  }

  /** Whether a request of a phone is answered now. */
  get answers(): boolean {
    return this.online && !this.paused && !this.sip.hangs;
  }

  /** What comes by SIP: it is handled when the SIP server runs, however late. */
  receiveSip(handle: () => void): void {
    if (!this.online) return;
    if (this.pausedInbox === undefined) this.sip.receive(handle);
    else this.pausedInbox.push(() => this.receiveSip(handle));
  }

  register(
    key: string,
    size = 0,
    line = key,
    lifetimeMs = 120_000,
    address = 'udp:127.0.0.1:5062',
  ): RegistrationRecord | undefined {
    if (!this.online || this.paused) return undefined;
    this.kept.delete(key);
    const record: RegistrationRecord = {
      ...{
        key,
        kind: 'station',
        device: `SEP-${key}`,
        lines: [line],
        instance: key,
        pid: this.newPid(),
        boot: this.boot,
      },
      ...{ contact: `sip:${key}@127.0.0.1:5062;x=${'x'.repeat(size)}`, address },
      ...{ stamp: this.hybridClock.next(), expiresAt: this.now() + lifetimeMs },
    };
    this.put(record);
    return record;
  }

  refresh(key: string): void {
    const record = this.composite.get(this.number, key);
    if (record === undefined || !this.online || this.paused) return;
    this.put({ ...record, stamp: this.hybridClock.next(), expiresAt: this.now() + 120_000 });
  }

  unregister(key: string, reason: DeletionReason = 'unregistered'): void {
    if (this.online && !this.paused) this.composite.delete(this.number, key, reason);
  }

  /** A connection is closed: what registered over it is gone. */
  connectionClosed(key: string, address: string): void {
    if (this.kept.get(key)?.address === address) this.kept.delete(key);
    if (this.composite.get(this.number, key)?.address === address) this.unregister(key, 'unreachable');
  }

  /** A phone leaves at this node, wherever it is registered; the entry that goes with it, as in `witnessed`. */
  takeLeave(key: string): string | undefined {
    if (!this.online || this.paused) return undefined;
    if (this.kept.has(key)) this.settle(key);
    const record = this.composite.get(this.number, key) ?? this.register(key);
    this.unregister(key);
    return record && nameOf(record);
  }

  refute(node: number): void {
    if (this.protocol !== undefined) this.perform(this.protocol.refute(node, this.now()));
  }

  crash(): void {
    this.running = false;
    this.world.ended(this);
  }

  leave(): void {
    if (this.protocol !== undefined) this.perform(this.protocol.goodbye());
    this.crash();
  }

  /** The process stands still; then either its sockets or its timers come first. */
  pause(ms: number, timersFirst: boolean): void {
    if (this.paused || !this.running) return;
    const inbox: (() => void)[] = [];
    this.pausedInbox = inbox;
    this.world.agenda.after(ms, () => this.pausedInbox === inbox && this.wake(timersFirst));
  }

  wake(timersFirst: boolean): void {
    const inbox = this.pausedInbox;
    if (inbox === undefined) return;
    this.pausedInbox = undefined;
    this.disturbedAt = this.world.agenda.now;
    if (timersFirst && this.timerRang) this.tick();
    for (const handle of inbox) handle();
    if (this.timerRang) this.tick();
  }

  /** As `corruptReplica`. */
  corrupt(random: Random): boolean {
    this.corrupting = true;
    const corrupted = corruptReplica(this, random, (peer) => this.world.lost(peer, this.number));
    this.corrupting = false;
    return corrupted;
  }

  /** What is on its disk now. */
  get disk(): Disk {
    return this.written.contents(this.witnessed, this.lines.disk);
  }

  /** Whether a binding is here, or could be again. */
  controls(key: string): boolean {
    return this.kept.has(key) || this.composite.get(this.number, key) !== undefined;
  }

  keys(): string[] {
    return Array.from(this.composite.of(this.number), (record) => record.key);
  }

  private put(record: RegistrationRecord): void {
    this.composite.put(this.number, record);
  }

  private *gravesFound(): IterableIterator<Pick<RegistrationRecord, 'key' | 'stamp' | 'expiresAt'>> {
    if (this.world.mutation.forgetsGraves === true) return;
    for (const [key, { stamp, until }] of this.found.graves)
      if (until > this.now()) yield { key, stamp, expiresAt: until };
  }

  private newPid(): Pid {
    this.instance += 1;
    return formatPid({ node: this.number, type: 'dp', instance: this.instance });
  }

  private start(): void {
    const probe = new StartProbe(this.number, this.token, `127.0.0.1:506${this.number}`, () => this.hybridClock.next());
    this.probe = probe;
    for (let at = 0; at < PROBE_MS; at += PROBE_INTERVAL_MS)
      this.world.agenda.after(at, () => this.running && this.world.send(this, 'cluster', probe.message()));
    this.world.agenda.after(PROBE_MS, () => this.comeOnline(probe));
  }

  private comeOnline(probe: StartProbe): void {
    if (!this.running) return;
    if (probe.refused !== undefined) {
      this.refused = true;
      return this.crash();
    }
    const boot = probe.boot(this.now());
    this.boot = this.world.mutation.boot?.(boot) ?? boot;
    this.disturbedAt = this.world.agenda.now;
    const address = `127.0.0.1:506${this.number}`;
    const vitals = () => ({ sip: 0, calls: this.calls, phones: this.composite.count(this.number) });
    const self = { node: this.number, boot: this.boot, token: this.token, address, vitals, longestLifeMs: 120_000 };
    this.protocol = new NodeProtocol(self, this.hybridClock, this.now());
    this.lines.begin(this.boot, this.protocol);
    this.perform(this.protocol.start(this.now()));
    this.perform(this.protocol.restoreGraves(this.gravesFound()));
    for (const record of this.found.bindings)
      if (record.expiresAt > this.now()) this.put({ ...record, pid: this.newPid(), boot: this.boot });
    this.armSweep();
  }

  private armSweep(): void {
    this.world.agenda.after(SWEEP_MS, () => {
      if (!this.running) return;
      if (!this.paused && this.sweeps)
        for (const { key, expiresAt } of [...this.composite.of(this.number)])
          if (expiresAt <= this.now()) this.unregister(key, 'expired');
      this.armSweep();
    });
  }

  private tick(): void {
    if (!this.running || this.paused || this.protocol === undefined) return;
    this.timerRang = false;
    this.perform(this.protocol.tick(this.now()));
  }

  private perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (this.world.mutation.swallows?.(effect) === true) continue;
      if (effect.type === 'publish') {
        this.world.seen.add(effect.message.type);
        this.world.send(this, effect.to, effect.message);
        continue;
      }
      this.events.push(effect);
      this.world.seen.add(kindOf(effect));
      this.lines.apply(effect);
      if (effect.type === 'put' && isDevice(effect.entry)) this.composite.put(effect.owner, effect.entry);
      if (effect.type === 'delete') this.composite.delete(effect.owner, effect.key, effect.reason);
      if (effect.type === 'purge') this.composite.purge(effect.owner, effect.reason);
      if (effect.type === 'put' && isDevice(effect.entry) && this.world.mutation.hearsay === true)
        this.believe(effect.entry);
      if (effect.type === 'own-moved') this.withdraw(effect.key);
      if (effect.type === 'own-back') this.takeBack(effect.key);
      if (effect.type === 'own-settled') this.settle(effect.key);
      if (effect.type === 'buried') this.written.graves.set(effect.key, effect.grave);
      if (effect.type === 'exhumed') this.written.graves.delete(effect.key);
      if (effect.type === 'own-gone') this.composite.delete(this.number, effect.key, effect.reason);
      if (effect.type === 'peer-offline' && effect.reason === 'silent') this.watchForFreeze(effect.node);
      if (effect.type === 'fatal') {
        this.fatal = true;
        this.crash();
      }
    }
    this.armFlush();
    if (!this.timerRang && this.running) this.ticker.want(this.protocol?.tickAt ?? Infinity);
  }

  private withdraw(key: string): void {
    const record = this.composite.delete(this.number, key, 'moved');
    if (record !== undefined) this.kept.set(key, record);
  }

  private takeBack(key: string): void {
    const record = this.kept.get(key);
    this.kept.delete(key);
    if (record !== undefined && record.expiresAt > this.now()) this.put({ ...record, pid: this.newPid() });
    else this.settle(key);
  }

  /** It does not come back, not after a restart either. */
  private settle(key: string): void {
    this.kept.delete(key);
    this.written.settle(key);
  }

  /** Without the rule that a newer entry must be confirmed: it is taken for true as soon as it is heard. */
  private believe({ key, stamp }: RegistrationRecord): void {
    const own = this.composite.get(this.number, key);
    if (own !== undefined && compareStamps(stamp, own.stamp) > 0) this.composite.delete(this.number, key, 'moved');
  }

  private armFlush(): void {
    const { protocol } = this;
    if (protocol === undefined || protocol.changesWaiting === 0 || this.flushArmed) return;
    this.flushArmed = true;
    this.world.agenda.after(BATCH_DELAY_MS, () => {
      this.flushArmed = false;
      if (this.running && !this.paused) this.perform(protocol.flush());
    });
  }

  /** An entry of another node. */
  private lookAtOther(change: RegistrationChange): void {
    if (this.corrupting) return;
    const back = this.resurrections.follow(change, this.protocol?.peer(change.owner)?.boot);
    if (back !== undefined) this.world.complain(`deleted entry came back: ${back} at node ${this.number}`);
  }

  /** While the bus is lost nobody is purged. */
  private watchForFreeze(peer: number): void {
    const { agenda, busDownSince } = this.world;
    const since = Math.min(busDownSince ?? Infinity, this.deafSince ?? Infinity);
    if (agenda.now - since > PROOF_MS && this.world.node(peer).online)
      this.world.complain(`purged while the bus was lost: node ${peer} at node ${this.number}`);
  }
}
