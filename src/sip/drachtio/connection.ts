import type { Clock, CancelTimer } from '../../process/clock';
import { isDead } from '../../sip-message/lateness';
import type { Logger } from '../../telemetry/logger';
import type {
  FinalResponse,
  ListenAddress,
  OutgoingInvite,
  OutgoingRequest,
  ReceivedRequest,
  ResponseOptions,
  ServerTransaction,
  Session,
} from '../user-agent';
import { sendAuthenticated } from './authenticated';
import { ClientSession } from './client-session';
import { ControlPings } from './control-pings';
import type { DialogSession, SessionHost } from './dialog-session';
import {
  BYE_HEADER,
  errorText,
  headerReader,
  headersFor,
  noHeaders,
  parseHostports,
  receivedRequest,
  responseParts,
  sendableStatus,
  waitedFor,
} from './messages';
import { ServerSession } from './server-session';
import { createSrf, guardMessages, type SrfApplication, type SrfRequest, type SrfResponse } from './srf';

/** Where the drachtio server is now; asked again before each attempt to connect. */
export type ServerAddress = () => Promise<{ readonly host: string; readonly port: number; readonly secret: string }>;

export interface DrachtioOptions {
  readonly server: ServerAddress;
  /** The embedded server, which has names for flows, and takes them as next hops. */
  readonly namesFlows: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** The connected server has not answered for some seconds, or answers again. */
  readonly onSilent?: (silent: boolean, unansweredMs: number) => void;
}

/** The methods that the call manager wants to see outside dialogs; what it does not serve it refuses itself. */
const ROUTED = ['invite', 'register', 'options', 'subscribe', 'message', 'info', 'notify', 'publish', 'refer'] as const;

/** A server that accepts connections and says nothing is as good as none. */
const HANDSHAKE_MS = 10_000;

/** A server there runs on our own machine. */
const LOOPBACK = /^(127\.|::1$|localhost$)/;

interface ConnectionEvents {
  opened(listen: readonly ListenAddress[]): void;
  closed(why: string): void;
  invited(session: ServerSession, request: ReceivedRequest): void;
  requested(transaction: ServerTransaction): void;
}

/** One connection to the server, and the sessions that live on it. */
export class Connection implements SessionHost {
  readonly application: SrfApplication;
  readonly namesFlows: boolean;
  readonly sharesClock: boolean;
  private readonly sessions = new Set<DialogSession>();
  private readonly dialogs = new Map<string, DialogSession>();
  private readonly pending = new Set<(response: FinalResponse) => void>();
  private count = 0;
  private open = true;
  private cancelHandshake: CancelTimer = () => undefined;
  private pings: ControlPings | undefined;

  constructor(
    address: { host: string; port: number; secret: string } | undefined,
    private readonly options: DrachtioOptions,
    private readonly events: ConnectionEvents,
  ) {
    this.namesFlows = options.namesFlows;
    this.sharesClock = options.namesFlows || LOOPBACK.test(address?.host ?? '');
    this.application = createSrf();
    this.application.use((request, response) => this.dispatch(request, response));
    for (const method of ROUTED) this.application.use(method, (request, response) => this.dispatch(request, response));
    this.application.on('error', (error) => this.gone(errorText(error)));
    this.application.on('close', () => this.gone('closed'));
    this.application.on('connect', (error, hostports) => {
      if (error !== null && error !== undefined) this.gone(errorText(error));
      else if (this.open) {
        this.cancelHandshake();
        this.events.opened(parseHostports(hostports ?? ''));
      }
    });
    if (address === undefined) {
      this.open = false;
      return;
    }
    this.cancelHandshake = options.clock.setTimer(HANDSHAKE_MS, () => this.gone('it does not answer'));
    // This class makes a new connection itself: the server may come back at another port.
    this.application.connect({ ...address, reconnect: { maxAttempts: 1 } });
    guardMessages(this.application, (error) =>
      this.log('a message of the SIP server was dropped', { error: errorText(error) }),
    );
    const { clock, onSilent } = options;
    if (onSilent !== undefined) this.pings = new ControlPings(this.application, clock, onSilent);
  }

  invite(invite: OutgoingInvite, callId: string): Session {
    const session = new ClientSession(this.newId(), this, callId, invite.sdp !== undefined, invite.digest);
    if (!this.open) {
      queueMicrotask(() => session.refused(new Error('SIP server lost')));
      return session;
    }
    session.followPeer(invite.movedTo);
    this.sessions.add(session);
    const bye: Record<string, string> =
      this.namesFlows && invite.digest !== undefined ? { [BYE_HEADER]: 'application' } : {};
    const headers = { ...invite.headers, ...invite.sign?.(callId), 'Call-ID': callId, ...bye };
    try {
      sendAuthenticated(
        this.application,
        {
          method: 'INVITE',
          uri: invite.uri,
          headers: headersFor({ headers, sdp: invite.sdp }),
          ...(invite.nextHop === undefined ? {} : { proxy: invite.nextHop }),
          ...(invite.sdp === undefined ? {} : { body: invite.sdp }),
        },
        invite,
        session.sending,
      );
    } catch (error) {
      queueMicrotask(() => session.refused(error));
    }
    return session;
  }

