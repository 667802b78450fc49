import type { Effect } from '../../src/cluster/protocol/effects';
import type { Destination, ProtocolMessage } from '../../src/cluster/protocol/messages';
import { NodeProtocol } from '../../src/cluster/protocol/node-protocol';
import { StartProbe } from '../../src/cluster/protocol/start-probe';
import { BATCH_DELAY_MS, PROBE_INTERVAL_MS, PROBE_MS, TICK_INTERVAL_MS } from '../../src/cluster/protocol/timing';
import { deletionReason } from '../../src/cluster/wire';
import { compareStamps, HybridClock, type Stamp } from '../../src/process/hlc';
import { formatPid, type Pid } from '../../src/process/pid';
import { CompositeSet } from '../../src/registration/composite-set';
import type { DeletionReason, RegistrationRecord } from '../../src/registration/record';
import type { Agenda } from './agenda';

export interface SimulatedWorld {
  readonly agenda: Agenda;
  send(from: SimulatedNode, to: Destination, message: ProtocolMessage): void;
  complain(what: string): void;
  readonly seen: Set<string>;
}

/** One process of one node, from its start to its end: protocol core, tables and a clock that may be off. */
export class SimulatedNode {
  readonly composite = new CompositeSet();
  readonly events: Effect[] = [];
  readonly hybridClock: HybridClock;
  protocol: NodeProtocol | undefined;
  boot = 0;
  running = true;
  fatal = false;
  refused = false;
  private probe: StartProbe | undefined;
  private pausedInbox: (() => void)[] | undefined;
  private flushArmed = false;
  private instance = 0;
  private readonly deleted = new Map<string, Stamp>();

  constructor(
    private readonly world: SimulatedWorld,
    readonly number: number,
    readonly token: string,
    /** How far its clock is off. */
    public skewMs: number,
    /** Local entries of the process before, from its journal. */
    private readonly journal: readonly RegistrationRecord[] = [],
  ) {
    this.hybridClock = new HybridClock(number, () => this.now());
    this.composite.onChange((change) => {
      if (change.owner !== number) return this.watchForResurrection(change);
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
    return this.world.agenda.now + this.skewMs;
  }

  get online(): boolean {
    return this.running && this.protocol !== undefined;
  }

  receive(message: ProtocolMessage): void {
    if (!this.running) return;
    if (this.pausedInbox !== undefined) {
      this.pausedInbox.push(() => this.receive(message));
    } else if (this.protocol !== undefined) {
      this.perform(this.protocol.receive(message, this.now()));
    } else {
      const answer = this.probe?.receive(message);
      if (answer !== undefined) this.world.send(this, this.number, answer.publish);
    }
  }

  register(key: string, size = 0): RegistrationRecord | undefined {
    if (!this.online) return undefined;
    const record: RegistrationRecord = {
      key,
      kind: 'station',
      device: `SEP-${key}`,
      lines: [key],
      instance: key,
      pid: this.newPid(),
      boot: this.boot,
      contact: `sip:${key}@127.0.0.1:5062;x=${'x'.repeat(size)}`,
      address: 'udp:127.0.0.1:5062',
      stamp: this.hybridClock.next(),
      expiresAt: this.now() + 120_000,
    };
    this.put(record);
    return record;
  }

  refresh(key: string): void {
    const record = this.composite.get(this.number, key);
    if (record === undefined || !this.online) return;
    this.put({ ...record, stamp: this.hybridClock.next(), expiresAt: this.now() + 120_000 });
  }

  unregister(key: string, reason: DeletionReason = 'unregistered'): void {
    if (this.online) this.composite.delete(this.number, key, reason);
  }

  refute(node: number): void {
    if (this.protocol !== undefined) this.perform(this.protocol.refute(node, this.now()));
  }

  crash(): void {
    this.running = false;
  }

  leave(): void {
    if (this.protocol !== undefined) this.perform(this.protocol.goodbye());
    this.running = false;
  }

  /** The process stands still; then either its sockets or its timers come first. */
  pause(ms: number, timersFirst: boolean): void {
    if (this.pausedInbox !== undefined || !this.running) return;
    this.pausedInbox = [];
    this.world.agenda.after(ms, () => {
      const inbox = this.pausedInbox ?? [];
      this.pausedInbox = undefined;
      if (timersFirst) this.tick();
      for (const handle of inbox) handle();
    });
  }

  keys(): string[] {
    return Array.from(this.composite.of(this.number), (record) => record.key);
  }

  private put(record: RegistrationRecord): void {
    this.composite.put(this.number, record);
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
      this.running = false;
      return;
    }
    this.boot = probe.boot(this.now());
    const self = { node: this.number, boot: this.boot, token: this.token, address: `127.0.0.1:506${this.number}` };
    this.protocol = new NodeProtocol(self, this.hybridClock, this.now());
    this.perform(this.protocol.start(this.now()));
    for (const record of this.journal) this.put({ ...record, pid: this.newPid(), boot: this.boot });
    this.armTick();
  }

  private armTick(): void {
    this.world.agenda.after(TICK_INTERVAL_MS, () => {
      if (!this.running) return;
      this.tick();
      this.armTick();
    });
  }

  private tick(): void {
    if (this.running && this.pausedInbox === undefined && this.protocol !== undefined)
      this.perform(this.protocol.tick(this.now()));
  }

  private perform(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === 'publish') {
        this.world.send(this, effect.to, effect.message);
        continue;
      }
      this.events.push(effect);
      this.world.seen.add(kindOf(effect));
      if (effect.type === 'put') this.composite.put(effect.owner, effect.record);
      if (effect.type === 'delete') this.composite.delete(effect.owner, effect.key, effect.reason);
      if (effect.type === 'purge') this.composite.purge(effect.owner, effect.reason);
      if (effect.type === 'own-moved') this.composite.delete(this.number, effect.key, 'moved');
      if (effect.type === 'fatal') {
        this.fatal = true;
        this.running = false;
      }
    }
    this.armFlush();
  }

  private armFlush(): void {
    const { protocol } = this;
    if (protocol === undefined || protocol.changesWaiting === 0 || this.flushArmed) return;
    this.flushArmed = true;
    this.world.agenda.after(BATCH_DELAY_MS, () => {
      this.flushArmed = false;
      if (this.running) this.perform(protocol.flush());
    });
  }

  /** An entry that its owner deleted must not stand here again. */
  private watchForResurrection(change: {
    readonly type: 'put' | 'delete';
    readonly owner: number;
    readonly record: RegistrationRecord;
    readonly reason?: string;
  }): void {
    const { record } = change;
    const name = `${change.owner}/${record.boot}/${record.key}`;
    const deletedAt = this.deleted.get(name);
    if (change.type === 'put' && deletedAt !== undefined && compareStamps(record.stamp, deletedAt) <= 0)
      this.world.complain(`node ${this.number}: deleted entry ${name} came back`);
    if (change.type === 'delete' && change.reason !== 'node-offline') this.deleted.set(name, record.stamp);
  }
}

function kindOf(effect: Effect): string {
  if (effect.type === 'peer-offline') return `${effect.type} ${effect.reason}`;
  return effect.type === 'report' ? `${effect.type} ${effect.report}` : effect.type;
}
