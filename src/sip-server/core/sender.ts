import { randomUUID } from 'node:crypto';
import { getHeader } from '../../sip-message/headers';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import { createResponse } from '../../sip-message/response';
import { serialize } from '../../sip-message/serialize';
import { parseUri } from '../../sip-message/uri';
import type { Application } from '../control/application';
import { nok, requestSent, type Where } from '../control/tokens';
import { routing, tagOf, type DialogState } from '../dialog/dialog';
import type { Destination, Flow, ListenPoint, Protocol, TransportFailure } from '../layers';
import { ownVia } from './addresses';
import { newBranch, newTag, readHead, type CoreContext } from './context';
import type { DialogRecord } from './dialog-table';
import {
  destinationsOf,
  hopOfDestination,
  hopOfFlow,
  hopOfUri,
  leavingFrom,
  type Located,
  type NextHop,
} from './next-hop';
import type { Outgoing, OutgoingTable, Purpose } from './outgoing';

/** What happens to a request on its way. */
export interface ResponseHandler {
  /** `flow` undefined: made up here, because no response can come. */
  response(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined, where: Where): void;
  /** The transaction below is over. */
  over(outgoing: Outgoing): void;
}

/** Sends requests: finds the address, starts the transaction, and turns its failures into responses. */
export class Sender {
  constructor(
    private readonly context: CoreContext,
    private readonly table: OutgoingTable,
    private readonly handler: ResponseHandler,
  ) {}

  /** Where a request in the dialog goes. */
  hopInDialog(state: DialogState): NextHop {
    const hop = this.chooseHop(state);
    return state.byFlow ? hop : leavingFrom(hop, state.local);
  }

  private chooseHop(state: DialogState): NextHop {
    const { transport } = this.context.transactions;
    if (state.byFlow)
      return state.nextHop === undefined ? { kind: 'no-transport' } : hopOfFlow(state.nextHop, transport);
    if (state.nextHop !== undefined) {
      const remembered = hopOfDestination(state.nextHop, transport);
      if (remembered !== undefined) return remembered;
    }
    const uri = parseUri(routing(state).hop);
    return uri === undefined || uri.scheme === 'tel' ? { kind: 'no-transport' } : hopOfUri(uri, transport);
  }

  /** The listener to be named in what goes there. */
  pointOf(hop: NextHop): ListenPoint | undefined {
    return hop.kind === 'no-transport' ? undefined : hop.point;
  }

  /** Sends a request; the application's command, if there is one, is answered at once. */
  send(parts: {
    readonly application: Application;
    readonly purpose: Purpose;
    readonly request: SipRequest;
    readonly hop: NextHop;
    readonly dialogId: string;
    readonly dialog: DialogRecord | undefined;
    readonly byeByApplication?: boolean;
    /** Not yet: the request goes out when this calls back. */
    readonly hold?: (go: () => void) => void;
  }): Outgoing | undefined {
    const { application, purpose, request, hop } = parts;
    if (hop.kind === 'no-transport') {
      if (purpose.kind === 'application') application.reply(purpose.commandId, `NOK|${nok.noTransport}`);
      else purpose.done(undefined);
      return undefined;
    }
    const head = readHead(request);
    const outgoing: Outgoing = {
      id: randomUUID(),
      application,
      purpose,
      method: request.method,
      callId: head.callId,
      localTag: tagOf(getHeader(request, 'From')),
      sequence: head.sequence,
      dialogId: parts.dialogId,
      dialog: parts.dialog,
      told: undefined,
      inDialog: parts.dialog !== undefined,
      request,
      flow: hop.kind === 'address' && hop.isFlow === true ? hop.destination : undefined,
      byeByApplication: parts.byeByApplication === true,
      client: undefined,
      finished: false,
      cancelled: false,
      replied: purpose.kind === 'server',
      backlog: [],
      forks: new Map(),
      earlyUpdate: undefined,
      early: [],
    };
    this.table.add(outgoing);
    this.go(outgoing, hop, parts.hold);
    return outgoing;
  }

  private go(
    outgoing: Outgoing,
    hop: Exclude<NextHop, { kind: 'no-transport' }>,
    hold: ((go: () => void) => void) | undefined,
  ): void {
    if (hop.kind === 'gone') return this.fail(outgoing, hop.protocol, 410);
    if (hold !== undefined) {
      this.reply(outgoing, { protocol: hop.point.protocol, address: '', port: 0 }, false);
      return hold(() => this.go(outgoing, hop, undefined));
    }
    if (hop.kind === 'address') this.start(outgoing, hop, []);
    else this.lookUp(outgoing, hop);
  }

