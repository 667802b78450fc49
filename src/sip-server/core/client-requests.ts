import { randomUUID } from 'node:crypto';
import { serialize } from '../../sip-message/serialize';
import { parseUri } from '../../sip-message/uri';
import { finalMeaning } from '../../sip-message/final-meaning';
import type { SipRequest, SipResponse } from '../../sip-message/message';
import type { Application } from '../control/application';
import { valueOf, type ApplicationRequestText } from '../control/application-text';
import type { SipCommand } from '../control/control-server';
import { nok, requestSent, sipFrame } from '../control/tokens';
import { dialogId, followFlow, tagOf } from '../dialog/dialog';
import { getHeader } from '../../sip-message/headers';
import type { SessionInterval } from '../dialog/session-timer';
import type { ListenPoint, ServerTransaction } from '../layers';
import { isOwnAddress } from './addresses';
import type { StopReason } from './call-events';
import { ClientResponses } from './client-responses';
import type { CoreContext, RequestHead } from './context';
import type { DialogLife } from './dialog-life';
import type { AcceptedInvite, DialogRecord, DialogTable } from './dialog-table';
import type { IncomingTable } from './incoming';
import { hopOfUri, parseRouteUri, type NextHop } from './next-hop';
import { OutgoingTable } from './outgoing';
import {
  buildAck,
  buildInDialog,
  buildOwnBye,
  buildRefresh,
  buildRequest,
  BYE_HEADER,
  cancelHeaders,
  REQUEST_METHODS,
} from './outgoing-request';
import { Sender } from './sender';

const REFRESHES: ReadonlySet<string> = new Set(['INVITE', 'UPDATE']);
/** What may be sent in an early dialog of which an unreliable response tells. */
const IN_TOLD_DIALOGS: ReadonlySet<string> = new Set(['INFO', 'MESSAGE', 'OPTIONS']);
const REFRESH_AGAIN_SECONDS = 10;
/** What an own BYE with such a reason is in call detail records. */
const STOPS: ReadonlyMap<string, StopReason> = new Map([
  ['Session timer expired', 'session-expired'],
  ['ACK timeout', 'system-initiated-termination'],
  ['ACK-BYE due to cancel race condition', 'system-initiated-termination'],
]);

/** Requests that applications (and, for a dialog's sake, the server itself) send. */
export class ClientRequests {
  readonly table = new OutgoingTable();
  private readonly sender: Sender;
  private readonly responses: ClientResponses;
  private lastSequence: number;

  constructor(
    private readonly context: CoreContext,
    private readonly dialogs: DialogTable,
    private readonly life: DialogLife,
    incoming: IncomingTable,
  ) {
    this.responses = new ClientResponses(context, dialogs, life, incoming, this.table, () => this.sender);
    this.sender = new Sender(context, this.table, this.responses);
    // Grows over restarts, and stays below 2^31 for as long as a server runs.
    this.lastSequence = Math.floor(context.clock.now() / 1000) % 2 ** 28;
    life.connect({
      bye: (record, reason, tells) => this.ownBye(record, reason, tells),
      askForBye: (record, reason) => this.askForBye(record, reason),
      refresh: (record, interval) => this.refresh(record, interval),
    });
  }

  /** A request in the early dialog of an INVITE of ours, or a NOTIFY before the 2xx to a SUBSCRIBE of ours. */
  takeEarly(head: RequestHead, transaction: ServerTransaction): boolean {
    return this.responses.takeEarlyRequest(head, transaction);
  }

  /** Whether this is of a request of ours that makes a dialog, and has no final response yet. */
  isOurs(callId: string, tag: string): boolean {
    return this.table.findEarly(callId, tag) !== undefined;
  }

  /** The application's response to an UPDATE that went by its INVITE's id. */
  answerEarlyUpdate = (...args: Parameters<ClientResponses['answerEarlyUpdate']>): boolean =>
    this.responses.answerEarlyUpdate(...args);

  /** Nobody waits any more for what this application has begun. */
  applicationClosed(application: Application): void {
    for (const outgoing of this.table.of(application)) {
      if (outgoing.finished || outgoing.method !== 'INVITE') continue;
      outgoing.cancelled = true;
      outgoing.client?.cancel([]);
    }
  }

