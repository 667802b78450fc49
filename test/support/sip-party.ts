import { RtpListener } from './rtp-listener';
import type { Scope } from './scope';
import { SipPeer } from './sip-peer';
import { headerOf, methodOf, randomToken, statusOf } from './sip-text';
import { eventually } from './eventually';

export interface SipPartyOptions {
  readonly username: string;
  readonly password: string;
  readonly domain: string;
  /** SIP port of its node, on its own address. */
  readonly port: number;
  /** Of its own and of its node; default 127.0.0.1. */
  readonly address?: string;
  /** Its line. */
  readonly number: string;
  /** Hz; what it sends. */
  readonly tone: number;
  /** 0 is PCMU, 8 is PCMA; it sends the first, when it may. */
  readonly payloadTypes?: readonly (0 | 8)[];
  /** It begins calls without an offer. */
  readonly delayed?: boolean;
  /** It keeps to the first description of the dialog that is confirmed, whatever the 200 says (RFC 3261 section 13.2.1). */
  readonly strict?: boolean;
  /** More headers of its REGISTER. */
  readonly registerHeaders?: readonly string[];
}

interface Dialog {
  readonly callId: string;
  readonly own: string;
  readonly remote: string;
  readonly target: string;
  cseq: number;
}

const NAMES = new Map([
  [0, 'PCMU'],
  [8, 'PCMA'],
]);

/** A phone of G.711 in this process: cheap enough for dozens. It answers every call and every re-INVITE, and hears what arrives. */
export class SipParty {
  private version = 1;
  private dialog: Dialog | undefined;
  private direction: 'sendrecv' | 'sendonly' = 'sendrecv';
  private readonly answered = new Map<string, string>();
  private payloadTypes: readonly (0 | 8)[];

  private constructor(
    readonly options: SipPartyOptions,
    readonly peer: SipPeer,
    readonly rtp: RtpListener,
  ) {
    this.payloadTypes = options.payloadTypes ?? [8, 0];
    peer.onRequest = (request) => this.take(request);
  }

  /** Speaks these codecs from now on; it tells nobody. */
  speaks(payloadTypes: readonly (0 | 8)[]): void {
    this.payloadTypes = payloadTypes;
  }

  /** The same, and offers them to the other end; resolves with the final response. */
  async recode(payloadTypes: readonly (0 | 8)[]): Promise<string> {
    this.speaks(payloadTypes);
    return this.reinvite(this.direction);
  }

  static async start(scope: Scope, options: SipPartyOptions): Promise<SipParty> {
    const { address = '127.0.0.1' } = options;
    const peer = await SipPeer.udp(scope, address, options.port, address);
    const party = new SipParty(options, peer, await RtpListener.open(scope, address));
    const { username, password, domain, registerHeaders = [] } = options;
    const response = await peer.askWithDigest(
      {
        method: 'REGISTER',
        uri: `sip:${domain}`,
        from: `<sip:${username}@${domain}>`,
        to: `<sip:${username}@${domain}>`,
        headers: ['Expires: 300', ...registerHeaders],
        contact: peer.contact(username),
      },
      username,
      password,
    );
    if (statusOf(response) !== 200) throw new Error(`${username} may not register: ${response}`);
    return party;
  }

  get tone(): number {
    return this.options.tone;
  }

  get talking(): boolean {
    return this.dialog !== undefined;
  }

  /** Calls; resolves when the call is answered and acknowledged. Returns the final response. */
  async call(number: string): Promise<string> {
    const { username, password, domain, delayed = false } = this.options;
    const uri = `sip:${number}@${domain}`;
    const from = `<sip:${this.options.number}@${domain}>;tag=${randomToken()}`;
    const callId = randomToken();
    const body = delayed ? {} : { body: this.describe() };
    const invite = { method: 'INVITE', uri, from, callId, contact: this.peer.contact(username), ...body };
    const response = await this.peer.askWithDigest(invite, username, password);
    if (statusOf(response) !== 200) return response;
    const target = uriOf(headerOf(response, 'Contact') ?? '');
    this.dialog = { callId, own: from, remote: headerOf(response, 'To') ?? '', target, cseq: cseqOf(response) };
    this.acknowledge(cseqOf(response), delayed ? this.describe() : '');
    this.hearFrom(bodyOf(this.options.strict === true ? this.firstOf(response) : response));
    return response;
  }