  request(request: OutgoingRequest): Promise<FinalResponse> {
    return new Promise((resolve) => {
      const settle = (response: FinalResponse): void => {
        cancel();
        this.pending.delete(settle);
        resolve(response);
      };
      const cancel = this.options.clock.setTimer(request.deadlineMs, () => settle(failure(408, 'Request Timeout')));
      this.pending.add(settle);
      try {
        sendAuthenticated(
          this.application,
          {
            method: request.method,
            uri: request.uri,
            headers: headersFor(request),
            ...(request.nextHop === undefined ? {} : { proxy: request.nextHop }),
            ...(request.body === undefined ? {} : { body: request.body }),
          },
          request,
          {
            failed: (error) => settle(failure(503, errorText(error))),
            response: (response) => response.status >= 200 && settle(finalResponse(response)),
            isWanted: () => this.pending.has(settle),
          },
        );
      } catch (error) {
        settle(failure(503, errorText(error)));
      }
    });
  }

  flowOf(dialogId: string): string | undefined {
    return this.dialogs.get(dialogId)?.peerFlow;
  }

  bind(dialogId: string, session: DialogSession): void {
    this.dialogs.set(dialogId, session);
  }

  unbind(session: DialogSession, dialogId: string | undefined): void {
    this.sessions.delete(session);
    if (dialogId !== undefined && this.dialogs.get(dialogId) === session) this.dialogs.delete(dialogId);
  }

  log(message: string, fields: Record<string, unknown>): void {
    this.options.log.debug(fields, message);
  }

  report(message: string, fields: Record<string, unknown>): void {
    this.options.log.info(fields, message);
  }

  close(): void {
    this.gone('stopped');
  }

  private newId(): string {
    return `s${++this.count}`;
  }

  private dispatch(request: SrfRequest, response: SrfResponse): void {
    const dialogId = request.stackDialogId;
    if (dialogId !== undefined && dialogId !== '') {
      this.dispatchInDialog(dialogId, request, response);
    } else if (request.method === 'INVITE') {
      const session = new ServerSession(this.newId(), this, request, response);
      this.sessions.add(session);
      this.events.invited(session, this.received(request));
    } else if (request.method !== 'ACK') {
      this.events.requested(serverTransaction(this.received(request), response));
    }
  }

  private received(request: SrfRequest): ReceivedRequest {
    return receivedRequest(request, this, this.options.clock.now());
  }

  private dispatchInDialog(dialogId: string, request: SrfRequest, response: SrfResponse): void {
    const session = this.dialogs.get(dialogId);
    const waitedMs = waitedFor(request, this, this.options.clock.now());
    if (isDead(request.method, waitedMs)) {
      const { method } = request;
      this.report(`${method} in a dialog dropped: it is older than its transaction`, { dialogId, waitedMs });
      response.send(408, undefined, {});
    } else if (session !== undefined) session.receive(request, response);
    else if (request.method === 'BYE') response.send(200, undefined, {});
    else if (request.method !== 'ACK') response.send(481, undefined, {});
  }

  private gone(why: string): void {
    if (!this.open) return;
    this.open = false;
    this.cancelHandshake();
    this.pings?.stop();
    for (const session of [...this.sessions]) session.lose();
    for (const settle of [...this.pending]) settle(failure(503, 'SIP server lost'));
    try {
      this.application.disconnect();
    } catch {
      // It was not connected.
    }
    this.events.closed(why);
  }
}

/** Sessions asked for while there is no server: each is refused, as a signal like any other. */
export function lostConnection(options: DrachtioOptions): Connection {
  const nothing = (): void => undefined;
  return new Connection(undefined, options, { opened: nothing, closed: nothing, invited: nothing, requested: nothing });
}

function serverTransaction(request: ReceivedRequest, response: SrfResponse): ServerTransaction {
  let answered = false;
  return {
    request,
    respond(status: number, options?: ResponseOptions) {
      if (answered) return;
      answered = status >= 200;
      response.send(sendableStatus(status), options?.reason, responseParts(options));
    },
  };
}

function finalResponse(response: SrfResponse): FinalResponse {
  return {
    status: response.status,
    reason: response.reason ?? '',
    header: headerReader(response),
    body: response.body ?? '',
  };
}

/** A final response of our own: there was none. */
export function failure(status: number, reason: string): FinalResponse {
  return { status, reason, header: noHeaders, body: '' };
}
