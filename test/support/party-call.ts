import { setTimeout as pause } from 'node:timers/promises';
import { parseCSeq } from '../../src/sip-message/cseq';
import { getHeader } from '../../src/sip-message/headers';
import type { SipMessage, SipRequest, SipResponse } from '../../src/sip-message/message';
import type { FleetSocket } from './fleet/fleet-socket';
import { branchOf, contactUriOf, newBranch, newToken, requestText, responseText } from './fleet/messages';
import type { Codec, Heard, MediaStream } from './media-stream';
import { ackOf, ackOfRefusal, dialogOf, type DialogName, type Place, Referral, tagOf } from './party-messages';
import { answerDirection, complete, describe, type Hold, readSdp, type RemoteAudio } from './party-sdp';

/** What a call wants of its party. */
export interface CallOwner {
  readonly dn: string;
  readonly port: number;
  readonly contact: string;
  readonly socket: FleetSocket;
  /** Goes on sending to the other end while it holds, as some phones do. */
  readonly stubborn: boolean;
  authorize(method: string, uri: string): string | undefined;
  challenged(challenge: string): void;
}

/** Nothing at all came in this time: the node is given up, ms. */
const SILENCE_MS = 8_000;
/** The whole of an INVITE, ms. */
const FINAL_MS = 45_000;
const OK_AGAIN_MS = [500, 1000, 2000, 4000, 4000, 4000, 4000];
const ABILITIES = ['Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER', 'Supported: replaces'];
const MAX_TRIES = 8;

/** One call of a party: a dialog of SIP, and a stream of RTP. */
export class PartyCall {
  state: 'calling' | 'ringing' | 'up' | 'ended' = 'calling';
  hold: Hold = 'none';
  codecs: readonly Codec[];
  remoteAudio: RemoteAudio | undefined;
  /** Why our INVITE was refused, or theirs cancelled, as the node says it. */
  reason = '';
  /** The number of who is at the other end, as it was told last; undefined: never. */
  connectedWith: string | undefined;
  /** Statuses of our re-INVITEs, 0 for none. */
  readonly statuses: number[] = [];
  /** Requests of the other end in the dialog that are neither INVITE nor BYE. */
  readonly requests: SipRequest[] = [];
  /** Of the last REFER of ours. */
  referral = new Referral();
  /** The statuses with which our first INVITE was answered before its final one. */
  readonly provisionals: number[] = [];
  /** Ports that the other end has named for sending only: music comes from there. */
  private readonly musicPorts = new Set<number>();
  private cseq = 1;
  private version = 0;
  private body = '';
  private place: Place;
  /** To of the early dialog that our INVITE has made last. */
  private early: string | undefined;
  private offering: { readonly branch: string; readonly text: string } | undefined;
  private cancelled = false;
  /** Ends the wait for the final response to the request with this branch. */
  private pending: { readonly branch: string; readonly finish: (response?: SipResponse) => void } | undefined;
  /** The INVITE that we have not answered finally, or the answer that is not acknowledged yet. */
  private incoming:
    { readonly request: SipRequest; answer: string | undefined; timer: NodeJS.Timeout | undefined } | undefined;

  constructor(
    private readonly owner: CallOwner,
    private readonly nodePort: number,
    readonly stream: MediaStream,
    codecs: readonly Codec[],
    place: Place,
  ) {
    this.codecs = codecs;
    this.place = place;
  }

  get callId(): string {
    return this.place.callId;
  }

  /** The other end, as it was written in the INVITE. */
  get peer(): string {
    return this.place.remote;
  }

  /** As this end names it. */
  get dialog(): DialogName {
    return dialogOf({ ...this.place, remote: this.early ?? this.place.remote });
  }

  get up(): boolean {
    return this.state === 'up';
  }

  /** Our re-INVITE is on its way, or the answer to theirs not acknowledged. */
  get busy(): boolean {
    return this.offering !== undefined || this.incoming !== undefined;
  }

  /** Where it stands, for a report. */
  told(): string {
    const { state, hold, codecs, remoteAudio, stream, busy } = this;
    const heard = stream.last(400).map(({ port, payloadType }) => `${payloadType} from ${port}`);
    return JSON.stringify({ state, hold, codecs, remoteAudio, port: stream.port, busy, heard: [...new Set(heard)] });
  }

  heard(tone: number, ms?: number): Heard {
    return this.stream.heard(tone, (port) => this.musicPorts.has(port), ms);
  }

