import type { AllocationExplanation, AllocationResult } from '../../media-resource/ports';
import type { CancelTimer, Clock } from '../../process/clock';
import { isSdp, unchanged } from '../../sdp';
import { formatReason } from '../../sip/reason';
import { offerAgainMs } from '../../sip-message/final-meaning';
import type {
  HeaderReader,
  Headers,
  ResponseOptions,
  Session,
  SessionProgress,
  SessionSignal,
} from '../../sip/user-agent';
import { ACCEPT } from '../../sip/body';
import type { CallNames } from '../core/call-state';
import type { CallLog } from '../dependencies';
import { type Part, Termination } from './termination';

/** Media termination points that may fail for one device in a row. */
const MAX_MOVES = 4;
/** The INVITE, where requests have their id. */
const INITIAL = '';
const FAILED = 'The media termination point failed';

/** An INFO with candidates of ICE (RFC 8840 §4). */
function isTrickle({ method, contentType, header }: Extract<SessionSignal, { type: 'requested' }>): boolean {
  const type = /^application\/trickle-ice-sdpfrag\b/i.test(contentType?.trim() ?? '');
  return method === 'INFO' && (type || /^trickle-ice\b/i.test(header('info-package')?.trim() ?? ''));
}

export interface DtlsSessionOptions {
  readonly id: string;
  /** Asks for a media termination point; `exclude`: those that failed. Never rejects. */
  readonly allocate: (exclude: readonly string[], again: boolean) => Promise<AllocationResult>;
  /** Of the addresses that the call is shown. */
  readonly family: 4 | 6;
  readonly clock: Clock;
  readonly log: CallLog;
  /** As the log names the call. */
  readonly names: CallNames;
}

type Ending = Extract<SessionSignal, { type: 'rejected' | 'cancelled' | 'ended' }>;

/**
 * The session of a device that speaks DTLS-SRTP (a browser), shown to the call as that of a device of plain RTP. A media termination
 * point of its own stands before the device for as long as the call lasts: a DTLS association cannot be moved to a music server or
 * to another phone and back again, since a browser makes no new one while the fingerprint stays (RFC 8842 §5), and its old peer
 * none when it comes back. Behind the media termination point the call may connect the device with whatever it likes.
 *
 * What goes in either direction is translated in the order in which it came.
 */
export class DtlsSession implements Session {
  readonly id: string;
  private readonly termination: Termination;
  private session: Session | undefined;
  private listener: ((signal: SessionSignal) => void) | undefined;
  private explained: ((explanation: AllocationExplanation) => void) | undefined;
  private readonly kept: SessionSignal[] = [];
  private readonly explanations: AllocationExplanation[] = [];
  private tail: Promise<void> = Promise.resolve();
  private over = false;
  private established = false;
  /** The device has called. */
  private receiving = false;
  /** Who makes the offer in the INVITE, and in each request without a final answer. */
  private readonly offerers = new Map<string, 'device' | 'call'>();
  /** After a loss: the re-INVITE of ours that waits for its answer. `of`: whom we asked. */
  private moving: { readonly id: string; readonly of: 'device' | 'call' } | undefined;
  private moves = 0;
  /** The answer to the INVITE's offer, as it came in an 18x and as the media termination point has made it: it makes one once. */
  private early: { readonly given: string; readonly made: string } | undefined;
  private ownRequests = 0;
  private cancelRetry: CancelTimer | undefined;

  constructor(private readonly options: DtlsSessionOptions) {
    this.id = options.id;
    const { family, clock } = options;
    this.termination = new Termination({
      family,
      clock,
      allocate: async (exclude, again) => {
        const result = await options.allocate(exclude, again);
        this.explain(result.explanation);
        return result;
      },
      onLost: () => this.lost(),
    });
  }

  /** Empty before the INVITE has been sent. */
  get callId(): string {
    return this.session?.callId ?? '';
  }

  get dialog(): Session['dialog'] {
    return this.session?.dialog;
  }

  /** Server role: takes the device's INVITE. Resolves with its offer as the call is to see it; without a media termination point that is the offer itself. */
  async receive(session: Session, offer: string | undefined): Promise<string | undefined> {
    this.session = session;
    this.receiving = true;
    this.offerers.set(INITIAL, offer === undefined ? 'call' : 'device');
    await this.termination.take();
    return this.fromDevice('offer', offer).catch((error: unknown) => {
      this.finish();
      throw error;
    });
  }

  /** Client role: `open` sends the INVITE, once there is a media termination point or known to be none. */
  begin(open: (sdp: string | undefined) => Session, offer: string | undefined, opened: () => void): void {
    this.offerers.set(INITIAL, offer === undefined ? 'device' : 'call');
    this.inTurn(async () => {
      await this.termination.take();
      const sdp = await this.toDevice('offer', offer);
      if (this.over) return;
      this.session = open(sdp);
      opened();
      this.session.listen((signal) => this.received(signal));
    });
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
    for (const signal of this.kept.splice(0)) listener(signal);
    this.session?.listen((signal) => this.received(signal));
  }

