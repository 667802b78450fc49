import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Open at a time. */
const MAX_CONNECTIONS = 256;
/** With more than this, those that ask nothing give way to those who come. */
const CROWDED = 192;
/** In ms: a request must have its head complete, and the next one must come, in this time. */
const HEAD_MS = 5_000;

/**
 * Keeps room in the HTTP server for those who ask something: a connection that asks nothing is closed in seconds, and when many
 * are open at once, the oldest such one of the address that has most is closed for the next.
 */
export function limitConnections(server: Server): void {
  const idle = new Map<Socket, string>();
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = HEAD_MS;
  server.keepAliveTimeout = HEAD_MS;
  let open = 0;
  server.on('connection', (socket: Socket) => {
    open += 1;
    idle.set(socket, socket.remoteAddress ?? '');
    const deadline = setTimeout(() => {
      if (idle.has(socket)) socket.destroy();
    }, HEAD_MS).unref();
    socket.once('close', () => {
      clearTimeout(deadline);
      open -= 1;
      idle.delete(socket);
    });
    if (open > CROWDED) oldestOfMost(idle)?.destroy();
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    idle.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) idle.set(socket, socket.remoteAddress ?? '');
    });
  });
}

function oldestOfMost(idle: ReadonlyMap<Socket, string>): Socket | undefined {
  const counts = new Map<string, number>();
  let most = 0;
  for (const address of idle.values()) {
    const count = (counts.get(address) ?? 0) + 1;
    counts.set(address, count);
    most = Math.max(most, count);
  }
  for (const [socket, address] of idle) if (counts.get(address) === most) return socket;
  return undefined;
}
