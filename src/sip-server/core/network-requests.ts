import { ALLOW, isKnownMethod } from '../../sip-message/methods';
import { getHeader, getHeaders } from '../../sip-message/headers';
import type { SipRequest } from '../../sip-message/message';
import { parseNameAddrList } from '../../sip-message/name-addr';
import { serialize } from '../../sip-message/serialize';
import { parseUri } from '../../sip-message/uri';
import type { Application } from '../control/application';
import { sipFrame } from '../control/tokens';
import { takeRemoteSequence } from '../dialog/dialog';
import { MIN_SESSION_SECONDS, tooSmall } from '../dialog/session-timer';
import type { Flow, ServerTransaction } from '../layers';
import { sourceOf } from '../source';
import { patience, readHead, remoteOf, type CoreContext, type RequestHead } from './context';
import { costOf, type Delivery } from './deliveries';
import type { DialogRecord, DialogTable } from './dialog-table';
import type { DialogLife } from './dialog-life';
import { deliverEarlyUpdate } from './early-update';
import type { Incoming, IncomingTable } from './incoming';
import type { ClientRequests } from './client-requests';
import type { Proxies } from './proxy/proxies';
import { takePrack } from './reliable';

const RETRY_AFTER: readonly [string, string] = ['Retry-After', '5'];
/** RFC 3261 section 10.2: a Contact may be a mailto or another URI. */
const OTHER_SCHEME = /^(?!sips?:|tel:)[a-z][a-z0-9+.-]*:./i;

/**
 * What comes from the network (the layer below has sent 100 to an INVITE): finds its dialog or an application for
 * it, or answers by itself.
 */
export class NetworkRequests {
  /** Requests without To tag that are going on, to see the same one arriving by another way. */
  private readonly ongoing = new Map<string, ServerTransaction>();
  private readonly keys = new Map<string, string>();
  /** What no application was given yet, by transaction id. */
  private readonly waiting = new Map<string, Delivery>();

  constructor(
    private readonly context: CoreContext,
    private readonly dialogs: DialogTable,
    private readonly life: DialogLife,
    private readonly incoming: IncomingTable,
    private readonly clients: ClientRequests,
    private readonly proxies: Proxies,
  ) {}

  request(request: SipRequest, flow: Flow, transaction: ServerTransaction | undefined): void {
    const head = readHead(request);
    if (transaction === undefined) return this.ack(request, head, flow);
    // Both become part of a token line of the control protocol.
    if (head.callId.includes('|') || head.fromTag.includes('|')) return this.incoming.refuse(transaction, 400);
    if (!isKnownMethod(head.method)) return this.incoming.refuse(transaction, 501, [['Allow', ALLOW]]);
    if (head.method === 'REGISTER' && !contactsAreSound(request)) return this.incoming.refuse(transaction, 400);
    if (head.toTag === '' || head.method === 'REGISTER') return this.outsideDialog(head, transaction);
    if (head.method !== 'BYE' && this.incoming.isCrowded(head))
      return this.incoming.refuse(transaction, 500, [RETRY_AFTER]);
    const record = this.dialogs.find(head.callId, head.toTag, head.fromTag);
    if (record !== undefined) return this.inDialog(record, head, transaction);
    const pending = this.incoming.findEarly(head.callId, head.toTag);
    if (pending !== undefined && pending.head.fromTag === head.fromTag) {
      return this.inEarlyServerDialog(pending, head, transaction);
    }
    if (this.clients.takeEarly(head, transaction) || this.proxies.inDialog(head, transaction)) return;
    this.incoming.refuse(transaction, 481);
  }