  /** Every media termination point that was asked for, as it is decided. */
  onExplained(listener: (explanation: AllocationExplanation) => void): void {
    this.explained = listener;
    for (const explanation of this.explanations.splice(0)) listener(explanation);
  }

  progress(status: number, { sdp, ...rest }: SessionProgress = {}): void {
    this.inTurn(
      async () => {
        const made = sdp === undefined ? undefined : await this.answerOnce(sdp, () => this.toDevice('answer', sdp));
        this.session?.progress(status, { ...rest, ...withSdp(made) });
      },
      // Without early media the call goes on.
      () => this.session?.progress(status, rest),
    );
  }

  answer({ sdp, headers }: { readonly sdp: string; readonly headers?: Headers }): void {
    this.inTurn(async () => {
      // What an 18x has told is repeated (RFC 3261 §13.2.1).
      const made = this.early?.made ?? (await this.termination.toDevice(this.partOfCall(INITIAL), sdp));
      this.established = true;
      if (!this.over) this.session?.answer({ sdp: made, ...(headers === undefined ? {} : { headers }) });
    });
  }

  reject(status: number, options?: { readonly reason?: string; readonly headers?: Headers }): void {
    this.session?.reject(status, options);
    this.finish();
  }

  cancel(reason?: string): void {
    if (this.session !== undefined) return this.session.cancel(reason);
    this.end({ type: 'rejected', status: 487, reason: 'Request Terminated', header: () => undefined });
  }

  acknowledge(sdp: string): void {
    this.inTurn(async () => this.session?.acknowledge(await this.termination.toDevice('answer', sdp)));
  }

  reinvite(id: string, { sdp, ...rest }: { readonly sdp?: string; readonly headers?: Headers }): void {
    const refuse = (status: number, reason: string): void =>
      this.tell({ type: 'reinvite-rejected', id, status, reason });
    this.inTurn(
      async () => {
        if (this.moving !== undefined) return refuse(491, 'Request Pending');
        this.offerers.set(id, sdp === undefined ? 'device' : 'call');
        this.session?.reinvite(id, { ...rest, ...withSdp(await this.toDevice('offer', sdp)) });
      },
      () => refuse(500, FAILED),
    );
  }

  request(id: string, options: Parameters<Session['request']>[1]): void {
    this.inTurn(() => this.session?.request(id, options));
  }

  respond(id: string, status: number, options: ResponseOptions & { readonly sdp?: string } = {}): void {
    this.inTurn(
      async () => {
        if (this.moving?.id === id) return this.callMoved(status, options.sdp);
        const { sdp, ...rest } = options;
        const made = await this.toDevice(this.partOfCall(id), sdp);
        this.offerers.delete(id);
        this.session?.respond(id, status, { ...rest, ...withSdp(made) });
      },
      () => this.session?.respond(id, 500),
    );
  }

  bye(options?: { readonly reason?: string }): void {
    this.session?.bye(options);
    this.finish();
  }

  private received(signal: SessionSignal): void {
    // Whatever waits has become pointless.
    if (signal.type === 'rejected' || signal.type === 'cancelled' || signal.type === 'ended') return this.end(signal);
    const failed = (): void => {
      if (signal.type === 'reinvited' || signal.type === 'requested') this.session?.respond(signal.id, 500);
      else if (signal.type === 'provisional' || signal.type === 'acknowledged')
        this.tell({ ...signal, sdp: undefined });
      else this.fail();
    };
    this.inTurn(() => this.translate(signal), failed);
  }

  private async translate(signal: Exclude<SessionSignal, Ending>): Promise<void> {
    switch (signal.type) {
      case 'provisional': {
        // An offer in there would wait for its answer in a PRACK; it comes again in the 200.
        const sdp = this.offerers.get(INITIAL) === 'call' ? signal.sdp : undefined;
        const made = sdp === undefined ? undefined : await this.answerOnce(sdp, () => this.fromDevice('answer', sdp));
        return this.tell({ ...signal, sdp: made });
      }
      case 'answered': {
        const { early } = this;
        const sdp = early?.made ?? (await this.fromDevice(this.partOfDevice(INITIAL), signal.sdp));
        this.established = true;
        this.tell({ ...signal, sdp });
        // It has answered something else than it had told: that is an offer for the call now.
        if (early === undefined || signal.sdp === undefined || unchanged(early.given, signal.sdp)) return;
        return this.offerCall(await this.termination.fromDevice('offer', signal.sdp));
      }
      case 'acknowledged':
        return this.tell({ ...signal, sdp: await this.fromDevice('answer', signal.sdp) });
      case 'reinvited':
        this.offerers.set(signal.id, signal.sdp === undefined ? 'call' : 'device');
        return this.tell({ ...signal, sdp: await this.fromDevice('offer', signal.sdp) });
      case 'requested': {
        if (this.termination.stands && isTrickle(signal)) {
          // Its candidates are for the media termination point, which needs none: it answers whoever checks.
          return this.session?.respond(signal.id, 415, { headers: { Accept: ACCEPT } });
        }
        if (signal.method !== 'UPDATE' || !isSdp(signal.body)) return this.tell(signal);
        this.offerers.set(signal.id, 'device');
        return this.tell({ ...signal, body: await this.termination.fromDevice('offer', signal.body) });
      }
      case 'reinvite-answered': {
        const { id } = signal;
        if (this.moving?.id === id) return this.deviceMoved(signal.sdp);
        const sdp = await this.fromDevice(this.partOfDevice(id), signal.sdp);
        this.offerers.delete(id);
        return this.tell({ ...signal, sdp });
      }
      case 'reinvite-rejected':
        if (this.moving?.id === signal.id) return this.notMoved(signal.status, signal.header);
        this.offerers.delete(signal.id);
        return this.tell(signal);
      case 'request-answered':
        return this.tell(signal);
    }
  }

