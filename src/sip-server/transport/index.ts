import type { Clock } from '../../process/clock';
import { systemClock } from '../../process/clock';
import type { ParseLimits } from '../../sip-message/parse';
import { DATAGRAM_LIMITS, STREAM_LIMITS } from '../../sip-message/parse';
import { addressOfHost } from '../host';
import type { Flow, ListenPoint, Protocol, TransportEvents, TransportFailure, TransportLayer } from '../layers';
import type { Log } from '../log';
import { noLog } from '../log';
import { choosePoint, expandWildcard } from './addresses';
import { ByteBudget } from './byte-budget';
import { LateMessages } from './late-messages';
import type { FailedRemote, ProtocolTransport, Receiver, SendDone } from './protocol-transport';
import type { StreamSettings } from './settings';
import { DEFAULT_STREAM_SETTINGS } from './settings';
import { originPolicy } from './origins';
import { StreamTransport } from './stream-transport';
import { tcp } from './tcp';
import { tls } from './tls';
import type { TlsFiles } from './tls-files';
import { TlsCredentials } from './tls-files';
import { Turns } from './turns';
import { UdpTransport } from './udp';
import { stampVia } from './via';
import type { Wakefulness } from './wakefulness';
import { ws } from './ws';
import { wss } from './wss';

export type { TlsFiles } from './tls-files';

export interface TransportOptions {
  readonly clock?: Clock;
  readonly log?: Log;
  /** Needed for `tls` and `wss`. */
  readonly tls?: TlsFiles;
  /** Web pages that may open WebSockets, as `originPolicy` has them; undefined: all. */
  readonly origins?: readonly string[];
  /** Responses over UDP go to where the request came from, also when it does not ask for that (RFC 3581). */
  readonly forceRport?: boolean;
  readonly stream?: Partial<StreamSettings>;
  readonly datagramLimits?: Partial<ParseLimits>;
  readonly streamLimits?: Partial<ParseLimits>;
  /** Who comes before others when there is more than can be handled. */
  readonly isKnown?: (flow: Flow) => boolean;
  /** Whether what comes may have waited while we did not run; without it nothing has. */
  readonly wakefulness?: Wakefulness;
}

/** UDP, TCP, TLS, WS and WSS over IPv4 and IPv6 (RFC 3261 section 18, RFC 7118). Nothing that is received throws out of it. */
export function createTransport(options: TransportOptions = {}): TransportLayer {
  return new SipTransport(options);
}

class SipTransport implements TransportLayer {
  private readonly transports = new Map<Protocol, ProtocolTransport>();
  private readonly failureListeners: ((to: FailedRemote, failure: TransportFailure) => void)[] = [];
  private readonly log: Log;
  private bound: ListenPoint[] = [];
  private events: TransportEvents | undefined;
  private readonly late: LateMessages;
  private lastConnection = 0;
  private held: TlsCredentials | undefined;

  constructor(private readonly options: TransportOptions) {
    this.log = options.log ?? noLog;
    const clock = options.clock ?? systemClock;
    this.late = new LateMessages(
      options.wakefulness,
      (connection) => this.isOpen(connection),
      (connection) => this.finish(connection),
    );
    const receiver = this.receiver();
    const settings = { ...DEFAULT_STREAM_SETTINGS, ...options.stream };
    const shared = { budget: new ByteBudget(settings.unfinishedBytes), turns: new Turns() };
    const nextId = (): number => ++this.lastConnection;
    const isKnown = options.isKnown ?? (() => false);
    this.add(new UdpTransport(receiver, { ...DATAGRAM_LIMITS, ...options.datagramLimits }, clock, isKnown));
    const limits = { ...STREAM_LIMITS, ...options.streamLimits };
    const credentials = (): TlsCredentials => this.credentials(options.tls, () => clock.now());
    const mayOpen = originPolicy(options.origins);
    const webSockets = [ws(limits, mayOpen), wss(limits, credentials, mayOpen)];
    for (const kind of [tcp(limits), tls(limits, credentials), ...webSockets]) {
      this.add(new StreamTransport(kind, receiver, limits, settings, clock, nextId, shared));
    }
  }

