import { parseReliableNumber } from '../../sip-message/header-rules';
import type { DigestClient } from '../digest-client';
import { EarlyDialogs } from '../early-dialogs';
import { formatReason } from '../reason';
import type { SessionSignal } from '../user-agent';
import type { Sending } from './authenticated';
import { descriptionIn, DialogSession, type SessionHost } from './dialog-session';
import { bodyOf, errorText, headerReader, noHeaders, tagIn, toTagOf } from './messages';
import type { SrfAck, SrfRequest, SrfResponse } from './srf';

/** The session of an INVITE that we sent. */
export class ClientSession extends DialogSession {
  private state: 'sending' | 'calling' | 'answered' | 'confirmed' = 'sending';
  private cancelReason: { header: string | undefined } | undefined;
  private invite: SrfRequest | undefined;
  private ackInvite: SrfAck | undefined;
  private readonly dialogs = new EarlyDialogs();

  constructor(
    id: string,
    host: SessionHost,
    readonly callId: string,
    private readonly offered: boolean,
    digest: DigestClient | undefined,
  ) {
    super(id, host);
    this.digest = digest;
  }

  /** What becomes of the INVITE. */
  readonly sending: Sending = {
    sent: (request) => this.sent(request),
    failed: (error) => this.refused(error),
    response: (response, ack) => this.responded(response, ack),
    isWanted: () => {
      if (this.over || this.cancelReason !== undefined) return false;
      // A CANCEL from here on is for the INVITE that is sent again.
      this.state = 'sending';
      return true;
    },
  };

  /** The server has the INVITE. */
  private sent(request: SrfRequest): void {
    if (this.state !== 'sending') return;
    this.state = 'calling';
    this.track(request);
    if (this.cancelReason !== undefined) this.sendCancel();
  }

  /** The server refuses the INVITE. */
  refused(error: unknown): void {
    this.final(503, errorText(error), undefined);
  }

  progress(): void {
    // Only the callee answers.
  }

  answer(): void {
    // Only the callee answers.
  }

  reject(): void {
    // Only the callee answers.
  }

  cancel(reason?: string): void {
    if (this.over || this.cancelReason !== undefined) return;
    if (this.state === 'answered' || this.state === 'confirmed') return;
    this.cancelReason = { header: reason };
    if (this.state === 'calling') this.sendCancel();
  }

  protected abandon(reason: string | undefined): boolean {
    this.cancel(reason);
    return true;
  }

  protected acknowledgeInvite(sdp: string): boolean {
    const ack = this.ackInvite;
    if (ack === undefined) return false;
    this.ackInvite = undefined;
    this.state = 'confirmed';
    this.guard('ACK', () => ack({ body: sdp }));
    return true;
  }

  protected lostSignal(): SessionSignal {
    return this.state === 'answered' || this.state === 'confirmed'
      ? { type: 'ended', by: 'server', reason: 'SIP server lost' }
      : { type: 'rejected', status: 503, reason: 'SIP server lost', header: noHeaders };
  }

  override bye(options?: { reason?: string }): void {
    // A peer whose offer was never answered still gets its ACK before the BYE (RFC 3261 section 13.2.2.4).
    const ack = this.ackInvite;
    this.ackInvite = undefined;
    if (ack !== undefined) this.guard('ACK', () => ack());
    super.bye(options);
  }

  /** An UPDATE of the callee before it has answered comes to the INVITE's request object. */
  private track(request: SrfRequest): void {
    this.invite = request;
    this.socket = request.socket;
    request.on('update', (update, answer) => this.receive(update, answer));
  }

