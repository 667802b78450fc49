import { createHash } from 'node:crypto';
import { canonicalHost } from '../process/address';
import { isPid, type Pid } from '../process/pid';
import { sign, verify } from '../process/hmac';
import { canonicalUri } from '../sip-message/uri';
import { readAssertedIdentity } from './identity';
import { parseCount } from './header-values';
import { readPrivacy } from './privacy';
import { RecentSet } from './recent-set';
import { parseReplaces } from './replaces';
import { readRequestUri } from './request-uri';
import type { HeaderReader, Headers, ReceivedRequest } from './user-agent';

/**
 * From which node to which incarnation of which, and when: `1;to=2;boot=17;time=1700000000000`; `;caller=outside` behind it when the
 * call came in through a gateway.
 */
export const NODE_HEADER = 'X-Tandem-Node';
export const SIGNATURE_HEADER = 'X-Tandem-Signature';
/** In a refusal for clock skew: the receiver's time, ms since the epoch. */
export const TIME_HEADER = 'X-Tandem-Time';
/** In a 410: the PID that is not (any more) the answering node's (claim R13). */
export const NOT_MINE_HEADER = 'X-Tandem-Not-Mine';
/** In an INVITE: which call of the cluster it is of, and who is behind the sender. Signed with it. */
export const CONTEXT_HEADER = 'X-Tandem-Context';
/** In answers to it: who is behind the answering node, and what its refusal means. */
export const WORD_HEADER = 'X-Tandem-Word';

/** Every header that only nodes may send to each other. From anybody else they are refused. */
export const NODE_HEADERS: readonly string[] = [
  NODE_HEADER,
  SIGNATURE_HEADER,
  TIME_HEADER,
  NOT_MINE_HEADER,
  CONTEXT_HEADER,
  WORD_HEADER,
];

/** Whether a request carries a header that only nodes may send. */
export function hasNodeHeader(header: HeaderReader): boolean {
  return NODE_HEADERS.some((name) => header(name) !== undefined);
}

const WINDOW_MS = 120_000;
/**
 * The calling node has given up by then (5 s without a sign of life), and half a second is for what clocks do between two words of them. What they are
 * told wrong by delays errs on the side of the request.
 */
const LATE_MS = 5_500;
const CAPACITY = 250_000;
const MAX_HEADER_LENGTH = 256;
/** In place of a PID. */
const NOTHING_HERE = 'number';

export interface NodeSignatureOptions {
  readonly secret: string;
  readonly node: number;
  /** Our incarnation. */
  readonly boot: number;
  readonly now: () => number;
  /** How far the clock of another node is ahead of ours, in ms; undefined: not known, and nothing of it is judged late. */
  readonly clockOffsetOf?: ((node: number) => number | undefined) | undefined;
  /** Call-IDs that are remembered at most. */
  readonly capacity?: number;
}

/** What a node has said that it has not: a process, or (`pid` undefined) anything for the number. */
export interface NotMine {
  readonly pid: Pid | undefined;
  readonly boot: number;
}

/** What of a request is signed. */
export interface SignedRequest {
  readonly method: string;
  readonly uri: string;
  readonly callId: string;
  /** Value of P-Asserted-Identity. */
  readonly assertedIdentity: string | undefined;
  /** Value of Privacy. */
  readonly privacy?: string | undefined;
  /** The call came in through a gateway. */
  readonly outside?: boolean;
  /** Value of `CONTEXT_HEADER`. */
  readonly context?: string | undefined;
  /** Value of Replaces (RFC 3891). */
  readonly replaces?: string | undefined;
  readonly body: string;
}

/** For whom a request is signed. */
export interface Addressee {
  readonly node: number;
  readonly boot: number;
}

export type NodeVerdict =
  /** `outside`: the call came in through a gateway there. */
  | { readonly type: 'node'; readonly node: number; readonly outside: boolean }
  | {
      readonly type: 'refused';
      readonly status: 403 | 408 | 410;
      readonly reason: string;
      readonly headers: Headers;
      readonly cause: 'forged' | 'skew' | 'late' | 'replayed' | 'other-node' | 'earlier-life';
    };

/** Line ends and the end of the body may change on the way through a SIP server; what it says may not. */
function bodyHash(body: string): string {
  const text = body.replace(/\r\n?/g, '\n').trimEnd();
  return createHash('sha256').update(text).digest('base64url');
}

