import { connect, type Socket } from 'node:net';
import Srf from 'drachtio-srf';
import { SimulatedClock, type Clock } from '../../../src/process/clock';
import { runSipServer, type RunningSipServer, type SipServerOptions } from '../../../src/sip-server';
import { encodeFrame, FrameDecoder } from '../../../src/sip-server/control/frame';
import { eventually, within } from '../../support/eventually';
import type { Scope } from '../../support/scope';
import { headerOf, methodOf, statusOf } from '../../support/sip-text';
import { SipPeer } from '../../support/sip-peer';

export const SECRET = 'cymru';
export const OFFER =
  'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n';
export const ANSWER = OFFER.replace('4000', '5000');

/** The part of drachtio-srf that the tests use; its own types leave out half of it. */
export interface SipText {
  readonly body: string;
  get(name: string): string;
  has(name: string): boolean;
}
export interface AppRequest extends SipText {
  readonly method: string;
  readonly uri: string;
  readonly protocol: string;
  readonly source_address: string;
  readonly source_port: number;
  readonly stackTxnId: string;
  readonly stackDialogId: string;
  readonly receivedOn: string;
  on(event: string, listener: (message: AppRequest) => void): void;
  cancel(callback?: (error: Error | null) => void): void;
}
export interface AppResponse extends SipText {
  readonly status: number;
  readonly reason: string;
  send(
    status: number,
    options?: object,
    callback?: (error: string | null, sent: SipText) => void,
    prack?: (req: AppRequest) => void,
  ): void;
}
export interface AppDialog {
  readonly id: string;
  readonly sip: { callId: string; localTag: string; remoteTag: string };
  readonly remote: { uri: string; sdp: string };
  readonly local: { uri: string; sdp: string; contact: string };
  destroy(options?: object): Promise<AppRequest>;
  modify(sdp: string): Promise<string>;
  request(options: { method: string; headers?: Record<string, string>; body?: string }): Promise<AppResponse>;
  on(event: string, listener: (req: AppRequest, res: AppResponse & string) => void): void;
}
export interface App {
  on(event: string, listener: (...args: unknown[]) => void): void;
  connect(options: object): void;
  disconnect(): void;
  use(method: string, handler: (req: AppRequest, res: AppResponse) => void): void;
  request(
    uri: string,
    options: object,
    callback: (error: (Error & { code?: string }) | null, req: AppRequest) => void,
  ): void;
  createUAS(req: AppRequest, res: AppResponse, options: object): Promise<AppDialog>;
  createUAC(uri: string, options: object, callbacks?: object): Promise<AppDialog>;
  createB2BUA(
    req: AppRequest,
    res: AppResponse,
    uri: string,
    options?: object,
  ): Promise<{ uas: AppDialog; uac: AppDialog }>;
}

export interface Running {
  readonly server: RunningSipServer;
  readonly clock: Clock;
  readonly udp: number;
  readonly tcp: number;
}

/** A server on free loopback ports. */
export async function startServer(scope: Scope, options: Partial<SipServerOptions> = {}): Promise<Running> {
  const server = await runSipServer({
    listen: [
      { protocol: 'udp', address: '127.0.0.1', port: 0 },
      { protocol: 'tcp', address: '127.0.0.1', port: 0 },
    ],
    control: { address: '127.0.0.1', port: 0 },
    secret: SECRET,
    log: (event, fields) => {
      if (event.includes('error')) process.stderr.write(`${event} ${JSON.stringify(fields)}\n`);
    },
    ...options,
  });
  scope.defer(() => server.stop());
  const portOf = (protocol: string): number => server.points.find((point) => point.protocol === protocol)?.port ?? 0;
  return { server, clock: options.clock ?? new SimulatedClock(), udp: portOf('udp'), tcp: portOf('tcp') };
}

/** An application on the real drachtio-srf. `prepare` sets its handlers before it connects. */
export async function connectApp(
  scope: Scope,
  running: Running,
  prepare: (app: App) => void = () => undefined,
): Promise<App> {
  const app = new Srf() as unknown as App;
  prepare(app);
  const connected = new Promise<void>((resolve, reject) => {
    app.on('connect', (error) => (error instanceof Error ? reject(error) : resolve()));
  });
  app.on('error', () => undefined);
  app.connect({ host: '127.0.0.1', port: running.server.control.port, secret: SECRET });
  await within(10_000, 'connect event', connected);
  scope.defer(() => app.disconnect());
  return app;
}

