import { parseCSeq } from '../../sip-message/cseq';
import { getHeader } from '../../sip-message/headers';
import { isNextReliable, parseReliableNumber } from '../../sip-message/header-rules';
import { finalMeaning } from '../../sip-message/final-meaning';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import { serialize } from '../../sip-message/serialize';
import type { Application } from '../control/application';
import type { ApplicationResponseText } from '../control/application-text';
import { sipFrame, type Where } from '../control/tokens';
import { dialogAsClient, refreshTarget, tagOf, type DialogState } from '../dialog/dialog';
import { sessionAsClient } from '../dialog/session-timer';
import type { Flow, ServerTransaction } from '../layers';
import { ownContact } from './addresses';
import { type CoreContext, type RequestHead } from './context';
import type { DialogLife } from './dialog-life';
import { DialogRecord, type DialogTable } from './dialog-table';
import { answerEarlyUpdate, deliverEarlyUpdate } from './early-update';
import type { IncomingTable } from './incoming';
import type { Outgoing, OutgoingTable } from './outgoing';
import { buildAck, buildOwnBye } from './outgoing-request';
import type { ResponseHandler, Sender } from './sender';

const RETRY_AFTER: readonly [string, string] = ['Retry-After', '5'];
const MAX_EARLY_NOTIFIES = 8;
const MAX_FORKS = 32;

/** Responses to requests of ours, and the dialogs that they make, change and end. */
export class ClientResponses implements ResponseHandler {
  constructor(
    private readonly context: CoreContext,
    private readonly dialogs: DialogTable,
    private readonly life: DialogLife,
    private readonly incoming: IncomingTable,
    private readonly table: OutgoingTable,
    private readonly sender: () => Sender,
  ) {}

  response(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined, where: Where): void {
    const { status } = response;
    const accepted = status >= 200 && status < 300;
    if (outgoing.finished) {
      // Of what follows a final response only another 2xx to INVITE means anything.
      if (accepted && outgoing.method === 'INVITE') this.furtherAccept(outgoing, response, flow);
      return;
    }
    if (status < 200) return this.provisional(outgoing, response, flow, where);
    this.table.finished(outgoing);
    if (outgoing.earlyUpdate !== undefined) this.incoming.refuse(outgoing.earlyUpdate, 487);
    outgoing.earlyUpdate = undefined;
    if (accepted) this.accepted(outgoing, response, flow);
    else this.refused(outgoing, status);
    if (outgoing.purpose.kind === 'application') {
      this.tell(outgoing, response, where);
      this.record(outgoing, response);
      if (!outgoing.application.open) this.abandon(outgoing);
    }
    if (outgoing.method === 'BYE' && outgoing.dialog !== undefined) {
      if (finalMeaning('BYE', status).type === 'challenged') this.life.byeChallenged(outgoing.dialog);
      else this.life.end(outgoing.dialog);
    }
    this.afterNotify(outgoing, status);
    for (const notify of outgoing.early.splice(0)) this.deliverEarlyNotify(outgoing, notify);
    if (outgoing.purpose.kind === 'server') outgoing.purpose.done(response);
  }

  /** For call detail records. */
  private record({ method, inDialog }: Outgoing, response: SipResponse): void {
    if (method !== 'INVITE' || inDialog) return;
    const { status } = response;
    if (status < 300) this.context.events.start('network', 'uac', response);
    else this.context.events.stop('network', status === 487 ? 'call-canceled' : 'call-rejected', response);
  }

  /** A 2xx that nobody has acknowledged until now will not be acknowledged by the application. */
  over(outgoing: Outgoing): void {
    const { dialog } = outgoing;
    const waiting = dialog?.accepted.get(outgoing.sequence);
    if (dialog === undefined || waiting === undefined) return;
    if (waiting.ack === undefined && !dialog.ended) {
      this.acknowledge(dialog.state, waiting.invite, outgoing.sequence);
      this.life.hangUp(dialog, 'ACK timeout');
    }
    dialog.accepted.delete(outgoing.sequence);
  }

