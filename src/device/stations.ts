import type { DeviceConfig } from '../config/types';
import type { CancelTimer } from '../process/clock';
import { compareStamps } from '../process/hlc';
import type { Pid } from '../process/pid';
import { bindingKey } from '../registration/binding-key';
import type { RegistrationChange } from '../registration/composite-set';
import type { JournaledBinding } from '../registration/journal';
import { deletionReason, type DeletionReason, type RegistrationRecord } from '../registration/record';
import type { SipDomain } from '../sip/domain';
import { register, type BindingChange, type RegisterResponse } from '../sip/registrar';
import { parseVia } from '../sip-message/via';
import type { ReceivedRequest, SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { Departure } from './departure';
import { readReportedIdentity } from './device-identity';
import { ExpiryQueue } from './expiry-queue';
import { FlowTable } from './flow-table';
import { MovedBindings } from './moved-bindings';
import { Placement } from './placement';
import { answerTime, type PollOutcome, type PollSubject } from './poll-policy';
import { Polls } from './polls';
import type { DevicesOptions, MovedOutcome } from './ports';
import { askedList, growth } from './registration-request';
import { restoredStation, STAYS_ON_DISK } from './restoring';
import { Station, type Registration } from './station';

const MAX_CONTACTS = 10;
/** What a phone that is turned away should wait before it tries here again, seconds. */
export const RETRY_AFTER_SECONDS = 30;
/** Bindings of the journal that are taken up in one turn: a few milliseconds of work. */
const RESTORED_AT_ONCE = 200;
/** What a server answers when there is no way to a device, or no answer from it. */
const NO_ANSWER: ReadonlySet<number> = new Set([408, 503]);
/** What a server answers for a connection that is closed. */
const CONNECTION_CLOSED: ReadonlySet<number> = new Set([410, 503]);
/** The part of the time for draining in which connections are closed, so that phones arrive elsewhere before the end. */
const DEPARTURE_SHARE = 0.5;

/** The stations that this node controls: makes, refreshes and deletes their device processes (claims R1, R2, R6, R7, R15). */
export class Stations {
  private readonly byKey = new Map<string, Station>();
  private readonly byPid = new Map<Pid, Station>();
  private readonly byDevice = new Map<string, Set<Station>>();
  private readonly flows = new FlowTable();
  private readonly moved: MovedBindings;
  private readonly expiry: ExpiryQueue;
  private readonly placement: Placement;
  /** Undefined: phones are not polled. */
  private readonly polls: Polls | undefined;
  private departure: Departure | undefined;
  private draining = false;
  private cancelRestore: CancelTimer = () => undefined;

  constructor(
    private readonly options: DevicesOptions,
    private readonly devices: ConfiguredDevices,
    private readonly domain: SipDomain,
  ) {
    this.expiry = new ExpiryQueue(options.clock, (key) => this.remove(key, 'expired'));
    this.placement = new Placement(options);
    this.moved = new MovedBindings(options);
    this.polls = this.createPolls();
    options.composite.onChange((change) => this.followTable(change));
    options.flows?.onClosed((flow) => this.flowClosed(flow));
    options.metrics.onCollect(() => options.metrics.set('tandem_poll_backlog', this.polls?.backlog ?? 0));
  }

  get size(): number {
    return this.byKey.size;
  }

  withPid(pid: Pid): Station | undefined {
    return this.byPid.get(pid);
  }

  of(device: string): readonly Station[] {
    return [...(this.byDevice.get(device) ?? [])];
  }

  all(): readonly Station[] {
    return [...this.byKey.values()];
  }

  /** The process through which a request of the device came: that at its source address, else its newest. */
  through(device: string, source: SipSource): Station | undefined {
    const stations = this.of(device);
    const here = stations.find((station) => station.isAt(source));
    return here ?? [...stations].sort((a, b) => compareStamps(b.registration.stamp, a.registration.stamp))[0];
  }

  /** Whether a station has registered over this connection. */
  hasConnection(source: SipSource): boolean {
    return this.flows.hasConnectionFrom(source);
  }

  /** The device has sent something that proves who it is: it lives, and need not be asked for a while. */
  seen(device: string, source: SipSource): void {
    const station = this.of(device).find((each) => each.isAt(source));
    if (station !== undefined) this.polls?.alive(station.key);
  }

  /** An authenticated REGISTER: decides, then changes the table, then answers; the table never lags behind a 200. */
  register(request: ReceivedRequest, device: DeviceConfig, nonceIssuedAt: number): RegisterResponse {
    const { config, clock, metrics, node } = this.options;
    const now = clock.now();
    for (const station of this.of(device.name))
      if (station.registration.binding.expiresAt <= now) this.remove(station.key, 'expired');
    const bindings = this.of(device.name).map((station) => station.registration.binding);
    const policy = {
      domain: this.domain,
      expiry: config.registrar,
      maxContacts: MAX_CONTACTS,
      device,
      owner: (user: string) => this.devices.owner(user, device),
      nonceIssuedAt,
      random: this.random,
      visiting: this.placement.isVisiting(device.site),
    };
    const { response, changes, removedElsewhere, outcome } = register(request, bindings, policy, now);
    if (outcome === 'stale-cseq') metrics.count('tandem_stale_cseq_total');
    const capacity = config.nodes.find(({ id }) => id === node)?.capacity ?? Infinity;
    if (this.draining && changes.some(({ type }) => type === 'bind'))
      return this.turnAway(request, device, 'draining', 'Draining');
    const more = growth(changes);
    if (more > 0 && this.byKey.size + more > capacity)
      return this.turnAway(request, device, 'at-capacity', 'At Capacity');
    for (const change of changes) this.apply(change, device, request);
    const wasHere = changes.some(({ type }) => type === 'unbind');
    this.moved.removeElsewhere(device, removedElsewhere, request, wasHere);
    metrics.count('tandem_register_total', { result: outcome });
    return response;
  }

  /**
   * Takes up what the journal holds: UDP phones at once; a connection did not outlive the process. Very many are taken up
   * in several turns of the event loop, so that polls and calls do not wait for them.
   */
  restore(bindings: readonly JournaledBinding[], from = 0, restoredBefore = 0): void {
    if (from === 0) this.moved.start();
    const end = Math.min(bindings.length, from + RESTORED_AT_ONCE);
    let restored = restoredBefore;
    for (const journaled of bindings.slice(from, end)) if (this.restoreOne(journaled)) restored += 1;
    if (end < bindings.length)
      this.cancelRestore = this.options.clock.setTimer(0, () => this.restore(bindings, end, restored));
    else if (restored > 0) this.options.log.info({ restored }, 'registrations restored from the journal');
  }

  /** The SIP server is connected. */
  serverFound(): void {
    this.polls?.resume();
  }

  /** The SIP server does not answer: what phones do not say meanwhile is no failure of theirs. */
  serverSilent(): void {
    this.polls?.pause();
  }

  /** The SIP server and with it every connection is gone. That phones cannot be asked is no failure of theirs. */
  serverLost(): void {
    this.polls?.pause();
    this.moved.connectionClosed();
    for (const station of this.all()) if (station.connectionBound) this.remove(station.key, 'unreachable');
  }

  /**
   * Takes no registrations and refreshes any more, and sends away who can be sent away (claim R15). A binding stays until
   * its phone has registered elsewhere, or until `stop`: it can be called as long as nobody else can reach it.
   */
  drain(withinMs: number): void {
    this.draining = true;
    const { clock, flows, inCalls } = this.options;
    if (flows === undefined || !this.placement.hasElsewhere) return;
    this.departure = new Departure({
      clock,
      withinMs: withinMs * DEPARTURE_SHARE,
      flows: () => this.flows.flows(),
      inCalls: inCalls ?? (() => new Set()),
      devicesOn: (flow) => this.flows.at(flow).map(({ device }) => device.name),
      close: (flow) => flows.close(flow),
    });
  }

  /** Phones that are still here, and could be elsewhere. */
  get waitingToMove(): number {
    return this.placement.hasElsewhere ? this.size : 0;
  }

  /** For each site that has a list of nodes, the one that its phones belong to now. */
  homes(): ReadonlyMap<string, number | undefined> {
    const sites = Object.entries(this.options.config.sites).filter(([, { nodes }]) => nodes.length > 0);
    return new Map(sites.map(([site]) => [site, this.placement.home(site)]));
  }

  /** Deletes a binding: one deletion with its reason (claim R6). */
  remove(key: string, reason: DeletionReason): void {
    const station = this.byKey.get(key);
    if (station === undefined) return;
    this.forget(station, key);
    if (!STAYS_ON_DISK.has(reason)) this.options.journal?.delete(key);
    this.options.metrics.count('tandem_registrations_removed_total', { reason });
    this.options.composite.delete(this.options.node, key, reason);
    this.options.log.info({ device: station.device.name, pid: station.pid, reason }, 'station deleted');
  }

  /** The journal keeps what is there: a restart takes it up again. */
  stop(): void {
    this.cancelRestore();
    this.departure?.stop();
    this.polls?.stop();
    for (const key of [...this.byKey.keys()]) this.remove(key, 'stopped');
    this.expiry.stop();
  }

  private get random(): () => number {
    return this.options.random ?? Math.random;
  }

  private apply(change: BindingChange, device: DeviceConfig, request: ReceivedRequest): void {
    const { source, header } = request;
    const key = bindingKey(device.name, change.binding.identity);
    if (change.type === 'unbind') {
      this.remove(key, 'unregistered');
      return;
    }
    const { mac } = readReportedIdentity(header);
    const asked = askedList(request, device, this.options.config);
    const registration = { binding: change.binding, source, stamp: this.options.stamps.next(), mac, ...asked };
    const station = this.byKey.get(key);
    if (station === undefined) this.add(device, registration);
    else {
      station.refresh(registration);
      this.publish(station);
    }
  }

  private add(device: DeviceConfig, registration: Registration, journaled?: 'journaled'): Station {
    this.moved.take(bindingKey(device.name, registration.binding.identity));
    const { pids, boot, userAgent, log } = this.options;
    const station = new Station(
      {
        pid: pids.allocate('dp'),
        boot,
        device,
        profile: this.devices.stationProfile(device),
        domain: this.domain.name,
        userAgent,
        assignment: this.devices.assignmentOf(device),
        latest: (key) => this.byKey.get(key)?.registration,
      },
      registration,
    );
    this.byKey.set(station.key, station);
    this.byPid.set(station.pid, station);
    const siblings = this.byDevice.get(device.name);
    if (siblings === undefined) this.byDevice.set(device.name, new Set([station]));
    else siblings.add(station);
    log.info({ device: device.name, pid: station.pid, contact: registration.binding.contact }, 'station registered');
    this.publish(station, journaled);
    return station;
  }

  /** The cluster may know better at once, and take it off the table again: so that comes last. */
  private publish(station: Station, journaled?: 'journaled'): void {
    const record = station.record();
    this.expiry.set(record.key, record.expiresAt);
    this.flows.set(station);
    this.polls?.watch(record.key, this.pollSubject(station));
    if (journaled === undefined) this.writeDown(station, record);
    this.options.composite.put(this.options.node, record);
  }

  private writeDown(station: Station, record: RegistrationRecord): void {
    const { journal } = this.options;
    const { binding, mediaResourceGroupList, source } = station.registration;
    const { callId, cseq, registeredAt } = binding;
    const asked = mediaResourceGroupList === undefined ? {} : { mediaResourceGroupList };
    const flow = source.flow === undefined ? {} : { flow: source.flow };
    if (station.connectionBound) journal?.delete(record.key);
    else journal?.put({ record, callId, cseq, registeredAt, ...asked, ...flow });
  }

  /** It may have been there and not be there: it is asked as soon as may be. */
  private doubt(station: Station): void {
    if (this.byKey.get(station.key) === station) this.polls?.suspect(station.key, this.pollSubject(station));
  }

  private forget(station: Station, key: string): void {
    this.expiry.delete(key);
    this.polls?.forget(key);
    this.flows.delete(station);
    this.byKey.delete(key);
    this.byPid.delete(station.pid);
    const siblings = this.byDevice.get(station.device.name);
    siblings?.delete(station);
    if (siblings?.size === 0) this.byDevice.delete(station.device.name);
  }

  /**
   * The cluster took an entry of ours off the table: its phone has registered with another node since (procedure B; claims R6, R11,
   * R15), and comes back if that turns out to be wrong; or it has left.
   */
  private followTable(change: RegistrationChange): void {
    if (change.type !== 'delete' || change.owner !== this.options.node) return;
    const { key } = change.record;
    const station = this.byKey.get(key);
    if (station === undefined) return;
    const { device, registration } = station;
    if (change.reason === 'moved') {
      this.moved.note(key, registration.binding);
      this.moved.keep(key, { device, registration });
    }
    this.remove(key, deletionReason(change.reason) ?? 'unregistered');
  }

  /** `back`: what a phone had moved to is gone, and its binding here is the newest again; it is asked whether it is there. */
  movedBinding(key: string, outcome: MovedOutcome): void {
    const kept = outcome === 'settled' ? undefined : this.moved.take(key);
    if (kept === undefined || kept.registration.binding.expiresAt <= this.options.clock.now())
      return this.moved.settle(key);
    this.options.log.info(
      { device: kept.device.name },
      'a phone that had moved is ours again: where it went it is not',
    );
    this.doubt(this.add(kept.device, kept.registration));
  }

  private restoreOne(journaled: JournaledBinding): boolean {
    const { journal } = this.options;
    // The phone may have registered, or have left, since the restoring began.
    if (journal !== undefined && !journal.holds(journaled)) return false;
    const station = this.revive(journaled);
    if (station === undefined) journal?.delete(journaled.record.key);
    else this.doubt(station);
    return station !== undefined;
  }

  private revive(journaled: JournaledBinding): Station | undefined {
    const restored = restoredStation(journaled, this.devices, this.options);
    if (restored === undefined || this.byKey.has(journaled.record.key)) return undefined;
    return this.add(restored.device, restored.registration, 'journaled');
  }

  /** A REGISTER that this node does not take: 503, or the node that the phone should use (RFC 3261 section 21.3.4). */
  private turnAway(
    request: ReceivedRequest,
    device: DeviceConfig,
    result: 'at-capacity' | 'draining',
    reason: string,
  ): RegisterResponse {
    const { config, metrics } = this.options;
    metrics.count('tandem_register_total', { result });
    const transport = parseVia(request.header('Via')?.split(',')[0] ?? '')?.protocol ?? request.source.protocol;
    const elsewhere =
      config.registrar.turnAway === 'redirect'
        ? this.placement.elsewhere(device.site, transport.toLowerCase())
        : undefined;
    if (elsewhere !== undefined) return { status: 305, reason: 'Use Proxy', headers: { Contact: `<${elsewhere}>` } };
    return { status: 503, reason, headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } };
  }

  private createPolls(): Polls | undefined {
    const { clock, config, metrics } = this.options;
    const { pollSeconds, pollMisses, pollsPerSecond } = config.registrar;
    if (pollSeconds === 0) return undefined;
    return new Polls({
      clock,
      policy: { intervalMs: pollSeconds * 1000, misses: pollMisses },
      perSecond: pollsPerSecond,
      random: this.random,
      ask: async (key) => {
        const outcome = await this.ask(key);
        metrics.count('tandem_polls_total', { result: outcome });
        return outcome;
      },
      onUnreachable: (key) => this.remove(key, 'unreachable'),
    });
  }

  private async ask(key: string): Promise<PollOutcome> {
    const station = this.byKey.get(key);
    if (station === undefined) return 'silent';
    const { status } = await station.confirm(answerTime(this.options.config.registrar.pollSeconds));
    if (station.connectionBound && CONNECTION_CLOSED.has(status)) return 'closed';
    return NO_ANSWER.has(status) ? 'silent' : 'answered';
  }

  private pollSubject({ connectionBound, registration }: Station): PollSubject {
    const { expiresAt, registeredAt } = registration.binding;
    const mayCloseUnseen = connectionBound && this.options.flows === undefined;
    return { lifetimeMs: expiresAt - registeredAt, mayCloseUnseen };
  }

  /** A connection that closes is the end of what registered over it, at once (claim R7). */
  private flowClosed(flow: string): void {
    this.moved.connectionClosed(flow);
    for (const station of this.flows.at(flow)) this.remove(station.key, 'unreachable');
  }
}
