import type { Allocation, AllocationExplanation, ResourceReply } from '../../media-resource/ports';
import type { CancelTimer } from '../../process/clock';
import { effectiveDirection, holds, isSdp } from '../../sdp';
import { formatReason } from '../../sip/reason';
import { offerAgainMs } from '../../sip-message/final-meaning';
import type { HeaderReader, ResponseOptions, Session, SessionSignal } from '../../sip/user-agent';
import type { ConferenceSessionOptions, MemberView } from './member';
import { hear, isSettled, SPEAKER, type Voice, type VoiceSignal } from './voice';

/** Bridges that may fail for one participant in a row before it is given up. */
const MAX_PLACES = 4;
/** So often a bridge is asked again to mute or unmute. */
const VOICE_MS = 10_000;
/** A moved participant that does not answer the new bridge's offer. */
const OFFER_MS = 40_000;

function isHeld(sdp: string): boolean {
  return holds(sdp) || effectiveDirection(sdp) === 'recvonly';
}

/**
 * The conference's end of one participant's call: a session whose other end is a place at a conference bridge (RFC 4353:
 * the focus has a dialog with each participant). Commands run one after another; none of them waits for the participant.
 */
export class ConferenceSession implements Session {
  readonly id: string;
  readonly callId: string;
  /** Nothing was sent: there is none. */
  readonly dialog = undefined;
  readonly since: number;
  private listener: ((signal: SessionSignal) => void) | undefined;
  private explained: ((explanation: AllocationExplanation) => void) | undefined;
  private readonly early: SessionSignal[] = [];
  private readonly earlyExplanations: AllocationExplanation[] = [];
  private tail: Promise<void> = Promise.resolve();
  private over = false;
  private established = false;
  private allocation: Allocation | undefined;
  /** The device has been told of this allocation and has answered. */
  private connected: Allocation | undefined;
  /** The device's last description. */
  private device: string | undefined;
  private voice: Voice = SPEAKER;
  /** Our offers, which lead to a new bridge: the one that waits for its answer. */
  private outstanding: { readonly id: string; readonly allocation: Allocation } | undefined;
  private offers = 0;
  /** Moves to another place since the device was last connected. */
  private moves = 0;
  private readonly timers = new Map<'voice' | 'retry' | 'offer', CancelTimer>();

  constructor(private readonly options: ConferenceSessionOptions) {
    this.id = options.id;
    this.callId = options.id;
    this.since = options.clock.now();
    this.device = options.call.sdp;
  }

  /** Takes a place, or says why there is none. */
  begin(): void {
    this.inTurn(() => this.join());
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    for (const signal of this.early.splice(0)) listener(signal);
  }

  /** Every place that was asked for, as it is decided. */
  onExplained(listener: (explanation: AllocationExplanation) => void): void {
    this.explained = listener;
    for (const explanation of this.earlyExplanations.splice(0)) listener(explanation);
  }

  view(): MemberView {
    const { number, device, node } = this.options.call.caller;
    const { device: bridge, id: allocation } = this.allocation ?? {};
    const { id, since } = this;
    const { muted, held, there } = this.voice;
    const place = { node, bridge, allocation };
    return { id, number, device, ...place, muted, held, silenced: there === 'muted', since };
  }

  progress(): void {
    // Only of a caller.
  }

  answer(): void {
    // Only of a caller.
  }

  reject(): void {
    // Only of a caller.
  }

  cancel(): void {
    if (this.established || this.over) return;
    this.tell({ type: 'rejected', status: 487, reason: 'Request Terminated', header: () => undefined });
    this.finish();
  }

  acknowledge(sdp: string): void {
    this.inTurn(() => this.connect(sdp));
  }

  reinvite(id: string, { sdp }: { readonly sdp?: string }): void {
    this.inTurn(() => this.reinvited(id, sdp));
  }

  request(id: string, { method }: { readonly method: string }): void {
    const [status, reason] = method === 'INFO' || method === 'OPTIONS' ? [200, 'OK'] : [405, 'Method Not Allowed'];
    const nothing = { body: '', contentType: undefined, header: () => undefined };
    this.tell({ type: 'request-answered', id, method, status, reason, ...nothing });
  }

  respond(id: string, status: number, options: ResponseOptions & { readonly sdp?: string } = {}): void {
    const { outstanding } = this;
    if (outstanding?.id !== id) return;
    this.outstanding = undefined;
    this.stopTimer('offer');
    const { sdp } = options;
    if (status >= 200 && status < 300) {
      this.tell({ type: 'acknowledged', sdp: undefined });
      if (sdp !== undefined) this.inTurn(() => this.connect(sdp));
      return;
    }
    // Its own offer crossed ours, or it is busy: what it says next may settle it, else we ask again.
    const delay = offerAgainMs(status, (name) => options.headers?.[name]);
    if (delay !== undefined) return this.startTimer('retry', delay, () => this.offerAgain());
    this.end(503, `The participant refused the next bridge (${status})`);
  }

