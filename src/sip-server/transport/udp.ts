import type { RemoteInfo, Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Clock } from '../../process/clock';
import type { ParseLimits } from '../../sip-message/parse';
import { parseMessage } from '../../sip-message/parse';
import type { Destination, Flow, ListenPoint } from '../layers';
import { sourceOf } from '../source';
import { boundPoint, failureOf } from './addresses';
import { Intake } from './intake';
import type { ProtocolTransport, Receiver, SendDone } from './protocol-transport';
import { RefusalProbe } from './refusal-probe';

/** Bursts (a site that re-registers) wait in the kernel; it may grant less (net.core.rmem_max). */
const SOCKET_BUFFER = 4 * 1024 * 1024;
const MAX_PAYLOAD = 65_507;
/** Keep-alives: CRLF, a STUN-less `\0`, an empty datagram. Nothing shorter can be a message. */
const SMALLEST_MESSAGE = 16;

/** Addresses are literals already; the default would ask the resolver for each datagram. */
function noLookup(
  address: string,
  _options: unknown,
  callback: (error: NodeJS.ErrnoException | null, address: string, family: number) => void,
): void {
  callback(null, address, isIP(address));
}

function isRequest(bytes: Buffer): boolean {
  const start = bytes.toString('latin1', 0, 8);
  return start !== 'SIP/2.0 ' && !start.startsWith('ACK ');
}

interface Listener {
  readonly point: ListenPoint;
  readonly socket: Socket;
}

/** SIP over UDP. */
export class UdpTransport implements ProtocolTransport {
  readonly protocol = 'udp';
  private readonly listeners: Listener[] = [];
  private readonly probe: RefusalProbe;
  private readonly intake = new Intake();
  private closed = false;

  constructor(
    private readonly receiver: Receiver,
    private readonly limits: ParseLimits,
    clock: Clock,
    private readonly isKnown: (flow: Flow) => boolean,
  ) {
    this.probe = new RefusalProbe(clock, (address, port) =>
      receiver.sendFailed({ protocol: 'udp', address, port }, 'refused'),
    );
  }

  async listen(wanted: ListenPoint): Promise<ListenPoint> {
    const isSix = isIP(wanted.address) === 6;
    const socket = createSocket({
      type: isSix ? 'udp6' : 'udp4',
      ipv6Only: isSix,
      lookup: noLookup,
      ...bufferSizes(),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: wanted.address, port: wanted.port, exclusive: true }, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    const point = boundPoint(wanted, socket.address().port);
    // Errors of single sends come through their callbacks; a listener's own error must not end the process.
    socket.on('error', (error) => this.receiver.listenerError(point, error));
    socket.on('message', (bytes, source) => this.received(bytes, source, point));
    this.listeners.push({ point, socket });
    return point;
  }

  send(bytes: Buffer, to: Destination, local: ListenPoint, done: SendDone): void {
    const listener = this.listeners.find(({ point }) => point.address === local.address && point.port === local.port);
    if (listener === undefined || this.closed) return done({ failure: 'no-listener' });
    if (bytes.length > MAX_PAYLOAD) return done({ failure: 'too-large' });
    const { address } = to;
    const sameFamily = isIP(address) !== 0 && isIP(address) === isIP(local.address);
    if (!sameFamily || !(to.port > 0 && to.port < 65536)) return done({ failure: 'unreachable' });
    const flow: Flow = { protocol: 'udp', remoteAddress: address, remotePort: to.port, local };
    listener.socket.send(bytes, 0, bytes.length, to.port, address, (error) => {
      if (error !== null) return done({ failure: failureOf(error) });
      if (isRequest(bytes)) this.probe.sent(address, to.port);
      done({ flow });
    });
  }

  takesAnswers(): boolean {
    return false;
  }

  isOpen(): boolean {
    return false;
  }

  finish(): void {
    // There is no connection.
  }

  cutOff(): void {
    // There is no connection.
  }

  keep(): void {
    // There is no connection.
  }

  async close(): Promise<void> {
    this.closed = true;
    this.probe.close();
    const sockets = this.listeners.splice(0).map(({ socket }) => socket);
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }

  private received(bytes: Buffer, source: RemoteInfo, local: ListenPoint): void {
    this.probe.heard(source.address, source.port);
    if (bytes.length < SMALLEST_MESSAGE) return;
    const flow: Flow = { protocol: 'udp', remoteAddress: source.address, remotePort: source.port, local };
    const handle = (): void => this.handle(bytes, flow);
    const lost = (): void => this.receiver.lost(source.address, source.port);
    this.intake.add(sourceOf(source.address), this.isKnown(flow), bytes.length, handle, lost);
  }

  private handle(bytes: Buffer, flow: Flow): void {
    if (this.closed) return;
    const result = parseMessage(bytes, this.limits);
    if (result.ok) this.receiver.message(result.message, flow, bytes.length);
    else this.receiver.malformed(result, flow);
  }
}

function bufferSizes(): { readonly recvBufferSize: number; readonly sendBufferSize: number } {
  return { recvBufferSize: SOCKET_BUFFER, sendBufferSize: SOCKET_BUFFER };
}