  /** The first response of the same dialog that has a description. */
  private firstOf(response: string): string {
    const place = (message: string): string => `${headerOf(message, 'Call-ID')} ${headerOf(message, 'To')}`;
    const isEarlier = (message: string): boolean => statusOf(message) > 100 && bodyOf(message) !== '';
    return this.peer.received.find((message) => isEarlier(message) && place(message) === place(response)) ?? response;
  }

  async hold(): Promise<void> {
    await this.reinvite('sendonly');
  }

  async resume(): Promise<void> {
    await this.reinvite('sendrecv');
  }

  /** A re-INVITE; resolves with its final response. */
  async reinvite(direction: 'sendrecv' | 'sendonly'): Promise<string> {
    const { dialog } = this;
    if (dialog === undefined) throw new Error(`${this.options.username} has no call`);
    this.direction = direction;
    this.version += 1;
    dialog.cseq += 1;
    const { callId, own: from, remote: to, target: uri, cseq } = dialog;
    const contact = this.peer.contact(this.options.username);
    const response = await this.peer.ask({
      method: 'INVITE',
      uri,
      from,
      to,
      callId,
      cseq,
      contact,
      body: this.describe(),
    });
    if (statusOf(response) !== 200) return response;
    this.acknowledge(cseq, '');
    this.hearFrom(bodyOf(response));
    return response;
  }

  /** An INFO in its dialog; resolves with the final response. */
  async inform(contentType: string, body: string): Promise<string> {
    const { dialog } = this;
    if (dialog === undefined) throw new Error(`${this.options.username} has no call`);
    dialog.cseq += 1;
    const { callId, own: from, remote: to, target: uri, cseq } = dialog;
    const headers = [`Content-Type: ${contentType}`];
    return this.peer.ask({ method: 'INFO', uri, from, to, callId, cseq, headers, body });
  }

  async hangUp(): Promise<void> {
    const { dialog } = this;
    if (dialog === undefined) return;
    this.dialog = undefined;
    this.rtp.stopSending();
    dialog.cseq += 1;
    const { callId, own: from, remote: to, target: uri, cseq } = dialog;
    await this.peer.ask({ method: 'BYE', uri, from, to, callId, cseq });
  }

  /** Waits until these tones, and nothing else, arrive. */
  async hears(...tones: readonly number[]): Promise<void> {
    await this.rtp.hearsTones(this.options.username, tones);
  }

  /** Fails when a packet arrives in the next seconds. */
  async hearsNothing(seconds = 1): Promise<void> {
    await eventually(
      `${this.options.username} hears nothing`,
      () => this.rtp.hear(seconds),
      ({ samples }) => samples.length === 0,
      { every: 0 },
    );
  }

  private describe(direction: string = this.direction): string {
    const types = this.payloadTypes;
    const { address } = this.rtp;
    const network = `IN IP${address.includes(':') ? 6 : 4} ${address}`;
    return [
      'v=0',
      `o=- 1 ${this.version} ${network}`,
      's=-',
      `c=${network}`,
      't=0 0',
      `m=audio ${this.rtp.port} RTP/AVP ${types.join(' ')}`,
      ...types.map((type) => `a=rtpmap:${type} ${NAMES.get(type) ?? ''}/8000`),
      `a=${direction}`,
      '',
    ].join('\r\n');
  }

