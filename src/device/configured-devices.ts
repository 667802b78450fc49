import type { DeviceConfig, GatewayConfig, TandemConfig } from '../config/types';
import type { Assignment } from '../registration/record';
import type { DigestAccount } from '../sip/digest';
import type { DeviceProfile } from './device-process';

/** Devices that are not in the configuration, and were given a number (claim R16). */
export interface GivenNumbers {
  named(name: string): DeviceConfig | undefined;
  withNumber(number: string): DeviceConfig | undefined;
  assignmentOf(device: DeviceConfig): Assignment | undefined;
}

/** The devices of the configuration, by the names under which SIP knows them, and those that were given a number. */
export class ConfiguredDevices {
  given: GivenNumbers | undefined;
  private readonly byUsername: ReadonlyMap<string, DeviceConfig>;
  private readonly byName: ReadonlyMap<string, DeviceConfig>;
  private readonly byUser = new Map<string, DeviceConfig[]>();
  private readonly gatewayByUsername: ReadonlyMap<string, GatewayConfig>;
  private readonly otherNumbers: ReadonlySet<string>;

  constructor(private readonly config: TandemConfig) {
    this.byUsername = new Map(config.devices.map((device) => [device.username, device]));
    this.byName = new Map(config.devices.map((device) => [device.name, device]));
    this.gatewayByUsername = new Map(
      config.gateways.flatMap((gateway) => (gateway.username === undefined ? [] : [[gateway.username, gateway]])),
    );
    this.otherNumbers = new Set([
      ...config.conferences.map(({ number }) => number),
      ...(config.autoRegistration?.numbers ?? []),
    ]);
    for (const device of config.devices)
      for (const user of new Set([device.username, ...device.lines])) {
        const owners = this.byUser.get(user);
        if (owners === undefined) this.byUser.set(user, [device]);
        else owners.push(device);
      }
  }

  withUsername(username: string): DeviceConfig | undefined {
    return this.byUsername.get(username);
  }

  named(name: string): DeviceConfig | undefined {
    return this.byName.get(name) ?? this.given?.named(name);
  }

  gatewayWithUsername(username: string): GatewayConfig | undefined {
    return this.gatewayByUsername.get(username);
  }

  gatewayNamed(name: string): GatewayConfig | undefined {
    return this.config.gateways.find((gateway) => gateway.name === name);
  }

  /** The device that a user part belongs to: `preferred` when it is one of its own (a line may be shared). */
  owner(user: string, preferred?: DeviceConfig): DeviceConfig | undefined {
    const owners = this.byUser.get(user);
    if (owners !== undefined) return owners.find((device) => device === preferred) ?? owners[0];
    // A device that was given its number may still go by whatever it was set up with.
    if (preferred !== undefined && !this.byName.has(preferred.name)) return preferred;
    return this.given?.withNumber(user);
  }

  /** Whether a user part, or a username, is of the configuration. */
  hasUser(user: string): boolean {
    return this.byUser.has(user) || this.gatewayByUsername.has(user);
  }

  /** Whether dialling it reaches somebody here: a line, a username, a conference, a number that devices are or may be given. */
  isNumber(user: string): boolean {
    return this.hasUser(user) || this.otherNumbers.has(user) || this.given?.withNumber(user) !== undefined;
  }

  /** Whether a device, gateway or media resource of the configuration has the name. */
  hasName(name: string): boolean {
    const { gateways, mediaResources } = this.config;
    return this.byName.has(name) || [...gateways, ...mediaResources].some((device) => device.name === name);
  }

  /** That the device was given its number; undefined for one of the configuration. */
  assignmentOf(device: DeviceConfig): Assignment | undefined {
    return this.byName.has(device.name) ? undefined : this.given?.assignmentOf(device);
  }

  /** Everybody who can authenticate by digest. */
  accounts(): DigestAccount[] {
    const stations = this.config.devices.map(({ username, password, digest }) => ({
      username,
      password,
      algorithms: digest,
    }));
    const gateways = this.config.gateways.flatMap(({ username, password }): DigestAccount[] =>
      username === undefined || password === undefined ? [] : [{ username, password, algorithms: ['MD5'] }],
    );
    const { username, password } = this.config.autoRegistration ?? {};
    const shared: DigestAccount[] =
      username === undefined || password === undefined ? [] : [{ username, password, algorithms: ['MD5'] }];
    return [...shared, ...gateways, ...stations];
  }

  stationProfile(device: DeviceConfig): DeviceProfile {
    const { mtpRequired, displayName, survive } = device;
    return {
      ...{ ...this.profile('station', device), mtpRequired },
      ...(displayName === undefined ? {} : { displayName }),
      ...(survive === undefined ? {} : { survive }),
    };
  }

  gatewayProfile(gateway: GatewayConfig): DeviceProfile {
    return this.profile('gateway', gateway);
  }

  nodeProfile(node: number): DeviceProfile {
    return {
      name: `node-${node}`,
      kind: 'node',
      node,
      site: this.config.nodes.find(({ id }) => id === node)?.site,
      mediaResourceGroupList: undefined,
      userClass: undefined,
      codecs: undefined,
    };
  }

  hasNode(node: number): boolean {
    return this.config.nodes.some(({ id }) => id === node);
  }

  private profile(kind: 'station' | 'gateway', device: DeviceConfig | GatewayConfig): DeviceProfile {
    const { name, site, mediaResourceGroupList, userClass, mediaSecurity: security, delayedOffer } = device;
    const codecs = device.codecs ?? (site === undefined ? undefined : this.config.sites[site]?.codecs);
    return {
      ...{ name, kind, site, mediaResourceGroupList, userClass, codecs },
      ...(security === undefined ? {} : { security }),
      ...(delayedOffer === undefined ? {} : { delayedOffer }),
    };
  }
}