export function udpPeer(scope: Scope, running: Running): Promise<SipPeer> {
  return SipPeer.udp(scope, '127.0.0.1', running.udp);
}

export function tcpPeer(scope: Scope, running: Running): Promise<SipPeer> {
  return SipPeer.tcp(scope, '127.0.0.1', running.tcp);
}

export const is = {
  request: (method: string) => (message: string) => methodOf(message) === method,
  response: (status: number, method: string) => (message: string) =>
    statusOf(message) === status && (headerOf(message, 'CSeq') ?? '').endsWith(` ${method}`),
};

export function toTag(message: string): string {
  return /;tag=([^;\s]+)/.exec(headerOf(message, 'To') ?? '')?.[1] ?? '';
}

/** A call that a peer places, up to the ACK: what is needed for requests inside it. */
export interface PeerCall {
  readonly callId: string;
  readonly from: string;
  readonly to: string;
  readonly target: string;
}

export async function placeCall(peer: SipPeer, uri: string, callId: string, body = OFFER): Promise<PeerCall> {
  const from = '<sip:alice@127.0.0.1>;tag=alice';
  peer.send(peer.request({ method: 'INVITE', uri, from, callId, body }));
  const accepted = await peer.message('200 to INVITE', is.response(200, 'INVITE'), 10_000);
  const call = {
    callId,
    from,
    to: headerOf(accepted, 'To') ?? '',
    target: /<([^>]+)>/.exec(headerOf(accepted, 'Contact') ?? '')?.[1] ?? '',
  };
  return call;
}

export function inCall(
  peer: SipPeer,
  call: PeerCall,
  method: string,
  cseq: number,
  extra: { body?: string; headers?: string[] } = {},
): string {
  const { callId, from, to, target } = call;
  return peer.request({ method, uri: target, from, to, callId, cseq, ...extra });
}

/** A control connection that sends whatever it is told to. */
export class RawApplication {
  readonly frames: string[] = [];
  closed = false;

  private constructor(private readonly socket: Socket) {
    const decoder = new FrameDecoder(64 * 1024 * 1024);
    socket.on('data', (chunk) => decoder.push(chunk, (payload) => this.frames.push(payload.toString())));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.closed = true;
    });
  }

  static async connect(scope: Scope, running: Running, secret?: string): Promise<RawApplication> {
    const socket = connect(running.server.control.port, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    scope.defer(() => socket.destroy());
    const raw = new RawApplication(socket);
    if (secret !== undefined) await raw.ask(`authenticate|${secret}|`);
    return raw;
  }

  write(bytes: string | Buffer): void {
    this.socket.write(bytes);
  }

  close(): void {
    this.socket.destroy();
  }

  pause(): void {
    this.socket.pause();
  }

  /** The tokens of the reply to a command, and its message. */
  async ask(command: string, message?: string): Promise<{ readonly tokens: string[]; readonly message: string }> {
    const id = `c${Math.random().toString(36).slice(2)}`;
    this.write(encodeFrame(`${id}|${command}`, message === undefined ? undefined : Buffer.from(message)));
    const frame = await this.frame(`reply to ${command}`, (one) => one.split('\r\n')[0]?.split('|')[2] === id);
    const end = frame.indexOf('\r\n');
    return {
      tokens: (end < 0 ? frame : frame.slice(0, end)).split('|').slice(3),
      message: end < 0 ? '' : frame.slice(end + 2),
    };
  }

  async frame(what: string, fits: (frame: string) => boolean): Promise<string> {
    const seen = await eventually(
      what,
      () => this.frames,
      (frames) => frames.some(fits),
      { cap: 10_000, every: 5 },
    );
    return seen.find(fits) ?? '';
  }

  async waitClosed(): Promise<void> {
    await eventually('connection closed', () => this.closed, Boolean, { cap: 10_000, every: 5 });
  }
}
