import { formatIdentity, sipUri } from '../sip/identity';
import { hostInUri } from '../sip/domain';
import type { Headers, SipSource } from '../sip/user-agent';
import { ANONYMOUS } from '../sip/privacy';
import type { CallerIdentity, OutgoingCall } from './device-process';
import { isSips } from './sips';

/** The domain of identities that are nobody's of ours, where one must stand: between nodes. */
const OUTSIDE_DOMAIN = 'outside.invalid';

/**
 * The headers with which the other side sees a call. From is the caller's number and display name at our domain, where calls back go
 * to. P-Asserted-Identity says that somebody is one of us (RFC 3325 section 9.1): for our own callers only. A caller who is not to be
 * shown is anonymous; gateways and nodes are trusted with the identity all the same, and told so (section 7), phones are not. Between
 * nodes the identity always goes along. Contact is ours, of the scheme of the `uri` that is called.
 */
export function callHeaders(
  call: OutgoingCall,
  domain: string,
  towards: 'station' | 'gateway' | 'node',
  uri = '',
): Headers {
  const { number, displayName, outside, privacy } = call.caller;
  const trusted = towards !== 'station';
  const asserts = towards === 'node' || (outside !== true && (trusted || privacy === undefined));
  const contact = formatIdentity(privacy === undefined ? number : '', undefined, 'localhost');
  return {
    ...call.headers,
    From: privacy === undefined ? formatIdentity(number, displayName, domain) : ANONYMOUS,
    To: formatIdentity(call.digits, undefined, domain),
    ...(asserts ? { 'P-Asserted-Identity': assertedIdentity(call.caller, domain) } : {}),
    ...(trusted && privacy !== undefined ? { Privacy: privacy } : {}),
    'Max-Forwards': String(call.maxForwards),
    // RFC 3261 section 8.1.1.8.
    Contact: isSips(uri) ? contact.replace('<sip:', '<sips:') : contact,
  };
}

/**
 * The headers by which a device is told, in a call, who is at the other end now. What is asserted is asserted as at the beginning of a call; phones
 * know Remote-Party-ID better (draft-ietf-sip-privacy-04), which says of somebody outside that nobody has looked (`screen=no`).
 */
export function connectedHeaders(
  party: CallerIdentity,
  domain: string,
  towards: 'station' | 'gateway',
  as: 'calling' | 'called',
): Headers {
  const { number, displayName, outside, privacy } = party;
  const trusted = towards === 'gateway';
  const hidden = privacy !== undefined && !trusted;
  const asserts = outside !== true && !hidden;
  const shown = hidden ? ANONYMOUS : formatIdentity(number, displayName, domain);
  const screen = asserts ? 'yes' : 'no';
  return {
    ...(asserts ? { 'P-Asserted-Identity': assertedIdentity(party, domain) } : {}),
    ...(trusted && privacy !== undefined ? { Privacy: privacy } : {}),
    'Remote-Party-ID': `${shown};party=${as};screen=${screen};privacy=${privacy === undefined ? 'off' : 'full'}`,
  };
}

/** Value of P-Asserted-Identity. */
export function assertedIdentity({ number, displayName, outside }: CallerIdentity, domain: string): string {
  return formatIdentity(number, displayName, outside === true ? OUTSIDE_DOMAIN : domain);
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