  bye(): void {
    this.finish();
  }

  /** Ends it from our side; the participant is told why. */
  end(status: number, text: string): void {
    if (this.over) return;
    if (this.established)
      this.tell({ type: 'ended', by: 'peer', reason: text, reasons: [{ protocol: 'SIP', cause: status, text }] });
    else this.refuse(status, text);
    this.finish();
  }

  /** Resolves when what it has been told until now is done at the bridge, or has failed there. */
  get settled(): Promise<void> {
    return this.tail;
  }

  /** By a moderator. Resolves with whether the bridge has confirmed it; until it has, it is asked again every ten seconds. */
  async mute(muted: boolean): Promise<boolean> {
    this.voice = hear(this.voice, { type: 'mute', muted }).voice;
    this.inTurn(() => this.voiced({ type: 'retry' }));
    await this.settled;
    return isSettled(this.voice);
  }

  private async join(): Promise<void> {
    const { call } = this.options;
    if (call.sdp !== undefined) this.voice = hear(this.voice, { type: 'described', held: isHeld(call.sdp) }).voice;
    const placed = await this.takePlace(call.sdp, 'conference');
    if (this.over) return;
    if (placed === undefined) {
      this.refuse(503, 'No conference bridge is available');
      return this.finish();
    }
    if (!placed.ok || placed.sdp === undefined) {
      this.refuse(488, 'The conference bridge cannot take the description');
      return this.finish();
    }
    await this.voiced({ type: 'joined' });
    if (this.isOver()) return;
    this.established = true;
    if (call.sdp !== undefined) this.connected = this.allocation;
    this.tell({ type: 'answered', sdp: placed.sdp, header: this.options.header });
    this.options.room.joined();
  }

  /** Asks bridges until one answers; what it says. Undefined: there is none. */
  private async takePlace(offer: string | undefined, why: string): Promise<ResourceReply | undefined> {
    const failed: string[] = [];
    for (let tries = 0; tries < MAX_PLACES && !this.over; tries++) {
      const placement = await this.options.room.place([...failed], why);
      this.explain(placement.explanation);
      if (!placement.ok) return undefined;
      const { allocation } = placement;
      if (this.isOver()) {
        await allocation.release();
        return undefined;
      }
      this.take(allocation);
      const reply =
        offer === undefined
          ? await allocation.offer(this.device === undefined ? {} : { peer: this.device })
          : await allocation.accept(offer);
      if (reply.ok || reply.reason === 'unsupported' || reply.reason === 'bad-request') return reply;
      if (this.allocation === allocation) await this.giveBack();
      failed.push(allocation.device);
    }
    return undefined;
  }

  private take(allocation: Allocation): void {
    this.allocation = allocation;
    allocation.onLost((reason) => {
      if (reason === 'down') this.options.room.bridgeGone(allocation);
      this.lost(allocation);
    });
    this.lookAtVoice(allocation);
  }

  /** What a moderator wants of it and the bridge has not done is asked for again. */
  private lookAtVoice(allocation: Allocation): void {
    this.startTimer('voice', VOICE_MS, () => {
      if (this.allocation !== allocation) return;
      this.lookAtVoice(allocation);
      if (!isSettled(this.voice)) this.inTurn(() => this.voiced({ type: 'retry' }));
    });
  }

  private lost(allocation: Allocation): void {
    if (this.over || this.allocation !== allocation) return;
    this.inTurn(() => this.move(allocation));
  }

  /** The bridge is gone: the participant is offered the next one. */
  private async move(lost: Allocation): Promise<void> {
    if (this.allocation !== lost || !this.established) return;
    // Nobody may be there to confirm it.
    void this.giveBack();
    if (++this.moves > MAX_PLACES) return this.end(503, 'The conference bridge fails');
    const reply = await this.takePlace(undefined, 'conference (again: the bridge was lost)');
    if (this.isOver()) return;
    if (reply === undefined || !reply.ok || reply.sdp === undefined)
      return this.end(503, 'No conference bridge is available');
    // Before it can be heard there.
    await this.voiced({ type: 'joined' });
    if (!this.isOver()) this.sendOffer(reply.sdp);
  }

  private sendOffer(sdp: string): void {
    const { allocation } = this;
    if (allocation === undefined) return;
    const id = `${this.id}/${++this.offers}`;
    this.outstanding = { id, allocation };
    this.startTimer('offer', OFFER_MS, () => this.respond(id, 408));
    this.tell({ type: 'reinvited', id, sdp, header: () => undefined });
  }

