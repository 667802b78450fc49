import { randomBytes } from 'node:crypto';
import type { Clock } from '../../process/clock';
import { parseCSeq } from '../../sip-message/cseq';
import { getHeader, prependHeader } from '../../sip-message/headers';
import type { ParseFailure, SipMessage, SipRequest, SipResponse } from '../../sip-message/message';
import { createResponse } from '../../sip-message/response';
import { serialize } from '../../sip-message/serialize';
import { formatVia, MAGIC_COOKIE } from '../../sip-message/via';
import type {
  ClientTransaction,
  ClientTransactionEvents,
  Destination,
  Flow,
  ListenPoint,
  Protocol,
  TransactionEvents,
  TransactionLayer,
  TransportFailure,
  TransportLayer,
} from '../layers';
import type { Acquaintances } from '../acquaintances';
import { hostOfAddress } from '../host';
import type { Log } from '../log';
import { noLog } from '../log';
import { ShareCount, sourceOf } from '../source';
import { AwaitedConnections } from './awaited-connections';
import type { ClientHost } from './client';
import { ClientShell } from './client';
import { clientKey, serverKey, tagOf, topVia } from './keys';
import { RequestWithFallback } from './fallback';
import type { Refusal } from './refusals';
import { Refusals } from './refusals';
import { keyAt, ServerTable } from './server-table';
import type { ServerHost } from './server';
import { responseDestination, ServerShell } from './server';
import type { Setup, TimerValues } from './timers';
import { RFC_TIMERS } from './timers';

export interface TransactionLayerOptions {
  readonly transport: TransportLayer;
  readonly clock: Clock;
  /** Table 4 of RFC 3261; for tests and for networks that are slower than its defaults. */
  readonly timers?: Partial<TimerValues>;
  readonly log?: Log;
  /**
   * At most so many server transactions, and a quarter of that for one source. Those that are answered and only wait for
   * retransmissions or an ACK (Timers J and H) make room, the oldest first; when none is left, new requests get 503.
   */
  readonly maxServerTransactions?: number;
  /** Who is no stranger; without it nobody is one. */
  readonly acquaintances?: Acquaintances;
}

const MAX_SERVER_TRANSACTIONS = 100_000;

/** RFC 3261 section 18.1.1: the largest request that may go by UDP when the MTU of the path is not known. */
const MAX_DATAGRAM = 1300;
/** About the length of the Via that we add. */
const VIA_BYTES = 90;

const newBranch = (): string => `${MAGIC_COOKIE}${randomBytes(12).toString('hex')}`;
const newTag = (): string => randomBytes(6).toString('hex');

/** A late failure concerns what was sent on this connection, or to this address and port. */
function routeKey(protocol: Protocol, address: string, port: number, connection: number | undefined): string {
  return connection === undefined ? `${protocol} ${address} ${port}` : String(connection);
}

/** The shell of the transaction layer: matches messages to machines, and gives these clock and transport. */
export class SipTransactionLayer implements TransactionLayer {
  readonly transport: TransportLayer;
  private readonly clock: Clock;
  private readonly timers: TimerValues;
  private readonly log: Log;
  private readonly maxServerTransactions: number;
  private readonly clients = new Map<string, ClientShell>();
  private readonly clientsByRoute = new Map<string, Set<ClientShell>>();
  private readonly routes = new Map<ClientShell, string>();
  private readonly servers = new ServerTable<ServerShell>();
  /** Server transactions with a final response that is no 2xx to INVITE, the oldest first. */
  private readonly answered = new Set<ServerShell>();
  private readonly refusals: Refusals;
  /** Server transactions without a final response, of each source. */
  private readonly unanswered = new ShareCount();
  private readonly awaited = new AwaitedConnections((connection) => this.transport.finish(connection));
  private readonly clientHost: ClientHost;
  private readonly serverHost: ServerHost;
  private readonly cancelHost: ServerHost;
  private readonly acquaintances: Acquaintances | undefined;
  private events: TransactionEvents | undefined;
  private stopped = false;

