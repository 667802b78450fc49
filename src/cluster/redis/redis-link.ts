import { createClient } from 'redis';
import type { Clock } from '../../process/clock';

const CONNECT_DEADLINE_MS = 3_000;
const PING_INTERVAL_MS = 1_000;
const PING_DEADLINE_MS = 2_500;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/** A client that connects once: the link makes a new one for each attempt, so nothing waits in an old one's queue. */
function createOneShotClient(url: string) {
  return createClient({
    url,
    disableOfflineQueue: true,
    socket: { connectTimeout: CONNECT_DEADLINE_MS, reconnectStrategy: false },
  });
}

export type RedisClient = ReturnType<typeof createOneShotClient>;

export interface RedisLinkOptions {
  readonly url: string;
  readonly clock: Clock;
  /** Makes a connection useful (subscribes); the link is up after it. */
  readonly prepare: (client: RedisClient) => Promise<void>;
  readonly onChange: (up: boolean) => void;
  readonly onError: (error: unknown) => void;
}

/** Whether a connection has ended, as its client says. */
class ConnectionLife {
  ended = false;
}

/**
 * One connection to Redis that is made again for ever, each time with a new client. A server that accepts but does not
 * answer is found out by pings, and left.
 */
export class RedisLink {
  private client: RedisClient | undefined;
  private connecting: RedisClient | undefined;
  private stopped = false;
  private heardAt = 0;
  private wake: () => void = () => undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: RedisLinkOptions) {}

  /** The client while the link is up. */
  get up(): RedisClient | undefined {
    return this.client;
  }

  start(): void {
    this.running = this.run();
  }

  /** Ends the connection, and the attempts to have one. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.wake();
    destroy(this.connecting);
    await this.running;
  }

  /** Something came from Redis: it does not hang, even if it has too much to do to answer a ping in time. */
  heard(): void {
    this.heardAt = this.options.clock.now();
  }

  private async run(): Promise<void> {
    let backoff = MIN_BACKOFF_MS;
    while (!this.stopped) {
      const wasUp = await this.connection();
      backoff = wasUp ? MIN_BACKOFF_MS : Math.min(MAX_BACKOFF_MS, backoff * 2);
      await this.pause(backoff * (0.75 + Math.random() / 2));
    }
  }

  /** The life of one connection; `true` when it came up. */
  private async connection(): Promise<boolean> {
    const { clock, prepare, onChange, onError } = this.options;
    const life = new ConnectionLife();
    try {
      const client = this.newClient(life);
      this.connecting = client;
      await withDeadline(clock, CONNECT_DEADLINE_MS, client.connect());
      await withDeadline(clock, CONNECT_DEADLINE_MS, prepare(client));
      this.client = client;
      onChange(true);
      while (!this.isOver(life)) {
        await this.pause(PING_INTERVAL_MS, life);
        if (!this.isOver(life)) await this.ping(client);
      }
    } catch (error) {
      if (!this.isOver(life)) onError(error);
    }
    const wasUp = this.client !== undefined;
    this.client = undefined;
    destroy(this.connecting);
    if (wasUp) onChange(false);
    return wasUp;
  }

  private async ping(client: RedisClient): Promise<void> {
    const { clock } = this.options;
    const asked = clock.now();
    try {
      await withDeadline(clock, PING_DEADLINE_MS, client.ping());
    } catch (error) {
      if (this.heardAt <= asked) throw error;
    }
  }

  private newClient(life: ConnectionLife): RedisClient {
    const client = createOneShotClient(this.options.url);
    const end = () => {
      life.ended = true;
      this.wake();
    };
    client.on('end', end);
    client.on('error', (error: unknown) => {
      if (!this.isOver(life)) this.options.onError(error);
      end();
    });
    return client;
  }

  private isOver(life: ConnectionLife): boolean {
    return this.stopped || life.ended;
  }

  private pause(ms: number, life = new ConnectionLife()): Promise<void> {
    if (this.isOver(life)) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.options.clock.setTimer(ms, resolve);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/**
 * Rejects when `promise` is not settled in time; what it does later is nobody's concern. Sockets are read once more
 * after the timer: when the process itself stood still, the answer may lie there.
 */
async function withDeadline<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  let cancel: () => void = () => undefined;
  const deadline = new Promise<never>((_, reject) => {
    const late = () => reject(new Error(`no answer from Redis in ${ms} ms`));
    cancel = clock.setTimer(ms, () => setImmediate(late));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    cancel();
  }
}

function destroy(client: RedisClient | undefined): void {
  try {
    client?.destroy();
  } catch {
    // It was closed already.
  }
}
