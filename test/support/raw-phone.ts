import { eventually } from './eventually';
import { passwordOf, people, domain, type PhoneName } from './cluster-config';
import { RtpListener } from './rtp-listener';
import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { bodyOf, headerOf, methodOf, randomToken, statusOf } from './sip-text';

interface Dialog {
  readonly callId: string;
  readonly own: string;
  readonly remote: string;
  readonly target: string;
  cseq: number;
}

/** Lines of a description, of a phone that listens at `127.0.0.1`; `media` are its `m=` lines and what belongs to them. */
export function description(version: number, ...media: readonly string[]): string {
  return ['v=0', `o=- 7 ${version} IN IP4 127.0.0.1`, 's=-', 'c=IN IP4 127.0.0.1', 't=0 0', ...media, ''].join('\r\n');
}

/** A phone that says word for word what the test tells it to, and keeps what it is told. One call at a time. */
export class RawPhone {
  /** Descriptions that it was given, in order, with INVITEs, 200s and ACKs. */
  readonly told: string[] = [];
  /** Its answer to an offer; empty: 488. */
  answer: (offer: string) => string = () => '';
  private dialog: Dialog | undefined;
  private readonly answered = new Map<string, string>();

  private constructor(
    readonly name: PhoneName,
    readonly peer: SipPeer,
    readonly rtp: RtpListener,
  ) {
    peer.onRequest = (request) => this.take(request);
  }

  /** Registered at the node with this SIP port. */
  static async start(scope: Scope, name: PhoneName, port: number, peer?: SipPeer): Promise<RawPhone> {
    const phone = new RawPhone(
      name,
      peer ?? (await SipPeer.udp(scope, '127.0.0.1', port)),
      await RtpListener.open(scope),
    );
    const uri = `<sip:${name}@${domain}>`;
    const register = { method: 'REGISTER', uri: `sip:${domain}`, from: uri, to: uri, headers: ['Expires: 300'] };
    const contact = phone.peer.contact(name);
    const response = await phone.peer.askWithDigest({ ...register, contact }, name, passwordOf(name));
    if (statusOf(response) !== 200) throw new Error(`${name} may not register: ${response}`);
    return phone;
  }

  /** The description that it was given last. */
  get heard(): string {
    return this.told.at(-1) ?? '';
  }

  /** Where the other end takes what it sends on the nth `m=` line. */
  towards(line = 0): { readonly address: string; readonly port: number } {
    const [session = '', ...media] = this.heard.split(/^m=/m);
    const section = media[line] ?? '';
    const address = /^c=IN IP4 (\S+)/m.exec(section)?.[1] ?? /^c=IN IP4 (\S+)/m.exec(session)?.[1] ?? '';
    return { address, port: Number(/^\w+ (\d+)/.exec(section)?.[1]) };
  }

  /** Sends a tone there. */
  say(hz: number, payloadType: 0 | 8 | 9 = 8, line = 0): void {
    const { address, port } = this.towards(line);
    this.rtp.send(hz, address, port, payloadType);
  }

  /** Resolves with the final response. */
  async call(to: PhoneName, offer: string): Promise<string> {
    const uri = `sip:${people[to].dn}@${domain}`;
    const from = `<sip:${people[this.name].dn}@${domain}>;tag=${randomToken()}`;
    const callId = randomToken();
    const contact = this.peer.contact(this.name);
    const invite = { method: 'INVITE', uri, from, callId, contact, body: offer };
    const response = await this.peer.askWithDigest(invite, this.name, passwordOf(this.name));
    if (statusOf(response) !== 200) return response;
    const cseq = Number.parseInt(headerOf(response, 'CSeq') ?? '0', 10);
    const remote = headerOf(response, 'To') ?? '';
    this.dialog = { callId, own: from, remote, target: uriIn(headerOf(response, 'Contact')), cseq };
    this.acknowledge(cseq);
    this.told.push(bodyOf(response));
    return response;
  }

  /** A re-INVITE. Resolves with the final response. */
  async reinvite(offer: string): Promise<string> {
    const response = await this.ask('INVITE', offer);
    if (statusOf(response) !== 200) return response;
    this.acknowledge(this.current.cseq);
    this.told.push(bodyOf(response));
    return response;
  }

  /** Any request in the dialog. */
  ask(method: string, body = '', headers: readonly string[] = []): Promise<string> {
    const { current } = this;
    current.cseq += 1;
    const { callId, own: from, remote: to, target: uri, cseq } = current;
    return this.peer.ask({ method, uri, from, to, callId, cseq, body, headers, contact: this.peer.contact(this.name) });
  }

  async hangUp(): Promise<void> {
    this.rtp.stopSending();
    if (this.dialog === undefined) return;
    await this.ask('BYE');
    this.dialog = undefined;
  }

  get talking(): boolean {
    return this.dialog !== undefined;
  }

  /** Waits for a description beyond the first `count`. */
  async nextTold(count: number, what = 'is told something new'): Promise<string> {
    await eventually(
      `${this.name} ${what}`,
      () => Promise.resolve(this.told.length),
      (length) => length > count,
    );
    return this.told[count] ?? '';
  }

  private get current(): Dialog {
    if (this.dialog === undefined) throw new Error(`${this.name} has no call`);
    return this.dialog;
  }

  private acknowledge(cseq: number): void {
    const { callId, own: from, remote: to, target: uri } = this.current;
    this.peer.send(this.peer.request({ method: 'ACK', uri, from, to, callId, cseq }));
  }

  private take(request: string): void {
    const method = methodOf(request);
    if (method === 'INVITE') return this.takeInvite(request);
    if (method === 'ACK') {
      if (bodyOf(request) !== '') this.told.push(bodyOf(request));
      return;
    }
    this.peer.answer(request, '200 OK');
    if (method === 'BYE' && headerOf(request, 'Call-ID') === this.dialog?.callId) this.dialog = undefined;
  }

  private takeInvite(request: string): void {
    const callId = headerOf(request, 'Call-ID') ?? '';
    const key = `${callId} ${headerOf(request, 'CSeq') ?? ''}`;
    const known = this.answered.get(key);
    if (known !== undefined) return this.reply(request, known);
    const offer = bodyOf(request);
    if (offer !== '') this.told.push(offer);
    const body = this.answer(offer);
    this.answered.set(key, body);
    if (body !== '' && this.dialog?.callId !== callId) {
      const own = `${headerOf(request, 'To') ?? ''};tag=peer`;
      const remote = headerOf(request, 'From') ?? '';
      this.dialog = { callId, own, remote, target: uriIn(headerOf(request, 'Contact')), cseq: 1000 };
    }
    this.reply(request, body);
  }

  private reply(request: string, body: string): void {
    if (body === '') this.peer.answer(request, '488 Not Acceptable Here');
    else this.peer.answer(request, '200 OK', { body });
  }
}

function uriIn(header = ''): string {
  return /<([^>]*)>/.exec(header)?.[1] ?? header;
}