  outsideDialog(application: Application, command: SipCommand, text: ApplicationRequestText): void {
    const refuse = (reason: string): void => application.reply(command.id, `NOK|${reason}`);
    const uri = parseUri(text.uri);
    if (uri === undefined || !REQUEST_METHODS.has(text.method)) return refuse(nok.invalidRequestUri(text.startLine));
    const { transport } = this.context.transactions;
    const given = command.routeUri === '' ? undefined : parseRouteUri(command.routeUri);
    if (command.routeUri !== '' && given === undefined) return refuse(nok.invalidRequestUri(text.startLine));
    const target = given ?? uri;
    if (target.scheme === 'tel') return refuse(nok.invalidRequestUri(text.startLine));
    const flow = given === undefined ? undefined : this.context.flows.hopOf(command.routeUri);
    if (flow === undefined && isOwnAddress(target, transport.points)) return refuse(nok.toMyself);
    const hop = flow ?? hopOfUri(target, transport);
    if (hop.kind === 'no-transport') return refuse(nok.noTransport);
    const built = buildRequest(text, hop.point, {
      callId: randomUUID,
      sequence: () => (this.lastSequence += 1),
    });
    if ('nok' in built) return refuse(built.nok);
    const { request } = built;
    const makesDialog = text.method === 'INVITE' || text.method === 'SUBSCRIBE';
    const id = dialogId(getHeader(request, 'Call-ID') ?? '', tagOf(getHeader(request, 'From')));
    this.sender.send({
      application,
      purpose: { kind: 'application', commandId: command.id },
      request,
      hop,
      dialogId: makesDialog ? id : '',
      dialog: undefined,
      byeByApplication: valueOf(text.headers, BYE_HEADER) !== undefined,
    });
  }

  /** The application names the flow that its peer has gone over to. A flow that is closed leads nowhere, and leaves the dialog where it is. */
  private follow(record: DialogRecord, name: string): void {
    const hop = this.context.flows.hopOf(name);
    if (hop?.kind === 'address') record.state = followFlow(record.state, hop.destination);
  }

  /**
   * Before each request of the server itself: the dialog follows its peer, as it does when the application names the flow in a request of
   * its own. `go` may come later, when the dialog has ended meanwhile.
   */
  private whereItIs(record: DialogRecord, go: () => void): void {
    if (!record.state.byFlow) return go();
    this.context.peerFlows.find(record.state.id, (flow) => {
      if (flow !== undefined) this.follow(record, flow);
      go();
    });
  }

  inDialog(application: Application, command: SipCommand, text: ApplicationRequestText): void {
    const refuse = (reason: string): void => application.reply(command.id, `NOK|${reason}`);
    const told = (): DialogRecord | undefined => this.table.withDialogId(command.dialogId, application)?.told;
    const named = this.dialogs.get(command.dialogId) ?? (IN_TOLD_DIALOGS.has(text.method) ? told() : undefined);
    if (named === undefined || named.application !== application) {
      return refuse(text.method === 'ACK' ? nok.automaticAck : nok.unknownDialog);
    }
    const record = text.method === 'PRACK' ? named.takePrackOf(valueOf(text.headers, 'RAck')) : named;
    if (text.method === 'ACK') return this.ack(record, command, text);
    if (!REQUEST_METHODS.has(text.method)) return refuse(nok.badMethodInDialog(text.startLine));
    if (text.method === 'PRACK' && record.state.confirmed) return refuse(nok.noInvitePendingForPrack);
    if (command.routeUri !== '') this.follow(record, command.routeUri);
    const hop = this.sender.hopInDialog(record.state);
    const point = this.sender.pointOf(hop) ?? this.anyPoint();
    if (point === undefined) return refuse(nok.noTransport);
    const built = buildInDialog(record.state, text, record.state.localSequence + 1, point);
    if ('nok' in built) return refuse(built.nok);
    record.nextSequence();
    if (REFRESHES.has(text.method) && valueOf(text.headers, 'Session-Expires') !== undefined)
      this.life.applicationRefreshes(record);
    if (text.method === 'BYE') record.cancelInvite?.();
    const outgoing = this.sender.send({
      application,
      purpose: { kind: 'application', commandId: command.id },
      request: built.request,
      hop,
      dialogId: record.state.id,
      dialog: record,
      ...(text.method === 'BYE' && record.unacknowledged.size > 0
        ? { hold: (go: () => void) => record.afterAck.push(go) }
        : {}),
    });
    if (text.method === 'BYE' && outgoing !== undefined) {
      const told = record.stopWaiting !== undefined;
      record.stopWaiting?.();
      if (record.state.usage === 'INVITE' && !told)
        this.context.events.stop('application', 'normal-release', outgoing.request);
    }
    if (text.method === 'INVITE' && outgoing !== undefined) {
      record.cancelInvite = () => {
        if (!outgoing.finished) outgoing.client?.cancel([]);
      };
    }
  }

  cancel(application: Application, command: SipCommand, text: ApplicationRequestText): void {
    const { transactionId } = command;
    const outgoing = this.table.get(transactionId);
    const refuse = (): void => application.reply(command.id, `NOK|${nok.nothingToCancel(transactionId)}`);
    if (outgoing === undefined || outgoing.application !== application || outgoing.finished) return refuse();
    const now = this.context.clock.now();
    const unsent = { protocol: undefined, address: '', port: 0 };
    if (outgoing.client === undefined) {
      // The name of its target is still being looked up: it will not be sent at all.
      outgoing.cancelled = true;
      const message = serialize({ ...outgoing.request, method: 'CANCEL', body: Buffer.alloc(0) });
      return application.reply(command.id, requestSent(0, unsent, now, randomUUID()), message);
    }
    const result = outgoing.client.cancel(cancelHeaders(text));
    if (result === false) return refuse();
    outgoing.cancelled = true;
    const message = serialize(result.request);
    const rest = requestSent(result.held ? 0 : message.length, unsent, now, randomUUID());
    application.reply(command.id, rest, message);
  }

