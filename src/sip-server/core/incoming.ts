import type { CancelTimer } from '../../process/clock';
import type { SipResponse } from '../../sip-message/message';
import type { Application } from '../control/application';
import { createResponse } from '../../sip-message/response';
import { addHeader } from '../../sip-message/headers';
import { serialize } from '../../sip-message/serialize';
import { sipFrame } from '../control/tokens';
import type { ServerTransaction } from '../layers';
import { newTag, patience, remoteOf, type CoreContext, type RequestHead } from './context';
import type { DialogRecord } from './dialog-table';

/** A request from the network that an application has to answer. */
export interface Incoming {
  readonly transaction: ServerTransaction;
  readonly application: Application;
  readonly head: RequestHead;
  /** In the order of what its application was given; 0: it is not counted. */
  readonly number: number;
  /** When it came, ms since the epoch: that is what the application is told. */
  readonly since: number;
  /** The dialog it belongs to, or (INVITE, SUBSCRIBE) has made. */
  dialog: DialogRecord | undefined;
  /** The name of the dialog that it may make. */
  readonly dialogId: string;
  /** To tag of every response of ours. */
  localTag: string;
  /** The application may choose the tag with its first response. */
  tagUsed: boolean;
  /** The dialog that this makes keeps to the flow that it came by. */
  keepsToFlow: boolean;
  /** Of the dialog that this makes: as `DialogRecord.byeByApplication`. */
  byeByApplication: boolean;
  /** A final response was given. */
  answered: boolean;
  stopSilence: CancelTimer | undefined;
  /** Of an INVITE that says how long it is meant (RFC 3261 section 13.3.1). */
  stopExpiry: CancelTimer | undefined;
  /** An UPDATE inside this INVITE's early dialog: it goes by the INVITE's transaction id. */
  earlyUpdate: ServerTransaction | undefined;
  /** Reliable provisional responses (RFC 3262). */
  reliable: ReliableState | undefined;
}

export interface ReliableState {
  /** Sequence of the last reliable response. */
  sequence: number;
  /** The one that waits for PRACK, and what stops its retransmission. */
  outstanding: CancelTimer | undefined;
  /** Responses that wait until then. */
  readonly waiting: (() => void)[];
}

/** After a provisional response the application may take this long for the final one. */
const RINGING_LIMIT_MS = 60 * 60 * 1000;

/** Requests whose application is told the flow that they came by. */
const NAMES_FLOW: ReadonlySet<string> = new Set(['REGISTER', 'INVITE']);

/** Requests of one dialog that wait for the application: nobody has more to say at a time, unless to keep it busy. */
const MAX_OF_DIALOG = 32;

/** The client of anything but INVITE stops listening at 64 * T1 (Timer F): an answer has to come before that. */
const USEFUL = 15 / 16;

/** The requests of the network that wait for an application, by transaction id. */
export class IncomingTable {
  private readonly byId = new Map<string, Incoming>();
  /** INVITEs that were answered provisionally: Call-ID and our tag. */
  private readonly early = new Map<string, Incoming>();
  /** How many wait inside a dialog. */
  private readonly inside = new Map<string, number>();

  /** `nameOf`: of the dialog that a request may make. */
  constructor(
    private readonly context: CoreContext,
    private readonly nameOf: (head: RequestHead) => string,
  ) {}

  /** Starts the wait for the application's answer. */
  add(
    transaction: ServerTransaction,
    application: Application,
    head: RequestHead,
    dialog: DialogRecord | undefined,
    { number = 0, since = this.context.clock.now() } = {},
  ): Incoming {
    const incoming: Incoming = {
      transaction,
      since,
      application,
      head,
      number,
      dialog,
      dialogId: this.nameOf(head),
      localTag: head.toTag === '' ? newTag() : head.toTag,
      tagUsed: head.toTag !== '',
      keepsToFlow: false,
      byeByApplication: false,
      answered: false,
      stopSilence: undefined,
      stopExpiry: undefined,
      earlyUpdate: undefined,
      reliable: undefined,
    };
    const limit = patience(this.context) * (head.method === 'INVITE' ? 1 : USEFUL);
    incoming.stopSilence = this.context.clock.setTimer(limit, () => this.silence(incoming));
    this.byId.set(transaction.id, incoming);
    dialog?.unanswered.add(incoming);
    if (head.toTag !== '') this.inside.set(insideKey(head), (this.inside.get(insideKey(head)) ?? 0) + 1);
    return incoming;
  }

