import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { GatewayConfig } from '../config/types';
import type { CancelTimer } from '../process/clock';
import type { Pid } from '../process/pid';
import { canonicalHost } from '../sip/domain';
import type { SipSource } from '../sip/user-agent';
import type { ConfiguredDevices } from './configured-devices';
import { Gateway, gatewayHost, gatewayPort, gatewayUri } from './gateway';
import type { DevicesOptions, HostResolver } from './ports';

const LOOK_UP_INTERVAL_MS = 60_000;

const systemResolver: HostResolver = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/** Every gateway of the configuration: who owns it, and who it is when it calls. */
export class Gateways {
  private readonly owned = new Map<string, Gateway>();
  private readonly byPid = new Map<Pid, Gateway>();
  /** Addresses of host names, as last looked up. */
  private readonly addresses = new Map<string, ReadonlySet<string>>();
  private cancelLookUp: CancelTimer | undefined;
  private started = false;

  constructor(
    private readonly options: DevicesOptions,
    private readonly devices: ConfiguredDevices,
    private readonly serverIsUp: () => boolean,
  ) {}

  start(): void {
    this.started = true;
    this.lookUp();
    this.membershipChanged();
  }

  stop(): void {
    this.started = false;
    this.cancelLookUp?.();
    for (const gateway of [...this.owned.values()]) this.release(gateway, 'stopped');
  }

  /** Takes and gives up gateways: the first live node of a gateway's list owns it. */
  membershipChanged(): void {
    if (!this.started) return;
    for (const gateway of this.options.config.gateways) {
      const owned = this.owned.get(gateway.name);
      const mine = this.ownerOf(gateway) === this.options.node;
      if (mine && owned === undefined) this.take(gateway);
      else if (!mine && owned !== undefined) this.release(owned, 'moved');
    }
  }

  /** The node that owns a gateway, as far as we know; `undefined` when none of its nodes lives. */
  ownerOf(gateway: GatewayConfig): number | undefined {
    return gateway.nodes.find((node) => node === this.options.node || this.options.nodes.find(node)?.live === true);
  }

  withPid(pid: Pid): Gateway | undefined {
    return this.byPid.get(pid);
  }

  named(name: string): Gateway | undefined {
    return this.owned.get(name);
  }

  all(): readonly Gateway[] {
    return [...this.owned.values()];
  }

  /** The gateway that sends from this address and port, if any. */
  at(source: SipSource): GatewayConfig | undefined {
    return this.options.config.gateways.find((gateway) => {
      const uri = gatewayUri(gateway);
      return gatewayPort(uri) === source.port && this.isAddressOf(gatewayHost(uri), canonicalHost(source.address));
    });
  }

  private isAddressOf(host: string, address: string): boolean {
    return host === address || this.addresses.get(host)?.has(address) === true;
  }

  private take(gateway: GatewayConfig): void {
    const pid = this.options.pids.allocate('gp');
    const process = new Gateway(this.options, gateway, pid, this.devices.gatewayProfile(gateway), this.serverIsUp);
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

  private lookUp(): void {
    const hosts = new Set(this.options.config.gateways.map((gateway) => gatewayHost(gatewayUri(gateway))));
    const names = [...hosts].filter((host) => isIP(host) === 0);
    if (names.length === 0) return;
    for (const name of names) void this.lookUpHost(name);
    this.cancelLookUp = this.options.clock.setTimer(LOOK_UP_INTERVAL_MS, () => this.lookUp());
  }

  /** What is known stays when the look-up fails. */
  private async lookUpHost(host: string): Promise<void> {
    try {
      const found = await (this.options.resolveHost ?? systemResolver)(host);
      this.addresses.set(host, new Set(found.map(canonicalHost)));
    } catch (error) {
      this.options.log.warn({ host, error: String(error) }, 'address of a gateway not found');
    }
  }
}