  /** The caller gave up before a final response; the layer below has answered the CANCEL. */
  cancelled(transaction: ServerTransaction, cancel: SipRequest, flow: Flow): void {
    const waiting = this.waiting.get(transaction.id);
    if (waiting !== undefined) {
      this.context.deliveries.withdraw(waiting);
      return this.incoming.refuse(transaction, 487);
    }
    const incoming = this.incoming.get(transaction.id);
    if (incoming === undefined || incoming.answered) return;
    this.tellCancelled(incoming, cancel, flow);
    // Before the application has answered anything there is nothing to record the end of.
    if (incoming.tagUsed) this.context.events.stop('network', 'call-canceled', transaction.request);
    if (incoming.dialog !== undefined && !incoming.dialog.state.confirmed) this.life.end(incoming.dialog);
    this.incoming.abandon(incoming, 487);
  }

  terminated(transaction: ServerTransaction): void {
    this.incoming.forget(transaction.id);
    const waiting = this.waiting.get(transaction.id);
    if (waiting !== undefined) this.context.deliveries.withdraw(waiting);
    this.waiting.delete(transaction.id);
    this.forgetKey(transaction);
  }

  private forgetKey(transaction: ServerTransaction): void {
    const key = this.keys.get(transaction.id);
    if (key === undefined) return;
    this.keys.delete(transaction.id);
    if (this.ongoing.get(key) === transaction) this.ongoing.delete(key);
  }

  /** Its requests get an answer at once; nobody else can take them over. */
  applicationClosed(application: Application): void {
    for (const incoming of this.incoming.of(application)) {
      this.incoming.abandon(incoming, incoming.head.method === 'INVITE' ? 480 : 500);
    }
  }

  private outsideDialog(head: RequestHead, transaction: ServerTransaction): void {
    const key = mergeKey(head);
    const earlier = this.ongoing.get(key);
    // A client that answers a challenge without counting CSeq on is no loop.
    const merged = earlier !== undefined && earlier.final?.status !== 401 && earlier.final?.status !== 407;
    if (merged && head.fromTag !== '') return this.incoming.refuse(transaction, 482);
    const { method } = head;
    if (
      getHeader(transaction.request, 'Max-Forwards')?.trim() === '0' &&
      method !== 'OPTIONS' &&
      method !== 'REGISTER'
    ) {
      return this.incoming.refuse(transaction, 483);
    }
    // Without a Contact that can be read no dialog could come of it; one of RFC 2543 may have none.
    if (method === 'INVITE' && parseNameAddrList(getHeaders(transaction.request, 'Contact')) === undefined) {
      return this.incoming.refuse(transaction, 400);
    }
    this.ongoing.set(key, transaction);
    this.keys.set(transaction.id, key);
    this.queue(head, transaction);
  }

  /** To an application, when it is the turn of the request's source. */
  private queue(head: RequestHead, transaction: ServerTransaction): void {
    const { clock, acquaintances, deliveries } = this.context;
    const { flow } = transaction;
    const since = clock.now();
    const isKnown = acquaintances.standing(flow) === 'known';
    const delivery: Delivery = {
      source: sourceOf(flow.remoteAddress),
      cost: costOf(transaction.request.body.length),
      isKnown,
      deliver: () => {
        this.waiting.delete(transaction.id);
        if (this.isDead(transaction, since)) return transaction.drop();
        this.route(head, transaction, since);
        if (head.method === 'INVITE') this.context.events.attempt('network', transaction.request);
      },
      refuse: () => {
        this.waiting.delete(transaction.id);
        // A stranger's datagram comes again by itself, and may find room then.
        if (flow.connection === undefined && !isKnown) return transaction.drop();
        this.forgetKey(transaction);
        this.incoming.refuse(transaction, 503, [RETRY_AFTER]);
      },
    };
    this.waiting.set(transaction.id, delivery);
    deliveries.offer(delivery);
  }

  /** Nobody waits for the answer any more (Timers B and F), or nobody can get it. */
  private isDead({ flow }: ServerTransaction, since: number): boolean {
    const { clock, transactions } = this.context;
    if (flow.connection !== undefined && !transactions.transport.takesAnswers(flow.connection)) return true;
    return clock.now() - since >= patience(this.context);
  }

