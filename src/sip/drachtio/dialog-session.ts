import type { Body, Unreadable } from '../body';
import type { DigestClient } from '../digest-client';
import type { DialogTags } from '../replaces';
import { refuseUnreadable, refuseUnservable } from '../request-checks';
import type { Session, SessionSignal } from '../user-agent';
import { sendAuthenticated, type Sending } from './authenticated';
import {
  bodyOf,
  errorText,
  headerReader,
  headersFor,
  noHeaders,
  reasonsOf,
  responseParts,
  sendableStatus,
} from './messages';
import type { SrfAck, SrfApplication, SrfRequest, SrfResponse } from './srf';

/** What a session needs of its user agent. */
export interface SessionHost {
  readonly application: SrfApplication;
  /** As `DrachtioOptions.namesFlows`. */
  readonly namesFlows: boolean;
  /** Requests in this dialog are the session's from here on. */
  bind(dialogId: string, session: DialogSession): void;
  unbind(session: DialogSession, dialogId: string | undefined): void;
  log(message: string, fields: Record<string, unknown>): void;
  /** What an administrator should see. */
  report(message: string, fields: Record<string, unknown>): void;
}

/** Requests whose sender's Contact, and that of their 2xx, is where the dialog goes from then on (RFC 3261 §12.2). */
const MOVES_TARGET: ReadonlySet<string> = new Set(['INVITE', 'UPDATE']);

type Waiting = { readonly response: SrfResponse; readonly method: string };

/**
 * What both roles have in common: the confirmed dialog. Requests of ours are sent through the agent by dialog id;
 * those of the peer wait in `waiting` for their answer.
 */
export abstract class DialogSession implements Session {
  protected dialogId: string | undefined;
  /** Of the dialog before it is answered: requests come in it, and of ours go there which change nothing. */
  private earlyDialogId: string | undefined;
  private tags: Omit<DialogTags, 'callId'> | undefined;
  /** No signal comes after this, and no command has an effect. */
  protected over = false;
  protected socket: unknown;
  private listener: ((signal: SessionSignal) => void) | undefined;
  private kept: SessionSignal[] = [];
  private readonly waiting = new Map<string, Waiting>();
  private requests = 0;
  private ackReinvite: SrfAck | undefined;
  /** Answers the challenges of the peer. */
  protected digest: DigestClient | undefined;
  private movedTo: (() => string | undefined) | undefined;
  /** What the SIP server writes as request URI in the dialog, as last seen; undefined: it may be another by now. */
  private requestUri: string | undefined;

  constructor(
    readonly id: string,
    protected readonly host: SessionHost,
  ) {}

  abstract readonly callId: string;

  get dialog(): DialogTags | undefined {
    return this.tags === undefined ? undefined : { callId: this.callId, ...this.tags };
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    const kept = this.kept;
    this.kept = [];
    for (const signal of kept) listener(signal);
  }

  abstract progress(
    status: number,
    options?: { reason?: string; sdp?: string; headers?: Record<string, string> },
  ): void;
  abstract answer(options: { sdp: string; headers?: Record<string, string> }): void;
  abstract reject(status: number, options?: { reason?: string; headers?: Record<string, string> }): void;
  abstract cancel(reason?: string): void;
  /** Ends an attempt that has no dialog yet; false when there is a dialog to end with BYE. */
  protected abstract abandon(reason: string | undefined): boolean;
  protected abstract acknowledgeInvite(sdp: string): boolean;
  /** The SIP server is gone: the signal that tells what that means for this attempt or dialog. */
  protected abstract lostSignal(): SessionSignal;

  acknowledge(sdp: string): void {
    if (this.acknowledgeInvite(sdp)) return;
    const ack = this.ackReinvite;
    this.ackReinvite = undefined;
    if (ack !== undefined) this.guard('ACK', () => ack({ body: sdp }));
  }

  reinvite(id: string, options: { sdp?: string; headers?: Record<string, string> }): void {
    const offered = options.sdp !== undefined;
    this.send(
      { method: 'INVITE', headers: headersFor(options), ...(offered ? { body: options.sdp } : {}) },
      (status, reason) => this.signal({ type: 'reinvite-rejected', id, status, reason }),
      (response, ack) => {
        if (response.status < 200) return;
        if (response.status >= 300) {
          const { status, reason = '' } = response;
          this.signal({ type: 'reinvite-rejected', id, status, reason, header: headerReader(response) });
          return;
        }
        const body = bodyOf(response, 'response');
        if (body.type === 'unreadable') {
          // The peer has what it was offered, or its offer has no answer; the call goes on as it was (RFC 3261 section 14.1).
          this.unreadable('200 to re-INVITE', body);
          this.guard('ACK', () => ack());
          this.signal({ type: 'reinvite-rejected', id, status: 488, reason: body.why, header: noHeaders });
          return;
        }
        // Only an offer waits for what we say to it, and nothing is said once the session is over.
        if (offered || body.type === 'none' || this.over) this.guard('ACK', () => ack());
        else this.ackReinvite = ack;
        this.signal({ type: 'reinvite-answered', id, sdp: descriptionIn(body), header: headerReader(response) });
      },
    );
  }