  /** The first INVITE; resolves with the final status, 0: none came. */
  async invite(uri: string, headers: readonly string[] = []): Promise<number> {
    const body = this.describe();
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const { response, text } = await this.sendInvite(uri, body, headers);
      if (response === undefined) return this.over(0);
      if (response.status < 300) return this.established(response);
      this.acknowledgeRefusal(text, response);
      this.reason = getHeader(response, 'Reason') ?? '';
      if (response.status !== 407 || this.cancelled) return this.over(response.status);
      this.owner.challenged(getHeader(response, 'Proxy-Authenticate') ?? '');
      this.cseq += 1;
    }
    return this.over(407);
  }

  /** CANCEL of the first INVITE; once it is answered, BYE. */
  cancel(): void {
    this.cancelled = true;
    if (this.state !== 'calling' || this.offering === undefined) return;
    const { branch, text } = this.offering;
    const uri = text.split(' ')[1] ?? '';
    const { local: from, remote: to, callId } = this.place;
    const cancel = requestText(this.owner, { method: 'CANCEL', uri, branch, from, to, callId, cseq: this.cseq });
    // Its response has the branch of the INVITE: only the INVITE's own is waited for.
    this.owner.socket.send(cancel, this.nodePort);
  }

  /** Changes hold or codecs; resolves with the final status, 0: none came. What is refused is taken back. */
  async change(wish: { readonly hold?: Hold; readonly codecs?: readonly Codec[] }): Promise<number> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      if (!(await this.untilFree())) break;
      const before = { hold: this.hold, codecs: this.codecs };
      this.hold = wish.hold ?? this.hold;
      this.codecs = wish.codecs ?? this.codecs;
      const status = await this.reinvite();
      this.statuses.push(status);
      if (status >= 200 && status < 300) return status;
      this.hold = before.hold;
      this.codecs = before.codecs;
      if (status === 0 || status === 481 || status === 408) this.over(status);
      if (status !== 491 && status !== 500) return status;
      // RFC 3261 §14.1: the other end made the Call-ID, or we did.
      await pause(500 + Math.random() * 1500);
    }
    return 0;
  }

  /** False: the call is over. */
  private async untilFree(): Promise<boolean> {
    for (let waits = 0; this.busy && waits < 400; waits++) await pause(20);
    return this.up;
  }

  private async reinvite(): Promise<number> {
    this.cseq += 1;
    const { response, text } = await this.sendInvite(this.place.target, this.describe());
    if (response === undefined) return 0;
    if (response.status >= 300) this.acknowledgeRefusal(text, response);
    else this.established(response);
    return response.status;
  }

  /** BYE; resolves when it is answered, or given up. */
  async hangUp(): Promise<number> {
    if (this.state === 'calling') {
      this.cancel();
      return 487;
    }
    if (this.state === 'ringing') this.refuse('486 Busy Here');
    if (this.state !== 'up') return 481;
    this.over(200);
    return this.bye();
  }

  private async bye(): Promise<number> {
    this.cseq += 1;
    const response = await this.transaction('BYE', this.place.target);
    return response?.status ?? 0;
  }

  /** Any other request in the dialog; resolves with the final response. */
  async ask(method: string, headers: readonly string[]): Promise<SipResponse | undefined> {
    this.cseq += 1;
    return this.transaction(method, this.place.target, { headers });
  }

  /** Asks the node to have somebody else called in our place; resolves with the final status, 0: none came. `referral` tells the rest. */
  async refer(referTo: string, headers: readonly string[] = []): Promise<number> {
    this.referral = new Referral();
    const response = await this.ask('REFER', [`Refer-To: ${referTo}`, ...headers]);
    return response?.status ?? 0;
  }

  /** A request of the other end that is neither INVITE nor BYE nor CANCEL. */
  requested(request: SipRequest): void {
    const again = this.requests.some((before) => branchOf(before) === branchOf(request));
    if (!again) this.requests.push(request);
    if (!again && request.method === 'NOTIFY') this.referral.notified(request);
    this.respond(request, '200 OK');
  }

  /** An INVITE of this call, its first or a later one. */
  invited(request: SipRequest): void {
    this.toldOf(request);
    const { incoming } = this;
    if (incoming !== undefined && branchOf(incoming.request) === branchOf(request)) {
      if (incoming.answer !== undefined) this.owner.socket.send(incoming.answer, this.nodePort);
      return;
    }
    if (this.offering !== undefined) return this.respond(request, '491 Request Pending');
    if (this.state === 'ended') return this.respond(request, '481 Call/Transaction Does Not Exist');
    this.stopAnswering();
    this.incoming = { request, answer: undefined, timer: undefined };
    if (this.state === 'up') return this.accept();
    this.state = 'ringing';
    this.respond(request, '180 Ringing');
  }

  /** Answers the INVITE that has come. */
  accept(): void {
    const { incoming } = this;
    if (incoming === undefined || incoming.answer !== undefined) return;
    const { request } = incoming;
    const offer = request.body.toString();
    const audio = readSdp(offer);
    if (offer !== '' && (audio === undefined || this.common(audio).length === 0))
      return this.refuse('488 Not Acceptable Here');
    this.place = { ...this.place, target: contactUriOf(request) ?? this.place.target };
    const body = audio === undefined ? this.describe() : this.answerTo(audio);
    incoming.answer = this.response(request, '200 OK', body);
    this.state = 'up';
    this.owner.socket.send(incoming.answer, this.nodePort);
    this.answerAgain(incoming.answer, 0);
    if (audio !== undefined) this.apply(audio);
  }

  refuse(status: string): void {
    const { incoming } = this;
    if (incoming === undefined) return;
    this.incoming = undefined;
    this.respond(incoming.request, status);
    if (this.state === 'ringing') this.over(0);
  }

  acknowledged(request: SipRequest): void {
    if (this.incoming?.answer === undefined) return;
    const sent = parseCSeq(getHeader(this.incoming.request, 'CSeq') ?? '')?.number;
    if (parseCSeq(getHeader(request, 'CSeq') ?? '')?.number !== sent) return;
    this.stopAnswering();
    const audio = readSdp(request.body.toString());
    if (audio !== undefined) this.apply(audio);
  }

  wasCancelled(request: SipRequest): void {
    this.reason = getHeader(request, 'Reason') ?? '';
    this.respond(request, '200 OK');
    if (this.state === 'ringing') this.refuse('487 Request Terminated');
  }

  /** BYE of the other end. */
  byeReceived(request: SipRequest): void {
    this.respond(request, '200 OK');
    this.over(200);
  }

  /**
   * A response that the socket waits for no more: to an INVITE whose CANCEL was answered before; a 200 that came again because our
   * ACK was lost, or after we had given up.
   */
  strayResponse(response: SipResponse): void {
    const cseq = parseCSeq(getHeader(response, 'CSeq') ?? '');
    if (cseq?.method !== 'INVITE' || response.status < 200) return;
    if (this.pending?.branch === branchOf(response)) return this.pending.finish(response);
    if (response.status >= 300) return;
    this.place = { ...this.place, remote: getHeader(response, 'To') ?? this.place.remote };
    this.acknowledge(response, cseq.number);
    if (this.state === 'ended') void this.bye();
  }

  /** The node is gone: no answer to what was sent will come. */
  nodeLost(): void {
    this.pending?.finish();
  }

  /** Without a word. */
  over(status: number): number {
    if (this.state === 'ended') return status;
    this.state = 'ended';
    this.stopAnswering();
    this.stream.close();
    return status;
  }

  private rung(response: SipResponse): void {
    this.provisionals.push(response.status);
    this.early = getHeader(response, 'To');
  }

  private toldOf(message: SipMessage): void {
    this.connectedWith =
      /sip:([^@]+)@/.exec(getHeader(message, 'P-Asserted-Identity') ?? '')?.[1] ?? this.connectedWith;
  }

  private established(response: SipResponse): number {
    this.toldOf(response);
    const remote = getHeader(response, 'To') ?? this.place.remote;
    this.place = { ...this.place, remote, target: contactUriOf(response) ?? this.place.target };
    this.early = undefined;
    this.acknowledge(response, this.cseq);
    const audio = readSdp(response.body.toString());
    if (this.state === 'calling') this.state = 'up';
    if (audio !== undefined && this.up) this.apply(audio);
    if (this.cancelled) void this.hangUp();
    return this.state === 'ended' && !this.cancelled ? 0 : response.status;
  }

  private async sendInvite(
    uri: string,
    body: string,
    headers: readonly string[] = [],
  ): Promise<{ response: SipResponse | undefined; text: string }> {
    let text = '';
    const response = await this.transaction('INVITE', uri, { body, headers }, (sent) => (text = sent));
    this.offering = undefined;
    return { response, text };
  }

  /** Resolves with the final response; undefined: none came. */
  private transaction(
    method: string,
    uri: string,
    { body = '', headers: more = [] }: { readonly body?: string; readonly headers?: readonly string[] } = {},
    sent: (text: string) => void = () => undefined,
  ): Promise<SipResponse | undefined> {
    const branch = newBranch();
    const { local: from, remote: to, callId } = this.place;
    const authorization = this.place.target === '' ? this.owner.authorize(method, uri) : undefined;
    const headers = [
      `Contact: <${this.owner.contact}>`,
      ...ABILITIES,
      ...more,
      ...(authorization === undefined ? [] : [`Proxy-Authorization: ${authorization}`]),
    ];
    const text = requestText(this.owner, { method, uri, branch, from, to, callId, cseq: this.cseq, headers, body });
    sent(text);
    if (method === 'INVITE') this.offering = { branch, text };
    return new Promise((resolve) => {
      const timer = setTimeout(() => finish(), FINAL_MS);
      const finish = (response?: SipResponse): void => {
        clearTimeout(timer);
        if (this.pending?.branch === branch) this.pending = undefined;
        this.owner.socket.forget(branch);
        resolve(response);
      };
      this.pending = { branch, finish };
      this.owner.socket.start({
        branch,
        text,
        port: this.nodePort,
        patienceMs: SILENCE_MS,
        response: (response) => {
          const answers = parseCSeq(getHeader(response, 'CSeq') ?? '')?.method === method;
          if (response.status >= 200 && answers) finish(response);
          else if (response.status > 100 && this.state === 'calling') this.rung(response);
        },
        silent: () => finish(),
      });
    });
  }

  private acknowledge(response: SipResponse, cseq: number): void {
    this.owner.socket.send(ackOf(this.owner, this.place, response, cseq), this.nodePort);
  }

  private acknowledgeRefusal(invite: string, response: SipResponse): void {
    this.owner.socket.send(ackOfRefusal(this.owner, this.place, invite, response), this.nodePort);
  }

  private common(audio: RemoteAudio): readonly Codec[] {
    return this.codecs.filter((codec) => audio.codecs.includes(codec));
  }

  private answerTo(audio: RemoteAudio): string {
    const codecs = this.common(audio).slice(0, 1);
    return this.versioned(describe(this.stream.port, codecs, this.hold, answerDirection(this.hold, audio.direction)));
  }

  private describe(): string {
    return this.versioned(describe(this.stream.port, this.codecs, this.hold));
  }

  private versioned(body: string): string {
    if (body !== this.body) this.version += 1;
    this.body = body;
    return complete(body, this.version);
  }

  /** Sends where the other end listens. */
  private apply(audio: RemoteAudio): void {
    this.remoteAudio = audio;
    if (audio.direction === 'sendonly') this.musicPorts.add(audio.port);
    else if (audio.direction === 'sendrecv') this.musicPorts.delete(audio.port);
    const codec = this.common(audio)[0];
    const listens = audio.direction === 'sendrecv' || audio.direction === 'recvonly';
    const sends = this.owner.stubborn || (this.hold === 'none' && listens);
    if (codec === undefined || audio.port < 1024 || audio.address === '0.0.0.0' || !sends) return this.stream.mute();
    this.stream.send(codec, audio.address, audio.port);
  }

  /** RFC 3261 §13.3.1.4: the 200 is repeated until the ACK comes; without one the call ends. */
  private answerAgain(answer: string, round: number): void {
    const { incoming } = this;
    if (incoming?.answer !== answer) return;
    const wait = OK_AGAIN_MS[round];
    if (wait === undefined) {
      this.incoming = undefined;
      void this.hangUp();
      return;
    }
    incoming.timer = setTimeout(() => {
      if (this.incoming !== incoming) return;
      this.owner.socket.send(answer, this.nodePort);
      this.answerAgain(answer, round + 1);
    }, wait);
  }

  private stopAnswering(): void {
    clearTimeout(this.incoming?.timer);
    this.incoming = undefined;
  }

  private respond(request: SipRequest, status: string): void {
    this.owner.socket.send(this.response(request, status, ''), this.nodePort);
  }

  private response(request: SipRequest, status: string, body: string): string {
    const tag = tagOf(this.place.local) || newToken();
    return responseText(request, status, { tag, headers: [`Contact: <${this.owner.contact}>`, ...ABILITIES], body });
  }
}
