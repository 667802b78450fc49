import type { Clock } from '../../../src/process/clock';
import type { Session, SessionSignal } from '../../../src/sip/user-agent';
import type { Codec } from '../../support/media-stream';
import { answerDirection, complete, describe, type Hold, readSdp, type RemoteAudio } from '../../support/party-sdp';

export interface Wish {
  readonly hold?: Hold;
  readonly codecs?: readonly Codec[];
}

/** Pauses after 491, ms: the one who called waits longer (RFC 3261 §14.1). */
const PAUSE_MS = { caller: 2500, callee: 900 } as const;

/** A phone at the end of a wire: its offers and ours may cross, and it refuses with 491 then. */
export class WiredPhone {
  hold: Hold = 'none';
  /** Where it sends to, and what. */
  remote: RemoteAudio | undefined;
  over = false;
  private wish: Wish | undefined;
  private offering: string | undefined;
  /** Its 200 is not acknowledged yet. */
  private answering = false;
  private paused = false;
  private requests = 0;
  private version = 0;
  private body = '';
  /** An early dialog has told it where it is to send: it keeps to that until it is offered something (RFC 3261 §13.2.1). */
  private told = false;
  readonly said: string[] = [];
  /** It has asked for a transfer, of which it has not heard the end. */
  transferring = false;
  /** That has come about. */
  transferred = false;
  /** Its call is answered. */
  talking = false;

  constructor(
    readonly name: string,
    readonly port: number,
    public codecs: readonly Codec[],
    private readonly session: Session,
    private readonly clock: Clock,
    private readonly role: 'caller' | 'callee',
  ) {
    session.listen((signal) => this.receive(signal));
  }

  get idle(): boolean {
    return this.over || (this.wish === undefined && this.offering === undefined && !this.answering);
  }

  /** What its user wants; ignored while the last wish is not granted. */
  want(wish: Wish): void {
    this.wish ??= wish;
    this.offer();
  }

  /** Asks for the other end to be sent to a number, or to who is at the end of another dialog of the same phone. */
  refer(number: string, replaces?: string): void {
    if (this.over || this.transferring) return;
    this.requests += 1;
    this.transferring = true;
    const uri = `sip:${number}@example.com${replaces === undefined ? '' : `?Replaces=${encodeURIComponent(replaces)}`}`;
    this.said.push(`refers to ${uri}`);
    this.session.request(`${this.name}/${this.requests}`, { method: 'REFER', headers: { 'Refer-To': `<${uri}>` } });
  }

  /** The value of Replaces that names its dialog. */
  get named(): string | undefined {
    const { dialog } = this.session;
    return dialog && `${dialog.callId};to-tag=${dialog.remoteTag};from-tag=${dialog.localTag}`;
  }

  /** While it rings. */
  refuse(status: number): void {
    if (this.over) return;
    this.over = true;
    this.session.reject(status);
  }

  hangUp(): void {
    if (this.over) return;
    this.over = true;
    this.session.bye();
  }

  /** Another one rings first, and says where it would listen. */
  ringElsewhere(port: number, codecs: readonly Codec[]): void {
    this.session.progress(183, { sdp: complete(describe(port, codecs, 'none'), 1) });
  }

  /** Its answer to the first INVITE. */
  pickUp(offer: string | undefined): void {
    const audio = offer === undefined ? undefined : readSdp(offer);
    if (audio !== undefined && this.common(audio).length === 0) return this.session.reject(488);
    this.talking = true;
    this.session.answer({ sdp: audio === undefined ? this.describe() : this.answerTo(audio) });
    this.answering = true;
    this.remote = audio;
  }

  /** What it would offer. */
  describe(wish: Wish = {}): string {
    return this.versioned(describe(this.port, wish.codecs ?? this.codecs, wish.hold ?? this.hold));
  }

  private offer(): void {
    if (this.wish === undefined || this.offering !== undefined || this.answering || this.paused || this.over) return;
    this.requests += 1;
    this.offering = `${this.name}/${this.requests}`;
    this.said.push(`offers ${JSON.stringify(this.wish)}`);
    this.session.reinvite(this.offering, { sdp: this.describe(this.wish) });
  }

  private receive(signal: SessionSignal): void {
    switch (signal.type) {
      case 'provisional':
        if (signal.sdp === undefined || this.told) return;
        this.told = true;
        return this.apply(signal.sdp);
      case 'answered':
        this.talking = true;
        return this.told ? undefined : this.apply(signal.sdp);
      case 'acknowledged':
        this.answering = false;
        this.apply(signal.sdp);
        return this.offer();
      case 'reinvited':
        return this.reinvited(signal.id, signal.sdp);
      case 'reinvite-answered':
        if (signal.id !== this.offering) return;
        this.hold = this.wish?.hold ?? this.hold;
        this.codecs = this.wish?.codecs ?? this.codecs;
        this.offering = undefined;
        this.wish = undefined;
        this.said.push('is answered');
        return this.apply(signal.sdp);
      case 'reinvite-rejected':
        if (signal.id !== this.offering) return;
        this.offering = undefined;
        this.said.push(`is refused: ${signal.status}`);
        if (signal.status !== 491 && signal.status !== 500) this.wish = undefined;
        this.paused = true;
        this.clock.setTimer(PAUSE_MS[this.role], () => {
          this.paused = false;
          this.offer();
        });
        return;
      case 'ended':
      case 'rejected':
      case 'cancelled':
        this.over = true;
        return;
      case 'requested':
        if (/ [2-6]\d\d /.test(signal.body)) this.transferring = false;
        if (/ 2\d\d /.test(signal.body)) this.transferred = true;
        return this.session.respond(signal.id, 200);
      case 'request-answered':
        if (signal.status >= 300) this.transferring = false;
        return;
    }
  }

  private reinvited(id: string, sdp: string | undefined): void {
    this.said.push(`is offered ${sdp === undefined ? 'nothing' : JSON.stringify(readSdp(sdp))}`);
    if (this.offering !== undefined) return this.session.respond(id, 491);
    const audio = sdp === undefined ? undefined : readSdp(sdp);
    if (audio !== undefined && this.common(audio).length === 0) return this.session.respond(id, 488);
    this.answering = true;
    this.session.respond(id, 200, { sdp: audio === undefined ? this.describe() : this.answerTo(audio) });
    if (audio !== undefined) this.remote = audio;
  }

  private apply(sdp: string | undefined): void {
    const audio = sdp === undefined ? undefined : readSdp(sdp);
    if (audio !== undefined) this.remote = audio;
  }

  private common(audio: RemoteAudio): readonly Codec[] {
    return this.codecs.filter((codec) => audio.codecs.includes(codec));
  }

  private answerTo(audio: RemoteAudio): string {
    const codecs = this.common(audio).slice(0, 1);
    return this.versioned(describe(this.port, codecs, this.hold, answerDirection(this.hold, audio.direction)));
  }

  private versioned(body: string): string {
    if (body !== this.body) this.version += 1;
    this.body = body;
    return complete(body, this.version);
  }

  /** Where its voice goes; undefined: it is silent. */
  get voice(): { readonly address: string; readonly port: number; readonly codec: Codec } | undefined {
    const { remote } = this;
    if (remote === undefined || this.hold !== 'none' || remote.address === '0.0.0.0' || remote.port < 1024)
      return undefined;
    const codec = this.common(remote)[0];
    const heard = remote.direction === 'sendrecv' || remote.direction === 'recvonly';
    return codec === undefined || !heard ? undefined : { address: remote.address, port: remote.port, codec };
  }
}