  private provisional(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined, where: Where): void {
    const number = outgoing.method === 'INVITE' ? parseReliableNumber(getHeader(response, 'RSeq') ?? '') : undefined;
    if (number !== undefined && !outgoing.inDialog) {
      const early = this.earlyDialog(outgoing, response, flow);
      // The same one again needs no second PRACK, which is sent again by itself; for one that is missing its sender will send it again.
      if (!isNextReliable(early.lastReliable, number)) return;
      early.lastReliable = number;
      early.awaitsPrack = true;
    }
    if (outgoing.method === 'INVITE' && !outgoing.inDialog) this.noteTold(outgoing, response, flow);
    if (outgoing.purpose.kind === 'application') this.tell(outgoing, response, where);
  }

  /** RFC 3261 section 12.1: an unreliable response makes an early dialog, too. */
  private noteTold(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): void {
    const tag = tagOf(getHeader(response, 'To'));
    if (tag === '' || outgoing.dialog !== undefined || outgoing.told?.state.remoteTag === tag) return;
    const state = this.stateOf(outgoing, response, flow);
    const localSequence = outgoing.told?.state.localSequence ?? state.localSequence;
    outgoing.told = new DialogRecord({ ...state, localSequence }, outgoing.application);
  }

  /** The dialog that a reliable provisional response makes or belongs to, one for each fork (RFC 3261 section 12.1). */
  private earlyDialog(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): DialogRecord {
    const { dialog } = outgoing;
    if (dialog === undefined) return (outgoing.dialog = this.makeDialog(outgoing, response, flow));
    const tag = tagOf(getHeader(response, 'To'));
    const known = dialog.state.remoteTag === tag ? dialog : dialog.forks.get(tag);
    if (known !== undefined || dialog.forks.size >= MAX_FORKS) return known ?? dialog;
    const fork = new DialogRecord(this.stateOf(outgoing, response, flow), outgoing.application);
    dialog.forks.set(tag, fork);
    return fork;
  }

  private accepted(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): void {
    const makesDialog = (outgoing.method === 'INVITE' || outgoing.method === 'SUBSCRIBE') && !outgoing.inDialog;
    if (makesDialog) this.confirm(outgoing, response, flow);
    const { dialog } = outgoing;
    if (dialog === undefined) return;
    if (outgoing.inDialog) dialog.state = refreshTarget(dialog.state, outgoing.method, response, flow);
    if (outgoing.method === 'SUBSCRIBE' && dialog.state.usage === 'SUBSCRIBE') {
      const expires = getHeader(response, 'Expires') ?? getHeader(outgoing.request, 'Expires');
      this.life.armSubscription(dialog, expires);
    }
    const carriesSession = outgoing.method === 'INVITE' || outgoing.method === 'UPDATE';
    if (!carriesSession) return;
    dialog.rememberSdp(outgoing.request.body);
    if (outgoing.method === 'INVITE') this.awaitAck(outgoing, dialog);
    this.life.armSession(dialog, sessionAsClient(getHeader(response, 'Session-Expires')));
  }

  private awaitAck(outgoing: Outgoing, dialog: DialogRecord): void {
    dialog.cancelInvite = undefined;
    dialog.lastInviteRefused = false;
    const entry = {
      sequence: outgoing.sequence,
      invite: outgoing.request,
      cancelled: outgoing.cancelled,
      ack: undefined,
    };
    dialog.accepted.set(outgoing.sequence, entry);
    if (outgoing.purpose.kind === 'server') this.acknowledge(dialog.state, outgoing.request, outgoing.sequence, dialog);
  }

  private refused(outgoing: Outgoing, status: number): void {
    const { dialog } = outgoing;
    if (dialog === undefined || outgoing.method !== 'INVITE') return;
    dialog.cancelInvite = undefined;
    dialog.lastInviteRefused = true;
    if (!outgoing.inDialog && status >= 300) this.life.end(dialog);
  }

