import { setTimeout as pause } from 'node:timers/promises';
import { getHeader } from '../../src/sip-message/headers';
import type { SipRequest, SipResponse } from '../../src/sip-message/message';
import type { ClusterFile } from './cluster-config';
import { domain, siteOf } from './cluster-config';
import type { FleetSocket, SocketUser } from './fleet/fleet-socket';
import { contactOf, contactUriOf, identityOf, newBranch, newToken, requestText, responseText } from './fleet/messages';
import { type Codec, MediaStream } from './media-stream';
import { type CallOwner, PartyCall } from './party-call';
import { type DialogName, replacedBy } from './party-messages';
import { digestAnswer } from './sip-text';

export interface MediaPartyOptions {
  readonly dn: string;
  /** Hz; what it sends. */
  readonly tone: number;
  readonly codecs: readonly Codec[];
  /** SIP port of its node. */
  readonly nodePort: number;
  readonly socket: FleetSocket;
  /** Goes on sending while it holds; default false. */
  readonly stubborn?: boolean;
}

/** What is done with a call that comes. */
export type Policy =
  | { readonly type: 'answer'; readonly afterMs: number }
  | { readonly type: 'ring' }
  | { readonly type: 'refuse'; readonly status: string; readonly afterMs: number };

const EXPIRES_S = 3600;
const PATIENCE_MS = 3000;
const NO_SUCH_CALL = '481 Call/Transaction Does Not Exist';
const PASSWORD = 'password-of-the-parties';

/** The device of a party. `codecs`: configured for it; left out: it has to be learned. */
export function addParty(file: ClusterFile, dn: string, node: number, codecs?: readonly Codec[]): void {
  file.devices.push({
    name: `party-${dn}`,
    username: dn,
    password: PASSWORD,
    lines: [dn],
    site: siteOf(node),
    ...(codecs === undefined ? {} : { codecs: [...codecs, 'telephone-event'] }),
  });
}

/** A phone in this process with several calls, whose sound is RTP of tones: cheap enough for hundreds. */
export class MediaParty implements SocketUser, CallOwner {
  policy: Policy = { type: 'answer', afterMs: 0 };
  /** So often it was called since it was tidied up. */
  invitations = 0;
  /** Called with the time of each packet of RTP that it gets, in whichever call. */
  onSound: ((at: number) => void) | undefined;
  private nodePort: number;
  /** All that are not over. */
  private readonly calls = new Map<string, PartyCall>();
  /** Call-IDs of calls that have just come. */
  private readonly arriving = new Set<string>();
  private readonly callId = newToken();
  private readonly tag = newToken();
  private cseq = 0;
  private challenge: { readonly text: string; count: number } | undefined;

  constructor(readonly options: MediaPartyOptions) {
    this.nodePort = options.nodePort;
    options.socket.add(this);
  }

  get dn(): string {
    return this.options.dn;
  }

  get port(): number {
    return this.options.socket.port;
  }

  get contact(): string {
    return contactOf(this);
  }

  get socket(): FleetSocket {
    return this.options.socket;
  }

  get stubborn(): boolean {
    return this.options.stubborn ?? false;
  }

  get tone(): number {
    return this.options.tone;
  }

  authorize(method: string, uri: string): string | undefined {
    const { challenge } = this;
    if (challenge === undefined) return undefined;
    challenge.count += 1;
    return digestAnswer(challenge.text, method, uri, this.dn, PASSWORD, challenge.count);
  }

  challenged(text: string): void {
    this.challenge = { text, count: 0 };
  }

  /** It has noticed that its node is gone: it goes to another one. Its calls stay what they are. */
  async moveTo(nodePort: number): Promise<void> {
    this.nodePort = nodePort;
    this.nodeLost();
    await this.register();
  }

  /** Resolves with the 200; tries until then. */
  async register(cap = 60_000): Promise<void> {
    const deadline = Date.now() + cap;
    for (let last = 0; Date.now() < deadline;) {
      const response = await this.sendRegister();
      if (response?.status === 200) return;
      if (response?.status === 401) this.challenged(getHeader(response, 'WWW-Authenticate') ?? '');
      if (response?.status !== 401 || last === 401) await pause(200);
      last = response?.status ?? 0;
    }
    throw new Error(`${this.dn} could not register within ${cap} ms`);
  }

  private sendRegister(): Promise<SipResponse | undefined> {
    const uri = `sip:${domain}`;
    const authorization = this.authorize('REGISTER', uri);
    this.cseq += 1;
    const branch = newBranch();
    const text = requestText(this, {
      method: 'REGISTER',
      uri,
      branch,
      from: `${identityOf(this.dn)};tag=${this.tag}`,
      to: identityOf(this.dn),
      callId: this.callId,
      cseq: this.cseq,
      headers: [
        `Contact: <${this.contact}>`,
        `Expires: ${EXPIRES_S}`,
        ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
      ],
    });
    return new Promise((resolve) => {
      this.socket.start({
        branch,
        text,
        port: this.nodePort,
        patienceMs: PATIENCE_MS,
        response: (response) => {
          if (response.status >= 200) resolve(response);
        },
        silent: () => resolve(undefined),
      });
    });
  }

