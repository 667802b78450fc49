import type { Allocation, AllocationResult, OfferRequest, ResourceReply } from '../../media-resource/ports';
import type { Clock } from '../../process/clock';
import {
  alignAnswer,
  alignMediaLines,
  isSdp,
  withBundleOfOne,
  withOneAudioStream,
  withOriginOf,
  withoutFurtherAudio,
} from '../../sdp';

/** Which of the two a description is (RFC 3264). */
export type Part = 'offer' | 'answer';

export interface TerminationOptions {
  /** Asks for a media termination point; `exclude`: those that failed. Never rejects. */
  readonly allocate: (exclude: readonly string[], again: boolean) => Promise<AllocationResult>;
  /** Of the addresses that the call is shown. */
  readonly family: 4 | 6;
  readonly clock: Clock;
  /** The media termination point is gone. */
  readonly onLost: () => void;
}

/**
 * The media termination point that stands before one device of DTLS-SRTP: what the device says becomes plain RTP for the call, and what
 * the call says becomes DTLS-SRTP with ICE and rtcp-mux for the device. The device is side `a`. Without one, everything is passed on as it is.
 */
export class Termination {
  private allocation: Allocation | undefined;
  private closed = false;
  /** It has made a description. */
  private isUsed = false;
  private readonly failed: string[] = [];
  /** The last description that the device has, from us; its own last one, and its last offer; what the call was shown last of the device, and what it said last. */
  private told: string | undefined;
  private heard: string | undefined;
  private offered: string | undefined;
  private shown: string | undefined;
  private call: string | undefined;

  constructor(private readonly options: TerminationOptions) {}

  /** What the call said last of its end. */
  get callSide(): string | undefined {
    return this.call;
  }

  /** There is one. */
  get stands(): boolean {
    return this.allocation !== undefined;
  }

  /** Asks for one. False: there is none. */
  async take(again = false): Promise<boolean> {
    const { allocation } = await this.options.allocate([...this.failed], again);
    if (allocation === undefined) return false;
    if (this.closed) {
      await allocation.release();
      return false;
    }
    this.allocation = allocation;
    allocation.onLost(() => this.lost(allocation));
    return true;
  }

  /** What the device has said, as the call is to hear it. Rejects when the media termination point cannot. */
  async fromDevice(part: Part, sdp: string): Promise<string> {
    const { allocation } = this;
    this.heard = sdp;
    if (part === 'offer') this.offered = sdp;
    if (allocation === undefined) return sdp;
    this.shown =
      part === 'offer' ? await this.first((one) => this.offerOf(one, sdp)) : await this.answerOf(allocation, sdp);
    return this.shown;
  }

  /** What the call has said, as the device is to hear it: under the `o=` line that the call has given it. */
  async toDevice(part: Part, sdp: string): Promise<string> {
    const { allocation } = this;
    this.call = sdp;
    if (allocation === undefined) return sdp;
    const made =
      part === 'offer' ? await this.first((one) => this.offerTo(one, sdp)) : await this.answerTo(allocation, sdp);
    this.told = withBundleOfOne(made, this.heard);
    return this.told;
  }

  /** Gives it back for good. */
  close(): void {
    this.closed = true;
    this.drop();
  }

  /** The very first description may be made by the next one, when this one is of no use: nobody knows of it yet. */
  private async first(make: (allocation: Allocation) => Promise<string>): Promise<string> {
    for (;;) {
      const { allocation } = this;
      if (allocation === undefined) throw new Error('no media termination point');
      try {
        const made = await make(allocation);
        this.isUsed = true;
        return made;
      } catch (error) {
        if (this.isUsed || this.closed) throw error;
        this.failed.push(allocation.device);
        this.drop();
        if (!(await this.take(true))) throw error;
      }
    }
  }

  private offerOf(allocation: Allocation, offer: string): Promise<string> {
    const terms = { security: 'none', family: this.options.family } as const;
    return this.offer(allocation, { to: 'b', sdp: withoutFurtherAudio(offer, this.told), terms });
  }

  private async answerOf(allocation: Allocation, sdp: string): Promise<string> {
    const answer = withoutFurtherAudio(sdp, this.told);
    const made = this.made(allocation, await allocation.connect({ answer, from: 'a' }));
    return this.call === undefined ? made : alignAnswer(made, withOneAudioStream(this.call, this.shown));
  }

  private async offerTo(allocation: Allocation, sdp: string): Promise<string> {
    const offer = withoutFurtherAudio(sdp, this.shown);
    const made = await this.offer(allocation, { to: 'a', sdp: offer, terms: { security: 'dtls' } });
    return withOriginOf(this.told === undefined ? made : alignMediaLines(made, this.told), sdp);
  }

  private async answerTo(allocation: Allocation, sdp: string): Promise<string> {
    const answer = withoutFurtherAudio(sdp, this.shown);
    const made = this.made(allocation, await allocation.connect({ answer, from: 'b' }));
    if (this.offered === undefined) return withOriginOf(made, sdp);
    return withOriginOf(alignAnswer(made, withOneAudioStream(this.offered, this.told)), sdp);
  }

  private async offer(allocation: Allocation, relay: NonNullable<OfferRequest['relay']>): Promise<string> {
    return this.made(allocation, await allocation.offer({ relay }));
  }

  private made(allocation: Allocation, reply: ResourceReply): string {
    if (reply.ok && reply.sdp !== undefined && isSdp(reply.sdp)) return reply.sdp;
    const isLost = reply.ok || (reply.reason !== 'unsupported' && reply.reason !== 'bad-request');
    if (this.isUsed && isLost) this.lost(allocation);
    throw new Error(reply.ok ? 'no description' : (reply.detail ?? reply.reason));
  }

  private lost(allocation: Allocation): void {
    if (this.allocation !== allocation) return;
    this.failed.push(allocation.device);
    this.drop();
    if (!this.closed) this.options.onLost();
  }

  private drop(): void {
    const { allocation } = this;
    this.allocation = undefined;
    // It never rejects, and nobody waits for it.
    void allocation?.release();
  }
}