  get points(): readonly ListenPoint[] {
    return this.bound;
  }

  async listen(points: readonly ListenPoint[], events: TransportEvents): Promise<readonly ListenPoint[]> {
    this.events = events;
    for (const wanted of points.flatMap(expandWildcard)) {
      const transport = this.transports.get(wanted.protocol);
      if (transport === undefined) throw new Error(`no transport for ${wanted.protocol}`);
      this.bound = [...this.bound, await transport.listen(wanted)];
    }
    return this.bound;
  }

  pointFor(protocol: Protocol, address: string): ListenPoint | undefined {
    return choosePoint(this.bound, protocol, addressOfHost(address));
  }

  send(...[bytes, wanted, done]: Parameters<TransportLayer['send']>): void {
    const to = { ...wanted, address: addressOfHost(wanted.address) };
    const transport = this.transports.get(to.protocol);
    const local = to.local ?? this.pointFor(to.protocol, to.address);
    if (transport === undefined || local === undefined) done({ failure: 'no-listener' });
    else transport.send(bytes, to, local, this.guarded(done));
  }

  onSendFailure(listener: (to: FailedRemote, failure: TransportFailure) => void): void {
    this.failureListeners.push(listener);
  }

  isOpen(connection: number): boolean {
    for (const transport of this.transports.values()) if (transport.isOpen(connection)) return true;
    return false;
  }

  takesAnswers(connection: number): boolean {
    for (const transport of this.transports.values()) if (transport.takesAnswers(connection)) return true;
    return false;
  }

  finish(connection: number): void {
    for (const transport of this.transports.values()) transport.finish(connection);
  }

  keep(connection: number): void {
    for (const transport of this.transports.values()) transport.keep(connection);
  }

  cutOff(connection: number, silentMs: number): void {
    for (const transport of this.transports.values()) transport.cutOff(connection, silentMs);
  }

  async close(): Promise<void> {
    await Promise.all([...this.transports.values()].map((transport) => transport.close()));
    this.bound = [];
  }

  /** Read when the first listener needs them; throws when they are missing or cannot be used. */
  private credentials(files: TlsFiles | undefined, now: () => number): TlsCredentials {
    if (files === undefined) throw new Error('TLS needs a key and a certificate');
    this.held ??= new TlsCredentials(files, now, (error) => this.log('sip.tls.not-renewed', { error: error.message }));
    return this.held;
  }

  private add(transport: ProtocolTransport): void {
    this.transports.set(transport.protocol, transport);
  }

  /** An error of the layer above is logged; it must not end the process from within a socket's event. */
  private guard(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.log('sip.transport.handler-error', {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }

  private guarded(done: SendDone): SendDone {
    return (result) => this.guard(() => done(result));
  }

  private receiver(): Receiver {
    return {
      message: (message, flow, bytes) => {
        if (message.kind === 'request') {
          // Which transport the Via names does not matter: somebody before us may have ended TLS. Answers go the way it came.
          if (stampVia(message, flow, this.options.forceRport) === undefined) return;
        }
        this.guard(() => this.late.take(message, flow, bytes, (...received) => this.events?.message(...received)));
      },
      malformed: (failure, flow) => {
        if (failure.partial?.kind === 'request') {
          stampVia(failure.partial, flow);
          // What else it says is not to be relied on.
          delete failure.partial.answerPort;
        }
        this.guard(() => this.events?.malformed(failure, flow));
      },
      listenerError: ({ protocol, address, port }, error) => {
        this.log('sip.transport.listener-error', { protocol, address, port, error: error.message });
      },
      turnedAway: (protocol, { address, port }, why, detail) =>
        this.log(`sip.client.${why}`, { protocol, address, port, ...(detail === undefined ? {} : { detail }) }),
      lost: (address, port) => this.log('sip.datagrams.lost', { address, port }),
      closed: (connection) => this.guard(() => this.events?.connectionClosed(connection)),
      finished: (connection) => {
        let awaited = false;
        this.guard(() => (awaited = this.events?.peerFinished?.(connection) === true));
        return awaited;
      },
      sendFailed: (to, failure) => {
        for (const listener of this.failureListeners) this.guard(() => listener(to, failure));
      },
    };
  }
}
