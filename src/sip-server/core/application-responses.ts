import { randomUUID } from 'node:crypto';
import { getHeader } from '../../sip-message/headers';
import type { SipResponse } from '../../sip-message/message';
import { serialize } from '../../sip-message/serialize';
import type { Application } from '../control/application';
import type { ApplicationResponseText } from '../control/application-text';
import { nok, responseSent, sipFrame } from '../control/tokens';
import { dialogAsServer, refreshTarget } from '../dialog/dialog';
import type { SessionInterval } from '../dialog/session-timer';
import { ownContact } from './addresses';
import { remoteOf, type CoreContext } from './context';
import type { DialogLife } from './dialog-life';
import { DialogRecord, type DialogTable } from './dialog-table';
import { answerEarlyUpdate } from './early-update';
import type { Incoming, IncomingTable } from './incoming';
import { nextReliableSequence, sendReliably } from './reliable';
import {
  buildResponse,
  byeByApplication,
  chosenTag,
  keepsToFlow,
  needsContact,
  offers100rel,
  requires100rel,
} from './server-responses';

/** Responses that applications give to requests from the network. */
export class ApplicationResponses {
  constructor(
    private readonly context: CoreContext,
    private readonly dialogs: DialogTable,
    private readonly life: DialogLife,
    private readonly incoming: IncomingTable,
  ) {}

  /** The answer to the command is given exactly once. */
  respond(application: Application, commandId: string, transactionId: string, text: ApplicationResponseText): void {
    const incoming = this.incoming.get(transactionId);
    if (incoming?.application !== application) {
      const automatic = text.cseqMethod === 'CANCEL' && text.lastHeaderIsCSeq;
      return application.reply(commandId, `NOK|${automatic ? nok.automaticCancelAnswer : nok.unknownTransaction}`);
    }
    this.context.deliveries.hasRead(application, incoming.number);
    if (text.cseqMethod === 'UPDATE' && incoming.head.method === 'INVITE') {
      return this.answerEarlyUpdate(incoming, commandId, text);
    }
    const { final, flow } = incoming.transaction;
    if (incoming.answered) {
      // The first final response stands; a second one changes nothing.
      if (final !== undefined) return this.replySent(incoming, commandId, final);
      return application.reply(commandId, `NOK|${nok.unknownTransaction}`);
    }
    if (flow.connection !== undefined && !this.context.transactions.transport.takesAnswers(flow.connection)) {
      this.incoming.abandon(incoming, 500);
      return application.reply(commandId, `NOK|${nok.connectionGone}`);
    }
    incoming.keepsToFlow ||= keepsToFlow(text);
    incoming.byeByApplication ||= byeByApplication(text);
    if (!incoming.tagUsed) incoming.localTag = chosenTag(text) ?? incoming.localTag;
    if (text.status < 200) return this.provisional(incoming, commandId, text);
    this.final(incoming, commandId, text);
  }

  private provisional(incoming: Incoming, commandId: string, text: ApplicationResponseText): void {
    const reliable = requires100rel(text) && incoming.head.method === 'INVITE' && text.status > 100;
    if (reliable && !offers100rel(incoming)) return incoming.application.reply(commandId, `NOK|${nok.no100rel}`);
    if (reliable) return this.reliable(incoming, commandId, text);
    const { response } = buildResponse(incoming, text, { contact: needsContact(incoming, text.status, false) });
    // RFC 4320: nothing but INVITE has provisional responses that help anybody.
    if (incoming.head.method === 'INVITE' && text.status > 100) {
      incoming.tagUsed = true;
      if (!incoming.transaction.respond(response)) return this.gone(incoming, commandId);
      this.incoming.provisional(incoming);
    }
    this.replySent(incoming, commandId, response);
  }

