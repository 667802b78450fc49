import { formatIdentity, sipUri } from '../sip/identity';
import { hostInUri } from '../sip/domain';
import type { Headers, SipSource } from '../sip/user-agent';
import type { JournaledBinding } from '../registration/journal';
import type { OutgoingCall } from './device-process';
import type { Flows } from './ports';

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

/**
 * The next hop to a device that has registered: the flow that its REGISTER came by, else the source address of that. Undefined:
 * a WebSocket at a SIP server that names no flows, which finds the connection by the contact.
 */
export function nextHopTo(source: SipSource, contact: string): string | undefined {
  if (source.flow !== undefined) return source.flow;
  // Such a server calls a WebSocket TCP.
  if (isConnectionBound(source) && /;transport=wss?([;>?]|$)/i.test(contact)) return undefined;
  const transport = source.protocol.toLowerCase();
  return sipUri(undefined, source.address, { port: source.port, parameters: [['transport', transport]] });
}

/**
 * Where a device was whose binding is taken up from the journal. The flow of datagrams outlives the SIP server; one that
 * was not noted is that from the address to any listener.
 */
export function journaledSource({ record, flow }: JournaledBinding, flows: Flows | undefined): SipSource | undefined {
  const source = parseAddress(record.address);
  if (source === undefined || flows === undefined) return source;
  return { ...source, flow: flow ?? `${nextHopTo(source, record.contact) ?? ''};flow` };
}
