import { isIP } from 'node:net';
import type { GatewayConfig } from '../config/types';
import type { CancelTimer, Clock } from '../process/clock';
import { canonicalHost } from '../sip/domain';
import type { SipSource } from '../sip/user-agent';
import type { SipUri } from '../sip-message/uri';
import type { Logger } from '../telemetry/logger';
import { configuredPlace, hostOf, portOf, transportOf } from './gateway-place';

/** Finds where a name leads, as the SIP server does for a call (RFC 3263); nothing when nobody can tell. */
export type HostLocator = (target: {
  readonly host: string;
  readonly port: number | undefined;
  readonly protocol: SipSource['protocol'] | undefined;
}) => Promise<readonly SipSource[]>;

export interface GatewayAddressesOptions {
  readonly gateways: readonly GatewayConfig[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Undefined: names lead nowhere. */
  readonly locate: HostLocator | undefined;
}

const LOOK_UP_INTERVAL_MS = 30_000;

/**
 * The one answer to "is this that gateway?": where calls to it go is where calls of it come from. By UDP that is address and port; a
 * connection comes from whatever port the gateway's system has chosen, so there the address and the transport count. Either way the
 * transport is the configured one. Names are looked up again and again; what is known stays while nobody can tell.
 */
export class GatewayAddresses {
  private readonly places: { readonly gateway: GatewayConfig; readonly uri: SipUri; found: readonly SipSource[] }[];
  private cancelLookUp: CancelTimer | undefined;

  constructor(private readonly options: GatewayAddressesOptions) {
    this.places = options.gateways.flatMap((gateway) => {
      const uri = configuredPlace(gateway)?.uri;
      return uri === undefined ? [] : [{ gateway, uri, found: literal(uri) }];
    });
  }

  start(): void {
    const names = this.places.filter(({ uri }) => isIP(hostOf(uri)) === 0);
    if (names.length === 0 || this.options.locate === undefined) return;
    for (const place of names) void this.lookUp(place);
    this.cancelLookUp = this.options.clock.setTimer(LOOK_UP_INTERVAL_MS, () => this.start());
  }

  stop(): void {
    this.cancelLookUp?.();
  }

  /** The gateway that is here; undefined also when it could be one of several that share an address. */
  at(source: SipSource): GatewayConfig | undefined {
    const exact = this.places.find(({ found }) => found.some((place) => isPlace(place, source, true)));
    if (exact !== undefined) return exact.gateway;
    const [near, ...others] = this.places.filter(({ found }) => found.some((place) => isPlace(place, source, false)));
    return others.length === 0 ? near?.gateway : undefined;
  }

  private async lookUp(place: GatewayAddresses['places'][number]): Promise<void> {
    const { uri, gateway } = place;
    const explicit = uri.scheme === 'sips' || uri.params.has('transport');
    const protocol = explicit ? transportOf(uri) : undefined;
    const found = await this.options.locate?.({ host: hostOf(uri), port: uri.port, protocol }).catch(() => []);
    if (found !== undefined && found.length > 0) place.found = found;
    else
      this.options.log.warn(
        { gateway: gateway.name, host: uri.host },
        'address of a gateway not found: look at DNS, or give its address in uri; until then its calls are strangers’',
      );
  }
}

function literal(uri: SipUri): readonly SipSource[] {
  const address = hostOf(uri);
  return isIP(address) === 0 ? [] : [{ protocol: transportOf(uri), address, port: portOf(uri) }];
}

function isPlace(place: SipSource, source: SipSource, exact: boolean): boolean {
  const protocol = source.protocol.toLowerCase();
  if (place.protocol.toLowerCase() !== protocol || canonicalHost(place.address) !== canonicalHost(source.address))
    return false;
  return place.port === source.port || (!exact && protocol !== 'udp');
}