  private ack(record: DialogRecord, command: SipCommand, text: ApplicationRequestText): void {
    const accepted = this.toAcknowledge(record);
    const refuse = (reason: string): void => record.application.reply(command.id, `NOK|${reason}`);
    if (accepted === undefined) return refuse(nok.automaticAck);
    const built = buildAck(record.state, accepted.invite, accepted.sequence, text);
    if ('nok' in built) return refuse(built.nok);
    record.rememberSdp(text.body);
    const hop = this.sender.hopInDialog(record.state);
    const sent = this.sender.sendAck(built.request, hop, (message, destination, where) => {
      accepted.ack = { message, destination };
      const bytes = serialize(message);
      const rest = requestSent(bytes.length, where, this.context.clock.now(), randomUUID());
      record.application.reply(command.id, rest, bytes);
      if (accepted.cancelled) this.life.hangUp(record, 'ACK-BYE due to cancel race condition');
    });
    if (!sent) refuse(nok.noTransport);
  }

  /** The 2xx that waits for its ACK; else the last one, whose ACK is sent again. */
  private toAcknowledge(record: DialogRecord): AcceptedInvite | undefined {
    const all = [...record.accepted.values()];
    const waiting = all.reverse().find((accepted) => accepted.ack === undefined);
    return waiting ?? (record.lastInviteRefused ? undefined : all[0]);
  }

  private anyPoint(): ListenPoint | undefined {
    return this.context.transactions.transport.points[0];
  }

  /** The dialog is gone already; its application is told, its peer's answer is nobody's business. */
  private ownBye(record: DialogRecord, reason: string, tells: boolean): void {
    this.whereItIs(record, () => {
      const request = buildOwnBye(record.state, record.nextSequence(), reason);
      const outgoing = this.sendOwn(record, request, this.sender.hopInDialog(record.state), () => undefined);
      if (tells) this.tellOfBye(record, outgoing?.request ?? request, reason);
    });
  }

  private askForBye(record: DialogRecord, reason: string): void {
    this.tellOfBye(record, buildOwnBye(record.state, record.state.localSequence + 1, reason), reason);
  }

  private tellOfBye(record: DialogRecord, request: SipRequest, reason: string): void {
    const message = serialize(request);
    const point = this.sender.pointOf(this.sender.hopInDialog(record.state));
    const where = { protocol: point?.protocol, address: point?.address ?? '', port: point?.port ?? 0 };
    const now = this.context.clock.now();
    const rest = sipFrame('application', message.length, where, now, 'unsolicited', record.state.id);
    record.application.deliver(rest, message);
    const stop = STOPS.get(reason);
    if (stop !== undefined) this.context.events.stop('application', stop, request);
  }

  private sendOwn(
    record: DialogRecord,
    request: SipRequest,
    hop: NextHop,
    done: (response: SipResponse | undefined) => void,
  ) {
    return this.sender.send({
      application: record.application,
      purpose: { kind: 'server', done },
      request,
      hop,
      dialogId: record.state.id,
      dialog: record,
    });
  }

  /** RFC 4028 section 7.1, when the refresh is ours. An INVITE under way will set the timer anew by itself. */
  private refresh(record: DialogRecord, interval: SessionInterval): void {
    this.whereItIs(record, () => this.refreshThere(record, interval));
  }

  private refreshThere(record: DialogRecord, interval: SessionInterval): void {
    if (record.ended) return;
    if (record.cancelInvite !== undefined || record.pendingInvite !== undefined || record.localSdp === undefined) {
      return this.life.refreshAgain(record, interval, REFRESH_AGAIN_SECONDS);
    }
    const hop = this.sender.hopInDialog(record.state);
    // The peer may be about to come back over another connection; the interval runs meanwhile.
    if (hop.kind === 'gone') return this.life.refreshAgain(record, interval, REFRESH_AGAIN_SECONDS);
    const request = buildRefresh(record.state, record.nextSequence(), record.localSdp, interval.seconds);
    record.cancelInvite = () => undefined;
    this.sendOwn(record, request, hop, (response) => {
      record.cancelInvite = undefined;
      if (record.ended) return;
      const meaning = finalMeaning('INVITE', response?.status ?? 503, (name) =>
        response === undefined ? undefined : getHeader(response, name),
      );
      if (meaning.type === 'accepted') return;
      if (meaning.type === 'dialog-over') return this.life.hangUp(record, 'Session timer expired');
      const longer = meaning.type === 'longer-interval' && meaning.minimum > interval.seconds;
      const next = longer ? { ...interval, seconds: meaning.minimum } : interval;
      const asked = meaning.type === 'refused' ? (meaning.afterSeconds ?? 0) : 0;
      this.life.refreshAgain(record, next, longer ? 0 : Math.max(REFRESH_AGAIN_SECONDS, asked));
    });
  }
}
