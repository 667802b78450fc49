import { getHeaders } from '../../../sip-message/headers';
import type { SipRequest } from '../../../sip-message/message';
import { serialize } from '../../../sip-message/serialize';
import { parseUri } from '../../../sip-message/uri';
import { parseApplicationText } from '../../control/application-text';
import type { Application } from '../../control/application';
import type { ProxyCommand } from '../../control/control-server';
import { parseProxyOptions, type ProxyOptions } from '../../control/proxy-command';
import { nok, proxiedResponse } from '../../control/tokens';
import { contactUri, hopOfCaller } from '../../dialog/dialog';
import type { ListenPoint, ServerTransaction } from '../../layers';
import { isOwnAddress } from '../addresses';
import { remoteOf, type CoreContext, type RequestHead } from '../context';
import type { Incoming, IncomingTable } from '../incoming';
import { destinationsOf, hopOfDestination, hopOfUri, parseRouteUri, type NextHop } from '../next-hop';
import { Challenges } from './challenges';
import {
  applyHeaders,
  copyOf,
  followRoutes,
  hopsLeft,
  isOwnRoute,
  recordRoute,
  removeFirstRoute,
  removeOwnRoutes,
} from './forwarding';
import { ProxiedDialogs, type ProxiedDialog } from './proxied-dialogs';
import { ProxySession, type Prepared, type ProxyObserver } from './session';
import type { Target } from './response-context';

/** Requests that are passed on, for applications and inside the dialogs that this has made. */
export class Proxies {
  private readonly sessions = new Map<string, ProxySession>();
  private readonly dialogs = new ProxiedDialogs();
  private readonly challenges: Challenges;

  constructor(
    private readonly context: CoreContext,
    private readonly incoming: IncomingTable,
  ) {
    this.challenges = new Challenges(context.clock);
  }

  /** `proxy` of an application. The command is answered; what comes later has the same id. */
  proxy(application: Application, command: ProxyCommand): void {
    const incoming = this.incoming.get(command.transactionId);
    const reject = (reason: string): void => application.reply(command.id, `NOK|${reason}`);
    if (incoming === undefined || incoming.application !== application || incoming.answered) {
      return reject(nok.unknownProxyTransaction(command.transactionId));
    }
    this.context.deliveries.hasRead(application, incoming.number);
    const { request } = incoming.transaction;
    if (hopsLeft(request) === undefined) {
      this.incoming.abandon(incoming, 483);
      return reject(nok.tooManyHops);
    }
    const demanded = getHeaders(request, 'Proxy-Require');
    if (demanded.length > 0) {
      // RFC 3261 section 16.3 step 5: there is no extension that we could do as a proxy.
      this.incoming.refuse(incoming.transaction, 420, [['Unsupported', demanded.join(', ')]]);
      this.incoming.forget(incoming.transaction.id);
      return reject(nok.badProxyExtension);
    }
    const options = parseProxyOptions(command.tokens);
    const usable = options.destinations.filter((destination) => this.targetOf(destination) !== undefined);
    if (usable.length === 0) {
      this.incoming.abandon(incoming, 500);
      return reject(nok.proxyFailed);
    }
    this.begin(application, command, incoming, { ...options, destinations: this.challenges.order(request, usable) });
  }

  /** A destination that is ourselves would come back for ever. */
  private targetOf(destination: string): string | undefined {
    const uri = parseRouteUri(destination);
    const own = uri === undefined || isOwnAddress(uri, this.points());
    return own ? undefined : destination;
  }

  private begin(application: Application, command: ProxyCommand, incoming: Incoming, options: ProxyOptions): void {
    const { transaction, head } = incoming;
    const text = parseApplicationText(command.message);
    const headers = text?.headers ?? [];
    this.incoming.forget(transaction.id);
    const dialog = options.remainInDialog ? this.remember(incoming) : undefined;
    const prepare = (target: Target, ready: (prepared: Prepared | number) => void): void => {
      const uri = parseRouteUri(target.uri);
      if (uri === undefined) return ready(503);
      this.prepare(hopOfUri(uri, this.context.transactions.transport), ready, (point) => {
        const copy = this.copyFor(transaction.request, target);
        if (options.remainInDialog) recordRoute(copy, transaction.flow.local, point);
        applyHeaders(copy, headers, point);
        return copy;
      });
    };
    const told = this.observerFor(application, command.id, options, head, dialog);
    this.open(transaction, new ProxySession(this.context, transaction, { ...options, prepare, observer: told }));
    if (!options.fullResponse) application.reply(command.id, 'OK|done');
  }

