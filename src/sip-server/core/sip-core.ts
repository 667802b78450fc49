import type { SipRequest } from '../../sip-message/message';
import { parseApplicationText } from '../control/application-text';
import type { Application } from '../control/application';
import type { ControlHandler, ProxyCommand, SipCommand } from '../control/control-server';
import { nok } from '../control/tokens';
import { dialogId } from '../dialog/dialog';
import type { Flow, ServerTransaction, TransactionEvents } from '../layers';
import { hostPorts } from './addresses';
import { ApplicationResponses } from './application-responses';
import { ClientRequests } from './client-requests';
import type { CoreContext, RequestHead } from './context';
import { DialogLife } from './dialog-life';
import { DialogTable } from './dialog-table';
import { IncomingTable } from './incoming';
import { NetworkRequests } from './network-requests';
import { Proxies } from './proxy/proxies';

/** What `authenticate` is answered with; drachtio-srf wants at least v0.8.2 for its pings. */
const VERSION = 'v0.9.10-tandem';
const SWEEP_MS = 30_000;

/** The transaction user of RFC 3261: between the transactions below and the applications above. */
export class SipCore implements ControlHandler, TransactionEvents {
  private readonly dialogs = new DialogTable();
  private readonly incoming: IncomingTable;
  private readonly life: DialogLife;
  private readonly network: NetworkRequests;
  private readonly responses: ApplicationResponses;
  private readonly clients: ClientRequests;
  private readonly proxies: Proxies;
  private stopSweep: () => void = () => undefined;

  constructor(private readonly context: CoreContext) {
    this.incoming = new IncomingTable(context, (head) => this.nameOf(head));
    this.life = new DialogLife(context, this.dialogs, this.incoming);
    this.clients = new ClientRequests(context, this.dialogs, this.life, this.incoming);
    this.proxies = new Proxies(context, this.incoming);
    this.network = new NetworkRequests(context, this.dialogs, this.life, this.incoming, this.clients, this.proxies);
    this.responses = new ApplicationResponses(context, this.dialogs, this.life, this.incoming);
    this.sweep();
  }

  greeting(): string {
    const { points } = this.context.transactions.transport;
    return `${hostPorts(points, true)}|${VERSION}|${hostPorts(points, false)}`;
  }

  route(application: Application, verb: string): void {
    this.context.routes.add(verb, application);
  }

  removeRoute(application: Application, verb: string): void {
    this.context.routes.remove(verb, application);
  }

  sip(application: Application, command: SipCommand, refuse: (reason: string) => void): void {
    const text = parseApplicationText(command.message);
    if (text?.kind === 'response') {
      if (command.transactionId === '') return refuse('transaction id missing');
      if (text.cseqMethod === 'UPDATE') {
        const { id, transactionId } = command;
        if (this.clients.answerEarlyUpdate(application, id, transactionId, text)) return;
      }
      return this.responses.respond(application, command.id, command.transactionId, text);
    }
    if (text === undefined) return application.reply(command.id, `NOK|${nok.invalidRequestUri('')}`);
    if (command.dialogId !== '') return this.clients.inDialog(application, command, text);
    if (command.transactionId !== '') return this.clients.cancel(application, command, text);
    this.clients.outsideDialog(application, command, text);
  }

  proxy(application: Application, command: ProxyCommand): void {
    this.proxies.proxy(application, command);
  }

  /** Its calls cannot go on: nobody else knows them. Later requests in them are answered 481. */
  closed(application: Application): void {
    this.context.routes.removeAll(application);
    for (const record of this.dialogs.of(application)) this.life.end(record);
    this.network.applicationClosed(application);
    this.clients.applicationClosed(application);
    this.context.deliveries.forget(application);
  }

  request(request: SipRequest, flow: Flow, transaction: ServerTransaction | undefined): void {
    this.guard(() => this.network.request(request, flow, transaction));
  }

  cancelled(transaction: ServerTransaction, cancel: SipRequest, flow: Flow): void {
    this.guard(() => {
      if (!this.proxies.cancelled(transaction)) this.network.cancelled(transaction, cancel, flow);
    });
  }

  connectionClosed(connection: number): void {
    this.guard(() => {
      this.context.acquaintances.closed(connection);
      this.context.flows.closed(connection);
    });
  }

  terminated(transaction: ServerTransaction): void {
    this.guard(() => {
      this.proxies.terminated(transaction);
      this.network.terminated(transaction);
    });
  }

  /** For metrics and tests: what has to be empty when nothing goes on. */
  get size(): {
    readonly dialogs: number;
    readonly incoming: number;
    readonly outgoing: number;
    readonly proxied: number;
  } {
    const { dialogs, incoming, clients, proxies } = this;
    return { dialogs: dialogs.size, incoming: incoming.size, outgoing: clients.table.size, proxied: proxies.size };
  }

  stop(): void {
    this.stopSweep();
    this.context.deliveries.stop();
    this.proxies.stop();
  }

  /**
   * What applications know the dialog by that a request of the network may make. A proxy may have sent back to us what we have
   * sent, with our Call-ID and tag (a spiral, RFC 3261 section 6): both ends are ours then, and each is a dialog of its own.
   */
  private nameOf({ callId, fromTag }: RequestHead): string {
    const id = dialogId(callId, fromTag);
    const isOurs = this.clients.isOurs(callId, fromTag) || this.dialogs.get(id)?.state.role === 'uac';
    return isOurs ? `${id};uas` : id;
  }

  private sweep(): void {
    const sweep = (): void => {
      this.proxies.sweep(this.context.clock.now());
      this.sweep();
    };
    this.stopSweep = this.context.clock.setTimer(SWEEP_MS, sweep, true);
  }

  /** Nothing that comes from the network may end the server. */
  private guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.context.log('sip.internal-error', { error: error instanceof Error ? (error.stack ?? error.message) : '' });
    }
  }
}
