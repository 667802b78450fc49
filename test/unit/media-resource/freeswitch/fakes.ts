import { createServer, type Server, type Socket } from 'node:net';
import type {
  SipCall,
  SipCaller,
  SipCallOutcome,
  SipOfferOutcome,
  SipTarget,
} from '../../../../src/media-resource/ports';
import type { Scope } from '../../../support/scope';

/** What a FreeSWITCH says of itself in an answer. */
export const ANSWER =
  'v=0\r\no=FreeSWITCH 1 1 IN IP4 127.0.0.1\r\ns=FreeSWITCH\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n';
export const OFFER = ANSWER.replace('FreeSWITCH 1', '- 7').replace('30000', '4000');

export class FakeCall implements SipCall {
  readonly log: string[] = [];
  next: SipOfferOutcome = { ok: true, sdp: ANSWER };
  private listener: ((reason: string | undefined) => void) | undefined;
  private over = false;

  constructor(readonly request: Parameters<SipCaller['call']>[0]) {}

  acknowledge(answer: string): void {
    this.log.push(`ACK ${/^a=(sendrecv|inactive|sendonly|recvonly)/m.exec(answer)?.[1] ?? 'sendrecv'}`);
  }

  async offer(sdp: string): Promise<SipOfferOutcome> {
    this.log.push(`re-INVITE ${/^o=.*$/m.exec(sdp)?.[0] ?? ''}`);
    return this.next;
  }

  end(): void {
    this.log.push('BYE');
  }

  onEnded(listener: (reason: string | undefined) => void): void {
    if (this.over) listener(undefined);
    else this.listener = listener;
  }

  /** BYE of FreeSWITCH. */
  endByPeer(): void {
    this.over = true;
    this.listener?.(undefined);
  }
}

/** Answers calls as it is told. */
export class FakeCaller implements SipCaller {
  readonly calls: FakeCall[] = [];
  /** What becomes of the next call; undefined: 200. */
  refusal: { readonly status: number; readonly reason: string } | undefined;
  status = 200;
  /** Called when a call is answered. */
  answered: (call: FakeCall) => void = () => undefined;

  async call(request: Parameters<SipCaller['call']>[0]): Promise<SipCallOutcome> {
    if (this.refusal !== undefined) return { ok: false, ...this.refusal };
    const call = new FakeCall(request);
    this.calls.push(call);
    setImmediate(() => this.answered(call));
    return { ok: true, call, sdp: ANSWER };
  }

  async options(_target: SipTarget): Promise<number> {
    return this.status;
  }

  get last(): FakeCall {
    const call = this.calls.at(-1);
    if (call === undefined) throw new Error('no call was placed');
    return call;
  }
}

/** An event socket that speaks FreeSWITCH's protocol. */
export class FakeEventSocket {
  readonly commands: string[] = [];
  /** Answers to `api` commands by their beginning; undefined: nothing comes. */
  readonly answers = new Map<string, string | undefined>([
    ['global_getvar core_uuid', 'core-1'],
    ['conference json_list', '[]'],
    ['uptime ms', '1000'],
  ]);
  connections = 0;
  private readonly sockets = new Set<Socket>();
  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly password: string,
  ) {}

  static async start(scope: Scope, password: string, port = 0): Promise<FakeEventSocket> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const address = server.address();
    const fake = new FakeEventSocket(server, typeof address === 'object' ? (address?.port ?? 0) : 0, password);
    server.on('connection', (socket) => fake.serve(socket));
    scope.defer(() => fake.stop());
    return fake;
  }

  /** Closes every connection; new ones are taken. */
  disconnect(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.disconnect();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  event(event: Readonly<Record<string, unknown>>): void {
    this.raw(JSON.stringify({ 'Event-Name': 'CUSTOM', 'Event-Subclass': 'conference::maintenance', ...event }));
  }

  raw(body: string): void {
    const frame = `Content-Length: ${Buffer.byteLength(body)}\nContent-Type: text/event-json\n\n${body}`;
    for (const socket of this.sockets) socket.write(frame);
  }

  bytes(text: string): void {
    for (const socket of this.sockets) socket.write(text);
  }

  private serve(socket: Socket): void {
    this.connections++;
    this.sockets.add(socket);
    socket.on('close', () => this.sockets.delete(socket));
    socket.on('error', () => undefined);
    socket.write('Content-Type: auth/request\n\n');
    let text = '';
    socket.on('data', (data) => {
      text += data.toString();
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        this.take(socket, text.slice(0, end).trim());
        text = text.slice(end + 2);
      }
    });
  }

  private take(socket: Socket, command: string): void {
    if (command.startsWith('auth ')) {
      const right = command === `auth ${this.password}`;
      socket.write(`Content-Type: command/reply\nReply-Text: ${right ? '+OK accepted' : '-ERR invalid'}\n\n`);
      if (!right) socket.end();
      return;
    }
    this.commands.push(command);
    if (!command.startsWith('api ')) {
      socket.write('Content-Type: command/reply\nReply-Text: +OK event listener enabled json\n\n');
      return;
    }
    const asked = command.slice('api '.length);
    const key = [...this.answers.keys()].find((start) => asked.startsWith(start));
    const answer = key === undefined ? '-ERR unknown command' : this.answers.get(key);
    if (answer !== undefined)
      socket.write(`Content-Type: api/response\nContent-Length: ${Buffer.byteLength(answer)}\n\n${answer}`);
  }
}
