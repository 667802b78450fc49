import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, Server, ServerOptions } from 'node:http';
import { createServer } from 'node:http';
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { WebSocketServer } from 'ws';
import type { ParseLimits } from '../../sip-message/parse';
import { parseMessage } from '../../sip-message/parse';
import type { StreamItem } from '../../sip-message/stream';
import type { Framing } from './connection';
import type { OriginPolicy } from './origins';
import type { TurnAway } from './protocol-transport';
import type { StreamProtocol } from './stream-transport';
import { SOCKET_OPTIONS } from './stream-transport';
import type { RemoteAddress, Wire, WireEvents } from './wire';

const SUBPROTOCOL = 'sip';
/** Answers to pings that a client does not take. */
const MAX_WAITING_PONGS = 64 * 1024;

export const HTTP_OPTIONS: ServerOptions = { ...SOCKET_OPTIONS, maxHeaderSize: 8 * 1024 };

function bytesOf(data: RawData): Buffer {
  if (Array.isArray(data)) return Buffer.concat(data);
  return Buffer.isBuffer(data) ? data : Buffer.from(data);
}

/** A WebSocket of a client, after the upgrade. */
class WebSocketWire implements Wire {
  readonly isOpen = true;

  constructor(
    private readonly webSocket: WebSocket,
    private readonly socket: Duplex,
    readonly remote: RemoteAddress,
  ) {}

  get isWritable(): boolean {
    return this.webSocket.readyState === this.webSocket.OPEN;
  }

  get queued(): number {
    return this.webSocket.bufferedAmount;
  }

  /** As text when it is text: browsers want to see it so. */
  write(bytes: Buffer, written: (error: Error | null | undefined) => void): void {
    this.webSocket.send(bytes, { binary: !isUtf8(bytes) }, written);
  }

  pause(): void {
    this.webSocket.pause();
  }

  resume(): void {
    this.webSocket.resume();
  }

  end(): void {
    this.webSocket.close(1000);
  }

  destroy(): void {
    this.webSocket.terminate();
  }

  reset(): void {
    this.webSocket.terminate();
  }

  attach(events: WireEvents): void {
    // Before the library looks at the bytes: what it finds whole in them comes after.
    this.socket.prependListener('data', (chunk: Buffer) => events.partial(chunk.length));
    this.webSocket.on('message', (data) => events.received(bytesOf(data)));
    this.webSocket.on('ping', (data) => {
      events.alive();
      if (this.queued > MAX_WAITING_PONGS) this.destroy();
      else if (this.isWritable) this.webSocket.pong(data, false, () => undefined);
    });
    this.webSocket.on('pong', () => events.alive());
    this.webSocket.on('error', (error) => events.failed(error));
    this.webSocket.on('close', () => events.closed());
  }

  isPeer(address: string): boolean {
    return address === this.remote.address;
  }
}

/** With TLS, a client's address alone proves nothing, and browsers have no certificate. */
class SecureWebSocketWire extends WebSocketWire {
  override isPeer(): boolean {
    return false;
  }
}

/** One WebSocket message is one SIP message (RFC 7118 section 5); CRLFs alone are keep-alives (RFC 5626 section 4.4.1). */
class MessageFraming implements Framing {
  readonly isInsideMessage = false;
  readonly heldBytes = 0;

  constructor(private readonly limits: ParseLimits) {}

  push(bytes: Buffer): StreamItem[] {
    if (bytes.length <= 4 && /^[\r\n]*$/.test(bytes.toString('latin1'))) {
      return bytes.length === 4 ? [{ kind: 'ping' }] : [];
    }
    const result = parseMessage(bytes, this.limits);
    if (result.ok) return [{ kind: 'message', message: result.message, bytes: bytes.length }];
    return [{ kind: 'error', failure: result, fatal: false, bytes: bytes.length }];
  }
}

function offersSip(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((protocol) => protocol.trim().toLowerCase() === SUBPROTOCOL);
}

function refuseUpgrade(socket: Duplex, status: '400 Bad Request' | '403 Forbidden'): void {
  socket.on('error', () => undefined);
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

/**
 * Makes WebSockets of the clients of an HTTP server; a client that does not speak the subprotocol `sip` gets 400, a page that may not 403
 * (RFC 6455 section 4.2.2).
 */
export function upgradeClients(
  server: Server,
  options: {
    readonly limits: ParseLimits;
    readonly secure: boolean;
    readonly mayOpen: OriginPolicy;
    readonly accept: (wire: Wire) => void;
    readonly turnAway: TurnAway;
  },
): void {
  const { limits, secure, mayOpen, accept, turnAway } = options;
  const upgrader = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.message,
    autoPong: false,
    handleProtocols: () => SUBPROTOCOL,
  });
  server.on('request', (_request, response) => {
    response.writeHead(426, { Upgrade: 'websocket', Connection: 'close', 'Content-Length': 0 }).end();
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { remoteAddress: address, remotePort: port } = request.socket;
    if (address === undefined || port === undefined) return refuseUpgrade(socket, '400 Bad Request');
    if (!offersSip(request)) {
      turnAway({ address, port }, 'no-sip', request.headers['sec-websocket-protocol']);
      return refuseUpgrade(socket, '400 Bad Request');
    }
    if (!mayOpen(request.headers.origin)) {
      turnAway({ address, port }, 'origin', request.headers.origin);
      return refuseUpgrade(socket, '403 Forbidden');
    }
    upgrader.handleUpgrade(request, socket, head, (webSocket) => {
      const make = secure ? SecureWebSocketWire : WebSocketWire;
      accept(new make(webSocket, socket, { address, port }));
    });
  });
}

export const messageFraming = (limits: ParseLimits): Framing => new MessageFraming(limits);

/** SIP over WebSocket (RFC 7118); only clients open connections. */
export function ws(limits: ParseLimits, mayOpen: OriginPolicy): StreamProtocol {
  return {
    protocol: 'ws',
    hasHandshake: true,
    createServer: (_point, accept, turnAway) => {
      const server = createServer(HTTP_OPTIONS);
      upgradeClients(server, { limits, secure: false, mayOpen, accept, turnAway });
      return server;
    },
    framing: () => messageFraming(limits),
  };
}