  private open(transaction: ServerTransaction, session: ProxySession): void {
    this.sessions.set(transaction.id, session);
    session.start();
  }

  private remember(incoming: Incoming): ProxiedDialog {
    const { head, transaction } = incoming;
    const { request, flow } = transaction;
    // Only who sent this without a proxy in between is at the other end of the flow.
    const direct = getHeaders(request, 'Via').length === 1;
    const target = contactUri(request);
    const hop = direct && target !== undefined ? hopOfCaller(target, flow) : undefined;
    return this.dialogs.add(head.callId, head.fromTag, hop, this.context.clock.now());
  }

  private observerFor(
    application: Application,
    commandId: string,
    options: ProxyOptions,
    head: RequestHead,
    dialog: ProxiedDialog | undefined,
  ): ProxyObserver {
    const { events, clock } = this.context;
    const invite = head.method === 'INVITE';
    let over = false;
    return {
      sent: (_target, request) => {
        if (invite) events.attempt('application', request);
      },
      final: (target, response, flow) => {
        const { status } = response;
        if (invite && status === 200) events.start('network', 'proxy-uac', response);
        if (invite && status >= 300)
          events.stop('network', status === 487 ? 'call-canceled' : 'call-rejected', response);
        this.challenges.learn(response, target.uri);
        if (!options.fullResponse || over) return;
        const bytes = serialize(response);
        const where = flow === undefined ? undefined : remoteOf(flow);
        application.reply(commandId, proxiedResponse(bytes.length, where, clock.now()), bytes);
      },
      answered: (response) => {
        if (dialog !== undefined && response.status >= 300) this.dialogs.remove(dialog);
        if (!invite) return;
        if (response.status === 200) events.start('application', 'proxy-uas', response);
        if (response.status >= 300) events.stop('application', 'call-rejected', response);
      },
      done: () => {
        over = true;
        if (options.fullResponse) application.reply(commandId, 'OK|done');
      },
    };
  }

  private copyFor(request: SipRequest, target: Target): SipRequest {
    const copy = copyOf(request);
    lowerHops(copy);
    removeFirstRoute(copy);
    const uri = parseUri(copy.uri);
    const ours = uri !== undefined && isOwnAddress(uri, this.points());
    if (ours || target.redirected) copy.uri = target.uri;
    return copy;
  }

  /** The hop as an address, and the message that goes there. */
  private prepare(
    hop: NextHop,
    ready: (prepared: Prepared | number) => void,
    build: (point: ListenPoint) => SipRequest,
  ): void {
    switch (hop.kind) {
      case 'no-transport':
      case 'gone':
        return ready(hop.kind === 'gone' ? 410 : 503);
      case 'address':
        return ready({ request: build(hop.point), destination: hop.destination });
      case 'name': {
        const { locate, transactions } = this.context;
        void destinationsOf(hop, locate, transactions.transport).then(([first]) =>
          ready(first === undefined ? 503 : { request: build(first.point), destination: first.destination }),
        );
      }
    }
  }

  /** A request of a dialog that was proxied with Record-Route (section 16.12). False: it is none. */
  inDialog(head: RequestHead, transaction: ServerTransaction): boolean {
    const dialog = this.routed(transaction.request, head);
    if (dialog === undefined) return false;
    if (hopsLeft(transaction.request) === undefined) {
      this.incoming.refuse(transaction, 483);
      return true;
    }
    const { events } = this.context;
    const bye = head.method === 'BYE';
    if (bye) events.stop('network', 'normal-release', transaction.request);
    const observer: ProxyObserver = {
      sent: (_target, request) => {
        if (bye) events.stop('application', 'normal-release', request);
      },
      answered: ({ status }) => {
        if (bye && status !== 401 && status !== 407) this.forgetLater(dialog);
      },
    };
    const prepare = (_target: Target, ready: (prepared: Prepared | number) => void): void => {
      const copy = copyOf(transaction.request);
      this.prepare(this.routeOn(copy, head, dialog), ready, () => copy);
    };
    this.open(
      transaction,
      new ProxySession(this.context, transaction, {
        destinations: [transaction.request.uri],
        simultaneous: false,
        followRedirects: false,
        provisionalTimeout: undefined,
        finalTimeout: undefined,
        prepare,
        observer,
      }),
    );
    return true;
  }