  constructor(options: TransactionLayerOptions) {
    this.transport = options.transport;
    this.clock = options.clock;
    this.timers = { ...RFC_TIMERS, ...options.timers };
    this.log = options.log ?? noLog;
    this.refusals = new Refusals(options.clock, 64 * this.timers.t1);
    this.acquaintances = options.acquaintances;
    this.maxServerTransactions = options.maxServerTransactions ?? MAX_SERVER_TRANSACTIONS;
    const { transport, clock } = this;
    const userError = (error: unknown): void => {
      this.log('sip.transaction.handler-error', { error: error instanceof Error ? error.stack : String(error) });
    };
    this.clientHost = {
      transport,
      clock,
      userError,
      sentOn: (transaction, flow) => this.noteRoute(transaction, flow),
      sendCancel: (cancel, to) => this.sendCancel(cancel, to),
      gone: (transaction) => this.forgetClient(transaction),
      unheard: ({ connection }) => {
        if (connection !== undefined) this.transport.cutOff(connection, 64 * this.timers.t1);
      },
    };
    const shared = {
      transport,
      clock,
      userError,
      answered: (transaction: ServerShell, ended: boolean): void => {
        this.unanswered.release(transaction);
        this.awaited.release(transaction);
        if (ended) this.answered.add(transaction);
      },
      isStranger: (flow: Flow): boolean => this.acquaintances?.standing(flow) === 'stranger',
      refused: (transaction: ServerShell, refusal: Refusal): void =>
        this.refusals.keep(transaction.key, refusal, () => this.tellOver(transaction)),
      gone: (transaction: ServerShell): void => this.forgetServer(transaction),
    };
    this.serverHost = {
      ...shared,
      request: (transaction) => this.events?.request(transaction.request, transaction.flow, transaction),
      ack: (ack, flow) => this.events?.request(ack, flow, undefined),
      over: (transaction, acked) => this.events?.terminated(transaction, acked),
    };
    const nothing = (): void => undefined;
    const request = (cancel: ServerShell): void => this.answerCancel(cancel);
    this.cancelHost = { ...shared, request, ack: nothing, over: nothing };
    transport.onSendFailure((to, failure) => {
      this.routeFailed(routeKey(to.protocol, to.address, to.port, to.connection), failure);
    });
  }

  get open(): { readonly client: number; readonly server: number } {
    return { client: this.clients.size, server: this.servers.size };
  }

  start(points: readonly ListenPoint[], events: TransactionEvents): Promise<readonly ListenPoint[]> {
    this.events = events;
    return this.transport.listen(points, {
      message: (message, flow) => this.received(message, flow),
      malformed: (failure, flow) => this.refuseMalformed(failure, flow),
      // Transactions on it hear of it as a send failure.
      connectionClosed: (connection) => {
        this.awaited.closed(connection);
        events.connectionClosed?.(connection);
      },
      peerFinished: (connection) => {
        events.connectionClosed?.(connection);
        return this.awaited.peerFinished(connection);
      },
    });
  }

  request(request: SipRequest, to: Destination, events: ClientTransactionEvents): ClientTransaction {
    const overTcp = this.largeRequestOverTcp(request, to);
    if (overTcp === undefined) return this.startRequest(request, to, events);
    return new RequestWithFallback(request, overTcp, to, events, (...parts) => this.startRequest(...parts));
  }

  private startRequest(request: SipRequest, to: Destination, events: ClientTransactionEvents): ClientTransaction {
    const branch = newBranch();
    const sent: SipRequest = { ...request, headers: [...request.headers] };
    prependHeader(sent, 'Via', this.via(to, branch));
    return this.startClient(sent, branch, to, events);
  }

  /** RFC 3261 section 18.1.1: where a request goes that may be larger than the path takes in one packet. */
  private largeRequestOverTcp(request: SipRequest, to: Destination): Destination | undefined {
    if (to.protocol !== 'udp' || to.anyTransport !== true) return undefined;
    if (serialize(request).length + VIA_BYTES <= MAX_DATAGRAM) return undefined;
    const { address, port } = to;
    if (this.transport.pointFor('tcp', address) === undefined) return undefined;
    return { protocol: 'tcp', address, port };
  }

