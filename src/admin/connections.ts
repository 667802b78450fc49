import type { IncomingHttpHeaders, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Open at a time. */
const MAX_CONNECTIONS = 256;
/** With more than this, those that we wait for give way to those who come. */
const CROWDED = 192;
/** In ms: a head, what belongs to it, and the next head, must each be complete in this time. */
const WAIT_MS = 5_000;

interface Client {
  readonly address: string;
  /** Requests that are not answered yet. */
  asked: number;
  /** Of those, the ones whose body has not come yet. */
  unread: number;
  deadline: NodeJS.Timeout | undefined;
}

/** Whether it is the client's turn: nothing is asked, or not to the end. */
function isAwaited({ asked, unread }: Client): boolean {
  return asked === 0 || unread > 0;
}

/**
 * Keeps room in the HTTP server for those who ask something: a connection that asks nothing, or does not come to the end of its question, is
 * closed in seconds. When many are open at once, one of the address that has most is closed for the next: the one that we have
 * waited for longest, else the one that has been longest about taking its answer.
 */
export function limitConnections(server: Server): void {
  /** Those whose turn it has been longest come first. */
  const clients = new Map<Socket, Client>();
  server.maxConnections = MAX_CONNECTIONS;
  server.headersTimeout = WAIT_MS;
  server.keepAliveTimeout = WAIT_MS;
  const turn = (socket: Socket, client: Client): void => {
    clearTimeout(client.deadline);
    if (socket.destroyed) return;
    client.deadline = isAwaited(client) ? setTimeout(() => socket.destroy(), WAIT_MS).unref() : undefined;
    clients.delete(socket);
    clients.set(socket, client);
  };
  server.on('connection', (socket: Socket) => {
    const client: Client = { address: socket.remoteAddress ?? '', asked: 0, unread: 0, deadline: undefined };
    if (clients.size >= CROWDED) whoGivesWay(clients)?.destroy();
    turn(socket, client);
    socket.once('close', () => {
      clearTimeout(client.deadline);
      clients.delete(socket);
    });
  });
  server.on('request', (request, response) => {
    const { socket } = request;
    const client = clients.get(socket);
    if (client === undefined) return;
    let unread = hasBody(request.headers);
    client.asked += 1;
    client.unread += unread ? 1 : 0;
    turn(socket, client);
    const read = (): void => {
      client.unread -= unread ? 1 : 0;
      unread = false;
      turn(socket, client);
    };
    request.once('end', read);
    response.once('close', () => {
      client.asked -= 1;
      read();
    });
  });
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

function whoGivesWay(clients: ReadonlyMap<Socket, Client>): Socket | undefined {
  const counts = new Map<string, number>();
  for (const { address } of clients.values()) counts.set(address, (counts.get(address) ?? 0) + 1);
  const most = Math.max(0, ...counts.values());
  const crowd = [...clients].filter(([, { address }]) => counts.get(address) === most);
  return (crowd.find(([, client]) => isAwaited(client)) ?? crowd[0])?.[0];
}