  private route(head: RequestHead, transaction: ServerTransaction, since: number): void {
    const { method } = head;
    const { routes, deliveries } = this.context;
    const verb = method.toLowerCase();
    const usable = (one: Application): boolean => one.open && !one.congested;
    const idle = routes.pick(verb, (one) => usable(one) && deliveries.hasRoom(one));
    const application = idle === 'busy' ? routes.pick(verb, usable) : idle;
    // What nobody has seen may be tried again.
    if (application === 'none' || application === 'busy') this.forgetKey(transaction);
    if (application === 'none') return this.unroutable(method, transaction);
    if (application === 'busy') return this.incoming.refuse(transaction, 503, [RETRY_AFTER]);
    const number = deliveries.numberFor(application);
    const incoming = this.incoming.add(transaction, application, head, undefined, { number, since });
    this.expire(incoming);
    this.incoming.deliver(incoming, '', true);
  }

  /** RFC 3261 section 13.3.1: an INVITE that is not answered in the time that it names is over, as if its caller had cancelled it. */
  private expire(incoming: Incoming): void {
    const { transaction, head } = incoming;
    const seconds = head.method === 'INVITE' ? expiresOf(transaction.request) : undefined;
    if (seconds === undefined) return;
    incoming.stopExpiry = this.context.clock.setTimer(seconds * 1000, () => {
      const cancel: SipRequest = { ...transaction.request, method: 'CANCEL', body: Buffer.alloc(0) };
      this.cancelled(transaction, cancel, transaction.flow);
    });
  }

  private unroutable(method: string, transaction: ServerTransaction): void {
    if (method === 'BYE' || method === 'UPDATE' || method === 'PRACK') return this.incoming.refuse(transaction, 481);
    if (method === 'REFER') return this.incoming.refuse(transaction, 405, [['Allow', ALLOW]]);
    this.incoming.refuse(transaction, 503);
  }

  private inDialog(record: DialogRecord, head: RequestHead, transaction: ServerTransaction): void {
    const { method } = head;
    this.context.acquaintances.heard(transaction.flow);
    const next = takeRemoteSequence(record.state, head.sequence);
    if (next === undefined) return this.incoming.refuse(transaction, 500);
    record.state = next;
    const early = method === 'BYE' && !record.state.confirmed ? record.pendingInvite : undefined;
    if (early !== undefined) {
      this.inEarlyServerDialog(early, head, transaction);
      return this.life.end(record);
    }
    const refusal = this.refusal(record, head, transaction);
    if (refusal !== undefined) return refusal();
    const incoming = this.incoming.add(transaction, record.application, head, record);
    if (method === 'BYE') {
      record.unanswered.delete(incoming);
      this.life.end(record);
    }
    this.incoming.deliver(incoming, record.state.id, false);
    if (method === 'BYE' && record.state.usage === 'INVITE') {
      this.context.events.stop('network', 'normal-release', transaction.request);
    }
  }

  /** What the server refuses without asking the application. */
  private refusal(record: DialogRecord, head: RequestHead, transaction: ServerTransaction): (() => void) | undefined {
    const { method } = head;
    if (!record.application.open) return () => this.incoming.refuse(transaction, 481);
    if (method === 'PRACK' && !takePrack(this.incoming, record, transaction.request)) {
      return () => this.incoming.refuse(transaction, 481);
    }
    if (method !== 'INVITE' && method !== 'UPDATE') return undefined;
    if (tooSmall(getHeader(transaction.request, 'Session-Expires'))) {
      return () => this.incoming.refuse(transaction, 422, [['Min-SE', String(MIN_SESSION_SECONDS)]]);
    }
    // RFC 3261 section 14.2: the first one has to be answered before.
    if (method === 'INVITE' && record.pendingInvite !== undefined) {
      return () => this.incoming.refuse(transaction, 500, [RETRY_AFTER]);
    }
    return undefined;
  }