  private reliable(incoming: Incoming, commandId: string, text: ApplicationResponseText): void {
    incoming.tagUsed = true;
    if (incoming.reliable?.outstanding !== undefined) {
      this.wait(incoming, commandId, () => this.reliable(incoming, commandId, text));
      return;
    }
    const options = { contact: true, reliableSequence: nextReliableSequence(incoming) };
    const { response } = buildResponse(incoming, text, options);
    if (incoming.dialog === undefined && !this.makeDialog(incoming, response, false)) {
      return this.refuseSecondFork(incoming, commandId);
    }
    incoming.dialog?.rememberSdp(response.body);
    this.incoming.provisional(incoming);
    this.replySent(incoming, commandId, response);
    sendReliably(this.context, incoming, response, () => this.neverAcknowledged(incoming));
  }

  /** RFC 3262 section 3: without PRACK the INVITE is rejected. The application sees its caller give up. */
  private neverAcknowledged(incoming: Incoming): void {
    const { transaction, dialog, dialogId: id } = incoming;
    const cancel = serialize({ ...transaction.request, method: 'CANCEL', body: Buffer.alloc(0) });
    const where = remoteOf(transaction.flow);
    const time = this.context.clock.now();
    this.incoming.abandon(incoming, 504);
    if (dialog !== undefined && !dialog.state.confirmed) this.life.end(dialog);
    incoming.application.deliver(sipFrame('network', cancel.length, where, time, transaction.id, id), cancel);
  }

  private final(incoming: Incoming, commandId: string, text: ApplicationResponseText): void {
    const { method } = incoming.head;
    incoming.tagUsed = true;
    const built = buildResponse(incoming, text, { contact: needsContact(incoming, text.status, false) });
    const { response } = built;
    if (incoming.reliable?.outstanding !== undefined && text.status < 300) {
      // RFC 3262 section 3: not before the reliable provisional response is acknowledged.
      this.wait(incoming, commandId, () => this.sendFinal(incoming, commandId, response, built.session));
      return;
    }
    if (method === 'BYE') incoming.dialog = undefined;
    this.sendFinal(incoming, commandId, response, built.session);
  }

  /** Until PRACK comes, or the INVITE ends in another way; the command is answered then. */
  private wait(incoming: Incoming, commandId: string, send: () => void): void {
    incoming.reliable?.waiting.push(() => {
      if (incoming.answered) incoming.application.reply(commandId, `NOK|${nok.unknownTransaction}`);
      else send();
    });
  }

  private sendFinal(
    incoming: Incoming,
    commandId: string,
    response: SipResponse,
    session: SessionInterval | undefined,
  ): void {
    const accepted = response.status >= 200 && response.status < 300;
    const makesDialog = accepted && makesDialogs(incoming);
    if (makesDialog && !this.makeDialog(incoming, response, true)) {
      return this.refuseSecondFork(incoming, commandId);
    }
    const waitsForAck = accepted && incoming.head.method === 'INVITE' && incoming.dialog !== undefined;
    if (waitsForAck && incoming.dialog !== undefined) {
      const initial = incoming.head.toTag === '';
      const ackId = initial ? incoming.transaction.id : randomUUID();
      this.life.awaitAck(incoming.dialog, incoming.head.sequence, incoming.transaction, ackId);
    }
    if (!incoming.transaction.respond(response)) return this.gone(incoming, commandId);
    const { dialog } = incoming;
    this.incoming.answered(incoming);
    this.replySent(incoming, commandId, response);
    this.record(incoming, response);
    if (dialog !== undefined) this.afterFinal(incoming, dialog, response, session);
    // Anybody's OPTIONS may get its 200.
    if (accepted && incoming.head.method !== 'OPTIONS') this.context.acquaintances.known(incoming.transaction.flow);
  }

  /** For call detail records. */
  private record({ head }: Incoming, response: SipResponse): void {
    if (head.method !== 'INVITE' || head.toTag !== '') return;
    if (response.status < 300) this.context.events.start('application', 'uas', response);
    else this.context.events.stop('application', 'call-rejected', response);
  }