/** SIP servers rewrite spelling (quotes, escapes, order of parameters), not meaning: that is what is signed. */
function canonicalIdentity(header: string | undefined): string {
  const identity = readAssertedIdentity(header);
  if (identity === undefined) return '';
  return JSON.stringify([identity.displayName ?? '', identity.user, canonicalHost(identity.host)]);
}

/** SIP servers may write the values of Privacy in another way; what is asked for stays. */
function canonicalPrivacy(header: string | undefined): string {
  const privacy = readPrivacy(header);
  return privacy.type === 'withheld' ? privacy.header : '';
}

/** SIP servers may fold a header; nothing in the context is white space. */
function canonicalContext(header: string | undefined): string {
  return header?.replace(/\s+/g, '') ?? '';
}

/** The order and spelling of its parameters may change on the way. What cannot be read is signed as it stands. */
function canonicalReplaces(header: string | undefined): string {
  if (header === undefined) return '';
  const dialog = parseReplaces(header);
  return dialog === undefined
    ? header
    : JSON.stringify([dialog.callId, dialog.toTag, dialog.fromTag, dialog.earlyOnly]);
}

interface NodeHeader {
  readonly from: number;
  readonly to: number;
  readonly boot: number;
  readonly time: number;
  readonly outside: boolean;
}

function parseNodeHeader(text: string | undefined): NodeHeader | undefined {
  const match = /^(\d{1,6});to=(\d{1,6});boot=(\d{1,16});time=(\d{1,15})(;caller=outside)?$/.exec(text?.trim() ?? '');
  if (match === null) return undefined;
  const [from, to, boot, time] = match.slice(1, 5).map(Number);
  if (from === undefined || to === undefined || boot === undefined || time === undefined) return undefined;
  return { from, to, boot, time, outside: match[5] !== undefined };
}

function formatNodeHeader({ from, to, boot, time, outside }: NodeHeader): string {
  return `${from};to=${to};boot=${boot};time=${time}${outside ? ';caller=outside' : ''}`;
}

/**
 * Proof between nodes that a request outside a dialog, or an answer to one, comes from a node of the cluster.
 * What is signed: method, request URI, Call-ID, both nodes, the incarnation of the one that it is for, the asserted identity with its
 * privacy and whether it comes from outside, the context, what it replaces, the body, the time. A signature is good for 120 s, once, and for one life of the node
 * that it is for: what was seen is remembered no longer than that. The incarnation says so whatever the clocks of the two nodes show.
 * Where it is known how much the clocks differ, a request that was on its way for longer than its caller waits is not acted upon.
 */
export class NodeSignature {
  private readonly seen: RecentSet<true>;

  constructor(private readonly options: NodeSignatureOptions) {
    this.seen = new RecentSet(2 * WINDOW_MS, options.capacity ?? CAPACITY);
  }

  /** The headers with which to send a request to a node. */
  sign(request: SignedRequest, { node: to, boot }: Addressee): Headers {
    const { node: from, now } = this.options;
    const header = { from, to, boot, time: now(), outside: request.outside === true };
    return {
      [NODE_HEADER]: formatNodeHeader(header),
      [SIGNATURE_HEADER]: sign(this.options.secret, this.parts(request, header)),
    };
  }

  /** Judges a request that carries headers of ours. Takes its Call-ID: a second time it is a replay. */
  verify(request: ReceivedRequest): NodeVerdict {
    const signature = request.header(SIGNATURE_HEADER);
    const header = parseNodeHeader(request.header(NODE_HEADER));
    if (signature === undefined || signature.length > MAX_HEADER_LENGTH || header === undefined)
      return refused('forged', 'Not A Node');
    const signed: SignedRequest = {
      method: request.method,
      uri: request.uri,
      callId: request.callId,
      assertedIdentity: request.header('P-Asserted-Identity'),
      privacy: request.header('Privacy'),
      context: request.header(CONTEXT_HEADER),
      replaces: request.header('Replaces'),
      body: request.body,
    };
    if (!verify(this.options.secret, this.parts(signed, header), signature)) return refused('forged', 'Not A Node');
    if (header.to !== this.options.node) return refused('other-node', 'For Another Node');
    if (header.boot !== this.options.boot) return this.refuseEarlier(request, header);
    return this.judgeTime(header, `${header.from} ${request.method} ${request.callId}`);
  }

