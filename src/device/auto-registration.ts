import { createHash } from 'node:crypto';
import type { AutoRegistrationConfig, DeviceConfig } from '../config/types';
import { Networks } from '../process/networks';
import type { RegistrationChange } from '../registration/composite-set';
import type { Assignment } from '../registration/record';
import { formatIdentity } from '../sip/identity';
import { readContacts } from '../sip/register-contacts';
import type { RegisterResponse } from '../sip/registrar';
import type { Headers, ReceivedRequest, SipSource } from '../sip/user-agent';
import { Claims, type Claim } from './auto-registration-claims';
import type { ClaimStore } from './auto-registration-store';
import type { GivenNumbers } from './configured-devices';
import { readReportedIdentity, type ReportedIdentity } from './device-identity';
import { formatAddress } from './outgoing';
import type { DevicesOptions } from './ports';

/** In the 200 to a REGISTER: the number that the device was given. */
export const NUMBER_HEADER = 'X-Tandem-Number';
const RETRY_AFTER_SECONDS = 300;

export interface AutoRegistrationOptions {
  readonly room: DevicesOptions;
  readonly config: AutoRegistrationConfig;
  readonly store: ClaimStore | undefined;
  /** Whether a device of the configuration has this name. */
  readonly isConfigured: (name: string) => boolean;
}

/**
 * Devices that are not configured and ask for a number (claim R16). A device is given the same number again, here or at another
 * node: what was given goes to the other nodes with its registration record, and every node keeps what it has heard.
 */
export class AutoRegistration implements GivenNumbers {
  private readonly claims: Claims;
  private readonly devices = new WeakMap<Claim, DeviceConfig>();
  private readonly identities = new Map<string, string>();
  private readonly networks: Networks;
  /** Where the devices are that are registered here, and their names. */
  private readonly places = new Map<string, string>();
  /** Numbers that registered devices have, also those that they must give back. */
  private readonly inUse = new Map<string, number>();

  constructor(private readonly options: AutoRegistrationOptions) {
    const { config, room, store } = options;
    this.claims = new Claims(config.numbers);
    this.networks = new Networks(config.from);
    for (const claim of store?.read() ?? []) this.learn(claim, false);
    room.composite.onChange((change) => this.follow(change));
  }

  /** The account that all of these devices share; undefined: the network that they are in is what they are trusted for. */
  get username(): string | undefined {
    return this.options.config.username;
  }

  /** Whether such a device may be at this address. */
  allows({ address }: SipSource): boolean {
    return this.networks.size === 0 || this.networks.has(address);
  }

  /** The device that has registered here from this very address. */
  at(source: SipSource): DeviceConfig | undefined {
    const name = this.places.get(formatAddress(source));
    return name === undefined ? undefined : this.named(name);
  }

  named(name: string): DeviceConfig | undefined {
    const claim = this.claims.of(this.identities.get(name) ?? '');
    return claim?.device === name ? this.deviceOf(claim) : undefined;
  }

  withNumber(number: string): DeviceConfig | undefined {
    const claim = this.claims.holder(number);
    return claim === undefined ? undefined : this.deviceOf(claim);
  }

  assignmentOf(device: DeviceConfig): Assignment | undefined {
    const claim = this.claims.of(this.identities.get(device.name) ?? '');
    return claim === undefined ? undefined : { identity: claim.identity, at: claim.at };
  }

  /** The device that sends a REGISTER, with its number; a new one is given one. */
  deviceFor(request: ReceivedRequest): DeviceConfig | RegisterResponse {
    const reported = readReportedIdentity(request.header);
    const requested = readContacts(request.header('Contact'), request.header('Expires'));
    const binds = requested.type === 'update' && requested.contacts.some(({ expires }) => expires !== 0);
    const identity = reported.identity === `user:${this.username ?? ''}` ? undefined : reported.identity;
    const known = identity === undefined ? undefined : this.claims.of(identity);
    if (known !== undefined) return this.counted('known', this.deviceOf(known));
    // A query and the removal of everything have no contact, and with it nothing to know the device by but its address.
    const here = identity === undefined || !binds ? this.at(request.source) : undefined;
    if (here !== undefined) return this.counted('known', here);
    if (identity === undefined) return this.refuse(403, 'No Device Identity', 'unidentified', 'send +sip.instance');
    if (!binds) return this.refuse(404, 'Not Found', 'unknown', 'the device has no number');
    return this.give(identity, reported);
  }