  private afterFinal(
    incoming: Incoming,
    dialog: DialogRecord,
    response: SipResponse,
    session: SessionInterval | undefined,
  ): void {
    const { method } = incoming.head;
    const { request, flow } = incoming.transaction;
    const accepted = response.status < 300;
    if (!accepted) {
      if (!dialog.state.confirmed && method === 'INVITE') this.life.end(dialog);
      return;
    }
    if (incoming.head.toTag !== '') dialog.state = refreshTarget(dialog.state, method, request, flow);
    if (method === 'INVITE' || method === 'UPDATE') {
      dialog.rememberSdp(response.body);
      this.life.armSession(dialog, session);
    }
    if (method === 'SUBSCRIBE' && dialog.state.usage === 'SUBSCRIBE') {
      this.life.armSubscription(dialog, getHeader(response, 'Expires') ?? getHeader(request, 'Expires'));
    }
    const over = method === 'NOTIFY' && dialog.state.usage === 'SUBSCRIBE';
    if (over && /^\s*terminated/i.test(getHeader(request, 'Subscription-State') ?? '')) this.life.end(dialog);
  }

  /** False: there is a dialog of that name already, made by another fork of the same INVITE. */
  private makeDialog(incoming: Incoming, response: SipResponse, confirmed: boolean): boolean {
    if (incoming.dialog !== undefined) {
      incoming.dialog.state = { ...incoming.dialog.state, confirmed: incoming.dialog.state.confirmed || confirmed };
      return true;
    }
    const { request, flow } = incoming.transaction;
    const localContact = getHeader(response, 'Contact') ?? ownContact(flow.local, request.uri);
    const { dialogId: id, localTag, keepsToFlow: byFlow } = incoming;
    const state = dialogAsServer({ id, request, flow, localTag, localContact, confirmed, byFlow });
    if (this.dialogs.get(state.id) !== undefined) return false;
    const record = new DialogRecord(state, incoming.application);
    record.byeByApplication = incoming.byeByApplication;
    this.dialogs.add(record);
    incoming.dialog = record;
    if (!incoming.answered) record.unanswered.add(incoming);
    return true;
  }

  private refuseSecondFork(incoming: Incoming, commandId: string): void {
    this.incoming.abandon(incoming, 480);
    incoming.application.reply(commandId, `NOK|${nok.dialogExists}`);
  }

  private gone(incoming: Incoming, commandId: string): void {
    const { dialog, head } = incoming;
    this.incoming.forget(incoming.transaction.id);
    if (dialog !== undefined && head.toTag === '') this.life.end(dialog);
    incoming.application.reply(commandId, `NOK|${nok.unknownTransaction}`);
  }

  private answerEarlyUpdate(incoming: Incoming, commandId: string, text: ApplicationResponseText): void {
    const update = incoming.earlyUpdate;
    if (update === undefined) return incoming.application.reply(commandId, `NOK|${nok.unknownTransaction}`);
    if (text.status >= 200) incoming.earlyUpdate = undefined;
    const { application, transaction } = incoming;
    answerEarlyUpdate(this.context, application, update, transaction.id, commandId, text);
  }

  private replySent(incoming: Incoming, commandId: string, response: SipResponse): void {
    const { transaction, head, dialog } = incoming;
    const named = head.method === 'INVITE' && head.toTag === '' ? incoming.dialogId : '';
    const id = dialog?.state.id ?? named;
    const bytes = serialize(response);
    const rest = responseSent(bytes.length, remoteOf(transaction.flow), this.context.clock.now(), transaction.id, id);
    incoming.application.reply(commandId, rest, bytes);
  }
}

function makesDialogs(incoming: Incoming): boolean {
  const { method, toTag } = incoming.head;
  return toTag === '' && (method === 'INVITE' || method === 'SUBSCRIBE');
}
