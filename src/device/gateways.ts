import type { GatewayConfig } from '../config/types';
import type { Pid } from '../process/pid';
import type { ReceivedRequest, SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import type { JournaledBinding } from '../registration/journal';
import type { SipDomain } from '../sip/domain';
import type { RegisterResponse } from '../sip/registrar';
import { Gateway } from './gateway';
import { GatewayAddresses } from './gateway-addresses';
import { GatewayCredentials } from './gateway-credentials';
import { configuredPlace, type GatewayPlace } from './gateway-place';
import type { DevicesOptions, MovedOutcome } from './ports';
import { RegisteredGateways } from './registered-gateways';

/** Every gateway of the configuration: who controls it, and who it is when it calls (claim R17). */
export class Gateways {
  /** What their challenges are answered with. */
  readonly credentials: GatewayCredentials;
  private readonly registered: RegisteredGateways;
  /** Those that have an address in the configuration. */
  private readonly configured: readonly { readonly gateway: GatewayConfig; readonly place: GatewayPlace }[];
  private readonly owned = new Map<string, Gateway>();
  private readonly byPid = new Map<Pid, Gateway>();
  private readonly addresses: GatewayAddresses;
  private started = false;

  constructor(
    private readonly options: DevicesOptions,
    private readonly devices: ConfiguredDevices,
    domain: SipDomain,
    private readonly serverIsUp: () => boolean,
  ) {
    this.configured = options.config.gateways.flatMap((gateway) => {
      const place = configuredPlace(gateway);
      return place === undefined ? [] : [{ gateway, place }];
    });
    const { clock, log, locate } = options;
    this.addresses = new GatewayAddresses({ gateways: options.config.gateways, clock, log, locate });
    this.credentials = new GatewayCredentials(options);
    this.registered = new RegisteredGateways(options, devices, domain, serverIsUp, this.credentials);
    options.composite.onChange(({ type, owner, record }) => {
      if (type === 'delete' && owner !== options.node) this.owned.get(record.device)?.publishAgain();
    });
  }

  /** Takes the configured ones that are ours, and the registered ones that the journal holds. */
  start(journaled: readonly JournaledBinding[]): void {
    this.started = true;
    this.registered.restore(journaled);
    this.addresses.start();
    this.membershipChanged();
  }

  stop(): void {
    this.started = false;
    this.addresses.stop();
    for (const gateway of [...this.owned.values()]) this.release(gateway, 'stopped');
    this.registered.stop();
  }

  /** The SIP server and with it every connection is gone. */
  dropConnections(): void {
    this.registered.dropConnections();
  }

  /** As `Stations.movedBinding`. */
  movedBinding(key: string, outcome: MovedOutcome): void {
    this.registered.movedBinding(key, outcome);
  }

  /** An authenticated REGISTER; one with an address in the configuration does not register. */
  register(request: ReceivedRequest, gateway: GatewayConfig, nonceIssuedAt: number): RegisterResponse {
    if (gateway.uri === undefined) return this.registered.register(request, gateway, nonceIssuedAt);
    return { status: 403, reason: 'Gateway Does Not Register', headers: {} };
  }

  /** Takes and gives up gateways: the first live node of a gateway's list owns it. */
  membershipChanged(): void {
    if (!this.started) return;
    for (const { gateway, place } of this.configured) {
      const owned = this.owned.get(gateway.name);
      const mine = this.ownerOf(gateway) === this.options.node;
      if (mine && owned === undefined) this.take(gateway, place);
      else if (!mine && owned !== undefined) this.release(owned, 'moved');
    }
  }

  /** The node that owns a gateway, as far as we know; `undefined` when none of its nodes lives. */
  ownerOf(gateway: GatewayConfig): number | undefined {
    return gateway.nodes.find((node) => node === this.options.node || this.options.nodes.find(node)?.live === true);
  }

  withPid(pid: Pid): Gateway | undefined {
    return this.byPid.get(pid) ?? this.registered.withPid(pid);
  }

  named(name: string): Gateway | undefined {
    return this.owned.get(name) ?? this.registered.named(name);
  }

  all(): readonly Gateway[] {
    return [...this.owned.values(), ...this.registered.all()];
  }

  /** The gateway that is here, by the configuration or its registration here. */
  at(source: SipSource): GatewayConfig | undefined {
    return this.addresses.at(source) ?? this.registered.at(source);
  }

  private take(gateway: GatewayConfig, place: GatewayPlace): void {
    const pid = this.options.pids.allocate('gp');
    const process = new Gateway({
      room: this.options,
      gateway,
      pid,
      profile: this.devices.gatewayProfile(gateway),
      place,
      stamp: this.options.stamps.next(),
      serverIsUp: this.serverIsUp,
      digest: this.credentials.of(gateway),
    });
    this.owned.set(gateway.name, process);
    this.byPid.set(pid, process);
    process.start();
    this.options.log.info({ gateway: gateway.name, pid }, 'gateway owned by this node');
  }

  private release(gateway: Gateway, reason: 'moved' | 'stopped'): void {
    this.owned.delete(gateway.gateway.name);
    this.byPid.delete(gateway.pid);
    gateway.stop(reason);
    this.options.log.info({ gateway: gateway.gateway.name, pid: gateway.pid, reason }, 'gateway given up');
  }
}