  /** A header value that only a node can have made, bound to the header, the Call-ID and the node that it is for. */
  seal(name: string, callId: string, to: number, value: string): string {
    return `${value};signature=${sign(this.options.secret, this.sealed(name, callId, this.options.node, to, value))}`;
  }

  /** The value in a header that node `from` has sealed; `undefined` when it is missing or not genuine. */
  open(name: string, callId: string, from: number, text: string | undefined): string | undefined {
    const at = text?.lastIndexOf(';signature=') ?? -1;
    if (text === undefined || at < 0) return undefined;
    const value = text.slice(0, at).trim();
    const signature = text.slice(at + ';signature='.length).trim();
    const parts = this.sealed(name, callId, from, this.options.node, value);
    return verify(this.options.secret, parts, signature) ? value : undefined;
  }

  /**
   * The header of a refusal that says that this node has not (any more) what it was asked for: a PID (claim R13), or without one
   * anything of its own for the dialled number (claim R14).
   */
  notMine(callId: string, to: number, wanted?: { readonly pid: Pid; readonly boot: number }): Headers {
    const value = wanted === undefined ? NOTHING_HERE : `${wanted.pid};boot=${wanted.boot}`;
    return { [NOT_MINE_HEADER]: this.seal(NOT_MINE_HEADER, callId, to, value) };
  }

  /** Reads that header; only a genuine one counts: servers, phones and gateways can answer 410 too. */
  readNotMine(from: number, callId: string, header: HeaderReader): NotMine | undefined {
    const value = this.open(NOT_MINE_HEADER, callId, from, header(NOT_MINE_HEADER));
    if (value === NOTHING_HERE) return { pid: undefined, boot: 0 };
    const [pid, parameter] = value?.split(';') ?? [];
    const boot = parseCount(parameter?.replace(/^boot=/, ''), Number.MAX_SAFE_INTEGER);
    return pid !== undefined && isPid(pid) && boot !== undefined ? { pid, boot } : undefined;
  }

  /**
   * Made before our start: a replay, or the word of a node that has not heard of the start yet. Either is told, sealed, what we have
   * not, so that such a node looks again (claims R13, R14); nothing else comes of it.
   */
  private refuseEarlier({ uri, callId }: ReceivedRequest, { from }: NodeHeader): NodeVerdict {
    const { pid, boot: text } = readRequestUri(uri) ?? { pid: undefined, boot: undefined };
    const boot = parseCount(text, Number.MAX_SAFE_INTEGER);
    const wanted = pid !== undefined && isPid(pid) && boot !== undefined ? { pid, boot } : undefined;
    const headers = this.notMine(callId, from, wanted);
    return { type: 'refused', status: 410, reason: 'For An Earlier Life', headers, cause: 'earlier-life' };
  }

  private judgeTime(header: NodeHeader, key: string): NodeVerdict {
    const now = this.options.now();
    if (Math.abs(now - header.time) > WINDOW_MS)
      return refused('skew', 'Clocks Of The Nodes Differ', { [TIME_HEADER]: String(now) });
    if (this.seen.get(key) === true || this.seen.forgets(header.time)) return refused('replayed', 'Seen Before');
    this.seen.set(key, header.time, true, now);
    const offset = this.options.clockOffsetOf?.(header.from);
    if (offset !== undefined && now - (header.time - offset) > LATE_MS)
      return { ...refused('late', 'Too Late'), status: 408 };
    return { type: 'node', node: header.from, outside: header.outside };
  }

  private parts(request: SignedRequest, header: NodeHeader): string[] {
    return [
      'request',
      request.method,
      canonicalUri(request.uri) ?? request.uri,
      request.callId,
      String(header.from),
      String(header.to),
      String(header.boot),
      header.outside ? 'outside' : 'inside',
      canonicalIdentity(request.assertedIdentity),
      canonicalPrivacy(request.privacy),
      canonicalContext(request.context),
      canonicalReplaces(request.replaces),
      bodyHash(request.body),
      String(header.time),
    ];
  }

  private sealed(name: string, callId: string, from: number, to: number, value: string): string[] {
    return ['sealed', name.toLowerCase(), callId, String(from), String(to), value];
  }
}

function refused(
  cause: Extract<NodeVerdict, { type: 'refused' }>['cause'],
  reason: string,
  headers: Headers = {},
): Extract<NodeVerdict, { type: 'refused' }> {
  return { type: 'refused', status: 403, reason, headers, cause };
}
