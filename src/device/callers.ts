import type { DeviceConfig, GatewayConfig } from '../config/types';
import type { DigestAuthenticator } from '../sip/digest';
import type { SipDomain } from '../sip/domain';
import { readIdentity } from '../sip/identity';
import { hasNodeHeader, type NodeSignature } from '../sip/node-signature';
import { readRequestUri } from '../sip/request-uri';
import type { Headers, ReceivedRequest } from '../sip/user-agent';
import type { Metrics } from '../telemetry/metrics';
import type { AutoRegistration } from './auto-registration';
import type { ConfiguredDevices } from './configured-devices';
import type { Gateways } from './gateways';

/** Who has sent a request, proved. */
export type Caller =
  | { readonly type: 'station'; readonly device: DeviceConfig; readonly nonceIssuedAt: number }
  /** `nonceIssuedAt`: of its digest; undefined: known by its address. */
  | { readonly type: 'gateway'; readonly gateway: GatewayConfig; readonly nonceIssuedAt: number | undefined }
  /** A device that is not in the configuration and registers (claim R16). */
  | { readonly type: 'automatic'; readonly nonceIssuedAt: number }
  | { readonly type: 'node'; readonly node: number };

export interface Refusal {
  readonly type: 'refused';
  readonly status: number;
  readonly reason?: string;
  readonly headers: Headers;
}

export interface CallersOptions {
  readonly domain: SipDomain;
  readonly digest: DigestAuthenticator;
  readonly signature: NodeSignature;
  readonly devices: ConfiguredDevices;
  readonly gateways: Pick<Gateways, 'at'>;
  readonly automatic: Pick<AutoRegistration, 'username' | 'allows' | 'at'> | undefined;
  readonly metrics: Metrics;
}

const forbidden = (reason: string): Refusal => ({ type: 'refused', status: 403, reason, headers: {} });

/** Who may call: stations by digest, gateways by address or digest, nodes by signature, nobody else. */
export class Callers {
  constructor(private readonly options: CallersOptions) {}

  identify(request: ReceivedRequest): Caller | Refusal {
    const { signature, gateways, metrics } = this.options;
    // What only nodes may say is refused from everybody else before anything else is looked at.
    if (hasNodeHeader(request.header) || readRequestUri(request.uri)?.pid !== undefined) {
      const verdict = signature.verify(request);
      metrics.count('tandem_node_signatures_total', { result: verdict.type === 'node' ? 'good' : verdict.cause });
      if (verdict.type === 'node' && this.options.devices.hasNode(verdict.node)) return verdict;
      return verdict.type === 'refused' ? { ...verdict, type: 'refused' } : this.refuse('unknown-node', 'Not A Node');
    }
    const gateway = gateways.at(request.source);
    // The address by which a gateway is known comes from its digest: it is not what proves the next one.
    if (gateway === undefined || (gateway.uri === undefined && request.method === 'REGISTER'))
      return this.byNetwork(request) ?? this.byDigest(request);
    return { type: 'gateway', gateway, nonceIssuedAt: undefined };
  }

  /** A device that is let in for the network that it is in; undefined: it must prove who it is. */
  private byNetwork(request: ReceivedRequest): Caller | undefined {
    const { automatic, devices } = this.options;
    if (automatic === undefined || automatic.username !== undefined || !automatic.allows(request.source))
      return undefined;
    const isRegister = request.method === 'REGISTER';
    const named = readIdentity(request.header(isRegister ? 'To' : 'From'));
    if (named === undefined || devices.hasUser(named.user)) return undefined;
    if (isRegister) return { type: 'automatic', nonceIssuedAt: 0 };
    const device = automatic.at(request.source);
    return device === undefined ? undefined : { type: 'station', device, nonceIssuedAt: 0 };
  }

  /** Of a device that has the account that they all share; which one it is, its address tells. */
  private byShared(request: ReceivedRequest, nonceIssuedAt: number): Caller | Refusal {
    const { automatic } = this.options;
    if (automatic?.allows(request.source) !== true) return this.refuse('foreign-network', 'Not From Here');
    if (request.method === 'REGISTER') return { type: 'automatic', nonceIssuedAt };
    const device = automatic.at(request.source);
    return device === undefined
      ? this.refuse('not-registered', 'Register First')
      : { type: 'station', device, nonceIssuedAt };
  }

  private byDigest(request: ReceivedRequest): Caller | Refusal {
    const { digest, devices, metrics } = this.options;
    const from = readIdentity(request.header('From'));
    const likely = from === undefined ? undefined : (devices.withUsername(from.user) ?? devices.owner(from.user));
    const result = digest.authenticate(request, likely?.username);
    if (result.type === 'challenge') {
      if (result.cause !== 'no-credentials' && result.cause !== 'stale')
        metrics.count('tandem_auth_failures_total', { reason: result.cause });
      return { type: 'refused', status: result.status, headers: result.headers };
    }
    if (result.type === 'forbidden') return this.refuse('other-request', result.reason);
    if (result.username === this.options.automatic?.username) return this.byShared(request, result.nonceIssuedAt);
    const gateway = devices.gatewayWithUsername(result.username);
    if (gateway !== undefined) return { type: 'gateway', gateway, nonceIssuedAt: result.nonceIssuedAt };
    const device = devices.withUsername(result.username);
    if (device === undefined) return this.refuse('unknown-user', 'Forbidden');
    if (request.method !== 'REGISTER' && !this.isOwn(from, device)) return this.refuse('foreign-from', 'Foreign From');
    return { type: 'station', device, nonceIssuedAt: result.nonceIssuedAt };
  }

  /** Whether From names the device: its username or one of its lines, in our domain. */
  private isOwn(from: ReturnType<typeof readIdentity>, device: DeviceConfig): boolean {
    if (from === undefined || !this.options.domain.hasHost(from.host)) return false;
    return this.options.devices.owner(from.user, device) === device;
  }

  private refuse(cause: string, reason: string): Refusal {
    this.options.metrics.count('tandem_sip_refused_total', { reason: cause });
    return forbidden(reason);
  }
}
