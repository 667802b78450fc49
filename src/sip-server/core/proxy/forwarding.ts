import { getHeaders, getHeader, removeHeader } from '../../../sip-message/headers';
import type { HeaderField, SipMessage, SipRequest, SipResponse } from '../../../sip-message/message';
import { parseNameAddr } from '../../../sip-message/name-addr';
import { parseUri, type SipUri } from '../../../sip-message/uri';
import { hostAndPort } from '../../host';
import type { ListenPoint } from '../../layers';
import { isOwnAddress, publicAddress, replaceLocalhost } from '../addresses';

/** What a proxy changes in a message that it passes on (RFC 3261 sections 16.4, 16.6, 16.7). */

const INITIAL_HOPS = 70;

/** Hops that are left for the copy; undefined: none (answer 483). */
export function hopsLeft(request: SipRequest): number | undefined {
  const given = getHeader(request, 'Max-Forwards');
  if (given === undefined) return INITIAL_HOPS;
  const hops = Number(given);
  return hops > 0 ? hops - 1 : undefined;
}

/** The lines of a header are replaced by others, at the place of the first one (or after the Vias). */
function replaceLines(message: SipMessage, name: string, values: readonly string[]): void {
  const at = message.headers.findIndex((field) => field.name.toLowerCase() === name.toLowerCase());
  const lastVia = message.headers.map((field) => /^(via|v)$/i.test(field.name)).lastIndexOf(true);
  removeHeader(message, name);
  const lines: HeaderField[] = values.map((value) => ({ name, value }));
  message.headers.splice(at < 0 ? lastVia + 1 : at, 0, ...lines);
}

/** A copy whose headers can be changed without touching the original. */
export function copyOf<Message extends SipMessage>(message: Message): Message {
  return { ...message, headers: [...message.headers] };
}

/** The response as it goes on, without our Via (16.7 step 3). */
export function withoutOwnVia(response: SipResponse): SipResponse {
  const copy = copyOf(response);
  const at = copy.headers.findIndex((field) => /^(via|v)$/i.test(field.name));
  const field = copy.headers[at];
  if (field === undefined) return copy;
  // A line may hold several.
  const [, ...rest] = getHeaders({ ...response, headers: [field] }, 'Via');
  copy.headers.splice(at, 1, ...rest.map((value) => ({ name: field.name, value })));
  return copy;
}

/** Takes the leading routes that name us off (16.4); how many there were. */
export function removeOwnRoutes(request: SipRequest, points: readonly ListenPoint[]): number {
  const routes = getHeaders(request, 'Route');
  let own = 0;
  while (isOwnRoute(routes[own], points)) own += 1;
  if (own > 0) replaceLines(request, 'Route', routes.slice(own));
  return own;
}

export function isOwnRoute(value: string | undefined, points: readonly ListenPoint[]): boolean {
  const uri = value === undefined ? undefined : parseUri(parseNameAddr(value)?.uri ?? '');
  return uri !== undefined && isOwnAddress(uri, points);
}

/** The first route, whatever its name for us is: who sent the request meant us by it. */
export function removeFirstRoute(request: SipRequest): void {
  const routes = getHeaders(request, 'Route');
  if (routes.length > 0) replaceLines(request, 'Route', routes.slice(1));
}

/** Where the request goes by its own routes; a strict router gets what it expects (16.6 step 6). */
export function followRoutes(request: SipRequest): SipUri | undefined {
  const routes = getHeaders(request, 'Route');
  const first = routes[0];
  if (first === undefined) return parseUri(request.uri);
  const text = parseNameAddr(first)?.uri ?? '';
  const uri = parseUri(text);
  if (uri !== undefined && !uri.params.has('lr')) {
    replaceLines(request, 'Route', [...routes.slice(1), `<${request.uri}>`]);
    request.uri = text;
  }
  return uri;
}

/** `<sip:ip:port;transport=tcp;lr>`; `sips` where the Request-URI is one (section 16.6 step 4). */
function routeOf(point: ListenPoint, requestUri: string): string {
  const { address, port } = publicAddress(point);
  const secure = /^sips:/i.test(requestUri);
  const transport = point.protocol === 'udp' ? '' : `;transport=${point.protocol}`;
  return `<${secure ? 'sips' : 'sip'}:${hostAndPort(address, port)}${transport};lr>`;
}

/**
 * Puts us into the route of the dialog, or of the registration (RFC 3327). Between two transports we are there twice: each
 * side is to find us by the one that it speaks (RFC 5658).
 */
export function recordRoute(request: SipRequest, incoming: ListenPoint, outgoing: ListenPoint): void {
  const inside = routeOf(incoming, request.uri);
  const outside = routeOf(outgoing, request.uri);
  const own = inside === outside ? [outside] : [outside, inside];
  if (request.method === 'REGISTER') {
    replaceLines(request, 'Path', [...own, ...getHeaders(request, 'Path')]);
    const required = getHeader(request, 'Require');
    if (required?.toLowerCase().includes('path') !== true) request.headers.push({ name: 'Require', value: 'path' });
    return;
  }
  replaceLines(request, 'Record-Route', [...own, ...getHeaders(request, 'Record-Route')]);
}

/** Of these an application may change nothing: dialog and transaction hang on them. */
const UNTOUCHABLE = new Set(['From', 'To', 'Call-ID', 'CSeq', 'Max-Forwards']);

/** Headers that the application adds, or puts in place of those that are there. */
export function applyHeaders(request: SipRequest, headers: readonly HeaderField[], point: ListenPoint): void {
  const replaced = new Set<string>();
  for (const field of headers) {
    if (UNTOUCHABLE.has(field.name)) continue;
    const line = replaceLocalhost(field, point) ?? field;
    const at = request.headers.findIndex((one) => one.name.toLowerCase() === line.name.toLowerCase());
    if (at < 0 || replaced.has(line.name)) request.headers.push(line);
    else {
      removeHeader(request, line.name);
      request.headers.splice(at, 0, line);
    }
    replaced.add(line.name);
  }
}

/** All challenges in one response (16.7 step 7). */
export function withChallenges(response: SipResponse, others: readonly SipResponse[]): SipResponse {
  const copy = copyOf(response);
  for (const other of others) {
    if (other === response) continue;
    for (const field of other.headers) if (/^(www|proxy)-authenticate$/i.test(field.name)) copy.headers.push(field);
  }
  return copy;
}

/** URIs of the Contacts of a redirect, the preferred ones first; those that no request can go to are left out. */
export function redirectTargets(response: SipResponse): string[] {
  const preference = (value: string | undefined): number => {
    const q = Number.parseFloat(value ?? '1');
    return Number.isFinite(q) ? q : 0;
  };
  return getHeaders(response, 'Contact')
    .map(parseNameAddr)
    .filter((contact) => contact !== undefined)
    .filter(({ uri }) => /^sips?$/.test(parseUri(uri)?.scheme ?? ''))
    .sort((a, b) => preference(b.params.get('q')) - preference(a.params.get('q')))
    .map(({ uri }) => uri.split('?')[0] ?? uri);
}
