import type { DeviceConfig } from '../config/types';
import { isPid, type Pid } from '../process/pid';
import type { Lines } from '../line/lines';
import { parseNumber } from '../sip-message/header-rules';
import { entityOf, readBody } from '../sip/body';
import type { SipDomain } from '../sip/domain';
import { parseCount } from '../sip/header-values';
import { readAssertedIdentity, readIdentity } from '../sip/identity';
import { CONTEXT_HEADER } from '../sip/node-signature';
import { isAnonymous, readPrivacy } from '../sip/privacy';
import { refuseUnservable } from '../sip/request-checks';
import { readReplaces, type Replaces } from '../sip/replaces';
import { readRequestUri, type RequestTarget } from '../sip/request-uri';
import type { Headers, ReceivedRequest } from '../sip/user-agent';
import type { CallerIdentity } from './device-process';
import { type NodeContext, parseContext } from './node-context';
import type { Party } from './party';
import type { Refusal } from './callers';
import { looksInternal, type InternalNames } from './outside-caller';

/** What every INVITE must have, whoever sends it. */
export interface InviteContents {
  readonly target: RequestTarget;
  readonly sdp: string | undefined;
  readonly maxForwards: number;
  /** The dialog that the call wants to take the place of (RFC 3891). */
  readonly replaces?: Replaces;
}

const DEFAULT_MAX_FORWARDS = 70;

export function refuse(status: number, reason: string, headers: Headers = {}): Refusal {
  return { type: 'refused', status, reason, headers };
}

/** Who may call us by any name has names for our context, too; a prefix of global numbers is no name. */
function isNumberOfOurs(context: string | undefined, domain: SipDomain | undefined): boolean {
  return domain === undefined ? context === undefined || /^[^+]/.test(context) : domain.hasContext(context);
}

/** Checks and reads an INVITE (RFC 3261 section 8.2). `domain`: undefined when its sender may call us by any name. */
export function readInvite(request: ReceivedRequest, domain: SipDomain | undefined): InviteContents | Refusal {
  const target = readRequestUri(request.uri);
  if (target === undefined)
    return /^(sips?|tel):/i.test(request.uri) ? refuse(400, 'Bad Request URI') : refuse(416, 'Unsupported URI Scheme');
  if (target.host !== '' && domain?.hasHost(target.host) === false) return refuse(404, 'Not Our Domain');
  if (!isNumberOfOurs(target.context, domain)) return refuse(404, 'Number Of Another Context');
  if (target.dialled === '') return refuse(484, 'Address Incomplete');
  const unservable = refuseUnservable(request.header);
  if (unservable !== undefined) return { type: 'refused', ...unservable };
  const maxForwards = parseNumber(request.header('Max-Forwards')?.trim() ?? String(DEFAULT_MAX_FORWARDS));
  if (maxForwards === undefined) return refuse(400, 'Bad Max-Forwards Header');
  if (maxForwards === 0) return refuse(483, 'Too Many Hops');
  const replaces = readReplaces(request.header('Replaces'));
  if (replaces !== undefined && 'status' in replaces) return refuse(replaces.status, replaces.reason);
  const body = readBody({ ...entityOf(request.header, request.body), contentType: request.contentType }, 'request');
  if (body.type === 'unreadable') return refuse(body.status, body.why, body.headers);
  const sdp = body.type === 'description' ? body.sdp : undefined;
  return { target, sdp, maxForwards, ...(replaces === undefined ? {} : { replaces }) };
}

/**
 * Who a station is is known from its digest. Of its lines it chooses one by P-Preferred-Identity (RFC 3325 section 9.2) or From, else
 * its first is shown. An anonymous From means that it does not want to be shown, unless it says `Privacy: none` (RFC 3323). What it
 * calls itself is shown when neither it nor its line has a name, nobody else of us is called so, nor has a number that is in there.
 */
export function stationCaller(
  { header }: ReceivedRequest,
  device: DeviceConfig,
  { isNumber, displayNames }: InternalNames,
  lines: Pick<Lines, 'of'>,
): CallerIdentity {
  const from = readIdentity(header('From'));
  const named = [readAssertedIdentity(header('P-Preferred-Identity'))?.user, from?.user];
  const chosen = named.find((user) => user !== undefined && device.lines.includes(user));
  const number = chosen ?? device.lines[0] ?? device.username;
  const hidden = from !== undefined && isAnonymous(from);
  const isOther = (user: string): boolean => isNumber(user) && user !== device.username && !device.lines.includes(user);
  const said = hidden ? undefined : from?.displayName;
  const usable = said !== undefined && !looksInternal(said, { isNumber: isOther, displayNames });
  const displayName = device.displayName ?? lines.of(number)?.displayName ?? (usable ? said : undefined);
  const asked = readPrivacy(header('Privacy'));
  if (asked.type === 'withheld') return { number, displayName, privacy: asked.header };
  return { number, displayName, ...(hidden && asked.type !== 'shown' ? { privacy: 'id' } : {}) };
}

/**
 * Who is behind a node, and of which call its INVITE is. The identity is what the node asserts, with Privacy; whose device it is stands in the
 * context. All of it is part of the node's signature.
 */
export function nodeCaller({ header }: ReceivedRequest, outside: boolean): NodeCaller | Refusal {
  const asserted = readAssertedIdentity(header('P-Asserted-Identity'));
  if (asserted === undefined) return refuse(400, 'No Asserted Identity');
  const context = parseContext(header(CONTEXT_HEADER) ?? '');
  if ('unreadable' in context) return refuse(400, `Bad Node Context: ${context.unreadable}`);
  const { user: number, displayName } = asserted;
  const privacy = readPrivacy(header('Privacy'));
  const { device, site, userClass, node, process } = context.half.party;
  const party: Party = {
    number,
    displayName,
    ...(outside ? { outside: true } : {}),
    ...(privacy.type === 'withheld' ? { privacy: privacy.header } : {}),
    device,
    ...(site === undefined ? {} : { site }),
    ...(userClass === undefined ? {} : { userClass }),
    ...(node === undefined ? {} : { node }),
    ...(process === undefined ? {} : { process }),
  };
  return { caller: party, context: { ...context, half: { ...context.half, party } } };
}

interface NodeCaller {
  readonly caller: Party;
  readonly context: NodeContext;
}

/** The process that a node wants; `undefined` when the parameters are malformed. */
export function wantedProcess(target: RequestTarget): { readonly pid: Pid; readonly boot: number } | undefined {
  const boot = parseCount(target.boot, Number.MAX_SAFE_INTEGER);
  return target.pid !== undefined && isPid(target.pid) && boot !== undefined ? { pid: target.pid, boot } : undefined;
}
