import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { WebSocket, type ClientOptions } from 'ws';
import { eventually } from './eventually';
import type { Scope } from './scope';
import { digestAnswer, headerOf, methodOf, randomToken, statusOf } from './sip-text';

export interface RequestOptions {
  readonly method: string;
  readonly uri: string;
  readonly from: string;
  readonly to?: string;
  readonly callId?: string;
  readonly cseq?: number;
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Value of the Contact header; by default the address of the peer. */
  readonly contact?: string;
}

type Wire =
  | { readonly protocol: 'UDP'; readonly socket: DatagramSocket; readonly host: string; port: number }
  | { readonly protocol: 'TCP'; readonly socket: Socket }
  | { readonly protocol: 'WS' | 'WSS'; readonly socket: WebSocket };

/** A SIP peer of plain text: sends whatever it is told to and keeps what it receives. For hostile and odd messages. */
export class SipPeer {
  /** Called for each request, for a peer that answers by itself. */
  onRequest: ((request: string) => void) | undefined;
  private closed = false;
  /** Where UDP requests came from. */
  private readonly sources = new Map<string, { readonly address: string; readonly port: number }>();

  private constructor(
    private readonly wire: Wire,
    readonly address: string,
    readonly port: number,
    readonly received: string[] = [],
  ) {}

  /** The same socket, its address and what it receives, talking to another port or host. UDP only. */
  towards(port: number, host?: string): SipPeer {
    if (this.wire.protocol !== 'UDP') throw new Error('only a UDP socket talks to several ports');
    const wire = { ...this.wire, port, host: host ?? this.wire.host };
    return new SipPeer(wire, this.address, this.port, this.received);
  }

  /** The port that a UDP request came from. */
  sourceOf(request: string): number | undefined {
    return this.sources.get(request)?.port;
  }

  /** Keeps the newest `count` messages only, with where they came from: for tests of very many. */
  forgetAllBut(count: number): void {
    for (const message of this.received.splice(0, Math.max(0, this.received.length - count)))
      this.sources.delete(message);
  }

  private take(message: string): void {
    this.received.push(message);
    if (methodOf(message) !== undefined) this.onRequest?.(message);
  }