  sendAck(ack: SipRequest, to: Destination, withVia: boolean): void {
    // Into the caller's message: its retransmission carries the same Via.
    if (withVia) prependHeader(ack, 'Via', this.via(to, newBranch()));
    this.transport.send(serialize(ack), to, (result) => {
      if ('failure' in result)
        this.log('sip.ack.failed', { failure: result.failure, address: to.address, port: to.port });
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    for (const transaction of [...this.clients.values(), ...this.servers.all()]) transaction.stop();
    this.clients.clear();
    this.clientsByRoute.clear();
    this.routes.clear();
    this.servers.clear();
    this.answered.clear();
    this.refusals.clear();
    await this.transport.close();
  }

  /** Without a listener for that protocol nothing can be sent; the name only completes the message. */
  private via(to: Destination, branch: string): string {
    const point = to.local ?? this.transport.pointFor(to.protocol, to.address);
    const { address, port } = point?.announced ?? point ?? { address: 'invalid.invalid', port: undefined };
    const params = new Map<string, string | undefined>();
    if (to.protocol === 'udp') params.set('rport', undefined);
    // RFC 5923: the peer may send its requests on this connection; our certificate says who we are.
    if (to.protocol === 'tls') params.set('alias', undefined);
    params.set('branch', branch);
    return formatVia({ protocol: to.protocol.toUpperCase(), host: hostOfAddress(address), port, params });
  }

  private setup(protocol: Protocol): Setup {
    return { timers: this.timers, reliable: protocol !== 'udp' };
  }

  private startClient(
    request: SipRequest,
    branch: string,
    to: Destination,
    events: ClientTransactionEvents,
  ): ClientTransaction {
    const key = clientKey(branch, request.method);
    const transaction = new ClientShell(request, key, to, this.setup(to.protocol), events, this.clientHost);
    if (this.stopped) return transaction;
    this.clients.set(key, transaction);
    transaction.start();
    return transaction;
  }

  /** The CANCEL has the branch of its INVITE. Its own responses mean nothing to the user. */
  private sendCancel(cancel: SipRequest, to: Destination): void {
    const branch = topVia(cancel)?.params.get('branch') ?? '';
    const nothing = (): void => undefined;
    this.startClient(cancel, branch, to, { response: nothing, failed: nothing });
  }

  private noteRoute(transaction: ClientShell, flow: Flow): void {
    const key = routeKey(flow.protocol, flow.remoteAddress, flow.remotePort, flow.connection);
    const set = this.clientsByRoute.get(key) ?? new Set();
    set.add(transaction);
    this.clientsByRoute.set(key, set);
    this.routes.set(transaction, key);
  }

  private forgetClient(transaction: ClientShell): void {
    if (this.clients.get(transaction.key) === transaction) this.clients.delete(transaction.key);
    const key = this.routes.get(transaction);
    if (key === undefined) return;
    this.routes.delete(transaction);
    const set = this.clientsByRoute.get(key);
    set?.delete(transaction);
    if (set?.size === 0) this.clientsByRoute.delete(key);
  }

  private forgetServer(transaction: ServerShell): void {
    this.servers.remove(transaction);
    this.answered.delete(transaction);
    this.unanswered.release(transaction);
    this.awaited.release(transaction);
  }

  private tellOver(transaction: ServerShell): void {
    if (transaction.request.method !== 'CANCEL') this.events?.terminated(transaction, false);
  }

  /** False: full of requests that wait for their answer, or this source has its share of them. */
  private makeRoom(source: string): boolean {
    if (this.unanswered.of(source) >= this.maxServerTransactions / 4) return false;
    if (this.servers.size < this.maxServerTransactions) return true;
    const [oldest] = this.answered;
    oldest?.end();
    return this.servers.size < this.maxServerTransactions;
  }

  private routeFailed(key: string, failure: TransportFailure): void {
    for (const transaction of [...(this.clientsByRoute.get(key) ?? [])]) transaction.transportFailed(failure);
  }

  private received(message: SipMessage, flow: Flow): void {
    if (this.stopped) return;
    if (message.kind === 'response') this.receivedResponse(message, flow);
    else if (message.method === 'ACK') this.receivedAck(message, flow);
    else this.receivedRequest(message, flow);
  }

  /** Responses that belong to no transaction are dropped (RFC 6026 section 7.3). */
  private receivedResponse(response: SipResponse, flow: Flow): void {
    const branch = topVia(response)?.params.get('branch');
    const method = parseCSeq(getHeader(response, 'CSeq') ?? '')?.method;
    if (branch === undefined || method === undefined) return;
    const transaction = this.clients.get(clientKey(branch, method));
    if (transaction === undefined) return;
    this.acquaintances?.heard(flow);
    transaction.received(response, flow);
  }

  /** The ACK of a non-2xx has the branch of its INVITE; any other ACK is for a 2xx, and for the user. */
  private receivedAck(ack: SipRequest, flow: Flow): void {
    const via = topVia(ack);
    if (via === undefined) return;
    const key = keyAt(serverKey(ack, via, 'INVITE'), flow);
    const invite = this.servers.meant(key);
    const expected = invite?.toTag ?? this.refusals.find(key)?.toTag;
    if (expected !== undefined && expected === tagOf(ack, 'To')) this.acquaintances?.heard(flow);
    if (invite !== undefined) invite.acked(ack, flow);
    else if (this.refusals.find(key) === undefined) this.events?.request(ack, flow, undefined);
  }

  private receivedRequest(request: SipRequest, flow: Flow): void {
    const via = topVia(request);
    if (via === undefined) return;
    const key = keyAt(serverKey(request, via, request.method), flow);
    const known = this.servers.get(key);
    if (known !== undefined) return known.retransmitted();
    const refused = this.refusals.find(key);
    if (refused !== undefined) return this.transport.send(refused.bytes, refused.to, () => undefined);
    const source = sourceOf(flow.remoteAddress);
    if (!this.makeRoom(source)) {
      this.log('sip.message.no-room', { method: request.method, address: flow.remoteAddress, port: flow.remotePort });
      return this.refuse(request, flow, 503, 'Service Unavailable');
    }
    const host = request.method === 'CANCEL' ? this.cancelHost : this.serverHost;
    const transaction = new ServerShell(request, flow, key, this.setup(flow.protocol), host);
    this.servers.add(transaction);
    this.unanswered.take(transaction, source);
    this.awaited.take(transaction, flow.connection);
    transaction.start();
  }

  /** RFC 3261 section 9.2. */
  private answerCancel(cancel: ServerShell): void {
    const via = topVia(cancel.request);
    const key = via === undefined ? '' : keyAt(serverKey(cancel.request, via, 'INVITE'), cancel.flow);
    const invite = this.servers.meant(key);
    const status = invite === undefined && this.refusals.find(key) === undefined ? 481 : 200;
    cancel.respond(createResponse(cancel.request, status, { toTag: invite?.toTag ?? newTag() }));
    if (invite !== undefined && invite.final === undefined) this.events?.cancelled(invite, cancel.request, cancel.flow);
  }

  private refuseMalformed(failure: ParseFailure, flow: Flow): void {
    const { partial, status, reason } = failure;
    this.log('sip.message.malformed', { status, reason, address: flow.remoteAddress, port: flow.remotePort });
    if (this.stopped || partial?.kind !== 'request' || partial.method === 'ACK') return;
    this.refuse(partial, flow, status, reason);
  }

  /** Answers without a transaction; a client that sends again is answered again. */
  private refuse(request: SipRequest, flow: Flow, status: number, reason: string): void {
    if (getHeader(request, 'Via') === undefined) return;
    const response = createResponse(request, status, { reason, toTag: newTag() });
    const to = responseDestination(flow, request.answerPort);
    this.transport.send(serialize(response), to, () => undefined);
  }
}