  private take(request: string): void {
    switch (methodOf(request)) {
      case 'INVITE':
        return this.takeInvite(request);
      case 'ACK':
        return this.takeAck(request);
      case 'BYE':
        this.peer.answer(request, '200 OK');
        if (headerOf(request, 'Call-ID') !== this.dialog?.callId) return;
        this.dialog = undefined;
        this.rtp.stopSending();
        return;
      case 'CANCEL':
      case 'OPTIONS':
      case 'UPDATE':
        return this.peer.answer(request, '200 OK');
      default:
        return;
    }
  }

  private takeInvite(request: string): void {
    const callId = headerOf(request, 'Call-ID') ?? '';
    const key = `${callId} ${cseqOf(request)}`;
    const known = this.answered.get(key);
    if (known !== undefined) return this.reply(request, known);
    const offer = bodyOf(request);
    const target = uriOf(headerOf(request, 'Contact') ?? '');
    if (this.dialog?.callId !== callId) {
      const own = `${headerOf(request, 'To') ?? ''};tag=peer`;
      this.dialog = { callId, own, remote: headerOf(request, 'From') ?? '', target, cseq: 1000 };
      this.direction = 'sendrecv';
    }
    if (offer !== '' && !this.speaksOneOf(offer)) return this.peer.answer(request, '488 Not Acceptable Here');
    this.version += 1;
    const answer = this.describe(offer === '' ? this.direction : this.answerDirection(offer));
    this.answered.set(key, answer);
    this.reply(request, answer);
    if (offer !== '') this.hearFrom(offer);
  }

  private reply(request: string, body: string): void {
    this.peer.answer(request, '200 OK', { body });
  }

  private speaksOneOf(offer: string): boolean {
    if (!/^m=audio \d+ RTP\/AVP /m.test(offer)) return false;
    const offered = payloadsOf(offer);
    return this.payloadTypes.some((type) => offered.includes(String(type)));
  }

  private answerDirection(offer: string): string {
    const offered = /^a=(sendrecv|sendonly|recvonly|inactive)\s*$/m.exec(offer)?.[1] ?? 'sendrecv';
    if (offered === 'inactive') return 'inactive';
    if (offered === 'sendonly') return this.direction === 'sendonly' ? 'inactive' : 'recvonly';
    return this.direction;
  }

  private takeAck(request: string): void {
    const body = bodyOf(request);
    if (body !== '') this.hearFrom(body);
  }

  /** Where the other end hears us, and what it hears. */
  private hearFrom(description: string): void {
    const [, port] = /^m=audio (\d+)/m.exec(description) ?? [];
    const [, address] = /^c=IN IP[46] (\S+)/m.exec(description) ?? [];
    const listens = !/^a=(sendonly|inactive)\s*$/m.test(description) && this.direction === 'sendrecv';
    if (port === undefined || address === undefined || port === '0') return;
    const formats = payloadsOf(description);
    const payloadType = this.payloadTypes.find((type) => formats.includes(String(type))) ?? this.payloadTypes[0] ?? 8;
    if (listens) this.rtp.send(this.tone, address, Number(port), payloadType);
    else this.rtp.stopSending();
  }

  private acknowledge(cseq: number, body: string): void {
    const { dialog } = this;
    if (dialog === undefined) return;
    const { callId, own: from, remote: to, target: uri } = dialog;
    this.peer.send(this.peer.request({ method: 'ACK', uri, from, to, callId, cseq, body }));
  }
}

function bodyOf(message: string): string {
  const at = message.indexOf('\r\n\r\n');
  return at < 0 ? '' : message.slice(at + 4);
}

function payloadsOf(description: string): readonly string[] {
  return /^m=audio \d+ \S+ (.*)$/m.exec(description)?.[1]?.trim().split(' ') ?? [];
}

function cseqOf(message: string): number {
  return Number.parseInt(headerOf(message, 'CSeq') ?? '0', 10);
}

function uriOf(header: string): string {
  return /<([^>]*)>/.exec(header)?.[1] ?? header;
}