  /** Inside the early dialog of an INVITE that the application has answered provisionally, without 100rel. */
  private inEarlyServerDialog(invite: Incoming, head: RequestHead, transaction: ServerTransaction): void {
    switch (head.method) {
      case 'UPDATE':
        return this.earlyUpdate(invite, transaction);
      case 'BYE': {
        // RFC 3261 section 15.1.2: the INVITE ends with it. The application sees what it knows: a CANCEL.
        this.incoming.refuse(transaction, 200);
        this.tellCancelled(invite, { ...invite.transaction.request, method: 'CANCEL' }, transaction.flow);
        return this.incoming.abandon(invite, 487);
      }
      case 'INVITE':
        return this.incoming.refuse(transaction, 500, [RETRY_AFTER]);
      case 'PRACK':
        return this.incoming.refuse(transaction, 481);
      default:
        this.incoming.deliver(
          this.incoming.add(transaction, invite.application, head, undefined),
          invite.dialogId,
          false,
        );
    }
  }

  private earlyUpdate(invite: Incoming, transaction: ServerTransaction): void {
    if (invite.earlyUpdate !== undefined) return this.incoming.refuse(transaction, 500, [RETRY_AFTER]);
    invite.earlyUpdate = transaction;
    deliverEarlyUpdate(this.context, invite.application, transaction, invite.transaction.id, invite.dialogId);
  }

  private tellCancelled(incoming: Incoming, cancel: SipRequest, flow: Flow): void {
    const { dialog } = incoming;
    const known = dialog !== undefined || incoming.tagUsed;
    const id = dialog?.state.id ?? (known ? incoming.dialogId : '');
    const message = serialize(cancel);
    const rest = sipFrame(
      'network',
      message.length,
      remoteOf(flow),
      this.context.clock.now(),
      incoming.transaction.id,
      id,
    );
    incoming.application.deliver(rest, message);
  }

  /** ACK for a 2xx; any other ACK is the business of the layer below, and a stray one of nobody. */
  private ack(request: SipRequest, head: RequestHead, flow: Flow): void {
    const record = this.dialogs.find(head.callId, head.toTag, head.fromTag);
    const waiting = record?.unacknowledged.get(head.sequence);
    if (record === undefined) return void this.proxies.acknowledge(request, head);
    if (waiting === undefined) return;
    waiting.stop();
    record.unacknowledged.delete(head.sequence);
    this.incoming.forget(waiting.transaction.id);
    const message = serialize(request);
    const now = this.context.clock.now();
    const rest = sipFrame('network', message.length, remoteOf(flow), now, waiting.ackTransactionId, record.state.id);
    record.application.deliver(rest, message);
    if (record.unacknowledged.size === 0) record.releaseAfterAck();
  }
}

/** Contacts that can be read; `*` alone, and only to remove everything (RFC 3261 section 10.2.2). */
function contactsAreSound(register: SipRequest): boolean {
  const values = getHeaders(register, 'Contact');
  const contacts = parseNameAddrList(values);
  if (contacts === undefined) return false;
  if (!contacts.some((contact) => contact.uri === '*')) {
    return contacts.every((contact) => parseUri(contact.uri) !== undefined || OTHER_SCHEME.test(contact.uri));
  }
  return contacts.length === 1 && /^0+$/.test(getHeader(register, 'Expires')?.trim() ?? '');
}

/** Undefined: as long as the caller likes. Nobody means a call that is over when it begins. */
function expiresOf(invite: SipRequest): number | undefined {
  const text = getHeader(invite, 'Expires')?.trim() ?? '';
  return /^[1-9]\d{0,5}$/.test(text) ? Number(text) : undefined;
}

function mergeKey(head: RequestHead): string {
  return `${head.sequence}\n${head.method}\n${head.fromTag}\n${head.callId}`;
}
