import { isIPv4 } from 'node:net';
import { answeringFlow } from '../answering-flow';
import { addressOfHost } from '../host';
import type { Destination, Flow, ListenPoint } from '../layers';
import { getHeader, getHeaders } from '../../sip-message/headers';
import type { HeaderField, SipMessage, SipRequest, SipResponse } from '../../sip-message/message';
import { parseNameAddr } from '../../sip-message/name-addr';
import { parseUri } from '../../sip-message/uri';

/** What creates the dialog decides what its requests mean and what ends it. */
export type DialogUsage = 'INVITE' | 'SUBSCRIBE';

/** A dialog as RFC 3261 section 12 has it: a value; the functions below give the next one. */
export interface DialogState {
  /** The name the application knows it by: `dialogId`, unless that is taken. */
  readonly id: string;
  readonly usage: DialogUsage;
  readonly role: 'uac' | 'uas';
  readonly confirmed: boolean;
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** From of our requests, with tag. */
  readonly localParty: string;
  /** To of our requests, with tag. */
  readonly remoteParty: string;
  readonly localSequence: number;
  readonly remoteSequence: number | undefined;
  readonly remoteTarget: string;
  readonly routeSet: readonly string[];
  /** Contact value we gave the peer. */
  readonly localContact: string;
  /** Where requests go instead of the target: the peer is behind a NAT, or on a connection that it opened. */
  readonly nextHop: Destination | undefined;
  /** Requests go to `nextHop` and nowhere else, whatever route set and target say. */
  readonly byFlow: boolean;
  /** The listener that the peer knows us by. */
  readonly local: ListenPoint | undefined;
}

/** `<Call-ID>;from-tag=<tag of the request that made it>`. */
export function dialogId(callId: string, fromTag: string): string {
  return `${callId};from-tag=${fromTag}`;
}

/** The tag of a From or To value; empty when it has none (RFC 2543 peers). */
export function tagOf(value: string | undefined): string {
  if (value === undefined || !value.includes('tag')) return '';
  return parseNameAddr(value)?.params.get('tag') ?? '';
}

export function withTag(value: string, tag: string): string {
  return tag === '' || tagOf(value) !== '' ? value : `${value};tag=${tag}`;
}

/** The URI of the first Contact. */
export function contactUri(message: SipMessage): string | undefined {
  const contact = getHeader(message, 'Contact');
  return contact === undefined ? undefined : parseNameAddr(contact)?.uri;
}

function sequenceOf(message: SipMessage): number {
  return Number.parseInt(getHeader(message, 'CSeq') ?? '0', 10);
}

/** The dialog that our 2xx or reliable 1xx makes (RFC 3261 section 12.1.1). */
export function dialogAsServer(parts: {
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly localTag: string;
  readonly localContact: string;
  readonly confirmed: boolean;
  /** As `DialogState.byFlow`: the flow of the request. */
  readonly byFlow: boolean;
}): DialogState {
  const { id, request, flow, localTag } = parts;
  const callId = getHeader(request, 'Call-ID') ?? '';
  const from = getHeader(request, 'From') ?? '';
  const sequence = sequenceOf(request);
  const routeSet = getHeaders(request, 'Record-Route');
  const target = contactUri(request) ?? parseNameAddr(from)?.uri ?? '';
  const callerHop = routeSet.length > 0 ? undefined : hopOfCaller(target, flow);
  return {
    id,
    usage: request.method === 'SUBSCRIBE' ? 'SUBSCRIBE' : 'INVITE',
    role: 'uas',
    confirmed: parts.confirmed,
    callId,
    localTag,
    remoteTag: tagOf(from),
    localParty: withTag(getHeader(request, 'To') ?? '', localTag),
    remoteParty: from,
    localSequence: sequence,
    remoteSequence: sequence,
    remoteTarget: target,
    routeSet,
    localContact: parts.localContact,
    nextHop: parts.byFlow ? wholeFlow(answeringFlow(request, flow)) : callerHop,
    byFlow: parts.byFlow,
    local: flow.local,
  };
}

/** The dialog that a 2xx or reliable 1xx to our request makes (RFC 3261 section 12.1.2). */
export function dialogAsClient(parts: {
  readonly request: SipRequest;
  readonly response: SipResponse;
  readonly flow: Flow | undefined;
  readonly localContact: string;
  /** The flow that the request was sent on, when the dialog has to keep to it. */
  readonly keepTo: Destination | undefined;
}): DialogState {
  const { request, response, flow, keepTo } = parts;
  const callId = getHeader(request, 'Call-ID') ?? '';
  const from = getHeader(request, 'From') ?? '';
  const to = getHeader(response, 'To') ?? '';
  const routeSet = getHeaders(response, 'Record-Route').reverse();
  const target = contactUri(response) ?? request.uri;
  return {
    id: dialogId(callId, tagOf(from)),
    usage: request.method === 'SUBSCRIBE' ? 'SUBSCRIBE' : 'INVITE',
    role: 'uac',
    confirmed: response.status >= 200,
    callId,
    localTag: tagOf(from),
    remoteTag: tagOf(to),
    localParty: from,
    remoteParty: to,
    localSequence: sequenceOf(request),
    remoteSequence: undefined,
    remoteTarget: target,
    routeSet,
    localContact: parts.localContact,
    nextHop: keepTo ?? (flow === undefined ? undefined : hopOfCallee(target, routeSet, flow)),
    byFlow: keepTo !== undefined,
    local: keepTo?.local ?? flow?.local,
  };
}

/** Our next CSeq number. */
export function nextSequence(state: DialogState): DialogState {
  return { ...state, localSequence: state.localSequence + 1 };
}

