import type { DeviceConfig } from '../config/types';
import type { Stamp } from '../process/hlc';
import type { Pid } from '../process/pid';
import { bindingKey } from '../registration/binding-key';
import type { Assignment, RegistrationRecord } from '../registration/record';
import { familyOf } from '../process/address';
import { formatIdentity } from '../sip/identity';
import type { Binding } from '../sip/registrar';
import type { FinalResponse, Session, SipSource, UserAgent } from '../sip/user-agent';
import { canonicalMac } from './device-identity';
import { isSecure, isSips } from './sips';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from './device-process';
import { callHeaders, formatAddress, isConnectionBound, nextHopTo } from './outgoing';

export interface StationOptions {
  readonly pid: Pid;
  readonly boot: number;
  readonly device: DeviceConfig;
  readonly profile: DeviceProfile;
  readonly domain: string;
  readonly userAgent: UserAgent;
  /** There when the device was given its number (claim R16). */
  readonly assignment: Assignment | undefined;
  /** What the phone has registered last, under the same binding key; undefined: it is not registered. */
  readonly latest: (key: string) => Registration | undefined;
}

/** What a registration says of a station; a refresh replaces it. */
export interface Registration {
  readonly binding: Binding;
  /** Where the REGISTER came from. */
  readonly source: SipSource;
  readonly stamp: Stamp;
  /** The media resource group list that the device asked for, and may (claim M14). */
  readonly mediaResourceGroupList?: string;
  /** As the phone has reported it. */
  readonly mac?: string | undefined;
}

/** The device process of one binding of a phone (claims R1, R2). */
export class Station implements DeviceProcess {
  constructor(
    private readonly options: StationOptions,
    private current: Registration,
  ) {}

  get pid(): Pid {
    return this.options.pid;
  }

  get boot(): number {
    return this.options.boot;
  }

  /** The configuration, and what the registration tells. */
  get profile(): DeviceProfile {
    const { source, mediaResourceGroupList, binding } = this.current;
    const { profile } = this.options;
    // A phone on a WebSocket is a browser, which speaks nothing but DTLS (RFC 8827 §6.5). SIP servers may call a WebSocket TCP.
    const browser = /^wss?$/i.test(source.protocol) || /;transport=wss?([;>?]|$)/i.test(binding.contact);
    return {
      ...profile,
      signallingAddress: source.address,
      ...(browser ? { presumedSecurity: 'dtls' as const } : { presumedFamily: familyOf(source.address) }),
      ...(mediaResourceGroupList === undefined ? {} : { listFromDevice: mediaResourceGroupList }),
    };
  }

  get device(): DeviceConfig {
    return this.options.device;
  }

  get registration(): Registration {
    return this.current;
  }

  get takesSips(): boolean {
    const { binding, source } = this.current;
    return isSips(binding.contact) && isSecure(source);
  }

  get key(): string {
    return bindingKey(this.options.device.name, this.current.binding.identity);
  }

  get connectionBound(): boolean {
    return isConnectionBound(this.current.source);
  }

  refresh(registration: Registration): void {
    this.current = registration;
  }

  record(): RegistrationRecord {
    const { binding, source, stamp } = this.current;
    const { assignment } = this.options;
    const mac = canonicalMac(this.device.mac ?? '') ?? this.current.mac;
    return {
      key: this.key,
      kind: 'station',
      device: this.device.name,
      lines: this.device.lines,
      instance: binding.identity,
      pid: this.pid,
      boot: this.boot,
      contact: binding.contact,
      address: formatAddress(source),
      stamp,
      expiresAt: binding.expiresAt,
      ...(mac === undefined ? {} : { mac }),
      ...(assignment === undefined ? {} : { assignment }),
    };
  }

  call(call: OutgoingCall): Session {
    return this.options.userAgent.invite({
      ...this.destination(),
      sdp: call.sdp,
      headers: callHeaders(call, this.options.domain, 'station', this.current.binding.contact),
      movedTo: this.followed(),
    });
  }

  /** For a dialog over the flow that the phone has registered over now: asked later, the flow that it has gone over to. */
  followed(): () => string | undefined {
    const { key } = this;
    const { flow: before } = this.current.source;
    return () => {
      const flow = this.options.latest(key)?.source.flow;
      return flow === before ? undefined : flow;
    };
  }

  /** Asks the phone whether it is there (claim R7); any answer of its own says yes. */
  confirm(deadlineMs: number): Promise<FinalResponse> {
    const own = formatIdentity('', undefined, this.options.domain);
    return this.options.userAgent.request({
      method: 'OPTIONS',
      ...this.destination(),
      headers: { From: own, To: `<${this.current.binding.contact}>`, Contact: '<sip:localhost>', 'Max-Forwards': '70' },
      deadlineMs,
    });
  }

  /** Whether a request came from where the phone registered. */
  isAt(source: SipSource): boolean {
    return formatAddress(source) === formatAddress(this.current.source);
  }

  /** The contact, so that the phone knows itself; where that points does not matter: requests go where its REGISTER came from. */
  private destination(): { uri: string; nextHop?: string } {
    const { binding, source } = this.current;
    const nextHop = nextHopTo(source, binding.contact);
    return { uri: binding.contact, ...(nextHop === undefined ? {} : { nextHop }) };
  }
}
