import { domain, passwordOf, people, type PhoneName } from './cluster-config';
import { eventually } from './eventually';
import type { NodeProcess } from './node-process';
import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { digestAnswer, headerOf, methodOf, randomToken, statusOf } from './sip-text';

export interface LyingPhoneOptions {
  readonly name: PhoneName;
  readonly protocol: 'udp' | 'tcp';
  /** Contact of everything that it sends, with its parameters; by default its socket's address. */
  readonly contact?: string;
  /** Further headers of INVITEs that it sends, of its 200s to INVITEs, and of its re-INVITEs. */
  readonly headers?: readonly string[];
}

/** A call as one phone sees it: what its requests in the dialog are made of. */
interface Dialog {
  readonly callId: string;
  readonly local: string;
  readonly remote: string;
  readonly target: string;
  cseq: number;
}

/**
 * A phone of plain SIP that lies as it is told about where it is, and otherwise behaves: it answers what it is asked, and
 * keeps what it receives.
 */
export class LyingPhone {
  /** How calls to it are answered. */
  behaviour: 'answers' | 'rings' | `${number} ${string}` = 'answers';
  contact: string;
  headers: readonly string[];
  private readonly registrationId = randomToken();
  private registrations = 1;
  /** The call that it is in. */
  private dialog: Dialog | undefined;
  private version = 1;

  private constructor(
    public peer: SipPeer,
    readonly name: PhoneName,
    options: LyingPhoneOptions,
  ) {
    this.contact = options.contact ?? peer.contact(name);
    this.headers = options.headers ?? [];
    this.goTo(peer);
  }

  /** It has another socket from here on; what becomes of the one before is the test's affair. */
  goTo(peer: SipPeer): void {
    this.peer = peer;
    peer.onRequest = (request) => this.take(request);
  }

  static async start(scope: Scope, node: NodeProcess, options: LyingPhoneOptions): Promise<LyingPhone> {
    const { sipPort } = node.place;
    const peer =
      options.protocol === 'tcp'
        ? await SipPeer.tcp(scope, '127.0.0.1', sipPort)
        : await SipPeer.udp(scope, '127.0.0.1', sipPort);
    return new LyingPhone(peer, options.name, options);
  }

  /** Status of the answer. */
  async register(options: { contact?: string; headers?: readonly string[]; expires?: number } = {}): Promise<number> {
    const { contact = this.contact, headers = [], expires = 120 } = options;
    const address = `<sip:${this.name}@${domain}>`;
    const request = {
      method: 'REGISTER',
      uri: `sip:${domain}`,
      from: address,
      to: address,
      callId: this.registrationId,
      cseq: (this.registrations += 2),
      headers: [`Expires: ${expires}`, ...headers],
      contact,
    };
    return statusOf(await this.peer.askWithDigest(request, this.name, passwordOf(this.name)));
  }

  /** Sends a REGISTER that answers a challenge of before, and waits for nothing. */
  sendRegister(challenged: string, contact: string): void {
    const address = `<sip:${this.name}@${domain}>`;
    const uri = `sip:${domain}`;
    const challenge = headerOf(challenged, 'WWW-Authenticate') ?? '';
    const answer = digestAnswer(challenge, 'REGISTER', uri, this.name, passwordOf(this.name));
    this.peer.send(
      this.peer.request({
        method: 'REGISTER',
        uri,
        from: address,
        to: address,
        callId: this.registrationId,
        cseq: (this.registrations += 2),
        headers: ['Expires: 120', `Authorization: ${answer}`],
        contact,
      }),
    );
  }

  /** Calls a number; the final status. An answered call is acknowledged. */
  async call(number: string, cap?: number): Promise<number> {
    const response = await this.peer.askWithDigest(
      {
        method: 'INVITE',
        uri: `sip:${number}@${domain}`,
        from: `<sip:${this.name}@${domain}>;tag=${randomToken()}`,
        body: this.description('sendrecv'),
        contact: this.contact,
        headers: this.headers,
      },
      this.name,
      passwordOf(this.name),
      cap,
    );
    const status = statusOf(response);
    if (status >= 300) return status;
    this.dialog = {
      callId: headerOf(response, 'Call-ID') ?? '',
      local: headerOf(response, 'From') ?? '',
      remote: headerOf(response, 'To') ?? '',
      target: uriOf(headerOf(response, 'Contact')),
      cseq: Number.parseInt(headerOf(response, 'CSeq') ?? '', 10),
    };
    this.send('ACK');
    return status;
  }

