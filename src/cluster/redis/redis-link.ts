import { createClient } from 'redis';
import type { Clock } from '../../process/clock';

export type RedisClient = ReturnType<typeof createClient>;

export interface RedisLinkOptions {
  readonly url: string;
  readonly clock: Clock;
  /** Makes a connection useful (subscribes); the link is up after it. */
  readonly prepare: (client: RedisClient) => Promise<void>;
  readonly onChange: (up: boolean) => void;
  readonly onError: (error: unknown) => void;
}

const CONNECT_DEADLINE_MS = 3_000;
const PING_INTERVAL_MS = 1_000;
const PING_DEADLINE_MS = 2_500;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

/**
 * One connection to Redis that is made again for ever, each time with a new client. A server that accepts but does not
 * answer is found out by pings, and left.
 */
export class RedisLink {
  private client: RedisClient | undefined;
  private stopped = false;
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
    await this.running;
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
    const { url, clock, prepare, onChange, onError } = this.options;
    let ended = false;
    let client: RedisClient | undefined;
    try {
      client = createClient({
        url,
        disableOfflineQueue: true,
        socket: { connectTimeout: CONNECT_DEADLINE_MS, reconnectStrategy: false },
      });
      client.on('error', (error: unknown) => {
        ended = true;
        if (!this.stopped) onError(error);
        this.wake();
      });
      client.on('end', () => {
        ended = true;
        this.wake();
      });
      await withDeadline(clock, CONNECT_DEADLINE_MS, client.connect());
      await withDeadline(clock, CONNECT_DEADLINE_MS, prepare(client));
      this.client = client;
      onChange(true);
      while (!this.stopped && !ended) {
        await this.pause(PING_INTERVAL_MS, () => this.stopped || ended);
        if (!this.stopped && !ended) await withDeadline(clock, PING_DEADLINE_MS, client.ping());
      }
    } catch (error) {
      if (!this.stopped && !ended) onError(error);
    }
    const wasUp = this.client !== undefined;
    this.client = undefined;
    if (client !== undefined) destroy(client);
    if (wasUp) onChange(false);
    return wasUp;
  }

  private pause(ms: number, over: () => boolean = () => this.stopped): Promise<void> {
    if (over()) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.options.clock.setTimer(ms, resolve);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

/** Rejects when `promise` is not settled in time; what it does later is nobody's concern. */
async function withDeadline<T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  let cancel: () => void = () => undefined;
  const deadline = new Promise<never>((_, reject) => {
    cancel = clock.setTimer(ms, () => reject(new Error(`no answer from Redis in ${ms} ms`)));
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    cancel();
  }
}

function destroy(client: RedisClient): void {
  try {
    client.destroy();
  } catch {
    // It was closed already.
  }
}
