import { systemClock, type Clock } from '../../process/clock';
import type { Bus } from '../bus';
import type { Place, RedisClient, RedisTls, Target } from './redis-client';
import { RedisLink } from './redis-link';
import { Sentinels, type SentinelOptions } from './sentinel';

/** Redis by `url`, or, with `sentinel`, whichever is the master at the time. */
export interface RedisBusOptions {
  /** `redis://`, `rediss://` or `unix://` URL. */
  readonly url?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** For Redis and for the sentinels. */
  readonly tls?: RedisTls | undefined;
  readonly sentinel?: SentinelOptions | undefined;
  readonly clock?: Clock;
  /** Why there is no connection; the same reason again only after a while. Never holds a password. */
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
/** One connection finds out in time that the server says nothing; the others, whether they themselves still work. */
const PUBLISHER_QUIET_MS = 500;
const SUBSCRIBER_QUIET_MS = 1_000;
const SAME_ERROR_MS = 10_000;
const MAX_ERRORS_KNOWN = 100;

/** The bus over Redis pub/sub: one connection to publish, one for polls, one for all else that is heard. */
export class RedisBus implements Bus {
  private readonly subscriptions: Subscription[] = [];
  private readonly listeners: ((connected: boolean) => void)[] = [];
  private readonly clock: Clock;
  private readonly publisher: RedisLink;
  private readonly links: readonly RedisLink[];
  private readonly sentinels: Sentinels | undefined;
  private readonly toldAt = new Map<string, number>();
  private wasConnected = false;
  private stopped = false;
  private unconfirmed = 0;
  private unconfirmedBytes = 0;
  private confirmedAll: () => void = () => undefined;

  constructor(private readonly options: RedisBusOptions) {
    this.clock = options.clock ?? systemClock;
    const { sentinel, tls } = options;
    if (sentinel !== undefined)
      this.sentinels = new Sentinels({
        sentinel,
        tls,
        clock: this.clock,
        onMoved: (master) => this.masterMoved(master),
        onError: (error) => this.failed(error),
      });
    this.publisher = this.link(PUBLISHER_QUIET_MS, () => Promise.resolve());
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
      this.sentinels?.start();
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
    await Promise.all([this.sentinels?.stop(), ...this.links.map((link) => link.stop())]);
  }

  private link(quietMs: number, prepare: (client: RedisClient) => Promise<void>): RedisLink {
    return new RedisLink({
      quietMs,
      target: () => this.target(),
      clock: this.clock,
      prepare: async (client) => {
        if (this.sentinels !== undefined) await expectMaster(client);
        await prepare(client);
      },
      onChange: () => this.changed(),
      onError: (error) => this.failed(error),
    });
  }

  private async target(): Promise<Target> {
    const { url, username, password, tls } = this.options;
    const at = this.sentinels === undefined ? url : await this.sentinels.master();
    if (at === undefined) throw new Error('neither a URL nor sentinels are configured');
    return { at, username, password, tls };
  }

  /** A connection to the former master may live on and reach nobody: it is left. Who waits for one need not wait longer. */
  private masterMoved(master: Place): void {
    if (this.stopped) return;
    for (const link of this.links) {
      const { at, up } = link;
      const there = typeof at === 'object' && at.address === master.address && at.port === master.port;
      if (at !== undefined && !(there && up !== undefined)) link.renew();
    }
  }

  private failed(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    const now = this.clock.now();
    const last = this.toldAt.get(message);
    if (last !== undefined && Math.abs(now - last) < SAME_ERROR_MS) return;
    if (this.toldAt.size >= MAX_ERRORS_KNOWN) this.toldAt.clear();
    this.toldAt.set(message, now);
    this.options.onError?.(error);
  }

  private subscribingLink(urgent: boolean): RedisLink {
    const link = this.link(SUBSCRIBER_QUIET_MS, async (client) => {
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

/** What is published at a replica reaches nobody else, and looks as if it did: we hear it ourselves. */
async function expectMaster(client: RedisClient): Promise<void> {
  const [role] = await client.sendCommand<unknown[]>(['ROLE']);
  if (role !== 'master') throw new Error(`it is a ${String(role)}, not the master`);
}