  /** Calls a number; `answered` resolves with the final status, 0: none came. */
  async call(
    number: string,
    headers: readonly string[] = [],
  ): Promise<{ readonly call: PartyCall; readonly answered: Promise<number> }> {
    const stream = await MediaStream.open(this.tone);
    const uri = `sip:${number}@${domain}`;
    const local = `${identityOf(this.dn)};tag=${newToken()}`;
    const place = { callId: newToken(), local, remote: `<${uri}>`, target: '' };
    const call = new PartyCall(this, this.nodePort, stream, this.options.codecs, place);
    stream.onPacket = ({ at }) => this.onSound?.(at);
    this.calls.set(call.callId, call);
    return { call, answered: call.invite(uri, headers) };
  }

  /** Calls that are not over. */
  get open(): readonly PartyCall[] {
    return [...this.calls.values()].filter(({ state }) => state !== 'ended');
  }

  /** The one that began last. */
  get latest(): PartyCall | undefined {
    return this.open.at(-1);
  }

  requested(request: SipRequest, port: number): void {
    const call = this.calls.get(getHeader(request, 'Call-ID') ?? '');
    switch (request.method) {
      case 'INVITE':
        if (call !== undefined) return call.invited(request);
        if (/;\s*tag=/i.test(getHeader(request, 'To') ?? '')) break;
        void this.receive(request);
        return;
      case 'ACK':
        return call?.acknowledged(request);
      case 'BYE':
        if (call !== undefined) return call.byeReceived(request);
        break;
      case 'CANCEL':
        if (call !== undefined) return call.wasCancelled(request);
        break;
      case 'NOTIFY':
      case 'UPDATE':
      case 'INFO':
        if (call !== undefined) return call.requested(request);
        break;
      case 'OPTIONS':
        return this.respond(request, port, '200 OK');
      default:
        return this.respond(request, port, '405 Method Not Allowed');
    }
    this.respond(request, port, NO_SUCH_CALL);
  }

  strayResponse(response: SipResponse): void {
    this.calls.get(getHeader(response, 'Call-ID') ?? '')?.strayResponse(response);
  }

  /** Its node is gone, and the phone has noticed: nothing that it was asked will be answered. */
  nodeLost(): void {
    for (const call of this.calls.values()) call.nodeLost();
  }

  /** Forgets calls that are over. */
  tidy(): void {
    this.invitations = 0;
    for (const [id, call] of this.calls) if (call.state === 'ended') this.calls.delete(id);
  }

  close(): void {
    for (const call of this.calls.values()) call.over(0);
  }

  private async receive(request: SipRequest): Promise<void> {
    const callId = getHeader(request, 'Call-ID') ?? '';
    if (this.arriving.has(callId)) return;
    this.arriving.add(callId);
    this.invitations += 1;
    const { policy } = this;
    const stream = await MediaStream.open(this.tone);
    this.arriving.delete(callId);
    const place = {
      callId,
      local: `${getHeader(request, 'To') ?? ''};tag=${newToken()}`,
      remote: getHeader(request, 'From') ?? '',
      target: contactUriOf(request) ?? '',
    };
    const call = new PartyCall(this, this.nodePort, stream, this.options.codecs, place);
    stream.onPacket = ({ at }) => this.onSound?.(at);
    const asked = replacedBy(request);
    const replaced = asked === undefined ? undefined : this.named(asked);
    this.calls.set(callId, call);
    call.invited(request);
    if (asked !== undefined) return replaced === undefined ? call.refuse(NO_SUCH_CALL) : this.replace(replaced, call);
    if (policy.type === 'ring') return;
    if (policy.afterMs > 0) await pause(policy.afterMs);
    if (call.state !== 'ringing') return;
    if (policy.type === 'answer') call.accept();
    else call.refuse(policy.status);
  }

  private named({ callId, localTag, remoteTag }: DialogName): PartyCall | undefined {
    const isIt = ({ dialog }: PartyCall): boolean => dialog.localTag === localTag && dialog.remoteTag === remoteTag;
    return this.open.find((call) => call.callId === callId && isIt(call));
  }

  /** RFC 3891 §3: the new call is taken without ringing, and the old one ended with BYE. */
  private replace(old: PartyCall, call: PartyCall): void {
    call.accept();
    void old.hangUp();
  }

  private respond(request: SipRequest, port: number, status: string): void {
    this.socket.send(responseText(request, status, { tag: newToken(), headers: [`Contact: <${this.contact}>`] }), port);
  }
}