  /** What the 200 tells the device of its number (RFC 7315 section 4.1). */
  headersFor({ lines }: DeviceConfig): Headers {
    const { domain } = this.options.room.config.cluster;
    const [number = ''] = lines;
    return { 'P-Associated-URI': formatIdentity(number, undefined, domain), [NUMBER_HEADER]: number };
  }

  private give(identity: string, reported: ReportedIdentity): DeviceConfig | RegisterResponse {
    const { config, node, stamps, log } = this.options.room;
    const nodes = config.nodes.map(({ id }) => id).sort((a, b) => a - b);
    const share = { index: Math.max(0, nodes.indexOf(node)), of: nodes.length };
    const number = this.claims.free(share, (candidate) => this.inUse.has(candidate));
    if (number === undefined) {
      log.warn({ identity }, 'a device asks for a number and none is free');
      return this.refuse(503, 'No Number Free', 'exhausted', 'no number of the pool is free');
    }
    const device = this.nameFor(identity, reported);
    const claim: Claim = { identity, number, device, mac: reported.mac, at: stamps.next() };
    this.learn(claim, true);
    log.info({ device, number, identity, mac: reported.mac }, 'a device was given a number');
    return this.counted('given', this.deviceOf(claim));
  }

  private nameFor(identity: string, { name, mac }: ReportedIdentity): string {
    const wanted = name ?? (mac === undefined ? undefined : `SEP${mac.replace(/:/g, '').toUpperCase()}`);
    if (wanted !== undefined && !this.options.isConfigured(wanted) && !this.identities.has(wanted)) return wanted;
    return `auto-${createHash('sha256').update(identity).digest('hex').slice(0, 12)}`;
  }

  private learn(claim: Claim, keep: boolean): void {
    if (!this.claims.add(claim)) return;
    if (!this.identities.has(claim.device)) this.identities.set(claim.device, claim.identity);
    if (keep) this.options.store?.append(claim);
  }

  private deviceOf(claim: Claim): DeviceConfig {
    const known = this.devices.get(claim);
    if (known !== undefined) return known;
    const { site, mediaResourceGroupList, userClass, codecs } = this.options.config;
    const device: DeviceConfig = {
      name: claim.device,
      username: claim.number,
      // It is in no account: such a device proves who it is by what all of them share.
      password: '',
      lines: [claim.number],
      site,
      displayName: undefined,
      mediaResourceGroupList,
      userClass,
      codecs,
      mtpRequired: false,
      digest: ['MD5'],
      mac: claim.mac,
      acceptListFromDevice: false,
      musicSource: undefined,
    };
    this.devices.set(claim, device);
    return device;
  }

  /** Every registration tells what number was given to whom. */
  private follow(change: RegistrationChange): void {
    const { record, owner } = change;
    if (change.type === 'put' && change.previous !== undefined) this.count(change.previous.lines, -1, change.previous);
    this.count(record.lines, change.type === 'put' ? 1 : -1, record);
    const [number] = record.lines;
    if (record.assignment === undefined || number === undefined) return;
    if (owner === this.options.room.node) this.place(change);
    if (change.type === 'put')
      this.learn({ ...record.assignment, number, device: record.device, mac: record.mac }, true);
  }

  private count(lines: readonly string[], by: 1 | -1, { assignment }: { readonly assignment?: Assignment }): void {
    const [number] = lines;
    if (assignment === undefined || number === undefined) return;
    const left = (this.inUse.get(number) ?? 0) + by;
    if (left > 0) this.inUse.set(number, left);
    else this.inUse.delete(number);
  }

  private place(change: RegistrationChange): void {
    const { address, device } = change.record;
    const before = change.type === 'put' ? change.previous?.address : address;
    if (before !== undefined && this.places.get(before) === device) this.places.delete(before);
    if (change.type === 'put') this.places.set(address, device);
  }

  private counted(result: string, device: DeviceConfig): DeviceConfig {
    this.options.room.metrics.count('tandem_auto_registrations_total', { result });
    return device;
  }

  private refuse(status: number, reason: string, result: string, why: string): RegisterResponse {
    const { metrics, config } = this.options.room;
    metrics.count('tandem_auto_registrations_total', { result });
    const retry: Headers = status === 503 ? { 'Retry-After': String(RETRY_AFTER_SECONDS) } : {};
    return { status, reason, headers: { ...retry, Warning: `399 ${config.cluster.domain} "${why}"` } };
  }
}