  /** Whether the dialog that a request is in has as many waiting as one may have. */
  isCrowded(head: RequestHead): boolean {
    return (this.inside.get(insideKey(head)) ?? 0) >= MAX_OF_DIALOG;
  }

  get(transactionId: string): Incoming | undefined {
    return this.byId.get(transactionId);
  }

  findEarly(callId: string, localTag: string): Incoming | undefined {
    return this.early.get(`${localTag}\n${callId}`);
  }

  of(application: Application): Incoming[] {
    return [...this.byId.values()].filter((incoming) => incoming.application === application);
  }

  get size(): number {
    return this.byId.size;
  }

  /** A provisional response went out: the application lives, and the caller knows our tag. */
  provisional(incoming: Incoming): void {
    incoming.stopSilence?.();
    incoming.stopSilence = this.context.clock.setTimer(RINGING_LIMIT_MS, () => this.silence(incoming));
    if (incoming.head.method === 'INVITE' && incoming.head.toTag === '') {
      this.early.set(`${incoming.localTag}\n${incoming.head.callId}`, incoming);
    }
  }

  /** A final response went out; a second one of the application is answered with the first until `forget`. */
  answered(incoming: Incoming): void {
    if (!incoming.answered) this.leave(incoming.head);
    incoming.answered = true;
    incoming.stopSilence?.();
    incoming.stopExpiry?.();
    incoming.reliable?.outstanding?.();
    incoming.dialog?.unanswered.delete(incoming);
    const early = `${incoming.localTag}\n${incoming.head.callId}`;
    // A request inside the early dialog has the same tag: its answer ends nothing.
    if (this.early.get(early) === incoming) this.early.delete(early);
    if (incoming.earlyUpdate !== undefined) this.refuse(incoming.earlyUpdate, 487);
    incoming.earlyUpdate = undefined;
    for (const waiting of incoming.reliable?.waiting.splice(0) ?? []) waiting();
  }

  private leave(head: RequestHead): void {
    if (head.toTag === '') return;
    const left = (this.inside.get(insideKey(head)) ?? 0) - 1;
    if (left > 0) this.inside.set(insideKey(head), left);
    else this.inside.delete(insideKey(head));
  }

  /** The application can no longer answer it. */
  forget(transactionId: string): void {
    const incoming = this.byId.get(transactionId);
    if (incoming === undefined) return;
    this.byId.delete(transactionId);
    if (!incoming.answered) this.answered(incoming);
  }

  /** Answers in the application's place. */
  abandon(incoming: Incoming, status: number, reason?: string): void {
    if (!incoming.answered) {
      const response = createResponse(incoming.transaction.request, status, { reason, toTag: incoming.localTag });
      incoming.transaction.respond(response);
    }
    this.forget(incoming.transaction.id);
  }

  private silence(incoming: Incoming): void {
    this.context.log('application.silent', { method: incoming.head.method, callId: incoming.head.callId });
    this.abandon(incoming, incoming.head.method === 'INVITE' ? 480 : 500);
  }

  /** A response without any application behind it. */
  refuse(transaction: ServerTransaction, status: number, headers: readonly (readonly [string, string])[] = []): void {
    transaction.respond(this.ownResponse(transaction, status, headers));
  }

  private ownResponse(
    transaction: ServerTransaction,
    status: number,
    headers: readonly (readonly [string, string])[],
  ): SipResponse {
    const response = createResponse(transaction.request, status, status === 100 ? {} : { toTag: newTag() });
    for (const [name, value] of headers) addHeader(response, name, value);
    return response;
  }

  /** Gives the request to its application. */
  deliver(incoming: Incoming, dialogId: string, outsideDialog: boolean): void {
    const { transaction, application } = incoming;
    const { flow, request } = transaction;
    const named = outsideDialog && NAMES_FLOW.has(request.method);
    const message = serialize(named ? this.context.flows.named(request, flow) : request);
    const rest = sipFrame(
      'network',
      message.length,
      remoteOf(flow),
      incoming.since,
      transaction.id,
      dialogId,
      outsideDialog ? flow.local : undefined,
    );
    application.deliver(rest, message);
  }
}

function insideKey({ callId, toTag, fromTag }: RequestHead): string {
  return `${toTag}\n${fromTag}\n${callId}`;
}
