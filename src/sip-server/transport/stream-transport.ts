import type { Server, Socket } from 'node:net';
import { isIP } from 'node:net';
import type { CancelTimer, Clock } from '../../process/clock';
import { getHeader } from '../../sip-message/headers';
import type { SipMessage } from '../../sip-message/message';
import type { ParseLimits } from '../../sip-message/parse';
import { parseVia } from '../../sip-message/via';
import { addressOfHost } from '../host';
import type { Destination, Flow, ListenPoint, Protocol } from '../layers';
import type { Framing, Shared } from './connection';
import { Connection } from './connection';
import { boundPoint } from './addresses';
import { ConnectionTable } from './connection-table';
import { Handshakes } from './handshakes';
import type { ProtocolTransport, Receiver, SendDone, TurnAway } from './protocol-transport';
import { Room } from './room';
import type { StreamSettings } from './settings';
import { defaultPort } from './via';
import type { Wire } from './wire';
import { SocketWire } from './wire';

const CHECK_MS = 5_000;
const BACKLOG = 1024;

/** Options of every socket, of those that we accept and those that we open. */
export const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 45_000 } as const;

/** What one protocol with connections does in its own way. */
export interface StreamProtocol {
  readonly protocol: Protocol;
  /** False: a client is a connection as soon as its socket is there. */
  readonly hasHandshake: boolean;
  /** A server, not listening yet, that hands over each client whose handshake is done. */
  createServer(point: ListenPoint, accept: (wire: Wire) => void, turnAway: TurnAway): Server;
  /** Undefined: only clients open connections (RFC 7118 section 5: a WebSocket server cannot). */
  readonly open?: (to: Destination, local: ListenPoint) => Wire;
  framing(): Framing;
}

interface BoundServer {
  readonly server: Server;
  readonly handshakes: Handshakes;
}

/**
 * SIP over connections. A connection is used for everything to its peer, whoever opened it (RFC 3261 section 18,
 * RFC 5923); a destination may name the connection, and then nothing else is tried.
 */
export class StreamTransport implements ProtocolTransport {
  readonly protocol: Protocol;
  private readonly table = new ConnectionTable();
  private readonly servers: BoundServer[] = [];
  private readonly strangers: Room;
  private readonly receiver: Receiver;
  private cancelCheck: CancelTimer | undefined;
  private closed = false;

  constructor(
    private readonly kind: StreamProtocol,
    receiver: Receiver,
    private readonly limits: ParseLimits,
    private readonly settings: StreamSettings,
    private readonly clock: Clock,
    private readonly nextId: () => number,
    private readonly shared: Shared,
  ) {
    this.strangers = new Room(() => clock.now());
    this.protocol = kind.protocol;
    this.receiver = {
      ...receiver,
      message: (message, flow, bytes) => {
        this.noteAlias(message, flow);
        receiver.message(message, flow, bytes);
      },
    };
  }

