import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './ports';
import type { Scope } from './scope';

/** A message on its way from Redis to a node, as far as a test wants to know it. */
export interface BusMessage {
  readonly channel: string;
  /** `poll`, `deltas`, ... */
  readonly type: string;
  /** The node that sent it. */
  readonly from: number;
  readonly text: string;
}

export type Verdict = 'pass' | 'hold' | 'drop';

interface Held {
  readonly frame: Buffer;
  readonly to: Socket;
}

/**
 * Stands between one node and Redis, and decides what the node hears of the bus and when. It sees whole messages; they
 * are signed, so it can hold them back, drop them and let them overtake each other, as a network can, and no more.
 */
export class BusProxy {
  /** What becomes of each message; to be set by the test. */
  judge: (message: BusMessage) => Verdict = () => 'pass';
  dropped = 0;
  private readonly held: Held[] = [];
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly url: string,
  ) {}

  /** `redis`: the URL of the real one. */
  static async start(scope: Scope, redis: string): Promise<BusProxy> {
    const target = new URL(redis);
    const port = await freePort('127.0.0.1', ['tcp']);
    const server = createServer();
    const proxy = new BusProxy(server, `redis://127.0.0.1:${port}`);
    server.on('connection', (client) => proxy.serve(client, Number(target.port), target.hostname));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    scope.defer(() => proxy.close());
    return proxy;
  }

  get holding(): number {
    return this.held.length;
  }

  /** From now on everything passes; what was held is delivered, in its order. */
  release(): void {
    this.judge = () => 'pass';
    for (const { frame, to } of this.held.splice(0)) to.write(frame);
  }

  private serve(client: Socket, port: number, host: string): void {
    const redis = connect(port, host);
    const frames = new RespFrames();
    for (const [one, other] of [
      [client, redis],
      [redis, client],
    ] as const) {
      this.sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        this.sockets.delete(one);
        other.destroy();
      });
    }
    client.on('data', (bytes) => redis.write(bytes));
    redis.on('data', (bytes) => {
      for (const frame of frames.take(bytes)) this.deliver(frame, client);
    });
  }

  private deliver(frame: Buffer, to: Socket): void {
    const message = readMessage(frame);
    const verdict = message === undefined ? 'pass' : this.judge(message);
    if (verdict === 'pass') to.write(frame);
    else if (verdict === 'hold') this.held.push({ frame, to });
    else this.dropped += 1;
  }

  private close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

/** Cuts the answers of Redis (RESP2 or RESP3) into whole values. */
class RespFrames {
  private rest: Buffer = Buffer.alloc(0);

  take(bytes: Buffer): Buffer[] {
    this.rest = Buffer.concat([this.rest, bytes]);
    const frames: Buffer[] = [];
    for (let end = valueEnd(this.rest, 0); end !== undefined; end = valueEnd(this.rest, 0)) {
      frames.push(this.rest.subarray(0, end));
      this.rest = this.rest.subarray(end);
    }
    return frames;
  }
}

/** Where the value that begins at `start` ends; undefined: not all of it is there. */
function valueEnd(bytes: Buffer, start: number): number | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const type = bytes.toString('latin1', start, start + 1);
  const size = Number(bytes.toString('latin1', start + 1, lineEnd));
  if ('$!='.includes(type)) {
    const end = size < 0 ? lineEnd + 2 : lineEnd + 2 + size + 2;
    return end <= bytes.length ? end : undefined;
  }
  if (!'*>~%|'.includes(type)) return lineEnd + 2;
  let at: number | undefined = lineEnd + 2;
  const values = '%|'.includes(type) ? 2 * size : size;
  for (let value = 0; value < values && at !== undefined; value++) at = valueEnd(bytes, at);
  return at;
}

/** A pub/sub message of a node; undefined for everything else. */
function readMessage(frame: Buffer): BusMessage | undefined {
  const [kind, channel, text] = frame
    .toString('utf8')
    .split('\r\n')
    .filter((line) => !/^[*>$]\d+$/.test(line));
  if (kind !== 'message' || channel === undefined || text === undefined) return undefined;
  const json: unknown = JSON.parse(text.slice(text.indexOf('{')));
  if (typeof json !== 'object' || json === null || !('type' in json) || !('node' in json)) return undefined;
  return { channel, type: String(json.type), from: Number(json.node), text };
}
