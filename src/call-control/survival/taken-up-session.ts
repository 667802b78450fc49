import { WORD_HEADER } from '../../sip/node-signature';
import type { Headers, Session, SessionSignal } from '../../sip/user-agent';
import { HALF_TYPE, TELLING } from '../process/node-words';

/** Of our re-INVITE. */
const SETTLING = 'taken-up';

/**
 * The session of a phone that has answered an INVITE of ours, as if it had called: the description in its 200 is the offer of the call. The answer to that goes into
 * our ACK (RFC 3725 §4.1); or, when it was offered what the other end spoke before, into a re-INVITE.
 */
export class TakenUpSession implements Session {
  private listener: ((signal: SessionSignal) => void) | undefined;
  private kept: SessionSignal[] = [];

  constructor(
    private readonly session: Session,
    /** It was offered something. */
    private readonly wasOffered: boolean,
    /** The call has begun, or has come to nothing. */
    private readonly onOutcome: (taken: boolean) => void,
  ) {}

  get id(): string {
    return this.session.id;
  }

  get callId(): string {
    return this.session.callId;
  }

  get dialog(): Session['dialog'] {
    return this.session.dialog;
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    for (const signal of this.kept.splice(0)) listener(signal);
  }

  /** What the phone says after its 200. */
  heard(signal: SessionSignal): void {
    const isSettled = signal.type === 'reinvite-answered' || signal.type === 'reinvite-rejected';
    if (isSettled && signal.id === SETTLING) return this.heard({ type: 'acknowledged', sdp: undefined });
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  progress(): void {
    // It has answered already.
  }

  answer({ sdp, headers = {} }: { readonly sdp: string; readonly headers?: Headers }): void {
    if (this.wasOffered) this.session.reinvite(SETTLING, { sdp });
    else this.session.acknowledge(sdp);
    // Neither brings it a word: a node is told in the dialog who has answered.
    const word = headers[WORD_HEADER];
    if (word !== undefined)
      this.session.request(`${TELLING}taken-up`, { method: 'INFO', body: word, contentType: HALF_TYPE });
    this.onOutcome(true);
    if (!this.wasOffered) queueMicrotask(() => this.heard({ type: 'acknowledged', sdp: undefined }));
  }

  reject(status: number, options: { readonly reason?: string; readonly headers?: Headers } = {}): void {
    const reason = options.headers?.['Reason'] ?? `SIP;cause=${status}`;
    this.onOutcome(false);
    this.session.bye({ reason });
  }

  cancel(reason?: string): void {
    this.bye(reason === undefined ? {} : { reason });
  }

  acknowledge(sdp: string): void {
    this.session.acknowledge(sdp);
  }

  reinvite(...asked: Parameters<Session['reinvite']>): void {
    this.session.reinvite(...asked);
  }

  request(...asked: Parameters<Session['request']>): void {
    this.session.request(...asked);
  }

  respond(...answer: Parameters<Session['respond']>): void {
    this.session.respond(...answer);
  }

  bye(options?: { readonly reason?: string }): void {
    this.session.bye(options);
  }
}