  request(
    id: string,
    options: { method: string; headers?: Record<string, string>; body?: string; contentType?: string },
  ): void {
    const answered = (status: number, reason: string, response: SrfResponse | undefined): void =>
      this.signal({
        type: 'request-answered',
        id,
        method: options.method,
        status,
        reason,
        body: response?.body ?? '',
        contentType: response?.get('Content-Type'),
        header: response === undefined ? noHeaders : headerReader(response),
      });
    this.send(
      {
        method: options.method,
        headers: headersFor(options),
        ...(options.body === undefined ? {} : { body: options.body }),
      },
      (status, reason) => answered(status, reason, undefined),
      (response) => {
        if (response.status >= 200) answered(response.status, response.reason ?? '', response);
      },
      this.dialogId ?? this.earlyDialogId,
    );
  }

  respond(
    id: string,
    status: number,
    options?: { reason?: string; headers?: Record<string, string>; body?: string; contentType?: string; sdp?: string },
  ): void {
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return;
    if (status >= 200) this.waiting.delete(id);
    this.guard('response', () =>
      waiting.response.send(sendableStatus(status), options?.reason, responseParts(options)),
    );
  }

  bye(options?: { reason?: string }): void {
    if (this.over) return;
    const dialogId = this.dialogId;
    if (dialogId === undefined) {
      if (this.abandon(options?.reason)) return;
    } else {
      this.acknowledgeReinvite();
      this.sendBye(dialogId, options?.reason);
    }
    this.finish();
  }

  /** A peer whose offer was never answered gets its ACK all the same, before a BYE of ours: else it repeats its 200 (RFC 3261 section 13.2.2.4). */
  private acknowledgeReinvite(): void {
    const ack = this.ackReinvite;
    this.ackReinvite = undefined;
    if (ack !== undefined) this.guard('ACK', () => ack());
  }

  /** A request of the peer in this dialog. */
  receive(request: SrfRequest, response: SrfResponse): void {
    if (request.method === 'ACK') {
      this.receiveAck(request);
      return;
    }
    if (request.method === 'BYE') {
      this.receiveBye(request, response);
      return;
    }
    if (MOVES_TARGET.has(request.method)) this.requestUri = undefined;
    const id = `${this.id}/${++this.requests}`;
    const header = headerReader(request);
    const refusal = refuseUnreadable(request.method, header, request.body ?? '') ?? refuseUnservable(header);
    if (refusal !== undefined) {
      const { status, reason, headers } = refusal;
      this.guard('refusal', () => response.send(status, reason, { headers: { ...headers } }));
      return;
    }
    const isOffer = request.method === 'INVITE' || request.method === 'UPDATE';
    const body = isOffer ? bodyOf(request, 'request') : undefined;
    if (body?.type === 'unreadable') {
      this.unreadable(request.method, body);
      this.guard('refusal', () => response.send(body.status, body.why, { headers: { ...body.headers } }));
      return;
    }
    this.waiting.set(id, { response, method: request.method });
    if (request.method === 'INVITE') {
      request.on('cancel', () => this.waiting.delete(id));
      this.signal({ type: 'reinvited', id, sdp: body === undefined ? undefined : descriptionIn(body), header });
    } else if (body !== undefined) {
      const { method } = request;
      const sdp = descriptionIn(body);
      this.signal({ type: 'requested', id, method, body: sdp ?? '', contentType: sdp && 'application/sdp', header });
    } else {
      this.signal({
        type: 'requested',
        id,
        method: request.method,
        body: request.body ?? '',
        contentType: request.get('Content-Type'),
        header,
      });
    }
  }

  /** An answer that cannot be read is missing all the same: who has made the offer sees to that. */
  private receiveAck(request: SrfRequest): void {
    const body = bodyOf(request, 'response');
    if (body.type === 'unreadable') this.unreadable('ACK', body);
    this.signal({ type: 'acknowledged', sdp: body.type === 'unreadable' ? undefined : descriptionIn(body) });
  }

  /** One line for what could not be read. */
  protected unreadable(what: string, { status, why }: Unreadable): void {
    this.host.report('the body of a message cannot be read', {
      session: this.id,
      callId: this.callId,
      what,
      status,
      why,
    });
  }

  /** The connection to the SIP server is gone, and with it everything that was under way. */
  lose(): void {
    if (this.over) return;
    const signal = this.lostSignal();
    this.signal(signal);
    this.finish();
  }