  /** The media termination point is gone: the device is offered the next one, and then the call what stands before the device. */
  private lost(): void {
    if (!this.established) return this.fail();
    this.inTurn(() => this.move());
  }

  private async move(): Promise<void> {
    this.moves += 1;
    const source = this.termination.callSide;
    if (this.moves > MAX_MOVES || source === undefined || !(await this.termination.take(true))) return this.fail();
    await this.offerDevice(source);
  }

  private async offerDevice(source: string): Promise<void> {
    const sdp = await this.termination.toDevice('offer', source);
    if (this.over) return;
    this.moving = { id: this.ownId(), of: 'device' };
    this.session?.reinvite(this.moving.id, { sdp });
  }

  private async deviceMoved(answer: string | undefined): Promise<void> {
    const sdp = await this.fromDevice('answer', answer);
    if (sdp === undefined) return this.fail();
    this.offerCall(sdp);
  }

  private offerCall(sdp: string): void {
    this.moving = { id: this.ownId(), of: 'call' };
    this.tell({ type: 'reinvited', id: this.moving.id, sdp, header: () => undefined });
  }

  /** The device refused our offer, or the call did: something else is under way there, or it cannot be done. */
  private notMoved(status: number, header?: HeaderReader): void {
    this.moving = undefined;
    const delay = offerAgainMs(status, header);
    if (delay === undefined) return this.fail();
    this.cancelRetry = this.options.clock.setTimer(delay, () => {
      const source = this.termination.callSide;
      if (source !== undefined) this.inTurn(() => this.offerDevice(source));
    });
  }

  private async callMoved(status: number, sdp: string | undefined): Promise<void> {
    if (status < 200 || status >= 300) return this.notMoved(status);
    this.moving = undefined;
    this.moves = 0;
    this.tell({ type: 'acknowledged', sdp: undefined });
    const before = this.termination.callSide;
    if (sdp !== undefined && (before === undefined || !unchanged(before, sdp))) await this.offerDevice(sdp);
  }

  private async answerOnce(given: string, make: () => Promise<string | undefined>): Promise<string | undefined> {
    if (this.early !== undefined) return this.early.made;
    const made = await make();
    if (made !== undefined) this.early = { given, made };
    return made;
  }

  private ownId(): string {
    this.ownRequests += 1;
    return `${this.id}/${this.ownRequests}`;
  }

  private partOfCall(id: string): Part {
    return this.offerers.get(id) === 'call' ? 'offer' : 'answer';
  }

  private partOfDevice(id: string): Part {
    return this.offerers.get(id) === 'device' ? 'offer' : 'answer';
  }

  private async toDevice(part: Part, sdp: string | undefined): Promise<string | undefined> {
    return sdp === undefined ? undefined : this.termination.toDevice(part, sdp);
  }

  private async fromDevice(part: Part, sdp: string | undefined): Promise<string | undefined> {
    return sdp === undefined ? undefined : this.termination.fromDevice(part, sdp);
  }

  /** Nobody hears anything any more. */
  private fail(): void {
    if (this.over) return;
    this.session?.bye({ reason: formatReason(503, FAILED) });
    if (this.established || this.receiving) this.end({ type: 'ended', by: 'server', reason: FAILED });
    else this.end({ type: 'rejected', status: 503, reason: FAILED, header: () => undefined });
  }

  private end(signal: Ending): void {
    this.tell(signal);
    this.finish();
  }

  private finish(): void {
    if (this.over) return;
    this.over = true;
    this.cancelRetry?.();
    this.termination.close();
  }

  private tell(signal: SessionSignal): void {
    if (this.over) return;
    if (this.listener === undefined) this.kept.push(signal);
    else this.listener(signal);
  }

  private explain(explanation: AllocationExplanation): void {
    if (this.explained === undefined) this.explanations.push(explanation);
    else this.explained(explanation);
  }

  private inTurn(work: () => void | Promise<void>, failed = (): void => this.fail()): void {
    this.tail = this.tail
      .then(() => (this.over ? undefined : work()))
      .catch((error: unknown) => {
        if (this.over) return;
        const { log, names } = this.options;
        log.warn({ ...names, session: this.id, error: String(error) }, 'call: a media termination point failed');
        failed();
      });
  }
}

function withSdp(sdp: string | undefined): { readonly sdp?: string } {
  return sdp === undefined ? {} : { sdp };
}
