import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock } from '../../process/clock';
import { getHeader } from '../../sip-message/headers';
import type { SipRequest } from '../../sip-message/message';
import { parseCSeq } from '../../sip-message/cseq';
import type { Application } from '../control/application';
import type { RouteTable } from '../control/route-table';
import { tagOf } from '../dialog/dialog';
import type { Flow, TransactionLayer } from '../layers';
import type { Where } from '../control/tokens';
import type { Log } from '../log';
import type { Acquaintances } from '../acquaintances';
import type { CallEvents } from './call-events';
import type { Deliveries } from './deliveries';
import type { Locate } from '../locate';
import type { PeerFlows } from '../peer-flows';
import type { NamedFlows } from './named-flows';

/** RFC 3261 section 17.1.1.1, ms. */
export interface SipTimers {
  readonly t1: number;
  readonly t2: number;
}

export const DEFAULT_TIMERS: SipTimers = { t1: 500, t2: 4000 };

/** What the parts of the SIP core share. */
export interface CoreContext {
  readonly transactions: TransactionLayer;
  readonly clock: Clock;
  readonly timers: SipTimers;
  readonly routes: RouteTable<Application>;
  readonly flows: NamedFlows;
  readonly peerFlows: PeerFlows;
  readonly events: CallEvents;
  readonly acquaintances: Acquaintances;
  readonly deliveries: Deliveries;
  readonly locate: Locate;
  readonly log: Log;
}

/** How long a peer goes on trying: after this, what has not happened will not happen. */
export function patience(context: CoreContext): number {
  return 64 * context.timers.t1;
}

/** The headers of a request that are looked at again and again. */
export interface RequestHead {
  readonly method: string;
  readonly callId: string;
  readonly fromTag: string;
  readonly toTag: string;
  readonly sequence: number;
}

export function readHead(request: SipRequest): RequestHead {
  return {
    method: request.method,
    callId: getHeader(request, 'Call-ID') ?? '',
    fromTag: tagOf(getHeader(request, 'From')),
    toTag: tagOf(getHeader(request, 'To')),
    sequence: parseCSeq(getHeader(request, 'CSeq') ?? '')?.number ?? 0,
  };
}

/** 64 random bits. (UUIDs come from a pool of random bytes; asking for a few bytes each time costs far more.) */
export function newTag(): string {
  const uuid = randomUUID();
  return `${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(24, 28)}`;
}

export function newBranch(): string {
  return `z9hG4bK${randomBytes(10).toString('hex')}`;
}

/** The peer of a flow, for the token line. */
export function remoteOf(flow: Flow): Where {
  return { protocol: flow.protocol, address: flow.remoteAddress, port: flow.remotePort };
}

export function isSdp(body: Buffer): boolean {
  return body.length > 3 && body[0] === 0x76 && body[1] === 0x3d && body[2] === 0x30;
}