  private offerAgain(): void {
    this.inTurn(async () => {
      const { allocation } = this;
      if (allocation === undefined || this.connected === allocation || this.outstanding !== undefined) return;
      const reply = await allocation.offer(this.device === undefined ? {} : { peer: this.device });
      if (this.isOver() || this.allocation !== allocation) return;
      if (reply.ok && reply.sdp !== undefined) this.sendOffer(reply.sdp);
      else this.lost(allocation);
    });
  }

  /** The device's answer to the bridge's offer. */
  private async connect(sdp: string): Promise<void> {
    const { allocation } = this;
    if (allocation === undefined || !isSdp(sdp)) return;
    const reply = await allocation.connect({ answer: sdp });
    if (this.isOver()) return;
    if (!reply.ok) return this.lost(allocation);
    this.connected = allocation;
    this.moves = 0;
    await this.follow(sdp);
  }

  private async reinvited(id: string, sdp: string | undefined): Promise<void> {
    const { allocation } = this;
    if (allocation === undefined) return this.refuseOffer(id, 503);
    const reply =
      sdp === undefined
        ? await allocation.offer(this.device === undefined ? {} : { peer: this.device })
        : await allocation.accept(sdp);
    if (this.isOver()) return;
    if (!reply.ok || reply.sdp === undefined) {
      const unable = !reply.ok && (reply.reason === 'unsupported' || reply.reason === 'bad-request');
      return this.refuseOffer(id, unable ? 488 : 503);
    }
    if (sdp !== undefined) this.connected = allocation;
    this.tell({ type: 'reinvite-answered', id, sdp: reply.sdp });
    if (sdp !== undefined) await this.follow(sdp);
  }

  private refuseOffer(id: string, status: number): void {
    this.tell({ type: 'reinvite-rejected', id, status, reason: status === 488 ? 'Not Acceptable Here' : '' });
  }

  /** Who holds is not heard by the others; music for them would be worse. */
  private follow(sdp: string): Promise<void> {
    this.device = sdp;
    return this.voiced({ type: 'described', held: isHeld(sdp) });
  }

  /** In turn only: the bridge is asked until it has the voice as it is wanted, or a command fails. */
  private async voiced(signal: VoiceSignal): Promise<void> {
    let { voice, command } = hear(this.voice, signal);
    this.voice = voice;
    while (command !== undefined && this.allocation !== undefined && !this.over) {
      const muted: boolean = command;
      const reply = await this.allocation.control(muted);
      if (!reply.ok) this.notVoiced(muted, reply.detail ?? reply.reason);
      ({ voice, command } = hear(this.voice, reply.ok ? { type: 'confirmed', muted } : { type: 'failed' }));
      this.voice = voice;
    }
  }

  private notVoiced(muted: boolean, reason: string): void {
    const bridge = this.allocation?.device;
    this.options.log.warn(
      { conference: this.id, bridge, muted, reason },
      'conference: the bridge did not mute or unmute',
    );
  }

  private refuse(status: number, text: string): void {
    const reason = formatReason(status, text);
    const header: HeaderReader = (name) => (name.toLowerCase() === 'reason' ? reason : undefined);
    this.tell({ type: 'rejected', status, reason: text, header });
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    for (const timer of [...this.timers.keys()]) this.stopTimer(timer);
    this.options.room.left(this.id);
    // What is under way when it ends finds that it is over, and gives back what it has got.
    this.tail = this.tail.then(() => this.giveBack());
  }

  private async giveBack(): Promise<void> {
    const { allocation } = this;
    this.allocation = undefined;
    this.voice = hear(this.voice, { type: 'gone' }).voice;
    this.stopTimer('voice');
    await allocation?.release();
  }

  private tell(signal: SessionSignal): void {
    if (this.over) return;
    if (this.listener === undefined) this.early.push(signal);
    else this.listener(signal);
  }

  private explain(explanation: AllocationExplanation): void {
    if (this.explained === undefined) this.earlyExplanations.push(explanation);
    else this.explained(explanation);
  }

  private isOver(): boolean {
    return this.over;
  }

  private inTurn(work: () => Promise<void>): void {
    this.tail = this.tail
      .then(() => (this.over ? undefined : work()))
      .catch((error: unknown) => {
        this.options.log.warn({ conference: this.id, error: String(error) }, 'conference: a participant failed');
        this.end(503, 'Internal error');
      });
  }

  private startTimer(name: 'voice' | 'retry' | 'offer', ms: number, fire: () => void): void {
    this.stopTimer(name);
    const expired = (): void => {
      this.timers.delete(name);
      if (!this.over) fire();
    };
    this.timers.set(name, this.options.clock.setTimer(ms, expired));
  }

  private stopTimer(name: 'voice' | 'retry' | 'offer'): void {
    this.timers.get(name)?.();
    this.timers.delete(name);
  }
}