  async listen(wanted: ListenPoint): Promise<ListenPoint> {
    let point = wanted;
    const handshakes = new Handshakes(this.clock, this.settings, this.turnAway);
    const server = this.kind.createServer(wanted, (wire) => this.accepted(wire, point, handshakes), this.turnAway);
    server.on('connection', (socket) => this.connected(socket, point, handshakes));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const { address: host, port } = wanted;
      server.listen({ host, port, exclusive: true, ipv6Only: true, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address();
    if (address !== null && typeof address === 'object') point = boundPoint(wanted, address.port);
    // For instance EMFILE while accepting: the next connection may do better.
    server.on('error', (error) => this.receiver.listenerError(point, error));
    this.servers.push({ server, handshakes });
    return point;
  }

  send(bytes: Buffer, to: Destination, local: ListenPoint, done: SendDone): void {
    if (this.closed) return done({ failure: 'no-listener' });
    if (bytes.length > this.limits.message) return done({ failure: 'too-large' });
    if (to.connection !== undefined) {
      const connection = this.table.get(to.connection);
      return connection === undefined ? done({ failure: 'closed' }) : connection.send(bytes, done);
    }
    const connection = this.findFor(to) ?? this.open(to, local);
    if (connection === undefined) done({ failure: 'unreachable' });
    else connection.send(bytes, done);
  }

  isOpen(connection: number): boolean {
    return this.table.get(connection)?.isUsable === true;
  }

  takesAnswers(connection: number): boolean {
    return this.table.get(connection)?.isWritable === true;
  }

  finish(connection: number): void {
    this.table.get(connection)?.finish();
  }

  cutOff(connection: number, silentMs: number): void {
    this.table.get(connection)?.cutOff(silentMs);
  }

  keep(connection: number): void {
    this.table.get(connection)?.keep();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelCheck?.();
    const servers = this.servers.splice(0);
    const ended = servers.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const connection of this.table.all()) connection.abort('closed');
    for (const { handshakes } of servers) handshakes.abort();
    await Promise.all(ended);
  }

  private readonly turnAway: TurnAway = (...facts) => this.receiver.turnedAway(this.kind.protocol, ...facts);

  private findFor(to: Destination): Connection | undefined {
    const connection = this.table.find(to.address, to.port);
    return connection?.isPeer(to.address, to.name) === true ? connection : undefined;
  }

  private connected(socket: Socket, local: ListenPoint, handshakes: Handshakes): void {
    socket.on('error', () => undefined);
    const { remoteAddress: address = '', remotePort: port = 0 } = socket;
    if (this.closed || this.isFull(address, handshakes) || !handshakes.begin(socket)) {
      if (!this.closed && address !== '') this.turnAway({ address, port }, 'too-many');
      socket.destroy();
      return;
    }
    if (this.kind.hasHandshake) return;
    this.accepted(new SocketWire(socket, { address, port }), local, handshakes);
  }

  private isFull(address: string, handshakes: Handshakes): boolean {
    const { maxConnections, maxConnectionsPerAddress } = this.settings;
    const full = this.table.size + handshakes.size >= maxConnections;
    if (full && !this.strangers.makePlaceFor(address)) return true;
    return this.table.countFrom(address) + handshakes.countFrom(address) >= maxConnectionsPerAddress;
  }

  private accepted(wire: Wire, local: ListenPoint, handshakes: Handshakes): void {
    if (handshakes.end(wire.remote.address, wire.remote.port) && !this.closed) this.adopt(wire, local);
    else wire.destroy();
  }

  private open(to: Destination, local: ListenPoint): Connection | undefined {
    const { open } = this.kind;
    const family = isIP(to.address);
    if (open === undefined || family === 0 || family !== isIP(local.address)) return undefined;
    if (!(to.port > 0 && to.port < 65536) || this.table.size >= this.settings.maxConnections) return undefined;
    const connection = this.adopt(open(to, local), local);
    const cancel = this.clock.setTimer(this.settings.connectMs, () => connection.abort('timeout'));
    connection.onceSettled(cancel);
    return connection;
  }

  private adopt(wire: Wire, local: ListenPoint): Connection {
    const connection = new Connection(
      this.nextId(),
      wire,
      local,
      this.settings.queueBytes,
      this.kind.framing(),
      () => this.clock.now(),
      this.receiver,
      (ended) => this.table.remove(ended),
      this.shared,
    );
    this.table.add(connection);
    connection.inRoom(this.strangers);
    this.cancelCheck ??= this.clock.setTimer(CHECK_MS, () => this.check());
    return connection;
  }

  private check(): void {
    this.cancelCheck = undefined;
    const connections = this.table.all();
    for (const connection of connections) connection.check(this.settings);
    if (connections.length > 0 && !this.closed) this.cancelCheck = this.clock.setTimer(CHECK_MS, () => this.check());
  }

  /**
   * RFC 5923 `;alias`: requests to sent-by may use this connection. Believed only with TLS, of a client that has a
   * certificate for that name: whoever shares an address with a gateway or a node could take its requests otherwise.
   */
  private noteAlias(message: SipMessage, flow: Flow): void {
    if (this.protocol !== 'tls' || message.kind !== 'request' || flow.connection === undefined) return;
    const text = getHeader(message, 'Via');
    if (text?.includes('alias') !== true) return;
    const via = parseVia(text);
    const connection = this.table.get(flow.connection);
    if (connection === undefined || via?.params.has('alias') !== true) return;
    if (!connection.isPeer(addressOfHost(via.host))) return;
    this.table.alias(connection, flow.remoteAddress, via.port ?? defaultPort(flow.protocol));
  }
}
