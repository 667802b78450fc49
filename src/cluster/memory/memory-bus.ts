import type { Bus } from '../bus';

type Deliver = (payload: string) => void;

/** What the buses of one process have in common. Like Redis it delivers to whoever is subscribed at that moment, later. */
export class MemoryExchange {
  private readonly channels = new Map<string, Set<Deliver>>();

  subscribe(channel: string, deliver: Deliver): void {
    const subscribers = this.channels.get(channel) ?? new Set();
    this.channels.set(channel, subscribers.add(deliver));
  }

  unsubscribe(channel: string, deliver: Deliver): void {
    const subscribers = this.channels.get(channel);
    subscribers?.delete(deliver);
    if (subscribers?.size === 0) this.channels.delete(channel);
  }

  publish(channel: string, payload: string): void {
    for (const deliver of this.channels.get(channel) ?? []) setImmediate(deliver, payload);
  }
}

/** The bus of a node without Redis: it reaches whoever shares the exchange, at least itself. */
export class MemoryBus implements Bus {
  private readonly subscriptions: { readonly channel: string; readonly deliver: Deliver }[] = [];
  private readonly listeners: ((connected: boolean) => void)[] = [];
  private running = false;

  constructor(private readonly exchange = new MemoryExchange()) {}

  get connected(): boolean {
    return this.running;
  }

  start(): Promise<void> {
    if (!this.running) {
      for (const { channel, deliver } of this.subscriptions) this.exchange.subscribe(channel, deliver);
      this.change(true);
    }
    return Promise.resolve();
  }

  subscribe(channel: string, listener: (payload: string) => void): void {
    const deliver = (payload: string) => {
      if (this.running) listener(payload);
    };
    this.subscriptions.push({ channel, deliver });
    if (this.running) this.exchange.subscribe(channel, deliver);
  }

  publish(channel: string, payload: string): boolean {
    if (this.running) this.exchange.publish(channel, payload);
    return this.running;
  }

  onConnected(listener: (connected: boolean) => void): void {
    this.listeners.push(listener);
  }

  stop(): Promise<void> {
    if (this.running) {
      for (const { channel, deliver } of this.subscriptions) this.exchange.unsubscribe(channel, deliver);
      this.change(false);
    }
    return Promise.resolve();
  }

  private change(running: boolean): void {
    this.running = running;
    for (const listener of this.listeners) listener(running);
  }
}
