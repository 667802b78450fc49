import type { GatewayConfig } from '../config/types';
import type { CancelTimer } from '../process/clock';
import type { Stamp } from '../process/hlc';
import type { Pid } from '../process/pid';
import { bindingKey } from '../registration/binding-key';
import type { RegistrationRecord } from '../registration/record';
import { formatUri, parseUri, type SipUri } from '../sip-message/uri';
import { canonicalHost, hostInUri } from '../sip/domain';
import { formatIdentity } from '../sip/identity';
import type { Session } from '../sip/user-agent';
import type { DeviceProcess, DeviceProfile, OutgoingCall } from './device-process';
import { callHeaders } from './outgoing';
import type { DevicesOptions } from './ports';

const POLL_INTERVAL_MS = 30_000;
/** While it does not answer it is asked more often, so that calls find it soon after it is back. */
const DOWN_POLL_INTERVAL_MS = 5000;
const POLL_DEADLINE_MS = 4000;
const MISSES_UNTIL_UNREACHABLE = 2;

/** The device process of a gateway at the node that owns it (claim R17). It polls the gateway (claim R7). */
export class Gateway implements DeviceProcess {
  private misses = 0;
  private up = true;
  private stopped = false;
  private cancelPoll: CancelTimer | undefined;
  private stamp: Stamp;
  private readonly uri: SipUri;

  constructor(
    private readonly options: DevicesOptions,
    readonly gateway: GatewayConfig,
    readonly pid: Pid,
    readonly profile: DeviceProfile,
    private readonly serverIsUp: () => boolean,
  ) {
    this.stamp = options.stamps.next();
    this.uri = gatewayUri(gateway);
  }

  get boot(): number {
    return this.options.boot;
  }

  get key(): string {
    return gatewayKey(this.gateway);
  }

  /** Whether it answers; until it was asked it is taken to be there. */
  get reachable(): boolean {
    return this.up;
  }

  start(): void {
    this.options.composite.put(this.options.node, this.record());
    this.poll();
  }

  /** Ends the polling and takes it off the table. */
  stop(reason: 'moved' | 'stopped'): void {
    this.stopped = true;
    this.cancelPoll?.();
    this.options.composite.delete(this.options.node, this.key, reason);
  }

  call(call: OutgoingCall): Session {
    const { username, password } = this.gateway;
    const { userAgent, config } = this.options;
    return userAgent.invite({
      uri: formatUri({ ...this.uri, user: call.digits }),
      sdp: call.sdp,
      headers: callHeaders(call, config.cluster.domain),
      ...(username === undefined || password === undefined ? {} : { credentials: { username, password } }),
    });
  }

  private record(): RegistrationRecord {
    const protocol = (this.uri.params.get('transport') ?? 'udp').toLowerCase();
    return {
      key: this.key,
      kind: 'gateway',
      device: this.gateway.name,
      lines: [],
      instance: this.gateway.name,
      pid: this.pid,
      boot: this.boot,
      contact: this.gateway.uri,
      address: `${protocol}:${hostInUri(this.uri.host)}:${gatewayPort(this.uri)}`,
      stamp: this.stamp,
      expiresAt: 0,
    };
  }

  private poll(): void {
    this.schedulePoll();
    // Without a SIP server an answer cannot come: that says nothing of the gateway.
    if (!this.serverIsUp()) return;
    const uri = formatUri(this.uri);
    const headers = {
      From: formatIdentity('', undefined, this.options.config.cluster.domain),
      To: `<${uri}>`,
      Contact: '<sip:localhost>',
      'Max-Forwards': '70',
    };
    void this.options.userAgent
      .request({ method: 'OPTIONS', uri, headers, deadlineMs: POLL_DEADLINE_MS })
      .then(({ status }) => this.polled(status !== 408 && status !== 503));
  }

  private schedulePoll(): void {
    this.cancelPoll?.();
    const interval = this.up ? POLL_INTERVAL_MS : DOWN_POLL_INTERVAL_MS;
    this.cancelPoll = this.options.clock.setTimer(interval, () => this.poll());
  }

  private polled(answered: boolean): void {
    if (this.stopped || !this.serverIsUp()) return;
    this.misses = answered ? 0 : this.misses + 1;
    if (answered && !this.up) this.comeBack();
    else if (this.up && this.misses >= MISSES_UNTIL_UNREACHABLE) this.goAway();
  }

  private comeBack(): void {
    this.up = true;
    this.stamp = this.options.stamps.next();
    this.options.composite.put(this.options.node, this.record());
    this.options.log.info({ gateway: this.gateway.name }, 'gateway answers again');
  }

  private goAway(): void {
    this.up = false;
    this.schedulePoll();
    this.options.composite.delete(this.options.node, this.key, 'unreachable');
    this.options.log.warn({ gateway: this.gateway.name, uri: this.gateway.uri }, 'gateway does not answer');
  }
}

export function gatewayKey(gateway: GatewayConfig): string {
  return bindingKey(gateway.name, gateway.name);
}

/** The URI of a gateway. One that the configuration should not have let through leads nowhere. */
export function gatewayUri(gateway: GatewayConfig): SipUri {
  const uri = parseUri(gateway.uri);
  if (uri !== undefined && uri.scheme !== 'tel') return uri;
  return { scheme: 'sip', host: 'gateway.invalid', params: new Map(), headers: new Map() };
}

export function gatewayPort(uri: SipUri): number {
  return uri.port ?? (uri.scheme === 'sips' || uri.params.get('transport') === 'tls' ? 5061 : 5060);
}

export function gatewayHost(uri: SipUri): string {
  return canonicalHost(uri.host);
}