  /** The first 2xx decides which fork is the dialog. */
  private confirm(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): void {
    const early = outgoing.dialog;
    const sameFork = early !== undefined && early.state.remoteTag === tagOf(getHeader(response, 'To'));
    if (early !== undefined && sameFork && !early.ended) {
      const confirmed = this.stateOf(outgoing, response, flow);
      const { localSequence, remoteSequence } = early.state;
      early.state = { ...confirmed, localSequence, remoteSequence };
      return;
    }
    const unanswered = early === undefined ? [] : [...early.unanswered];
    for (const incoming of unanswered) this.incoming.abandon(incoming, 487);
    if (early !== undefined) this.life.end(early);
    const dialog = this.makeDialog(outgoing, response, flow);
    const fork = early?.forks.get(dialog.state.remoteTag);
    // Its PRACKs have counted on (RFC 3261 section 12.2.1.1).
    if (fork !== undefined) dialog.state = { ...dialog.state, localSequence: fork.state.localSequence };
    outgoing.dialog = dialog;
  }

  private makeDialog(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): DialogRecord {
    const state = this.stateOf(outgoing, response, flow);
    // What was sent in the early dialog has counted on (RFC 3261 section 12.2.1.1).
    const localSequence = Math.max(state.localSequence, outgoing.told?.state.localSequence ?? 0);
    const record = new DialogRecord({ ...state, localSequence }, outgoing.application);
    record.rememberSdp(outgoing.request.body);
    record.byeByApplication = outgoing.byeByApplication;
    this.dialogs.add(record);
    return record;
  }

  private stateOf(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): DialogState {
    const { request } = outgoing;
    const point = flow?.local ?? this.context.transactions.transport.points[0];
    const localContact = getHeader(request, 'Contact') ?? (point === undefined ? '' : ownContact(point, request.uri));
    return dialogAsClient({ request, response, flow, localContact, keepTo: outgoing.flow });
  }

  /** A second 2xx: the same one again, or another fork, which is acknowledged and ended (RFC 3261 section 13.2.2.4). */
  private furtherAccept(outgoing: Outgoing, response: SipResponse, flow: Flow | undefined): void {
    const tag = tagOf(getHeader(response, 'To'));
    const entry = outgoing.dialog?.accepted.get(outgoing.sequence);
    if (outgoing.dialog?.state.remoteTag === tag) {
      if (entry?.ack !== undefined) this.sender().resendAck(entry.ack.message, entry.ack.destination);
      return;
    }
    const again = outgoing.forks.get(tag);
    if (again !== undefined) return again();
    outgoing.forks.set(tag, () => undefined);
    const state = this.stateOf(outgoing, response, flow);
    this.acknowledge(state, outgoing.request, outgoing.sequence, undefined, (resend) =>
      outgoing.forks.set(tag, resend),
    );
    this.endFork(outgoing, state);
  }

  private endFork(outgoing: Outgoing, state: DialogState): void {
    const request = buildOwnBye(state, state.localSequence + 1, undefined);
    this.sender().send({
      application: outgoing.application,
      purpose: { kind: 'server', done: () => undefined },
      request,
      hop: this.sender().hopInDialog(state),
      dialogId: state.id,
      dialog: new DialogRecord(state, outgoing.application),
    });
  }

  /** ACK without the application: refresh, forks, applications that are gone. */
  private acknowledge(
    state: DialogState,
    invite: SipRequest,
    sequence: number,
    dialog?: DialogRecord,
    keep?: (resend: () => void) => void,
  ): void {
    const built = buildAck(state, invite, sequence, undefined);
    if ('nok' in built) return;
    this.sender().sendAck(built.request, this.sender().hopInDialog(state), (message, destination) => {
      const entry = dialog?.accepted.get(sequence);
      if (entry !== undefined) entry.ack = { message, destination };
      keep?.(() => this.sender().resendAck(message, destination));
    });
  }

