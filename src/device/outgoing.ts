import { formatIdentity } from '../sip/identity';
import { hostInUri } from '../sip/domain';
import type { Headers, SipSource } from '../sip/user-agent';
import type { OutgoingCall } from './device-process';

/**
 * The headers with which the callee sees a call: From and P-Asserted-Identity are the caller's line and display name at
 * the cluster's domain (RFC 3325 section 9.1), Contact is ours.
 */
export function callHeaders(call: OutgoingCall, domain: string): Headers {
  const caller = formatIdentity(call.caller.number, call.caller.displayName, domain);
  return {
    ...call.headers,
    From: caller,
    To: formatIdentity(call.digits, undefined, domain),
    'P-Asserted-Identity': caller,
    'Max-Forwards': String(call.maxForwards),
    Contact: formatIdentity(call.caller.number, undefined, 'localhost'),
  };
}

/** `udp:127.0.0.1:5062`; an IPv6 address in brackets. */
export function formatAddress(source: SipSource): string {
  return `${source.protocol.toLowerCase()}:${hostInUri(source.address)}:${source.port}`;
}

/** The inverse of `formatAddress`. */
export function parseAddress(text: string): SipSource | undefined {
  const match = /^([a-z]{2,4}):(\[[0-9a-f:.]{2,45}\]|[^:[\]\s]{1,255}):(\d{1,5})$/i.exec(text);
  if (match === null) return undefined;
  const [, protocol, address, port] = match;
  if (protocol === undefined || address === undefined) return undefined;
  return { protocol, address: address.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** Whether a device can be reached only over the connection that it has made. */
export function isConnectionBound(source: SipSource): boolean {
  return source.protocol.toLowerCase() !== 'udp';
}
