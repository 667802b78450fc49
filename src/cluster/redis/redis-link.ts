import type { Clock } from '../../process/clock';
import {
  clientFor,
  CONNECT_DEADLINE_MS,
  destroy,
  placeName,
  withoutPassword,
  withDeadline,
  type Place,
  type RedisClient,
  type Target,
} from './redis-client';

/** What does not answer a ping in this time is left: a Redis that hangs, or whose host has vanished without a word. A false alarm costs a new connection and a hello, no entry. */
const PING_DEADLINE_MS = 1_000;
/** What was heard about as long ago as pings are apart does not save the next one. */
const ABOUT_MS = 250;
const MIN_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 5_000;

export interface RedisLinkOptions {
  /** Where the next attempt goes. */
  readonly target: () => Promise<Target>;
  readonly clock: Clock;
  /** It is pinged when nothing has come over it for about so long. */
  readonly quietMs: number;
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
  private life = new ConnectionLife();
  private connectedTo: Place | string | undefined;
  private stopped = false;
  private impatient = false;
  private backoff = MIN_BACKOFF_MS;
  private heardAt = 0;
  private wake: () => void = () => undefined;
  private running: Promise<void> = Promise.resolve();

  constructor(private readonly options: RedisLinkOptions) {}

  /** The client while the link is up. */
  get up(): RedisClient | undefined {
    return this.client;
  }

  /** What it is connected to, or tries to connect to. */
  get at(): Place | string | undefined {
    return this.connectedTo;
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

  /** Leaves the connection, if there is one, and makes another at once. */
  renew(): void {
    this.impatient = true;
    this.life.ended = true;
    destroy(this.connecting);
    this.wake();
  }

  /** Something came from Redis: it does not hang, even if it has too much to do to answer a ping in time. */
  heard(): void {
    this.heardAt = this.options.clock.now();
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const wasUp = await this.connection();
      if (wasUp) this.backoff = MIN_BACKOFF_MS;
      if (!this.impatient) await this.pause(this.backoff * (0.5 + Math.random() / 2), new ConnectionLife());
      this.backoff = this.impatient ? MIN_BACKOFF_MS : Math.min(MAX_BACKOFF_MS, this.backoff * 2);
      this.impatient = false;
    }
  }

  /** The life of one connection; `true` when it came up. */
  private async connection(): Promise<boolean> {
    const { clock, prepare, onChange, onError } = this.options;
    const life = (this.life = new ConnectionLife());
    try {
      const client = await this.newClient(life);
      this.connecting = client;
      if (this.isOver(life)) return false;
      await withDeadline(clock, CONNECT_DEADLINE_MS, client.connect());
      await withDeadline(clock, CONNECT_DEADLINE_MS, prepare(client));
      if (this.isOver(life)) return false;
      this.client = client;
      onChange(true);
      this.heard();
      while (!this.isOver(life)) {
        await this.pause(this.options.quietMs, life, true);
        const quietMs = clock.now() - this.heardAt;
        // Less than nothing: the clock was set back.
        if (this.isOver(life) || (quietMs >= 0 && quietMs < this.options.quietMs - ABOUT_MS)) continue;
        await this.ping(client);
        this.heard();
      }
    } catch (error) {
      if (!this.isOver(life)) onError(this.explained(error));
    } finally {
      life.ended = true;
      destroy(this.connecting);
      this.connecting = undefined;
    }
    const wasUp = this.client !== undefined;
    this.client = undefined;
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

  private async newClient(life: ConnectionLife): Promise<RedisClient> {
    const target = await this.options.target();
    this.connectedTo = target.at;
    const client = await clientFor(target);
    const end = () => {
      life.ended = true;
      if (this.life === life) this.wake();
    };
    client.on('end', end);
    client.on('error', (error: unknown) => {
      if (!this.isOver(life)) this.options.onError(this.explained(error));
      end();
    });
    return client;
  }

  private explained(error: unknown): Error {
    const where = this.connectedTo === undefined ? 'Redis' : `Redis at ${placeName(this.connectedTo)}`;
    return new Error(`${where}: ${withoutPassword(error instanceof Error ? error.message : String(error))}`);
  }

  private isOver(life: ConnectionLife): boolean {
    return this.stopped || life.ended;
  }

  private pause(ms: number, life: ConnectionLife, roughly = false): Promise<void> {
    if (this.isOver(life)) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.options.clock.setTimer(ms, resolve, roughly);
      this.wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