  /** The ACK of a 2xx in such a dialog. False: it is none. */
  acknowledge(request: SipRequest, head: RequestHead): boolean {
    const dialog = this.routed(request, head);
    if (dialog === undefined) return false;
    if (hopsLeft(request) === undefined) return true;
    const copy = copyOf(request);
    this.prepare(
      this.routeOn(copy, head, dialog),
      (prepared) => {
        if (typeof prepared === 'number') return this.context.log('ack.unroutable', { callId: head.callId });
        this.context.transactions.sendAck(prepared.request, prepared.destination, true);
      },
      () => copy,
    );
    return true;
  }

  private routed(request: SipRequest, head: RequestHead): ProxiedDialog | undefined {
    if (this.dialogs.size === 0 || head.toTag === '') return undefined;
    const points = this.points();
    const uri = parseUri(request.uri);
    const strict = uri !== undefined && uri.params.has('lr') && isOwnAddress(uri, points);
    if (!strict && !isOwnRoute(getHeaders(request, 'Route')[0], points)) return undefined;
    return this.dialogs.find(head, this.context.clock.now());
  }

  /** Takes our routes off, and finds the next hop. */
  private routeOn(copy: SipRequest, head: RequestHead, dialog: ProxiedDialog): NextHop {
    const points = this.points();
    const { transport } = this.context.transactions;
    lowerHops(copy);
    undoStrictRouting(copy, points);
    removeOwnRoutes(copy, points);
    const direct = getHeaders(copy, 'Route').length === 0;
    const uri = followRoutes(copy);
    if (uri === undefined || uri.scheme === 'tel' || isOwnAddress(uri, points)) return { kind: 'no-transport' };
    const toCaller = direct && head.toTag === dialog.callerTag;
    const remembered =
      toCaller && dialog.callerHop !== undefined ? hopOfDestination(dialog.callerHop, transport) : undefined;
    return remembered ?? hopOfUri(uri, transport);
  }

  /** Its BYE may be sent again, and ACKs may be late. */
  private forgetLater(dialog: ProxiedDialog): void {
    this.context.clock.setTimer(64 * this.context.timers.t1, () => this.dialogs.remove(dialog));
  }

  private points(): readonly ListenPoint[] {
    return this.context.transactions.transport.points;
  }

  /** False: the INVITE is not one that is passed on. */
  cancelled(transaction: ServerTransaction): boolean {
    const session = this.sessions.get(transaction.id);
    session?.cancel();
    return session !== undefined;
  }

  terminated(transaction: ServerTransaction): void {
    this.sessions.get(transaction.id)?.stop();
    this.sessions.delete(transaction.id);
  }

  sweep(now: number): void {
    this.dialogs.sweep(now);
  }

  stop(): void {
    for (const session of this.sessions.values()) session.stop();
  }

  get size(): number {
    return this.sessions.size;
  }
}

function lowerHops(copy: SipRequest): void {
  const value = String(hopsLeft(copy) ?? 0);
  const at = copy.headers.findIndex((field) => field.name.toLowerCase() === 'max-forwards');
  if (at < 0) copy.headers.push({ name: 'Max-Forwards', value });
  else copy.headers[at] = { name: 'Max-Forwards', value };
}

/** A strict router has put our route into the Request-URI, and what that was into the last route (section 16.4). */
function undoStrictRouting(copy: SipRequest, points: readonly ListenPoint[]): void {
  const uri = parseUri(copy.uri);
  if (uri === undefined || !uri.params.has('lr') || !isOwnAddress(uri, points)) return;
  const routes = getHeaders(copy, 'Route');
  const last = routes.at(-1);
  if (last === undefined) return;
  copy.headers = copy.headers.filter((field) => field.name.toLowerCase() !== 'route');
  const at = copy.headers.findIndex((field) => !/^(via|v)$/i.test(field.name));
  copy.headers.splice(at, 0, ...routes.slice(0, -1).map((value) => ({ name: 'Route', value })));
  copy.uri = last.replace(/^.*<|>.*$/g, '');
}
