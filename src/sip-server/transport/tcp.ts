import type { Server, Socket } from 'node:net';
import { connect, createServer, isIPv4 } from 'node:net';
import type { CancelTimer, Clock } from '../../process/clock';
import type { SipMessage } from '../../sip-message/message';
import type { ParseLimits } from '../../sip-message/parse';
import { getHeader } from '../../sip-message/headers';
import { parseVia } from '../../sip-message/via';
import type { Destination, Flow, ListenPoint } from '../layers';
import { ConnectionTable } from './connection-table';
import type { ProtocolTransport, Receiver, SendDone } from './protocol-transport';
import type { StreamTimes } from './stream-connection';
import { StreamConnection } from './stream-connection';
import { DEFAULT_SIP_PORT } from './via';

export interface StreamSettings extends StreamTimes {
  readonly connectMs: number;
  /** Bytes that may wait for a peer that does not read. */
  readonly queueBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
}

export const DEFAULT_STREAM_SETTINGS: StreamSettings = {
  idleMs: 30 * 60_000,
  messageMs: 30_000,
  stallMs: 30_000,
  connectMs: 4_000,
  queueBytes: 1024 * 1024,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 2_500,
};

const CHECK_MS = 5_000;
const BACKLOG = 1024;

/** SIP over TCP, IPv4. A connection is used for everything to its peer, whoever opened it (RFC 3261 section 18). */
export class TcpTransport implements ProtocolTransport {
  readonly protocol = 'tcp';
  private readonly table = new ConnectionTable();
  private readonly servers: { readonly server: Server; readonly point: ListenPoint }[] = [];
  private readonly receiver: Receiver;
  private cancelCheck: CancelTimer | undefined;
  private closed = false;

  constructor(
    receiver: Receiver,
    private readonly limits: ParseLimits,
    private readonly settings: StreamSettings,
    private readonly clock: Clock,
    private readonly nextId: () => number,
  ) {
    this.receiver = {
      ...receiver,
      message: (message, flow, bytes) => {
        this.noteAlias(message, flow);
        receiver.message(message, flow, bytes);
      },
    };
  }

  async listen(wanted: ListenPoint): Promise<ListenPoint> {
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 45_000 });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: wanted.address, port: wanted.port, exclusive: true, backlog: BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    const address = server.address();
    const port = address !== null && typeof address === 'object' ? address.port : wanted.port;
    const point: ListenPoint = { ...wanted, port };
    // For instance EMFILE while accepting: the next connection may do better.
    server.on('error', (error) => this.receiver.listenerError(point, error));
    server.on('connection', (socket) => this.accepted(socket, point));
    this.servers.push({ server, point });
    return point;
  }

  send(bytes: Buffer, to: Destination, local: ListenPoint, done: SendDone): void {
    if (this.closed) return done({ failure: 'no-listener' });
    if (bytes.length > this.limits.message) return done({ failure: 'too-large' });
    if (to.connection !== undefined) {
      const connection = this.table.get(to.connection);
      return connection === undefined ? done({ failure: 'closed' }) : connection.send(bytes, done);
    }
    const connection = this.table.find(to.address, to.port) ?? this.open(to, local);
    if (connection === undefined) done({ failure: 'unreachable' });
    else connection.send(bytes, done);
  }

  isOpen(connection: number): boolean {
    return this.table.get(connection)?.isUsable === true;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelCheck?.();
    const servers = this.servers.splice(0).map(({ server }) => server);
    const ended = Promise.all(servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))));
    for (const connection of this.table.all()) connection.abort('closed');
    await ended;
  }

  private accepted(socket: Socket, local: ListenPoint): void {
    const { remoteAddress, remotePort } = socket;
    const { maxConnections, maxConnectionsPerAddress } = this.settings;
    const full =
      this.table.size >= maxConnections || this.table.countFrom(remoteAddress ?? '') >= maxConnectionsPerAddress;
    if (this.closed || full || remoteAddress === undefined || remotePort === undefined) {
      socket.on('error', () => undefined);
      socket.destroy();
      return;
    }
    this.adopt(socket, { address: remoteAddress, port: remotePort }, local);
  }

  private open(to: Destination, local: ListenPoint): StreamConnection | undefined {
    if (!isIPv4(to.address) || !(to.port > 0 && to.port < 65536)) return undefined;
    if (this.table.size >= this.settings.maxConnections) return undefined;
    const socket = connect({
      host: to.address,
      port: to.port,
      localAddress: local.address,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: 45_000,
    });
    const connection = this.adopt(socket, to, local);
    const cancel = this.clock.setTimer(this.settings.connectMs, () => connection.abort('timeout'));
    socket.once('connect', cancel);
    socket.once('close', cancel);
    return connection;
  }

  private adopt(
    socket: Socket,
    remote: { readonly address: string; readonly port: number },
    local: ListenPoint,
  ): StreamConnection {
    const connection = new StreamConnection(
      this.nextId(),
      socket,
      remote,
      local,
      this.settings.queueBytes,
      this.limits,
      () => this.clock.now(),
      this.receiver,
      (ended) => this.table.remove(ended),
    );
    this.table.add(connection);
    this.cancelCheck ??= this.clock.setTimer(CHECK_MS, () => this.check());
    return connection;
  }

  private check(): void {
    this.cancelCheck = undefined;
    const connections = this.table.all();
    for (const connection of connections) connection.check(this.settings);
    if (connections.length > 0 && !this.closed) this.cancelCheck = this.clock.setTimer(CHECK_MS, () => this.check());
  }

  /** RFC 5923 `;alias`, believed only of a client that names the very address it comes from. */
  private noteAlias(message: SipMessage, flow: Flow): void {
    if (message.kind !== 'request' || flow.connection === undefined) return;
    const text = getHeader(message, 'Via');
    if (text?.includes('alias') !== true) return;
    const via = parseVia(text);
    const connection = this.table.get(flow.connection);
    if (connection === undefined || via?.params.has('alias') !== true || via.host !== flow.remoteAddress) return;
    this.table.alias(connection, flow.remoteAddress, via.port ?? DEFAULT_SIP_PORT);
  }
}
