import { Socket } from 'node:net';
import { FreeSwitchClient, FreeSwitchError, type FreeSwitchResponse } from 'esl';
import type { CancelTimer, Clock } from '../../process/clock';
import { EngineError } from '../ports';

/** An event as FreeSWITCH sends it: everything in it is text, if it is what it should be. */
export type SocketEvent = Readonly<Record<string, unknown>>;

export interface EventSocketOptions {
  readonly address: string;
  readonly port: number;
  readonly password: string;
  readonly clock: Clock;
  /** Event classes: `CUSTOM conference::maintenance`. */
  readonly events: string;
  readonly onEvent: (event: SocketEvent) => void;
  /** Connected, authenticated and subscribed; the socket can be used from here on. Its failure closes the connection. */
  readonly onConnected: () => Promise<void>;
  readonly onTrouble: (what: string) => void;
}

export interface EventSocket {
  /** Resolves with the answer to an `api` command. Rejects with `EngineError`: `down` without a connection or an answer in time. */
  api(command: string): Promise<string>;
  /** Resolves with whether it can be used, `onConnected` included, within the time. */
  ready(withinMs: number): Promise<boolean>;
  close(): void;
}

const CONNECT_MS = 5000;
const ANSWER_MS = 1500;
const FIRST_RETRY_MS = 200;
const LONGEST_RETRY_MS = 5000;

/** The package tells its logger everything, passwords too. */
const quiet = { debug: () => undefined, info: () => undefined, error: () => undefined };

/** The package half-closes its socket and waits for the other side, which a frozen FreeSWITCH never ends. */
function destroySocket(client: FreeSwitchClient): void {
  const call: unknown = Reflect.get(client, 'current_call');
  const socket: unknown = typeof call === 'object' && call !== null ? Reflect.get(call, '__socket') : undefined;
  client.end();
  if (socket instanceof Socket) socket.destroy();
}

function isSocketEvent(value: unknown): value is SocketEvent {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function down(message: string): EngineError {
  return new EngineError('down', `FreeSWITCH: ${message}`);
}

/**
 * The event socket of one FreeSWITCH. Each connection has a client of the package of its own: after an answer that came too late the package
 * would give every answer to the next command.
 */
class Connections implements EventSocket {
  private client: FreeSwitchClient | undefined;
  private connection: FreeSwitchResponse | undefined;
  private isReady = false;
  private readonly waiting = new Set<() => void>();
  private closed = false;
  private retryMs = FIRST_RETRY_MS;
  private cancelTimer: CancelTimer = () => undefined;

  constructor(private readonly options: EventSocketOptions) {
    this.connect();
  }

  ready(withinMs: number): Promise<boolean> {
    if (this.isReady) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (): void => {
        cancel();
        this.waiting.delete(settle);
        resolve(this.isReady);
      };
      const cancel = this.options.clock.setTimer(withinMs, settle);
      this.waiting.add(settle);
    });
  }

  async api(command: string): Promise<string> {
    const { client, connection } = this;
    if (client === undefined || connection === undefined) throw down('the event socket is not connected');
    try {
      return (await connection.api(command, ANSWER_MS)).body;
    } catch (error) {
      const refusal = error instanceof FreeSwitchError ? error.res?.body : undefined;
      if (typeof refusal === 'string') throw new EngineError('error', `FreeSWITCH: ${refusal.trim().slice(0, 200)}`);
      this.drop(client, 'no answer on the event socket');
      throw down('no answer on the event socket');
    }
  }

  close(): void {
    this.closed = true;
    this.cancelTimer();
    if (this.client !== undefined) destroySocket(this.client);
    this.client = undefined;
    this.connection = undefined;
    this.isReady = false;
  }

  private connect(): void {
    const { address, port, password, clock } = this.options;
    const client = new FreeSwitchClient({ host: address, port, password, logger: quiet });
    this.client = client;
    client.on('connect', (connection) => void this.connected(client, connection));
    client.on('error', () => this.drop(client, 'refused on the event socket'));
    client.on('reconnecting', () => this.drop(client, 'the event socket is closed'));
    this.cancelTimer = clock.setTimer(CONNECT_MS, () => this.drop(client, 'the event socket does not open'));
    client.connect();
  }

  /** Never rejects. */
  private async connected(client: FreeSwitchClient, connection: FreeSwitchResponse): Promise<void> {
    if (this.client !== client) return;
    try {
      const take = ({ body }: { readonly body: unknown }): void => {
        if (this.client === client && isSocketEvent(body)) this.options.onEvent(body);
      };
      connection.on('CUSTOM', take);
      await connection.send(`event json ${this.options.events}`, {}, ANSWER_MS);
      if (this.client !== client) return;
      this.connection = connection;
      await this.options.onConnected();
      if (!this.isCurrent(client)) return;
      this.cancelTimer();
      this.isReady = true;
      this.retryMs = FIRST_RETRY_MS;
      for (const settle of [...this.waiting]) settle();
    } catch {
      this.drop(client, 'the event socket cannot be used');
    }
  }

  /** As a function: the connection may go while something is awaited. */
  private isCurrent(client: FreeSwitchClient): boolean {
    return this.client === client;
  }

  private drop(client: FreeSwitchClient, why: string): void {
    if (this.client !== client) return;
    this.close();
    this.closed = false;
    this.options.onTrouble(why);
    this.cancelTimer = this.options.clock.setTimer(this.retryMs, () => {
      if (!this.closed) this.connect();
    });
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
  }
}

/** Connects, and connects again whenever the connection is lost, until `close`. */
export function createEventSocket(options: EventSocketOptions): EventSocket {
  return new Connections(options);
}