  /** The application is gone, and its INVITE was accepted: nobody will talk. */
  private abandon(outgoing: Outgoing): void {
    const { dialog } = outgoing;
    if (outgoing.method !== 'INVITE' || dialog === undefined || outgoing.inDialog) return;
    this.acknowledge(dialog.state, outgoing.request, outgoing.sequence, dialog);
    this.life.hangUp(dialog, 'application is gone');
  }

  private afterNotify(outgoing: Outgoing, status: number): void {
    const { dialog, method, request } = outgoing;
    if (method !== 'NOTIFY' || dialog?.state.usage !== 'SUBSCRIBE' || status === 401 || status === 407) return;
    if (/^\s*terminated/i.test(getHeader(request, 'Subscription-State') ?? '')) this.life.end(dialog);
  }

  private tell(outgoing: Outgoing, response: SipResponse, where: Where): void {
    const message = serialize(response);
    const bytes = where.address === '' ? 0 : message.length;
    const rest = sipFrame('network', bytes, where, this.context.clock.now(), outgoing.id, outgoing.dialogId);
    outgoing.application.deliver(rest, message);
  }

  /** A request of the peer before our INVITE or SUBSCRIBE has its final response. False: there is none such. */
  takeEarlyRequest(head: RequestHead, transaction: ServerTransaction): boolean {
    const outgoing = this.table.findEarly(head.callId, head.toTag);
    if (outgoing === undefined) return false;
    if (outgoing.method === 'SUBSCRIBE') {
      if (head.method !== 'NOTIFY' || outgoing.early.length >= MAX_EARLY_NOTIFIES) return false;
      outgoing.early.push(transaction);
      return true;
    }
    if (head.method === 'UPDATE') {
      this.earlyUpdate(outgoing, transaction);
      return true;
    }
    if (head.method === 'INVITE') {
      this.incoming.refuse(transaction, 491);
      return true;
    }
    if (head.method === 'BYE' || head.method === 'PRACK') return false;
    this.incoming.deliver(
      this.incoming.add(transaction, outgoing.application, head, undefined),
      outgoing.dialogId,
      false,
    );
    return true;
  }

  private earlyUpdate(outgoing: Outgoing, transaction: ServerTransaction): void {
    if (outgoing.earlyUpdate !== undefined) return this.incoming.refuse(transaction, 500, [RETRY_AFTER]);
    outgoing.earlyUpdate = transaction;
    deliverEarlyUpdate(this.context, outgoing.application, transaction, outgoing.id, outgoing.dialogId);
  }

  /** False: no such UPDATE waits. */
  answerEarlyUpdate(
    application: Application,
    commandId: string,
    transactionId: string,
    text: ApplicationResponseText,
  ): boolean {
    const outgoing = this.table.get(transactionId);
    const update = outgoing?.earlyUpdate;
    if (outgoing === undefined || update === undefined || outgoing.application !== application) return false;
    if (text.status >= 200) outgoing.earlyUpdate = undefined;
    answerEarlyUpdate(this.context, application, update, transactionId, commandId, text);
    return true;
  }

  private deliverEarlyNotify(outgoing: Outgoing, transaction: ServerTransaction): void {
    const head: RequestHead = {
      method: 'NOTIFY',
      callId: outgoing.callId,
      fromTag: tagOf(getHeader(transaction.request, 'From')),
      toTag: outgoing.localTag,
      sequence: parseCSeq(getHeader(transaction.request, 'CSeq') ?? '')?.number ?? 0,
    };
    const record = this.dialogs.find(head.callId, head.toTag, head.fromTag);
    if (record === undefined) return this.incoming.refuse(transaction, 481);
    record.state = { ...record.state, remoteSequence: head.sequence };
    this.incoming.deliver(this.incoming.add(transaction, record.application, head, record), record.state.id, false);
  }
}
