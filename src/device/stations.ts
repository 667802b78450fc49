import type { DeviceConfig } from '../config/types';
import type { CancelTimer } from '../process/clock';
import { compareStamps } from '../process/hlc';
import type { Pid } from '../process/pid';
import { bindingKey } from '../registration/binding-key';
import type { RegistrationChange } from '../registration/composite-set';
import type { JournaledBinding } from '../registration/journal';
import type { DeletionReason } from '../registration/record';
import type { SipDomain } from '../sip/domain';
import { register, type Binding, type BindingChange, type RegisterResponse } from '../sip/registrar';
import type { ReceivedRequest, SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { ExpiryQueue } from './expiry-queue';
import { isConnectionBound, parseAddress } from './outgoing';
import type { DevicesOptions } from './ports';
import { Station, type Registration } from './station';

const MAX_CONTACTS = 10;
/** What a phone that is turned away should wait before it tries here again, seconds. */
export const RETRY_AFTER_SECONDS = 30;
/** Phones that are asked at a time whether they are there. */
const CONFIRMATIONS_AT_A_TIME = 50;
const CONNECTION_POLL_MS = 30_000;

/** A phone to be asked by OPTIONS, and the answers by which it counts as gone. */
interface Confirmation {
  readonly station: Station;
  readonly gone: readonly number[];
}

/** No answer, or no way to it. */
const SILENT = [408, 503];
/** What the SIP server answers for a connection that is closed. Silence is left to the registration lifetime. */
const CLOSED = [410, 503];

/** The stations that this node controls: makes, refreshes and deletes their device processes (claims R1, R2, R6). */
export class Stations {
  private readonly byKey = new Map<string, Station>();
  private readonly byPid = new Map<Pid, Station>();
  private readonly byDevice = new Map<string, Set<Station>>();
  private readonly expiry: ExpiryQueue;
  private toConfirm: Confirmation[] = [];
  private cancelPoll: CancelTimer | undefined;
  private confirming = 0;
  private stopped = false;

  constructor(
    private readonly options: DevicesOptions,
    private readonly devices: ConfiguredDevices,
    private readonly domain: SipDomain,
  ) {
    this.expiry = new ExpiryQueue(options.clock, (key) => this.remove(key, 'expired'));
    options.composite.onChange((change) => this.followOthers(change));
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
      random: this.options.random ?? Math.random,
    };
    const { response, changes, outcome } = register(request, bindings, policy, now);
    if (outcome === 'stale-cseq') metrics.count('tandem_stale_cseq_total');
    const capacity = config.nodes.find(({ id }) => id === node)?.capacity ?? Infinity;
    if (this.byKey.size + growth(changes) > capacity) {
      metrics.count('tandem_register_total', { result: 'at-capacity' });
      return { status: 503, reason: 'At Capacity', headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } };
    }
    for (const change of changes) this.apply(change, device, request.source);
    metrics.count('tandem_register_total', { result: outcome });
    return response;
  }

  /** Takes up what the journal holds: UDP phones at once; a connection did not outlive the process. */
  restore(bindings: readonly JournaledBinding[]): void {
    for (const journaled of bindings) {
      const station = this.revive(journaled);
      if (station === undefined) this.options.journal?.delete(journaled.record.key);
      else this.toConfirm.push({ station, gone: SILENT });
    }
    if (this.toConfirm.length > 0)
      this.options.log.info({ restored: this.toConfirm.length }, 'registrations restored from the journal');
    this.confirmNext();
  }

  /** The SIP server and with it every connection is gone. */
  dropConnections(): void {
    for (const station of this.all()) if (station.connectionBound) this.remove(station.key, 'unreachable');
  }

  /** Deletes a binding: one deletion with its reason (claim R6). */
  remove(key: string, reason: DeletionReason): void {
    const station = this.byKey.get(key);
    if (station === undefined) return;
    this.forget(station, key);
    if (reason !== 'stopped') this.options.journal?.delete(key);
    this.options.metrics.count('tandem_registrations_removed_total', { reason });
    this.options.composite.delete(this.options.node, key, reason);
    this.options.log.info({ device: station.device.name, pid: station.pid, reason }, 'station deleted');
  }

  /** The journal keeps what is there: a restart takes it up again. */
  stop(): void {
    this.stopped = true;
    this.toConfirm = [];
    for (const key of [...this.byKey.keys()]) this.remove(key, 'stopped');
    this.expiry.stop();
    this.cancelPoll?.();
    this.cancelPoll = undefined;
  }

  private apply(change: BindingChange, device: DeviceConfig, source: SipSource): void {
    const key = bindingKey(device.name, change.binding.identity);
    if (change.type === 'unbind') {
      this.remove(key, 'unregistered');
      return;
    }
    const registration = { binding: change.binding, source, stamp: this.options.stamps.next() };
    const station = this.byKey.get(key);
    if (station === undefined) this.add(device, registration);
    else {
      station.refresh(registration);
      this.publish(station);
    }
  }

  private add(device: DeviceConfig, registration: Registration): Station {
    const { pids, boot, userAgent, log } = this.options;
    const station = new Station(
      {
        pid: pids.allocate('dp'),
        boot,
        device,
        profile: this.devices.stationProfile(device),
        domain: this.domain.name,
        userAgent,
      },
      registration,
    );
    this.byKey.set(station.key, station);
    this.byPid.set(station.pid, station);
    const siblings = this.byDevice.get(device.name);
    if (siblings === undefined) this.byDevice.set(device.name, new Set([station]));
    else siblings.add(station);
    this.publish(station);
    log.info({ device: device.name, pid: station.pid, contact: registration.binding.contact }, 'station registered');
    return station;
  }

  private publish(station: Station): void {
    const record = station.record();
    const { callId, cseq, registeredAt } = station.registration.binding;
    this.expiry.set(record.key, record.expiresAt);
    if (station.connectionBound) this.options.journal?.delete(record.key);
    else this.options.journal?.put({ record, callId, cseq, registeredAt });
    this.options.composite.put(this.options.node, record);
    if (station.connectionBound) this.schedulePoll();
  }

  /** Nobody tells when a phone's connection closes: it is asked over it (claim R7). */
  private schedulePoll(): void {
    this.cancelPoll ??= this.options.clock.setTimer(CONNECTION_POLL_MS, () => {
      this.cancelPoll = undefined;
      const bound = this.all().filter((station) => station.connectionBound);
      if (bound.length > 0) this.schedulePoll();
      // When the last round is not over yet, the machine has enough to do.
      if (this.toConfirm.length > 0) return;
      this.toConfirm = bound.map((station) => ({ station, gone: CLOSED }));
      this.confirmNext();
    });
  }

  private forget(station: Station, key: string): void {
    this.expiry.delete(key);
    this.byKey.delete(key);
    this.byPid.delete(station.pid);
    const siblings = this.byDevice.get(station.device.name);
    siblings?.delete(station);
    if (siblings?.size === 0) this.byDevice.delete(station.device.name);
  }

  /** Procedure B: the device has registered with another node since (claims R6, R11, R15). */
  private followOthers(change: RegistrationChange): void {
    if (change.type !== 'put' || change.owner === this.options.node) return;
    const station = this.byKey.get(change.record.key);
    if (station !== undefined && compareStamps(change.record.stamp, station.registration.stamp) > 0)
      this.remove(change.record.key, 'moved');
  }

  private revive({ record, callId, cseq, registeredAt }: JournaledBinding): Station | undefined {
    const { clock, composite, node, stamps } = this.options;
    const device = this.devices.named(record.device);
    const source = parseAddress(record.address);
    if (device === undefined || source === undefined || isConnectionBound(source)) return undefined;
    if (record.expiresAt <= clock.now() || this.byKey.has(record.key)) return undefined;
    // The stamp stays: being restored is no news of the phone, which may have gone elsewhere meanwhile.
    const superseded = composite
      .holders(record.key, node)
      .some((owner) => compareStamps(composite.get(owner, record.key)?.stamp ?? record.stamp, record.stamp) > 0);
    if (superseded || !stamps.merge(record.stamp)) return undefined;
    const { contact, expiresAt, instance: identity } = record;
    const instance = /^sips?:/i.test(identity) ? undefined : identity;
    const binding: Binding = { identity, instance, contact, callId, cseq, registeredAt, expiresAt };
    return this.add(device, { binding, source, stamp: record.stamp });
  }

  private confirmNext(): void {
    while (this.confirming < CONFIRMATIONS_AT_A_TIME && !this.stopped) {
      const confirmation = this.toConfirm.pop();
      if (confirmation === undefined) return;
      this.confirming += 1;
      void this.confirm(confirmation).finally(() => {
        this.confirming -= 1;
        this.confirmNext();
      });
    }
  }

  private async confirm({ station, gone }: Confirmation): Promise<void> {
    const asked = station.registration;
    const { status } = await station.confirm();
    // It may have registered, or gone, while we waited.
    const unchanged = this.byPid.get(station.pid) === station && station.registration === asked;
    if (gone.includes(status) && unchanged && !this.stopped) this.remove(station.key, 'unreachable');
  }
}

/** How many bindings more there are after the changes. */
function growth(changes: readonly BindingChange[]): number {
  return changes.reduce((sum, change) => {
    if (change.type === 'unbind') return sum - 1;
    return change.previous === undefined ? sum + 1 : sum;
  }, 0);
}
