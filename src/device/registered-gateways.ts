import type { GatewayConfig } from '../config/types';
import type { Stamp } from '../process/hlc';
import type { Pid } from '../process/pid';
import type { RegistrationChange } from '../registration/composite-set';
import type { JournaledBinding } from '../registration/journal';
import { deletionReason, type DeletionReason, type RegistrationRecord } from '../registration/record';
import type { SipDomain } from '../sip/domain';
import { readContacts } from '../sip/register-contacts';
import { register, type Binding, type RegisterResponse } from '../sip/registrar';
import type { ReceivedRequest, SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { ExpiryQueue } from './expiry-queue';
import { Gateway, gatewayKey } from './gateway';
import type { GatewayCredentials } from './gateway-credentials';
import { registeredPlace } from './gateway-place';
import { formatAddress, isConnectionBound } from './outgoing';
import type { DevicesOptions, MovedOutcome } from './ports';
import { journaledBinding, journaledSource, restoredStamp, STAYS_ON_DISK } from './restoring';

/** A gateway that has registered here. */
interface Held {
  readonly process: Gateway;
  readonly binding: Binding;
  readonly source: SipSource;
  readonly stamp: Stamp;
}

/**
 * The gateways that have registered with this node (claim R17): the node that accepts one controls it. A gateway is one
 * device: its newest contact replaces the one before, here and at other nodes.
 */
export class RegisteredGateways {
  private readonly byName = new Map<string, Held>();
  private readonly byPid = new Map<Pid, Gateway>();
  /** Those that have registered with other nodes since, by key: see `movedBinding`. */
  private readonly kept = new Map<string, Held>();
  private readonly expiry: ExpiryQueue;

  constructor(
    private readonly options: DevicesOptions,
    private readonly devices: ConfiguredDevices,
    private readonly domain: SipDomain,
    private readonly serverIsUp: () => boolean,
    private readonly credentials: GatewayCredentials,
  ) {
    this.expiry = new ExpiryQueue(options.clock, (name) => this.remove(name, 'expired'));
    options.composite.onChange((change) => this.followTable(change));
    options.flows?.onClosed((flow) => this.flowClosed(flow));
  }

  withPid(pid: Pid): Gateway | undefined {
    return this.byPid.get(pid);
  }

  named(name: string): Gateway | undefined {
    return this.byName.get(name)?.process;
  }

  all(): readonly Gateway[] {
    return [...this.byPid.values()];
  }

  /** The gateway that has registered from this very address. */
  at(source: SipSource): GatewayConfig | undefined {
    const address = formatAddress(source);
    for (const held of this.byName.values()) if (formatAddress(held.source) === address) return held.process.gateway;
    return undefined;
  }

  /** An authenticated REGISTER of a gateway that is configured without an address. */
  register(request: ReceivedRequest, gateway: GatewayConfig, nonceIssuedAt: number): RegisterResponse {
    const { clock, config, metrics, random = Math.random } = this.options;
    const now = clock.now();
    const held = this.byName.get(gateway.name);
    if (held !== undefined && held.binding.expiresAt <= now) this.remove(gateway.name, 'expired');
    const bindings = this.byName.has(gateway.name) && held !== undefined ? [asOne(held.binding, request)] : [];
    const { response, changes, outcome } = register(
      request,
      bindings,
      {
        domain: this.domain,
        expiry: config.registrar,
        maxContacts: 1,
        device: gateway,
        owner: (user) => (user === gateway.username || user === gateway.name ? gateway : this.devices.owner(user)),
        nonceIssuedAt,
        random,
      },
      now,
    );
    if (outcome === 'stale-cseq') metrics.count('tandem_stale_cseq_total');
    metrics.count('tandem_register_total', { result: outcome });
    for (const change of changes)
      if (change.type === 'unbind') this.remove(gateway.name, 'unregistered');
      else this.bind(gateway, change.binding, request.source, this.options.stamps.next());
    return response;
  }

  /** Takes up what the journal holds; the polls will tell whether they are still there. */
  restore(bindings: readonly JournaledBinding[]): void {
    for (const journaled of bindings) if (!this.revive(journaled)) this.options.journal?.delete(journaled.record.key);
  }

  /** The SIP server and with it every connection is gone. */
  dropConnections(): void {
    for (const [key, { source }] of this.kept) if (isConnectionBound(source)) this.kept.delete(key);
    for (const [name, { source }] of [...this.byName]) if (isConnectionBound(source)) this.remove(name, 'unreachable');
  }

  /** A connection that closes is the end of what registered over it (claim R7). */
  private flowClosed(flow: string): void {
    for (const [key, { source }] of this.kept) if (source.flow === flow) this.kept.delete(key);
    for (const [name, { source }] of [...this.byName]) if (source.flow === flow) this.remove(name, 'unreachable');
  }

  /** The journal keeps what is there: a restart takes it up again. */
  stop(): void {
    for (const name of [...this.byName.keys()]) this.remove(name, 'stopped');
    this.expiry.stop();
  }

  /** The cluster may know better at once, and take it off the table again: so that comes last. */
  private bind(
    gateway: GatewayConfig,
    binding: Binding,
    source: SipSource,
    stamp: Stamp,
    journaled?: 'journaled',
  ): void {
    const place = registeredPlace(binding.contact, source, binding.expiresAt);
    const known = this.byName.get(gateway.name)?.process;
    const process =
      known ??
      new Gateway({
        room: this.options,
        gateway,
        pid: this.options.pids.allocate('gp'),
        profile: this.devices.gatewayProfile(gateway),
        place,
        stamp,
        serverIsUp: this.serverIsUp,
        digest: this.credentials.of(gateway),
        onSilent: () => this.remove(gateway.name, 'unreachable'),
      });
    this.kept.delete(process.key);
    this.byName.set(gateway.name, { process, binding, source, stamp });
    this.byPid.set(process.pid, process);
    this.expiry.set(gateway.name, binding.expiresAt);
    known?.relocate(place, stamp);
    if (journaled === undefined) this.writeDown(process.record(), binding, source);
    if (known !== undefined) return known.publish();
    this.options.log.info({ gateway: gateway.name, pid: process.pid, contact: binding.contact }, 'gateway registered');
    process.start();
  }

  private writeDown(record: RegistrationRecord, { callId, cseq, registeredAt }: Binding, source: SipSource): void {
    if (isConnectionBound(source)) this.options.journal?.delete(record.key);
    else
      this.options.journal?.put({
        record,
        callId,
        cseq,
        registeredAt,
        ...(source.flow === undefined ? {} : { flow: source.flow }),
      });
  }

  private remove(name: string, reason: DeletionReason): void {
    const held = this.byName.get(name);
    if (held === undefined) return;
    const { process } = held;
    this.byName.delete(name);
    this.byPid.delete(process.pid);
    this.expiry.delete(name);
    process.stop(reason);
    if (!STAYS_ON_DISK.has(reason)) this.options.journal?.delete(process.key);
    this.options.metrics.count('tandem_registrations_removed_total', { reason });
    this.options.log.info({ gateway: name, pid: process.pid, reason }, 'gateway deleted');
  }

  /** As `Stations.followTable`. */
  private followTable(change: RegistrationChange): void {
    const { record, owner, type } = change;
    if (type !== 'delete' || owner !== this.options.node || record.kind !== 'gateway') return;
    const held = this.byName.get(record.device);
    // One that does not answer is withdrawn by its own process, and deleted by that.
    if (held?.process.pid !== record.pid || change.reason === 'unreachable') return;
    if (change.reason === 'moved') this.kept.set(record.key, held);
    this.remove(record.device, deletionReason(change.reason) ?? 'unregistered');
  }

  /** As `Stations.movedBinding`. */
  movedBinding(key: string, outcome: MovedOutcome): void {
    const kept = this.kept.get(key);
    this.kept.delete(key);
    if (outcome === 'settled' || kept === undefined || kept.binding.expiresAt <= this.options.clock.now()) {
      if (kept !== undefined) this.options.journal?.delete(key);
      return;
    }
    this.bind(kept.process.gateway, kept.binding, kept.source, kept.stamp);
  }

  private revive(journaled: JournaledBinding): boolean {
    const { record } = journaled;
    const { clock, stamps } = this.options;
    const gateway = this.devices.gatewayNamed(record.device);
    const source = journaledSource(journaled, this.options.flows);
    if (gateway === undefined || gateway.uri !== undefined || source === undefined) return false;
    if (record.expiresAt <= clock.now() || record.key !== gatewayKey(gateway)) return false;
    const binding = journaledBinding(journaled, record.contact, undefined);
    this.bind(gateway, binding, source, restoredStamp(record.stamp, stamps), 'journaled');
    return true;
  }
}

/**
 * The binding as the registrar shall find it: under the contact that the request adds, since whatever contact a gateway
 * names takes the place of the one before. The order of requests is still judged by it.
 */
function asOne(binding: Binding, request: ReceivedRequest): Binding {
  const requested = readContacts(request.header('Contact'), request.header('Expires'));
  if (requested.type !== 'update') return binding;
  const added = requested.contacts.find(({ expires }) => expires !== 0);
  if (added === undefined) return binding;
  return { ...binding, identity: added.instance ?? added.canonical, instance: added.instance, contact: added.uri };
}