/** A request of the peer: undefined when its CSeq is out of order (RFC 3261 section 12.2.2: answer 500). */
export function takeRemoteSequence(state: DialogState, sequence: number): DialogState | undefined {
  if (state.remoteSequence !== undefined && sequence < state.remoteSequence) return undefined;
  return { ...state, remoteSequence: sequence };
}

const TARGET_REFRESH = new Set(['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY', 'REFER']);

/** A request of the peer, or its 2xx to a request of ours, may move the remote target (RFC 3261 12.2.1.2, 12.2.2). */
export function refreshTarget(state: DialogState, method: string, message: SipMessage, flow: Flow | undefined) {
  if (!TARGET_REFRESH.has(method)) return state;
  // A NOTIFY moves the target of a subscription, but not that of a call (RFC 6665, RFC 5057).
  if ((method === 'NOTIFY' || method === 'REFER') && state.usage === 'INVITE') return state;
  const target = contactUri(message);
  if (target === undefined || parseUri(target) === undefined) return state;
  const hop = hopAfterRefresh(state, target, message, flow);
  if (target === state.remoteTarget && hop === state.nextHop) return state;
  return { ...state, remoteTarget: target, nextHop: hop };
}

/** A peer that keeps to its flow is where its last request came from: a phone may have lost its connection meanwhile. */
function hopAfterRefresh(
  state: DialogState,
  target: string,
  message: SipMessage,
  flow: Flow | undefined,
): Destination | undefined {
  if (flow === undefined) return state.nextHop;
  if (state.byFlow) return message.kind === 'request' ? wholeFlow(answeringFlow(message, flow)) : state.nextHop;
  if (state.routeSet.length > 0) return state.nextHop;
  return state.role === 'uas' ? hopOfCaller(target, flow) : hopOfCallee(target, state.routeSet, flow);
}

/** A dialog that keeps to a flow goes over to another one; the route set of any other stands (RFC 3261 section 12.2). */
export function followFlow(state: DialogState, flow: Destination): DialogState {
  return state.byFlow ? { ...state, nextHop: flow } : state;
}

function flowHop(flow: Flow): Destination {
  return {
    protocol: flow.protocol,
    address: flow.remoteAddress,
    port: flow.remotePort,
    ...(flow.connection === undefined ? {} : { connection: flow.connection }),
  };
}

/** With the listener: a NAT lets nobody else in. */
function wholeFlow(flow: Flow): Destination {
  return { ...flowHop(flow), local: flow.local };
}

/** Requests to a caller without Record-Route: on its connection; over UDP to its source address when NAT shows. */
export function hopOfCaller(target: string, flow: Flow): Destination | undefined {
  if (flow.connection !== undefined) return flowHop(flow);
  const uri = parseUri(target);
  if (uri === undefined) return flowHop(flow);
  const host = addressOfHost(uri.host);
  const moved = host !== addressOfHost(flow.remoteAddress) && (isIPv4(host) || host.endsWith('.invalid'));
  const otherPort = uri.port !== undefined && uri.port !== flow.remotePort && isIPv4(host);
  return moved || otherPort ? flowHop(flow) : undefined;
}

/** Requests to a callee: to where the 2xx came from when its Contact, or the first route, cannot be reached. */
function hopOfCallee(target: string, routeSet: readonly string[], flow: Flow): Destination | undefined {
  const first = routeSet[0];
  const source = addressOfHost(flow.remoteAddress);
  if (first !== undefined) {
    const host = addressOfHost(parseUri(parseNameAddr(first)?.uri ?? '')?.host ?? '');
    return isPrivate(host) && host !== source ? flowHop(flow) : undefined;
  }
  const uri = parseUri(target);
  const host = addressOfHost(uri?.host ?? '');
  const isSource = host === source && uri?.port === flow.remotePort;
  // Its own end of a connection is nothing to connect to: requests go back on it (RFC 5923).
  if (isSource && flow.connection !== undefined) return flowHop(flow);
  const behindNat = (isIPv4(host) && host !== source) || host.endsWith('.invalid');
  return behindNat ? flowHop(flow) : undefined;
}

/** RFC 1918. */
function isPrivate(host: string): boolean {
  if (!isIPv4(host)) return false;
  const [a = 0, b = 0] = host.split('.').map(Number);
  return a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168);
}

/** Request URI, Route headers, and the URI that names the next hop (RFC 3261 section 12.2.1.1; strict routers too). */
export function routing(state: DialogState): { uri: string; routes: readonly string[]; hop: string } {
  const first = state.routeSet[0];
  if (first === undefined) return { uri: state.remoteTarget, routes: [], hop: state.remoteTarget };
  const firstUri = parseNameAddr(first)?.uri ?? '';
  if (parseUri(firstUri)?.params.has('lr') !== false) {
    return { uri: state.remoteTarget, routes: state.routeSet, hop: firstUri };
  }
  return { uri: firstUri, routes: [...state.routeSet.slice(1), `<${state.remoteTarget}>`], hop: firstUri };
}

/** Headers every request in the dialog begins with. */
export function dialogHeaders(
  state: DialogState,
  method: string,
  sequence: number,
  maxForwards = '70',
): { readonly uri: string; readonly headers: HeaderField[] } {
  const { uri, routes } = routing(state);
  const headers: HeaderField[] = routes.map((value) => ({ name: 'Route', value }));
  headers.push(
    { name: 'Max-Forwards', value: maxForwards },
    { name: 'From', value: state.localParty },
    { name: 'To', value: state.remoteParty },
    { name: 'Call-ID', value: state.callId },
    { name: 'CSeq', value: `${sequence} ${method}` },
  );
  return { uri, headers };
}