  private responded(response: SrfResponse, ack: SrfAck): void {
    if (this.over) return;
    if (response.status < 200) {
      const reliable = parseReliableNumber(response.get('RSeq') ?? '');
      const cseq = response.get('CSeq') ?? '';
      if (reliable !== undefined && !this.dialogs.takeReliable(toTagOf(response), cseq, reliable)) return;
      this.early(response.stackDialogId, tagsOf(response));
      if (reliable !== undefined) this.acknowledgeProvisional(response, reliable);
      this.provisional(response, reliable !== undefined);
      return;
    }
    if (response.status >= 300) {
      this.final(response.status, response.reason ?? '', response);
      return;
    }
    this.accepted(response, ack);
  }

  /** PRACK (RFC 3262 §4), as a request of its own: drachtio-srf does not hear what becomes of the one that it makes. */
  private acknowledgeProvisional(response: SrfResponse, reliable: number): void {
    const { stackDialogId } = response;
    if (stackDialogId === undefined || stackDialogId === '') return;
    const headers = { RAck: `${reliable} ${response.get('CSeq') ?? ''}` };
    const failed = (error: unknown): void =>
      this.host.log('PRACK not taken', { session: this.id, error: errorText(error) });
    this.guard('PRACK', () =>
      this.sendInDialog(stackDialogId, { method: 'PRACK', headers }, { failed, response: () => undefined }),
    );
  }

  /** A description that cannot be read is none yet: the 200 must bring one then. */
  private provisional(response: SrfResponse, reliable: boolean): void {
    const body = bodyOf(response, 'response');
    if (body.type === 'unreadable') this.unreadable(`${response.status}`, body);
    const said = body.type === 'unreadable' ? undefined : descriptionIn(body);
    this.signal({
      type: 'provisional',
      status: response.status,
      reason: response.reason ?? '',
      sdp: said !== undefined && this.offered ? this.dialogs.told(toTagOf(response), said, reliable) : said,
      header: headerReader(response),
    });
  }

  private accepted(response: SrfResponse, ack: SrfAck): void {
    const dialogId = response.stackDialogId;
    if (this.cancelReason !== undefined || dialogId === undefined || dialogId === '') {
      this.guard('ACK', () => ack());
      if (dialogId !== undefined && dialogId !== '') this.sendBye(dialogId, this.cancelReason?.header);
      this.final(this.cancelReason === undefined ? 500 : 487, 'Request Terminated', undefined);
      return;
    }
    const body = bodyOf(response, 'response');
    if (body.type === 'unreadable') {
      this.unreadable('200', body);
      this.guard('ACK', () => ack());
      this.sendBye(dialogId, formatReason(488, body.why));
      this.final(500, 'Unreadable Answer', undefined);
      return;
    }
    this.confirm(dialogId, tagsOf(response));
    if (this.offered) {
      this.state = 'confirmed';
      this.guard('ACK', () => ack());
    } else {
      this.state = 'answered';
      this.ackInvite = ack;
    }
    const said = descriptionIn(body);
    const sdp = this.offered ? this.dialogs.answer(toTagOf(response), said) : said;
    this.signal({ type: 'answered', sdp, header: headerReader(response) });
  }

  private final(status: number, reason: string, response: SrfResponse | undefined): void {
    this.signal({
      type: 'rejected',
      status: this.cancelReason === undefined ? status : 487,
      reason,
      header: response === undefined ? noHeaders : headerReader(response),
    });
    this.finish();
  }

  private sendCancel(): void {
    const invite = this.invite;
    const header = this.cancelReason?.header;
    if (invite === undefined) return;
    this.guard('CANCEL', () =>
      invite.cancel(header === undefined ? {} : { headers: { Reason: header } }, (error) => {
        // NOK: a final answer was there first, and comes up by itself.
        if (error !== null && error !== undefined)
          this.host.log('CANCEL not taken', { session: this.id, error: errorText(error) });
      }),
    );
  }
}

/** Of the dialog that a response to our INVITE makes. */
function tagsOf(response: SrfResponse): { readonly localTag: string; readonly remoteTag: string } {
  return { localTag: tagIn(response, 'From'), remoteTag: toTagOf(response) };
}
