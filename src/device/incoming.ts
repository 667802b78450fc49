import type { DeviceConfig, GatewayConfig } from '../config/types';
import { isPid, type Pid } from '../process/pid';
import type { SipDomain } from '../sip/domain';
import { optionTags, parseCount } from '../sip/header-values';
import { readAssertedIdentity, readIdentity } from '../sip/identity';
import { readRequestUri, type RequestTarget } from '../sip/request-uri';
import type { Headers, ReceivedRequest } from '../sip/user-agent';
import type { CallerIdentity } from './device-process';
import type { Refusal } from './callers';

/** What every INVITE must have, whoever sends it. */
export interface InviteContents {
  readonly target: RequestTarget;
  readonly sdp: string | undefined;
  readonly maxForwards: number;
}

const DEFAULT_MAX_FORWARDS = 70;
/** Extensions that are done for a caller that requires them; every other one is refused. Our 18x are not reliable: 100rel is not among them. */
const EXTENSIONS = new Set(['timer']);

export function refuse(status: number, reason: string, headers: Headers = {}): Refusal {
  return { type: 'refused', status, reason, headers };
}

/** Checks and reads an INVITE (RFC 3261 section 8.2). */
export function readInvite(request: ReceivedRequest, domain: SipDomain): InviteContents | Refusal {
  const target = readRequestUri(request.uri);
  if (target === undefined)
    return /^(sips?|tel):/i.test(request.uri) ? refuse(400, 'Bad Request URI') : refuse(416, 'Unsupported URI Scheme');
  if (target.host !== '' && !domain.hasHost(target.host)) return refuse(404, 'Not Our Domain');
  if (target.dialled === '') return refuse(484, 'Address Incomplete');
  const unsupported = optionTags(request.header('Require')).filter((tag) => !EXTENSIONS.has(tag));
  if (unsupported.length > 0) return refuse(420, 'Bad Extension', { Unsupported: unsupported.join(', ') });
  const maxForwards = readMaxForwards(request.header('Max-Forwards'));
  if (maxForwards === 0) return refuse(483, 'Too Many Hops');
  const hasBody = request.body.trim() !== '';
  const type = request.contentType?.split(';', 1)[0]?.trim().toLowerCase();
  // A body without a type is taken for what it must be in an INVITE.
  if (hasBody && type !== undefined && type !== 'application/sdp')
    return refuse(415, 'Unsupported Media Type', { Accept: 'application/sdp' });
  return { target, sdp: hasBody ? request.body : undefined, maxForwards };
}

function readMaxForwards(header: string | undefined): number {
  return header === undefined ? DEFAULT_MAX_FORWARDS : (parseCount(header, 255) ?? DEFAULT_MAX_FORWARDS);
}

/** A station's caller number is one of its lines, whatever else From says: the one it names, else its first. */
export function stationCaller(request: ReceivedRequest, device: DeviceConfig): CallerIdentity {
  const from = readIdentity(request.header('From'));
  const line = device.lines.find((number) => number === from?.user) ?? device.lines[0] ?? device.username;
  return { number: line, displayName: device.displayName ?? from?.displayName };
}

/** What a gateway tells of the caller in the network behind it. */
export function gatewayCaller(request: ReceivedRequest, gateway: GatewayConfig): CallerIdentity {
  const from = readIdentity(request.header('From'));
  const number = from?.user ?? '';
  return { number: number === '' ? gateway.name : number, displayName: from?.displayName };
}

/** The identity that a node asserts; it is part of the node's signature. */
export function nodeCaller(request: ReceivedRequest): CallerIdentity | undefined {
  const asserted = readAssertedIdentity(request.header('P-Asserted-Identity'));
  return asserted === undefined ? undefined : { number: asserted.user, displayName: asserted.displayName };
}

/** The process that a node wants; `undefined` when the parameters are malformed. */
export function wantedProcess(target: RequestTarget): { readonly pid: Pid; readonly boot: number } | undefined {
  const boot = parseCount(target.boot, Number.MAX_SAFE_INTEGER);
  return target.pid !== undefined && isPid(target.pid) && boot !== undefined ? { pid: target.pid, boot } : undefined;
}
