import { audioCodecs, effectiveDirection, holds } from '../../../src/sdp';
import { type FakeSession, sdp } from './kit';

export type Who = 'alice' | 'bob';

/**
 * A phone as RFC 3264 wants it: it answers offers according to whether its user holds, acknowledges every 200, and tries a
 * refused re-INVITE again. It acts only when the test lets it.
 */
export class Phone {
  holding = false;
  /** What its user wants and the far end has not agreed to yet. */
  private wanted: boolean | undefined;
  private told: string | undefined;
  /** It has made an offer that we asked for; the answer is our ACK with this number. */
  private acknowledged: number | undefined;
  private saidToHold: boolean | undefined;
  private outstanding: string | undefined;
  private port = 4000;
  /** Payload types that it speaks; an offer with none of them is refused with 488. */
  codecs: readonly number[] = [0, 8];
  /** Those that it offers instead, and speaks once that is agreed to. */
  private other: readonly number[] | undefined;

  constructor(
    readonly who: Who,
    readonly session: FakeSession,
  ) {}

  get idle(): boolean {
    return this.session.offered === undefined && this.outstanding === undefined && this.wanted === undefined;
  }

  private describe(holding: boolean, codecs = this.codecs): string {
    return sdp(this.who, { direction: holding ? 'sendonly' : 'sendrecv', port: this.port, codecs });
  }

  want(holding: boolean): void {
    if (this.outstanding !== undefined || this.wanted !== undefined) return;
    if (holding !== this.holding) this.wanted = holding;
  }

  /** The last description that it had from the far end. */
  get knows(): string | undefined {
    const late = this.acknowledged === undefined ? undefined : this.session.all('acknowledge')[this.acknowledged];
    return late?.sdp ?? this.told;
  }

  /**
   * Whether the far end has said last that it holds, in an offer or in an answer; undefined: neither has come. Who holds is told nothing of that
   * by an answer (RFC 3264 §8.4).
   */
  get toldHold(): boolean | undefined {
    const late = this.acknowledged === undefined ? undefined : this.session.all('acknowledge')[this.acknowledged]?.sdp;
    return late === undefined || this.holding ? this.saidToHold : holds(late);
  }

  /** Changes its port: an offer that is no hold by itself. */
  move(): void {
    if (this.outstanding !== undefined || this.wanted !== undefined) return;
    this.port += 2;
    this.wanted = this.holding;
  }

  /** Offers other codecs. */
  recode(codecs: readonly number[]): void {
    if (this.outstanding !== undefined || this.wanted !== undefined) return;
    this.other = codecs;
    this.wanted = this.holding;
  }

  /** Sends what is wanted, when nothing of the far end is under way. */
  offer(): void {
    if (this.wanted === undefined || this.outstanding !== undefined || this.session.over) return;
    if (this.session.offered !== undefined) return;
    this.outstanding = this.session.reinvites(this.describe(this.wanted, this.other));
    this.hear();
  }

  /** Reads the answer to its own re-INVITE. */
  hear(): void {
    const id = this.outstanding;
    const response = id === undefined ? undefined : this.session.responseTo(id);
    if (response === undefined) return;
    this.outstanding = undefined;
    if (response.status !== 200) return;
    this.acknowledged = undefined;
    this.holding = this.wanted ?? this.holding;
    this.codecs = this.other ?? this.codecs;
    this.other = undefined;
    this.wanted = undefined;
    this.told = response.sdp;
    if (!this.holding && response.sdp !== undefined) this.saidToHold = holds(response.sdp);
    this.session.acks();
  }

  answer(): void {
    const offer = this.session.offered;
    if (offer === undefined || this.session.over) return;
    if (offer.sdp === undefined) {
      const before = this.session.all('acknowledge').length;
      this.session.answersReinvite(this.describe(this.holding));
      this.acknowledged = before;
      return;
    }
    if (!audioCodecs(offer.sdp).some(({ payload }) => this.codecs.includes(payload))) {
      this.session.rejectsReinvite(488);
      return;
    }
    this.acknowledged = undefined;
    this.told = offer.sdp;
    this.saidToHold = holds(offer.sdp);
    const direction = effectiveDirection(offer.sdp);
    if (direction === 'inactive')
      this.session.answersReinvite(sdp(this.who, { direction: 'inactive', port: this.port, codecs: this.codecs }));
    else if (direction === 'sendonly') {
      const text = this.holding ? 'inactive' : 'recvonly';
      this.session.answersReinvite(sdp(this.who, { direction: text, port: this.port, codecs: this.codecs }));
    } else this.session.answersReinvite(this.describe(this.holding));
  }

  glare(): void {
    if (this.session.offered !== undefined && !this.session.over) this.session.rejectsReinvite(491);
  }
}