  /** A UDP socket on a loopback address that talks to `host:port`. */
  static async udp(scope: Scope, host: string, port: number, address = '127.0.0.1', ownPort = 0): Promise<SipPeer> {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(ownPort, address, resolve);
    });
    const peer = new SipPeer({ protocol: 'UDP', socket, host, port }, address, socket.address().port);
    socket.on('message', (message, { address: host, port }) => {
      const text = message.toString('utf8');
      peer.sources.set(text, { address: host, port });
      peer.take(text);
    });
    socket.on('error', () => undefined);
    scope.defer(() => {
      peer.close();
    });
    return peer;
  }

  /** A TCP connection to `host:port`. */
  static async tcp(scope: Scope, host: string, port: number): Promise<SipPeer> {
    const socket = connect(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('connect', resolve);
    });
    const peer = new SipPeer({ protocol: 'TCP', socket }, socket.localAddress ?? '127.0.0.1', socket.localPort ?? 0);
    let buffer = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      buffer = Buffer.concat([buffer, chunk]);
      buffer = Buffer.from(peer.takeMessages(buffer));
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      peer.closed = true;
    });
    scope.defer(() => {
      socket.destroy();
    });
    return peer;
  }

  /** A browser: a WebSocket to `ws://host:port` or `wss://host:port`; it has no address of its own (RFC 7118). */
  static async webSocket(scope: Scope, url: string, options: ClientOptions = {}): Promise<SipPeer> {
    const socket = new WebSocket(url, 'sip', options);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.once('open', resolve);
    });
    const protocol = url.startsWith('wss:') ? 'WSS' : 'WS';
    const peer = new SipPeer({ protocol, socket }, `${randomToken()}.invalid`, 5060);
    socket.on('message', (data: Buffer) => peer.take(data.toString('utf8')));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      peer.closed = true;
    });
    scope.defer(() => {
      socket.terminate();
    });
    return peer;
  }

  /** The other side has closed the connection. */
  get isClosed(): boolean {
    return this.closed;
  }

  /** Talks to another port of the same host from now on; over UDP. */
  talkTo(port: number): void {
    if (this.wire.protocol !== 'UDP') throw new Error('a connection leads to one place');
    this.wire.port = port;
  }

  /** Closes the connection, or the socket. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    if (this.wire.protocol === 'TCP') this.wire.socket.destroy();
    else this.wire.socket.close();
  }

  /** Its address as URIs have it. */
  private get host(): string {
    return this.address.includes(':') ? `[${this.address}]` : this.address;
  }

  /** A Contact of this peer. */
  contact(user: string): string {
    return `<sip:${user}@${this.host}:${this.port};transport=${this.wire.protocol.toLowerCase()}>`;
  }

  /** Sends these very octets. */
  send(message: string | Buffer, to?: { readonly address: string; readonly port: number }): void {
    const bytes = typeof message === 'string' ? Buffer.from(message) : message;
    if (this.wire.protocol === 'TCP') this.wire.socket.write(bytes);
    else if (this.wire.protocol === 'UDP')
      this.wire.socket.send(bytes, to?.port ?? this.wire.port, to?.address ?? this.wire.host);
    else this.wire.socket.send(bytes.toString('utf8'));
  }

  /** The text of a well-formed request, with a new branch. Max-Forwards, and a Contact beside none that is asked for, take the place of the usual. */
  request(options: RequestOptions): string {
    const { method, uri, from, to = `<${uri}>`, body = '', cseq = 1, headers = [] } = options;
    const has = (name: string): boolean => headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
    return [
      `${method} ${uri} SIP/2.0`,
      `Via: SIP/2.0/${this.wire.protocol} ${this.host}:${this.port};branch=z9hG4bK${randomToken()};rport`,
      ...(has('max-forwards') ? [] : ['Max-Forwards: 70']),
      `From: ${from}${from.includes(';tag=') ? '' : `;tag=${randomToken()}`}`,
      `To: ${to}`,
      `Call-ID: ${options.callId ?? randomToken()}`,
      `CSeq: ${cseq} ${method}`,
      ...(has('contact') && options.contact === undefined
        ? []
        : [`Contact: ${options.contact ?? this.contact('peer')}`]),
      ...headers,
      ...(body === '' || has('content-type') ? [] : ['Content-Type: application/sdp']),
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n');
  }

  /** The first received message that fits. */
  async message(what: string, fits: (message: string) => boolean, cap = 30_000): Promise<string> {
    const seen = await eventually(
      what,
      () => this.received,
      (messages) => messages.some(fits),
      { cap, every: 10 },
    );
    return seen.find(fits) ?? '';
  }

  /** Sends a request and waits for its final response; acknowledges one that refuses an INVITE. */
  async ask(options: RequestOptions, cap = 30_000): Promise<string> {
    const callId = options.callId ?? randomToken();
    const text = this.request({ ...options, callId });
    const cseq = `${options.cseq ?? 1} ${options.method}`;
    this.send(text);
    const response = await this.message(
      `a final response to ${cseq}`,
      (message) =>
        statusOf(message) >= 200 && headerOf(message, 'Call-ID') === callId && headerOf(message, 'CSeq') === cseq,
      cap,
    );
    if (options.method === 'INVITE' && statusOf(response) >= 300) this.acknowledge(text, response);
    return response;
  }

  /** `ask`, answering a 401 or 407 with the digest. */
  async askWithDigest(options: RequestOptions, username: string, password: string, cap?: number): Promise<string> {
    const callId = options.callId ?? randomToken();
    const from = options.from.includes(';tag=') ? options.from : `${options.from};tag=${randomToken()}`;
    const first = { ...options, callId, from, cseq: options.cseq ?? 1 };
    const response = await this.ask(first, cap);
    const status = statusOf(response);
    if (status !== 401 && status !== 407) return response;
    const challenge = headerOf(response, status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate') ?? '';
    const answer = digestAnswer(challenge, options.method, options.uri, username, password);
    const header = `${status === 401 ? 'Authorization' : 'Proxy-Authorization'}: ${answer}`;
    return this.ask({ ...first, cseq: first.cseq + 1, headers: [...(options.headers ?? []), header] }, cap);
  }

  /** Requests received with this method. */
  requests(method: string): string[] {
    return this.received.filter((message) => methodOf(message) === method);
  }

  /** Answers a request that was received; a tag is added to To when it has none. */
  answer(
    request: string,
    status: string,
    options: { body?: string; headers?: readonly string[]; tag?: string; contact?: string } = {},
  ): void {
    const { body = '', headers = [], tag = 'peer', contact = this.contact('peer') } = options;
    const copied = (name: string): string[] =>
      request.split('\r\n').filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`));
    const to = copied('To')[0] ?? 'To: <sip:unknown@invalid>';
    this.send(
      [
        `SIP/2.0 ${status}`,
        ...copied('Via'),
        ...copied('Record-Route'),
        ...copied('From'),
        /;tag=/i.test(to) ? to : `${to};tag=${tag}`,
        ...copied('Call-ID'),
        ...copied('CSeq'),
        `Contact: ${contact}`,
        ...headers,
        ...(body === '' ? [] : ['Content-Type: application/sdp']),
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
      this.sources.get(request),
    );
  }

  /** ACK of a refusal: same branch, the To of the response (RFC 3261 §17.1.1.3). */
  acknowledge(invite: string, response: string): void {
    const lines = invite.split('\r\n\r\n')[0]?.split('\r\n') ?? [];
    const kept = lines.filter((line) => /^(Via|Max-Forwards|From|Call-ID|Route):/i.test(line));
    const start = (lines[0] ?? '').replace(/^INVITE/, 'ACK');
    const cseq = (headerOf(invite, 'CSeq') ?? '').replace('INVITE', 'ACK');
    const to = headerOf(response, 'To') ?? '';
    this.send([start, ...kept, `To: ${to}`, `CSeq: ${cseq}`, 'Content-Length: 0', '', ''].join('\r\n'));
  }

  /** Cuts whole messages out of a TCP stream; returns the rest. */
  private takeMessages(buffer: Buffer): Buffer {
    let rest = buffer;
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return rest;
      const head = rest.toString('utf8', 0, end + 4);
      const length = Number(headerOf(head, 'Content-Length') ?? headerOf(head, 'l') ?? 0);
      if (rest.length < end + 4 + length) return rest;
      if (head.trim() !== '') this.take(rest.toString('utf8', 0, end + 4 + length));
      rest = rest.subarray(end + 4 + length);
    }
  }
}