  /** `further`: where to go when nobody answers there, or it has no time (RFC 3263 section 4.3). */
  private start(outgoing: Outgoing, { destination, point }: Located, further: readonly Located[]): void {
    const { protocol } = destination;
    const unsent = outgoing.request;
    const isFirst = outgoing.client === undefined;
    const attempt = { left: false, heard: false };
    const goOn = (why: string): boolean => {
      const [following, ...rest] = further;
      if (following === undefined || attempt.heard || outgoing.cancelled || outgoing.finished) return false;
      attempt.left = true;
      this.context.log('request.failover', { why, from: destination.address, to: following.destination.address });
      outgoing.request = unsent;
      this.start(outgoing, following, rest);
      return true;
    };
    const client = this.context.transactions.request(unsent, destination, {
      response: (response, flow) => {
        if (attempt.left || (response.status === 503 && goOn('503'))) return;
        attempt.heard = true;
        const where: Where =
          flow === undefined
            ? { protocol, address: '', port: 0 }
            : { protocol: flow.protocol, address: flow.remoteAddress, port: flow.remotePort };
        this.inOrder(outgoing, () => this.handler.response(outgoing, response, flow, where));
      },
      failed: (failure) => {
        if (attempt.left || goOn(failure)) return;
        const closed = failure === 'closed' && destination.connection !== undefined;
        this.inOrder(outgoing, () => this.fabricate(outgoing, protocol, statusOf(failure, closed), undefined));
      },
      terminated: () => {
        if (!attempt.left) this.inOrder(outgoing, () => this.over(outgoing));
      },
    });
    // The next one may have been started within the call.
    if (attempt.left) return;
    outgoing.client = client;
    outgoing.request = client.request;
    if (isFirst && outgoing.method === 'INVITE' && !outgoing.inDialog)
      this.context.events.attempt('application', outgoing.request);
    const local = protocol === 'udp' ? { address: point.address, port: point.port } : destination;
    this.reply(outgoing, { protocol, address: local.address, port: local.port }, true);
  }

  private over(outgoing: Outgoing): void {
    this.table.remove(outgoing);
    this.handler.over(outgoing);
  }

  /** The name is looked up after the reply: it may take seconds. */
  private lookUp(outgoing: Outgoing, hop: Extract<NextHop, { kind: 'name' }>): void {
    this.reply(outgoing, { protocol: undefined, address: '', port: 0 }, false);
    const { locate, transactions } = this.context;
    void destinationsOf(hop, locate, transactions.transport).then(([first, ...further]) => {
      if (outgoing.cancelled) return this.fabricate(outgoing, undefined, 487, undefined, true);
      if (first === undefined) return this.fabricate(outgoing, undefined, 503, 'DNS Error', true);
      this.start(outgoing, first, further);
    });
  }

  private fail(outgoing: Outgoing, protocol: Protocol, status: number): void {
    this.reply(outgoing, { protocol, address: '', port: 0 }, false);
    this.fabricate(outgoing, protocol, status, undefined, true);
  }

  /** A response that looks like one of the peer, because the peer will give none. */
  private fabricate(
    outgoing: Outgoing,
    protocol: Protocol | undefined,
    status: number,
    reason: string | undefined,
    withoutTransaction = false,
  ): void {
    if (!outgoing.finished) {
      const response = createResponse(outgoing.request, status, { reason, toTag: newTag() });
      this.handler.response(outgoing, response, undefined, { protocol, address: '', port: 0 });
    }
    if (withoutTransaction) this.over(outgoing);
  }

  private reply(outgoing: Outgoing, where: Where, sent: boolean): void {
    const { purpose } = outgoing;
    if (purpose.kind === 'server' || outgoing.replied) return;
    const bytes = serialize(outgoing.request);
    const rest = requestSent(sent ? bytes.length : 0, where, this.context.clock.now(), outgoing.id);
    outgoing.application.reply(purpose.commandId, rest, bytes);
    outgoing.replied = true;
    for (const event of outgoing.backlog.splice(0)) event();
  }

  /** The application must have its reply before it hears of the transaction. */
  private inOrder(outgoing: Outgoing, event: () => void): void {
    if (outgoing.replied) event();
    else outgoing.backlog.push(event);
  }

  /** Sends an ACK for a 2xx; `sent` learns the wire form, to send again for each retransmission of the 2xx. */
  sendAck(
    ack: SipRequest,
    hop: NextHop,
    sent: (message: SipRequest, destination: Destination, where: Where) => void,
  ): boolean {
    if (hop.kind === 'no-transport' || hop.kind === 'gone') return false;
    const { point } = hop;
    ack.headers.unshift({ name: 'Via', value: ownVia(point, newBranch()) });
    const go = (destination: Destination): void => {
      this.context.transactions.sendAck(ack, destination, false);
      const local = destination.protocol === 'udp' ? point : destination;
      sent(ack, destination, { protocol: destination.protocol, address: local.address, port: local.port });
    };
    if (hop.kind === 'address') go(hop.destination);
    else {
      const { locate, transactions } = this.context;
      void destinationsOf(hop, locate, transactions.transport).then(([first]) => {
        if (first !== undefined) go(first.destination);
        else this.context.log('ack.unresolved', { host: hop.target.host });
      });
    }
    return true;
  }

  resendAck(message: SipRequest, destination: Destination): void {
    this.context.transactions.sendAck(message, destination, false);
  }
}

function statusOf(failure: TransportFailure, registeredConnection: boolean): number {
  if (failure === 'timeout') return 408;
  return registeredConnection ? 410 : 503;
}
