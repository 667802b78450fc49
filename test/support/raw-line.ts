import { domain, passwordOf, people, type PhoneName } from './cluster-config';
import type { Scope } from './scope';
import { eventually } from './eventually';
import { SipPeer } from './sip-peer';
import { digestAnswer, headerOf, methodOf, randomToken, statusOf } from './sip-text';

export interface RawMessage {
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** A G.711 description; what it names is not listened to. */
export function plainSdp(port = 40_000, direction = 'sendrecv'): string {
  return [
    'v=0',
    `o=raw 1 ${(version += 1)} IN IP4 127.0.0.1`,
    's=-',
    'c=IN IP4 127.0.0.1',
    't=0 0',
    `m=audio ${port} RTP/AVP 0`,
    `a=${direction}`,
    '',
  ].join('\r\n');
}
let version = 0;

/**
 * One end of calls, of plain SIP over UDP: a phone with an account, or a gateway that is known by its address. It says what it is told
 * to, message by message; what nobody has told it about it answers with 200.
 */
export class RawLine {
  /** Requests that are not to be answered with 200; true: taken care of. */
  onRequest: (request: string) => boolean = () => false;

  private constructor(
    readonly peer: SipPeer,
    /** User part of its Contact and From. */
    readonly user: string,
    /** Undefined: it is not asked for credentials. */
    private readonly account?: { readonly name: string; readonly password: string },
  ) {
    peer.onRequest = (request) => {
      const method = methodOf(request);
      if (method === 'ACK' || this.onRequest(request)) return;
      if (method === 'INVITE' && !/;tag=/i.test(headerOf(request, 'To') ?? '')) return;
      peer.answer(request, '200 OK', method === 'INVITE' ? { body: plainSdp() } : {});
    };
  }

  /** A phone that registers with the node with this SIP port. */
  static async phone(scope: Scope, name: PhoneName, nodePort: number): Promise<RawLine> {
    const peer = await SipPeer.udp(scope, '127.0.0.1', nodePort);
    const line = new RawLine(peer, people[name].dn, { name, password: passwordOf(name) });
    await line.register(300);
    return line;
  }

  /** Takes its binding away. */
  leave(): Promise<void> {
    return this.register(0);
  }

  private async register(expires: number): Promise<void> {
    const { name = '', password = '' } = this.account ?? {};
    const address = `<sip:${name}@${domain}>`;
    const headers = [`Expires: ${expires}`];
    const request = { method: 'REGISTER', uri: `sip:${domain}`, from: address, to: address, headers };
    const response = await this.peer.askWithDigest({ ...request, contact: this.contact }, name, password);
    if (statusOf(response) !== 200) throw new Error(`${name} may not register: ${response}`);
  }

  /** A gateway on its port, that calls through the node with this SIP port. */
  static async gateway(scope: Scope, ownPort: number, nodePort: number): Promise<RawLine> {
    const peer = await SipPeer.udp(scope, '127.0.0.1', nodePort, '127.0.0.1', ownPort);
    return new RawLine(peer, '2145550100');
  }

  get contact(): string {
    return this.peer.contact(this.account?.name ?? this.user);
  }

  /** Sends an INVITE, with credentials when it is asked for them. Resolves when the call has begun to be treated, or is refused. */
  async call(number: string, { headers = [], body = plainSdp() }: RawMessage = {}): Promise<RawCall> {
    const uri = `sip:${number}@${domain}`;
    const callId = randomToken();
    const from = `<sip:${this.user}@${domain}>;tag=${randomToken()}`;
    const common = { method: 'INVITE', uri, from, callId, contact: this.contact, body };
    const ends = { callId, local: from, remote: `<${uri}>`, target: uri };
    const first = this.peer.request({ ...common, cseq: 1, headers });
    this.peer.send(first);
    if (this.account === undefined) return new RawCall(this, first, { ...ends, cseq: 1 });
    const { name, password } = this.account;
    const refused = await this.peer.message(
      'an answer to an INVITE without credentials',
      (one) => answers(one, callId, '1 INVITE') && statusOf(one) > 100,
    );
    if (statusOf(refused) !== 407) return new RawCall(this, first, { ...ends, cseq: 1 });
    acknowledgeRefusal(this.peer, first, refused);
    const answer = digestAnswer(headerOf(refused, 'Proxy-Authenticate') ?? '', 'INVITE', uri, name, password);
    const second = this.peer.request({
      ...common,
      cseq: 2,
      headers: [...headers, `Proxy-Authorization: ${answer}`],
    });
    this.peer.send(second);
    return new RawCall(this, second, { ...ends, cseq: 2 });
  }

  /** The next INVITE of a call to it, beyond the first `count`. */
  async called(count = this.invites.length): Promise<RawCall> {
    const invites = await eventually(
      `${this.user} is called`,
      () => this.invites,
      (all) => all.length > count,
      { cap: 5000, every: 5 },
    );
    const invite = invites[count] ?? '';
    const local = `${headerOf(invite, 'To') ?? ''};tag=${randomToken()}`;
    return new RawCall(this, invite, {
      callId: headerOf(invite, 'Call-ID') ?? '',
      local,
      remote: headerOf(invite, 'From') ?? '',
      target: uriOf(headerOf(invite, 'Contact')),
      cseq: 500,
    });
  }

