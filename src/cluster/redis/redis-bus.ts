import { systemClock, type Clock } from '../../process/clock';
import type { Bus } from '../bus';
import { RedisLink, type RedisClient } from './redis-link';

export interface RedisBusOptions {
  /** `redis://` or `rediss://` URL. */
  readonly url: string;
  readonly clock?: Clock;
  /** Told of each failed connection; there may be many. */
  readonly onError?: (error: unknown) => void;
}

interface Subscription {
  readonly channel: string;
  readonly listener: (payload: string) => void;
  readonly urgent: boolean;
}

/** Bounds of what is on its way to Redis and not confirmed; beyond them messages are dropped. */
const MAX_UNCONFIRMED = 4_096;
const MAX_UNCONFIRMED_BYTES = 16 * 1024 * 1024;

/** The bus over Redis pub/sub: one connection to publish, one for polls, one for all else that is heard. */
export class RedisBus implements Bus {
  private readonly subscriptions: Subscription[] = [];
  private readonly listeners: ((connected: boolean) => void)[] = [];
  private readonly clock: Clock;
  private readonly publisher: RedisLink;
  private readonly links: readonly RedisLink[];
  private wasConnected = false;
  private stopped = false;
  private unconfirmed = 0;
  private unconfirmedBytes = 0;
  private confirmedAll: () => void = () => undefined;

  constructor(private readonly options: RedisBusOptions) {
    this.clock = options.clock ?? systemClock;
    this.publisher = this.link(() => Promise.resolve());
    this.links = [this.publisher, this.subscribingLink(true), this.subscribingLink(false)];
  }

  get connected(): boolean {
    return this.links.every((link) => link.up !== undefined);
  }

  async start(deadlineMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.clock.setTimer(deadlineMs, resolve);
      this.onConnected((up) => {
        if (!up) return;
        cancel();
        resolve();
      });
      for (const link of this.links) link.start();
    });
  }

  subscribe(channel: string, listener: (payload: string) => void, options?: { readonly urgent?: boolean }): void {
    this.subscriptions.push({ channel, listener, urgent: options?.urgent ?? false });
  }

  publish(channel: string, payload: string): boolean {
    const client = this.publisher.up;
    const full = this.unconfirmed >= MAX_UNCONFIRMED || this.unconfirmedBytes + payload.length > MAX_UNCONFIRMED_BYTES;
    if (client === undefined || full || this.stopped) return false;
    this.unconfirmed += 1;
    this.unconfirmedBytes += payload.length;
    const settled = () => {
      this.unconfirmed -= 1;
      this.unconfirmedBytes -= payload.length;
      if (this.unconfirmed === 0) this.confirmedAll();
    };
    client
      .publish(channel, payload)
      .then(() => this.publisher.heard())
      .then(settled, settled);
    return true;
  }

  onConnected(listener: (connected: boolean) => void): void {
    this.listeners.push(listener);
  }

  async stop(deadlineMs: number): Promise<void> {
    this.stopped = true;
    if (this.unconfirmed > 0)
      await new Promise<void>((resolve) => {
        const cancel = this.clock.setTimer(deadlineMs, resolve);
        this.confirmedAll = () => {
          cancel();
          resolve();
        };
      });
    await Promise.all(this.links.map((link) => link.stop()));
  }

  private link(prepare: (client: RedisClient) => Promise<void>): RedisLink {
    return new RedisLink({
      url: this.options.url,
      clock: this.clock,
      prepare,
      onChange: () => this.changed(),
      onError: (error) => this.options.onError?.(error),
    });
  }

  private subscribingLink(urgent: boolean): RedisLink {
    const link = this.link(async (client) => {
      for (const subscription of this.subscriptions) {
        if (subscription.urgent !== urgent) continue;
        await client.subscribe(subscription.channel, (payload) => {
          link.heard();
          if (!this.stopped) subscription.listener(payload);
        });
      }
    });
    return link;
  }

  private changed(): void {
    const { connected } = this;
    if (connected === this.wasConnected) return;
    this.wasConnected = connected;
    for (const listener of this.listeners) listener(connected);
  }
}