  protected signal(signal: SessionSignal): void {
    if (this.over) return;
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  /** Nothing is heard of the session from here on. */
  protected finish(): void {
    this.over = true;
    this.waiting.clear();
    this.ackReinvite = undefined;
    this.host.unbind(this, this.dialogId);
    this.host.unbind(this, this.earlyDialogId);
  }

  /** A provisional response has made a dialog (RFC 3261 section 12.1). */
  protected early(dialogId: string | undefined, tags: Omit<DialogTags, 'callId'>): void {
    if (this.over || dialogId === undefined || dialogId === '') return;
    this.tags = tags;
    if (dialogId === this.earlyDialogId) return;
    this.earlyDialogId = dialogId;
    this.host.bind(dialogId, this);
  }

  protected confirm(dialogId: string, tags: Omit<DialogTags, 'callId'>): void {
    this.dialogId = dialogId;
    this.tags = tags;
    this.host.bind(dialogId, this);
  }

  protected sendBye(dialogId: string, reason: string | undefined): void {
    const headers: Record<string, string> = reason === undefined ? {} : { Reason: reason };
    const nobodyAsks = (): void => undefined;
    this.guard('BYE', () =>
      this.sendInDialog(dialogId, { method: 'BYE', headers }, { failed: nobodyAsks, response: nobodyAsks }),
    );
  }

  /** Challenges that the peer makes to requests of ours in the dialog are answered. */
  useCredentials(digest: DigestClient): void {
    this.digest = digest;
  }

  /** As `OutgoingInvite.movedTo`; a SIP server that names no flows finds its own way. */
  followPeer(movedTo: (() => string | undefined) | undefined): void {
    if (this.host.namesFlows) this.movedTo = movedTo;
  }

  /** Where the peer has gone since the dialog began; undefined: it is where it was. */
  get peerFlow(): string | undefined {
    return this.movedTo?.();
  }

  protected sendInDialog(
    dialogId: string,
    options: { method: string; headers: Record<string, string>; body?: string },
    sending: Sending,
  ): void {
    const flow = this.peerFlow;
    const proxy = flow === undefined ? {} : { proxy: flow };
    sendAuthenticated(
      this.host.application,
      { ...options, ...proxy, stackDialogId: dialogId, _socket: this.socket },
      { digest: this.digest, knownUri: this.requestUri },
      {
        ...sending,
        sent: (request) => {
          this.requestUri = request.uri;
          // drachtio-srf gives an UPDATE that crosses any request of ours to that request, and to nobody when it does not listen.
          request.on('update', (update, answer) => this.receive(update, answer));
          sending.sent?.(request);
        },
        response: (response, ack) => {
          // It may have moved the remote target.
          if (MOVES_TARGET.has(options.method) && response.get('Contact') !== undefined) this.requestUri = undefined;
          sending.response(response, ack);
        },
      },
    );
  }

  /** drachtio-srf throws on what it does not like (a socket that is gone, a status that it does not know). */
  protected guard(what: string, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      this.host.log(`${what} could not be sent`, { session: this.id, error: errorText(error) });
      return false;
    }
  }

  private receiveBye(request: SrfRequest, response: SrfResponse): void {
    const byServer = request.stackTxnId === 'unsolicited';
    // The server has left it to us, who have the credentials.
    const { stackDialogId } = request;
    if (byServer && this.digest !== undefined && this.host.namesFlows && stackDialogId !== undefined)
      this.sendBye(stackDialogId, request.get('Reason'));
    this.guard('200 to BYE', () => response.send(200, undefined, {}));
    const { reason, reasons } = reasonsOf(request);
    // The SIP server's own reason is none of the peer's.
    this.signal(byServer ? { type: 'ended', by: 'server', reason } : { type: 'ended', by: 'peer', reason, reasons });
    this.finish();
  }

  private send(
    options: { method: string; headers: Record<string, string>; body?: string },
    onFailure: (status: number, reason: string) => void,
    onResponse: (response: SrfResponse, ack: SrfAck) => void,
    dialogId = this.dialogId,
  ): void {
    if (this.over) return;
    if (dialogId === undefined) {
      onFailure(481, 'No dialog');
      return;
    }
    const sent = this.guard(options.method, () =>
      this.sendInDialog(dialogId, options, {
        failed: (error) => onFailure(isUnknownDialog(error) ? 481 : 503, errorText(error)),
        response: onResponse,
        // Its challenge is told like any refusal when the session is over meanwhile.
        isWanted: () => !this.over,
      }),
    );
    if (!sent) onFailure(503, 'SIP server is not reachable');
  }
}

/** Undefined: there is none, for certain. */
export function descriptionIn(body: Exclude<Body, Unreadable>): string | undefined {
  return body.type === 'description' ? body.sdp : undefined;
}

function isUnknownDialog(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENODIALOG';
}
