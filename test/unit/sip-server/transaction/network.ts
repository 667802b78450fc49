import type { SimulatedClock } from '../../../../src/process/clock';
import type { SipMessage } from '../../../../src/sip-message/message';
import { parseMessage } from '../../../../src/sip-message/parse';
import type {
  Destination,
  Flow,
  ListenPoint,
  Protocol,
  TransportEvents,
  TransportFailure,
  TransportLayer,
} from '../../../../src/sip-server/layers';
import { stampVia } from '../../../../src/sip-server/transport/via';

export interface Sent {
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly message: SipMessage;
  readonly bytes: Buffer;
}

const LATENCY_MS = 1;

/** A network in memory: delivers after a millisecond of simulated time, loses what `lose` says, keeps a record. */
export class Network {
  readonly sent: Sent[] = [];
  /** What does not parse: answers that repeat the fault of a malformed request. Carried nowhere. */
  readonly unreadable: string[] = [];
  lose: (sent: Sent) => boolean = () => false;
  /** Addresses at which sending fails, and how. */
  readonly broken = new Map<string, TransportFailure>();
  private readonly nodes = new Map<string, MemoryTransport>();
  private readonly start: number;

  constructor(readonly clock: SimulatedClock) {
    this.start = clock.now();
  }

  node(address: string): MemoryTransport {
    const node = new MemoryTransport(this, address);
    this.nodes.set(address, node);
    return node;
  }

  carry(from: MemoryTransport, bytes: Buffer, to: Destination): void {
    const parsed = parseMessage(bytes);
    if (!parsed.ok) {
      this.unreadable.push(bytes.toString());
      return;
    }
    const at = this.clock.now() - this.start;
    const sent: Sent = { at, from: from.address, to: to.address, message: parsed.message, bytes };
    this.sent.push(sent);
    if (this.lose(sent)) return;
    this.clock.setTimer(LATENCY_MS, () => this.nodes.get(to.address)?.arrive(bytes, from.address, to.protocol));
  }

  /** `ms method-or-status` of everything sent from there. */
  log(from: string): string[] {
    return this.sent
      .filter((sent) => sent.from === from)
      .map(({ at, message }) => `${at} ${message.kind === 'request' ? message.method : message.status}`);
  }

  /** Of everything sent from there, without the times. */
  names(from: string): string[] {
    return this.log(from).map((line) => line.split(' ')[1] ?? '');
  }
}

export class MemoryTransport implements TransportLayer {
  points: readonly ListenPoint[] = [];
  private events: TransportEvents | undefined;
  private listener: Parameters<TransportLayer['onSendFailure']>[0] | undefined;

  constructor(
    private readonly network: Network,
    readonly address: string,
  ) {}

  async listen(points: readonly ListenPoint[], events: TransportEvents): Promise<readonly ListenPoint[]> {
    this.points = points;
    this.events = events;
    return points;
  }

  pointFor(protocol: Protocol): ListenPoint | undefined {
    return this.points.find((point) => point.protocol === protocol);
  }

  send(...[bytes, to, done]: Parameters<TransportLayer['send']>): void {
    const local = this.pointFor(to.protocol);
    const failure = local === undefined ? 'no-listener' : this.network.broken.get(to.address);
    if (failure !== undefined || local === undefined) return done({ failure: failure ?? 'no-listener' });
    this.network.carry(this, bytes, to);
    done({ flow: this.flow(to.protocol, to.address, local) });
  }

  onSendFailure(listener: Parameters<TransportLayer['onSendFailure']>[0]): void {
    this.listener = listener;
  }

  finish(): void {
    // No connections here.
  }

  isOpen(): boolean {
    return true;
  }

  takesAnswers(): boolean {
    return true;
  }

  cutOff(): void {
    // No connections here.
  }

  keep(): void {
    // No connections here.
  }

  async close(): Promise<void> {
    this.points = [];
  }

  arrive(bytes: Buffer, from: string, protocol: Protocol): void {
    const local = this.pointFor(protocol);
    const parsed = parseMessage(bytes);
    if (local === undefined) return;
    const flow = this.flow(protocol, from, local);
    if (!parsed.ok) return this.events?.malformed(parsed, flow);
    if (parsed.message.kind === 'request') stampVia(parsed.message, flow);
    this.events?.message(parsed.message, flow, bytes.length);
  }

  /** A connection dies, or ICMP says that nobody listens there. */
  fail(address: string, protocol: Protocol, failure: TransportFailure): void {
    const connection = protocol === 'udp' ? undefined : connectionTo(address);
    this.listener?.({ protocol, address, port: 5060, connection }, failure);
  }

  private flow(protocol: Protocol, address: string, local: ListenPoint): Flow {
    const flow = { protocol, remoteAddress: address, remotePort: 5060, local };
    return protocol === 'udp' ? flow : { ...flow, connection: connectionTo(address) };
  }
}

const connectionTo = (address: string): number => Number(address.split('.').join(''));
