import type { HostLocator } from '../device/gateway-addresses';
import type { Clock } from '../process/clock';
import type { Protocol } from '../sip-server/layers';
import { systemLocator } from '../sip-server/locate';

/** Transports by which gateways call; those of browsers are not among them. */
const USABLE: readonly Protocol[] = ['udp', 'tcp', 'tls'];

/** Finds where the calls of a gateway come from, by the rules by which the SIP server finds where calls to it go (RFC 3263). */
export function gatewayLocator(clock: Clock): HostLocator {
  const locate = systemLocator(clock);
  return ({ host, port, protocol: named }) => {
    const protocol = USABLE.find((one) => one === named);
    return locate({ host, port, protocol, usable: USABLE });
  };
}
