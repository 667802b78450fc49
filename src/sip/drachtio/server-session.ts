import type { ResponseOptions, SessionProgress, SessionSignal } from '../user-agent';
import { DialogSession, type SessionHost } from './dialog-session';
import { BYE_HEADER, FLOW_HEADER, reasonsOf, responseParts, sendableStatus, tagIn } from './messages';
import type { SrfMessage, SrfRequest, SrfResponse } from './srf';

/** The session of an INVITE that we received. */
export class ServerSession extends DialogSession {
  private state: 'ringing' | 'answering' | 'confirmed' = 'ringing';
  private routeIsTrusted = false;

  constructor(
    id: string,
    host: SessionHost,
    private readonly invite: SrfRequest,
    private readonly response: SrfResponse,
  ) {
    super(id, host);
    this.socket = invite.socket;
    invite.on('cancel', (cancel) => this.cancelled(reasonsOf(cancel)));
    invite.on('update', (update, answer) => this.receive(update, answer));
  }

  get callId(): string {
    return this.invite.get('Call-ID') ?? '';
  }

  /** As `IncomingInvite.trustRoute`. */
  trustRoute(): void {
    this.routeIsTrusted = true;
  }

  progress(status: number, options: { reason?: string; sdp?: string; headers?: Record<string, string> } = {}): void {
    if (this.state !== 'ringing' || this.over) return;
    this.guard('provisional', () =>
      this.response.send(
        sendableStatus(status),
        options.reason,
        this.forServer(this.withContact(options)),
        (error, sent) => {
          if (error === null || error === undefined) this.early(this.response.stackDialogId, this.tagsIn(sent));
        },
      ),
    );
  }

  answer(options: { sdp: string; headers?: Record<string, string> }): void {
    if (this.state !== 'ringing' || this.over) return;
    this.state = 'answering';
    const sent = this.guard('200', () =>
      this.response.send(200, undefined, this.forServer(options), (error, sent) => this.answered(error, sent)),
    );
    if (!sent) this.cancelled({ reason: 'SIP server is not reachable' });
  }

  reject(status: number, options: Pick<ResponseOptions, 'reason' | 'headers' | 'moreLines'> = {}): void {
    if (this.state !== 'ringing' || this.over) return;
    this.guard('rejection', () => this.response.send(sendableStatus(status), options.reason, responseParts(options)));
    this.finish();
  }

  /** A provisional response makes a dialog, and must say where it leads (RFC 3261 §12.1.1); a drachtio-server adds none by itself. */
  private withContact(options: SessionProgress): SessionProgress {
    // The embedded server, which is the one that names flows, knows better where it is.
    if (this.host.namesFlows) return options;
    const protocol = this.invite.protocol.toLowerCase();
    const transport = protocol === 'tcp' || protocol === 'tls' ? `;transport=${protocol}` : '';
    return { ...options, headers: { Contact: `<sip:tandem@localhost${transport}>`, ...options.headers } };
  }

  private forServer(options: Parameters<typeof responseParts>[0]): ReturnType<typeof responseParts> {
    const parts = responseParts(options);
    if (!this.host.namesFlows) return parts;
    const headers = { ...parts.headers };
    if (!this.routeIsTrusted) headers[FLOW_HEADER] = 'keep';
    if (this.digest !== undefined) headers[BYE_HEADER] = 'application';
    return { ...parts, headers };
  }

  cancel(): void {
    // Only our own INVITE can be cancelled.
  }

  protected abandon(reason: string | undefined): boolean {
    if (this.state === 'ringing') {
      this.reject(480, reason === undefined ? {} : { headers: { Reason: reason } });
      return true;
    }
    // The 200 is on its way to the server: BYE follows when the server has it.
    this.byeWhenConfirmed = { reason };
    return true;
  }

  private byeWhenConfirmed: { reason: string | undefined } | undefined;

  protected acknowledgeInvite(): boolean {
    return false;
  }

  protected lostSignal(): SessionSignal {
    return this.state === 'confirmed'
      ? { type: 'ended', by: 'server', reason: 'SIP server lost' }
      : { type: 'cancelled', reason: 'SIP server lost' };
  }

  private answered(error: unknown, sent: SrfMessage | undefined): void {
    const dialogId = this.response.stackDialogId;
    if (error !== null && error !== undefined) {
      // The server refuses a 200 for an INVITE that was cancelled meanwhile.
      this.cancelled({ reason: typeof error === 'string' ? error : undefined });
      return;
    }
    if (this.over || dialogId === undefined || dialogId === '') return;
    this.state = 'confirmed';
    this.confirm(dialogId, this.tagsIn(sent));
    if (this.byeWhenConfirmed !== undefined) {
      this.sendBye(dialogId, this.byeWhenConfirmed.reason);
      this.finish();
    }
  }

  /** Of the dialog that a response of ours makes; the SIP server has written our tag. */
  private tagsIn(sent: SrfMessage | undefined): { readonly localTag: string; readonly remoteTag: string } {
    return { localTag: sent === undefined ? '' : tagIn(sent, 'To'), remoteTag: tagIn(this.invite, 'From') };
  }

  private cancelled(why: Omit<Extract<SessionSignal, { type: 'cancelled' }>, 'type'>): void {
    if (this.over || this.state === 'confirmed') return;
    this.signal({ type: 'cancelled', ...why });
    this.finish();
  }
}