  /** Holds the other side with a re-INVITE, which is acknowledged; the status. */
  hold(): Promise<number> {
    return this.reinvite('sendonly');
  }

  resume(): Promise<number> {
    return this.reinvite('sendrecv');
  }

  /** Status of the answer to its BYE. */
  async hangUp(): Promise<number> {
    return statusOf(await this.send('BYE'));
  }

  /** Sends a request in the call, and waits for nothing. */
  tell(method: string, body = ''): void {
    const { dialog, peer, contact } = this;
    if (dialog === undefined) throw new Error(`${this.name} is in no call`);
    dialog.cseq += 1;
    const { callId, local: from, remote: to, target: uri, cseq } = dialog;
    peer.send(peer.request({ method, uri, from, to, callId, cseq, body, contact }));
  }

  /** Waits until a request of this method has come, `count` in all. */
  async got(method: string, count = 1, cap = 5000): Promise<string> {
    const seen = await eventually(
      `${count} ${method} at ${this.name}`,
      () => this.requests(method),
      (requests) => requests.length >= count,
      { cap, every: 10 },
    );
    return seen[count - 1] ?? '';
  }

  /** Requests that came, each once. */
  requests(method: string): string[] {
    return [...new Map(this.peer.requests(method).map((one) => [/branch=([^;\s]+)/.exec(one)?.[1], one])).values()];
  }

  /** Methods of what came, without the polls. */
  get heard(): string[] {
    return this.peer.received.flatMap((message) => methodOf(message) ?? []).filter((method) => method !== 'OPTIONS');
  }

  private async reinvite(direction: string): Promise<number> {
    const response = await this.send('INVITE', this.description(direction));
    this.send('ACK');
    return statusOf(response);
  }

  private async final(callId: string, cseq: string): Promise<string> {
    return this.peer.message(
      `an answer to ${cseq}`,
      (one) => statusOf(one) >= 200 && headerOf(one, 'Call-ID') === callId && headerOf(one, 'CSeq') === cseq,
      5000,
    );
  }

  /** A request in the dialog; its final response. */
  private send(method: 'ACK'): undefined;
  private send(method: 'INVITE' | 'BYE', body?: string): Promise<string>;
  private send(method: string, body = ''): Promise<string> | undefined {
    const { dialog } = this;
    if (dialog === undefined) throw new Error(`${this.name} is in no call`);
    if (method !== 'ACK') dialog.cseq += 1;
    const { callId, local, remote, target, cseq } = dialog;
    this.peer.send(
      this.peer.request({
        method,
        uri: target,
        from: local,
        to: remote,
        callId,
        cseq,
        body,
        contact: this.contact,
        headers: method === 'INVITE' ? this.headers : [],
      }),
    );
    return method === 'ACK' ? undefined : this.final(callId, `${cseq} ${method}`);
  }

  private take(request: string): void {
    const method = methodOf(request);
    if (method === 'ACK') return;
    const inDialog = /;tag=/i.test(headerOf(request, 'To') ?? '');
    if (method !== 'INVITE' || inDialog) {
      const body = method === 'INVITE' ? { body: this.description('sendrecv'), contact: this.contact } : {};
      this.peer.answer(request, '200 OK', body);
    } else this.takeCall(request);
  }

  private takeCall(invite: string): void {
    const tag = randomToken();
    const { behaviour, contact, headers } = this;
    if (behaviour !== 'answers') {
      return this.peer.answer(invite, behaviour === 'rings' ? '180 Ringing' : behaviour, { tag, contact, headers });
    }
    this.peer.answer(invite, '180 Ringing', { tag, contact, headers });
    this.peer.answer(invite, '200 OK', { tag, contact, headers, body: this.description('sendrecv') });
    this.dialog = {
      callId: headerOf(invite, 'Call-ID') ?? '',
      local: `${headerOf(invite, 'To') ?? ''};tag=${tag}`,
      remote: headerOf(invite, 'From') ?? '',
      target: uriOf(headerOf(invite, 'Contact')),
      cseq: 1,
    };
  }

  private description(direction: string): string {
    const port = people[this.name].node * 1000 + 40_000;
    return `v=0\r\no=raw 1 ${(this.version += 1)} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0\r\na=${direction}\r\n`;
  }
}

function uriOf(contact: string | undefined): string {
  return /<([^>]+)>/.exec(contact ?? '')?.[1] ?? contact ?? '';
}