  /** INVITEs of calls to it, each once. */
  get invites(): string[] {
    const first = this.peer.requests('INVITE').filter((invite) => !/;tag=/i.test(headerOf(invite, 'To') ?? ''));
    return [
      ...new Map(
        first.map((invite) => [`${headerOf(invite, 'Call-ID')} ${headerOf(invite, 'CSeq')}`, invite]),
      ).values(),
    ];
  }
}

function answers(message: string, callId: string, cseq: string): boolean {
  return statusOf(message) > 0 && headerOf(message, 'Call-ID') === callId && headerOf(message, 'CSeq') === cseq;
}

/** ACK of a refusal: same branch, the To of the response (RFC 3261 §17.1.1.3). */
function acknowledgeRefusal(peer: SipPeer, invite: string, response: string): void {
  peer.send(derived(invite, 'ACK', [`To: ${headerOf(response, 'To') ?? ''}`]));
}

/** An ACK or CANCEL of an INVITE. */
function derived(invite: string, method: 'ACK' | 'CANCEL', more: readonly string[]): string {
  const [start = '', ...lines] = (invite.split('\r\n\r\n')[0] ?? '').split('\r\n');
  const kept = lines.filter((line) => /^(Via|Max-Forwards|From|Call-ID|Route):/i.test(line));
  const to = method === 'CANCEL' ? [`To: ${headerOf(invite, 'To') ?? ''}`] : [];
  const cseq = `CSeq: ${(headerOf(invite, 'CSeq') ?? '').replace('INVITE', method)}`;
  return [start.replace(/^INVITE/, method), ...kept, ...to, cseq, ...more, 'Content-Length: 0', '', ''].join('\r\n');
}

/** One call as one end sees it. */
export class RawCall {
  constructor(
    readonly line: RawLine,
    /** As it was sent, or received. */
    readonly invite: string,
    private readonly ends: {
      readonly callId: string;
      readonly local: string;
      remote: string;
      target: string;
      cseq: number;
    },
  ) {}

  get callId(): string {
    return this.ends.callId;
  }

  /** Responses to the INVITE that it has sent. */
  get responses(): string[] {
    return this.line.peer.received.filter((one) => answers(one, this.callId, headerOf(this.invite, 'CSeq') ?? ''));
  }

  /** Takes the dialog of the last provisional response: requests can be sent in it. */
  hears(): void {
    const response = this.responses.findLast((one) => statusOf(one) > 100) ?? '';
    this.ends.remote = headerOf(response, 'To') ?? '';
    this.ends.target = uriOf(headerOf(response, 'Contact'));
  }

  /** The final response to the INVITE that it has sent; acknowledged unless told otherwise. */
  async final(acknowledge = true): Promise<string> {
    const responses = await eventually(
      'a final response',
      () => this.responses,
      (all) => all.some((one) => statusOf(one) >= 200),
      { cap: 10_000, every: 5 },
    );
    const response = responses.find((one) => statusOf(one) >= 200) ?? '';
    if (statusOf(response) >= 300) {
      if (acknowledge) this.acknowledgeRefusal(response);
    } else {
      this.ends.remote = headerOf(response, 'To') ?? '';
      this.ends.target = uriOf(headerOf(response, 'Contact'));
      if (acknowledge) this.acknowledge();
    }
    return response;
  }

  acknowledgeRefusal(response: string): void {
    acknowledgeRefusal(this.line.peer, this.invite, response);
  }

  /** Answers the INVITE that it has received. */
  answer(status: string, message: RawMessage = {}): void {
    const tag = /;tag=(.*)$/.exec(this.ends.local)?.[1] ?? '';
    this.line.peer.answer(this.invite, status, { tag, contact: this.line.contact, ...message });
  }

  cancel(reasons: readonly string[] = []): void {
    this.line.peer.send(derived(this.invite, 'CANCEL', reasons));
  }

  /** A request in the dialog; its final response, acknowledged when it is one to an INVITE. */
  async ask(method: string, { headers = [], body = '' }: RawMessage = {}): Promise<string> {
    const { ends, line } = this;
    ends.cseq += 1;
    const { callId, local: from, remote: to, target: uri, cseq } = ends;
    const { contact, peer } = line;
    const response = await peer.ask({ method, uri, from, to, callId, cseq, headers, body, contact }, 10_000);
    if (method === 'INVITE' && statusOf(response) < 300) this.acknowledge();
    return response;
  }

  /** The next request of the other end, beyond the first `count` of its method. */
  async got(method: string, count = 0, cap = 5000): Promise<string> {
    const requests = await eventually(
      `${method} at ${this.line.user}`,
      () => this.requests(method),
      (all) => all.length > count,
      { cap, every: 5 },
    );
    return requests[count] ?? '';
  }

  /** Requests of the other end in this call, each once. */
  requests(method: string): string[] {
    const own = this.line.peer.requests(method).filter((one) => headerOf(one, 'Call-ID') === this.callId);
    return [...new Map(own.map((one) => [headerOf(one, 'CSeq'), one])).values()];
  }

  private acknowledge(): void {
    const { callId, local: from, remote: to, target: uri, cseq } = this.ends;
    this.line.peer.send(this.line.peer.request({ method: 'ACK', uri, from, to, callId, cseq }));
  }
}

function uriOf(contact: string | undefined): string {
  return /<([^>]+)>/.exec(contact ?? '')?.[1] ?? contact ?? '';
}
