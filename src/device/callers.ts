import type { DeviceConfig, GatewayConfig } from '../config/types';
import type { DigestAuthenticator } from '../sip/digest';
import type { SipDomain } from '../sip/domain';
import { readIdentity } from '../sip/identity';
import { hasNodeHeader, type NodeSignature } from '../sip/node-signature';
import { isAnonymous } from '../sip/privacy';
import { readRequestUri } from '../sip/request-uri';
import type { Headers, ReceivedRequest, ResponseOptions } from '../sip/user-agent';
import type { Metrics } from '../telemetry/metrics';
import type { AutoRegistration } from './auto-registration';
import type { ConfiguredDevices } from './configured-devices';
import type { Gateways } from './gateways';
import { isConnectionBound } from './outgoing';
import type { RefusalLog } from './refusal-log';
import { tellFailedGuess, tellUnusable } from './refusals';
import type { Stations } from './stations';

/** Who has sent a request, proved. */
export type Caller =
  | { readonly type: 'station'; readonly device: DeviceConfig; readonly nonceIssuedAt: number }
  /** `nonceIssuedAt`: of its digest; undefined: known by its address. */
  | { readonly type: 'gateway'; readonly gateway: GatewayConfig; readonly nonceIssuedAt: number | undefined }
  /** A device that is not in the configuration and registers (claim R16). */
  | { readonly type: 'automatic'; readonly nonceIssuedAt: number }
  | { readonly type: 'node'; readonly node: number; readonly outside: boolean };

export interface Refusal {
  readonly type: 'refused';
  readonly status: number;
  readonly reason?: string;
  readonly headers: Headers;
  readonly moreLines?: ResponseOptions['moreLines'];
}

/** As the answer to a request. */
export function withoutType({ status, reason, headers, moreLines }: Refusal): ResponseOptions & { status: number } {
  return {
    ...{ status, headers },
    ...(reason === undefined ? {} : { reason }),
    ...(moreLines === undefined ? {} : { moreLines }),
  };
}

export interface CallersOptions {
  readonly domain: SipDomain;
  readonly digest: DigestAuthenticator;
  readonly signature: NodeSignature;
  readonly devices: ConfiguredDevices;
  readonly gateways: Pick<Gateways, 'at'>;
  readonly stations: Pick<Stations, 'hasConnection'>;
  readonly automatic: Pick<AutoRegistration, 'username' | 'allows' | 'at'> | undefined;
  /** Whether the SIP server lets in WebSockets of our own pages only. */
  readonly looksAtPages: boolean;
  readonly refusals: RefusalLog;
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
      return verdict.type === 'refused'
        ? { ...verdict, type: 'refused' }
        : this.refuse('unknown-node', 'Not A Node Of The Configuration');
    }
    const gateway = gateways.at(request.source);
    if (gateway !== undefined && this.isKnownByAddress(request, gateway))
      return { type: 'gateway', gateway, nonceIssuedAt: undefined };
    return this.byNetwork(request) ?? this.byDigest(request);
  }

  /** Whether what comes from the address of a gateway is of the gateway: its address must do as a proof. */
  private isKnownByAddress({ method, source, header }: ReceivedRequest, gateway: GatewayConfig): boolean {
    if (gateway.authenticate === true) return false;
    const isConnection = isConnectionBound(source);
    // The address by which a gateway that registers is known comes from its digest: it is not what proves the next one.
    if (method === 'REGISTER') return gateway.uri !== undefined && !isConnection;
    // Connections from there may be those of phones behind the same NAT.
    const ofStation = isConnection && (header('Proxy-Authorization') ?? '') !== '';
    return !ofStation && !this.options.stations.hasConnection(source);
  }

  /** A device that is let in for the network that it is in; undefined: it must prove who it is. */
  private byNetwork(request: ReceivedRequest): Caller | undefined {
    const { automatic, devices } = this.options;
    if (automatic === undefined || automatic.username !== undefined || !automatic.allows(request.source))
      return undefined;
    // A page on the network of a browser is not of that network; only the embedded SIP server looks which page it is.
    if (!this.options.looksAtPages && isWebSocket(request)) return undefined;
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
    const result = digest.authenticate(request);
    if (result.type === 'challenge') {
      const { status, headers, moreLines, cause, guess } = result;
      if (cause !== 'no-credentials' && cause !== 'stale')
        metrics.count('tandem_auth_failures_total', { reason: cause });
      if (guess !== undefined) tellFailedGuess(this.options.refusals, request, guess);
      else if (cause === 'malformed' || cause === 'wrong') tellUnusable(this.options.refusals, request, cause);
      return { type: 'refused', status, headers, moreLines };
    }
    if (result.type === 'forbidden') {
      if (result.cause === 'held-up') metrics.count('tandem_auth_failures_total', { reason: 'held-up' });
      return { ...this.refuse(result.cause, result.reason), headers: result.headers };
    }
    if (result.username === this.options.automatic?.username) return this.byShared(request, result.nonceIssuedAt);
    const gateway = devices.gatewayWithUsername(result.username);
    if (gateway !== undefined) return { type: 'gateway', gateway, nonceIssuedAt: result.nonceIssuedAt };
    const device = devices.withUsername(result.username);
    if (device === undefined) return this.refuse('unknown-user', 'Forbidden');
    if (request.method !== 'REGISTER' && !this.isOwn(from, device)) return this.refuse('foreign-from', 'Foreign From');
    return { type: 'station', device, nonceIssuedAt: result.nonceIssuedAt };
  }

  /**
   * Whether From names the device, by its username or one of its lines in our domain, by a line as a `tel:` URI, or nobody (RFC 3323
   * section 4.1.1.3).
   */
  private isOwn(from: ReturnType<typeof readIdentity>, device: DeviceConfig): boolean {
    if (from === undefined) return false;
    const { domain } = this.options;
    const isOurs = (from.host === '' && domain.hasContext(from.context)) || domain.hasHost(from.host);
    if (isOurs && this.options.devices.owner(from.user, device) === device) return true;
    return isAnonymous(from) && !this.options.devices.hasUser(from.user);
  }

  private refuse(cause: string, reason: string): Refusal {
    this.options.metrics.count('tandem_sip_refused_total', { reason: cause });
    return forbidden(reason);
  }
}

/** SIP servers may call the transport TCP; the client's Via tells. */
function isWebSocket({ source, header }: ReceivedRequest): boolean {
  return /^wss?$/i.test(source.protocol) || /^\s*SIP\s*\/\s*2\.0\s*\/\s*WSS?\s/i.test(header('Via') ?? '');
}
