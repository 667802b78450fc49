import { isIP } from 'node:net';
import { addressOfHost, hostAndPort, hostOfAddress } from '../host';
import { defaultPort } from '../transport/via';
import type { ListenPoint } from '../layers';
import type { HeaderField } from '../../sip-message/message';
import { formatNameAddr, parseNameAddr } from '../../sip-message/name-addr';
import { formatUri, parseUri, type SipUri } from '../../sip-message/uri';

/** What we write about ourselves in Via, Contact and From. */
export function publicAddress(point: ListenPoint): { readonly address: string; readonly port: number } {
  return point.announced ?? { address: point.address, port: point.port };
}

function isSecure(point: ListenPoint): boolean {
  return point.protocol === 'tls' || point.protocol === 'wss';
}

function transportParam(point: ListenPoint): string {
  return point.protocol === 'udp' ? '' : `;transport=${point.protocol}`;
}

/**
 * Our Contact on a listener: `<sip:ip:port;transport=tcp>`. `sips` only in a dialog whose Request-URI is one (RFC 3261
 * section 12.1.1): phones that use TLS for `sip` URIs need not know it.
 */
export function ownContact(point: ListenPoint, requestUri = ''): string {
  const { address, port } = publicAddress(point);
  return `<${isSecure(point) && /^sips:/i.test(requestUri) ? 'sips' : 'sip'}:${hostAndPort(address, port)}${transportParam(point)}>`;
}

/** Via without its branch. */
export function ownVia(point: ListenPoint, branch: string): string {
  const { address, port } = publicAddress(point);
  const rport = point.protocol === 'udp' ? ';rport' : '';
  return `SIP/2.0/${point.protocol.toUpperCase()} ${hostAndPort(address, port)}${rport};branch=${branch}`;
}

/** `udp/127.0.0.1:5060,tcp/127.0.0.1:5060`, as the control protocol lists listeners. */
export function hostPorts(points: readonly ListenPoint[], announced: boolean): string {
  return points
    .map((point) => {
      const { address, port } = announced ? publicAddress(point) : point;
      return `${point.protocol}/${hostAndPort(address, port)}`;
    })
    .join(',');
}

const LOCALHOST_HEADERS = new Set(['From', 'To', 'Contact', 'P-Asserted-Identity']);

/**
 * `sip:alice@localhost` is how an application says "your address": host and port become those of the listener.
 * Undefined: the header has `localhost` in it and cannot be understood.
 */
export function replaceLocalhost(field: HeaderField, point: ListenPoint): HeaderField | undefined {
  if (!LOCALHOST_HEADERS.has(field.name)) return field;
  const bareFrom = field.name === 'From' && field.value.includes(':localhost');
  if (!field.value.includes('@localhost') && !bareFrom) return field;
  const address = parseNameAddr(field.value);
  const uri = address === undefined ? undefined : parseUri(address.uri);
  if (address === undefined || uri === undefined) return undefined;
  if (uri.host.toLowerCase() !== 'localhost') return field;
  const replaced = field.name === 'Contact' ? contactAt(uri, point) : { ...uri, ...hostOf(point) };
  return { name: field.name, value: formatNameAddr({ ...address, uri: formatUri(replaced) }) };
}

function hostOf(point: ListenPoint): { host: string; port: number } {
  const { address, port } = publicAddress(point);
  return { host: hostOfAddress(address), port };
}

function contactAt(uri: SipUri, point: ListenPoint): SipUri {
  const params = new Map(uri.params);
  if (point.protocol === 'udp') params.delete('transport');
  else params.set('transport', point.protocol);
  return { ...uri, scheme: isSecure(point) ? uri.scheme : 'sip', ...hostOf(point), params };
}

/** A Contact with an address literal that is not where the request leaves from could not be reached: put that right. */
export function rewriteContact(value: string, point: ListenPoint): string {
  const address = parseNameAddr(value);
  const uri = address === undefined ? undefined : parseUri(address.uri);
  if (address === undefined || uri === undefined || isIP(addressOfHost(uri.host)) === 0) return value;
  const own = hostOf(point);
  if (addressOfHost(uri.host) === addressOfHost(own.host) && (uri.port === undefined || uri.port === own.port))
    return value;
  const params = new Map(uri.params).set('transport', point.protocol);
  return formatNameAddr({ ...address, uri: formatUri({ ...uri, ...own, params }) });
}

export { defaultPort };

/** Whether a URI names one of our own listeners. */
export function isOwnAddress(uri: SipUri, points: readonly ListenPoint[]): boolean {
  const host = addressOfHost(uri.host);
  const port = uri.port ?? (uri.scheme === 'sips' ? 5061 : 5060);
  return points.some((point) => {
    const { announced } = point;
    if (announced?.port === port && addressOfHost(announced.address) === host) return true;
    return point.port === port && listensAt(point.address, host);
  });
}

function listensAt(address: string, host: string): boolean {
  const bare = addressOfHost(address);
  return bare === host || (host === 'localhost' && (bare === '127.0.0.1' || bare === '::1'));
}
