import { randomBytes } from 'node:crypto';
import { EngineError } from '../ports';
import { createHttpClient, type HttpClient } from './http';

export interface GatewayOptions {
  readonly address: string;
  readonly port: number;
  /** `api_secret` of janus; undefined: it has none. */
  readonly apiSecret?: string;
}

type Table = Readonly<Record<string, unknown>>;

/** A handle of the AudioBridge in one session; it is gone with its session. */
export interface Handle {
  readonly session: number;
  readonly id: number;
}

/** A session with one janus, and the AudioBridge in it. Every method rejects with `EngineError`. */
export interface JanusGateway {
  /** Resolves when janus answers and a session is there, a new one if need be. */
  ping(): Promise<void>;
  attach(): Promise<Handle>;
  /** Its participant leaves. Unknown ones are no error. */
  detach(handle: Handle): Promise<void>;
  /** A request to the AudioBridge; without `handle` on one that all share. Resolves with the AudioBridge's data, its errors too. */
  request(body: object, handle?: Handle): Promise<Table>;
  /** Whether the handle can still be used. */
  isCurrent(handle: Handle): boolean;
  close(): void;
}

const PING_MS = 700;
const COMMAND_MS = 1000;
/** janus ends a long poll without events after 30 s. */
const POLL_MS = 40_000;
const POLL_AFTER_ERROR_MS = 200;
const MAX_EVENTS = 20;

const NO_SESSION = 458;
const NO_HANDLE = 459;

class JanusError extends EngineError {
  constructor(
    readonly code: number | undefined,
    message: string,
  ) {
    super(code === NO_SESSION || code === NO_HANDLE ? 'down' : 'error', `janus: ${message.slice(0, 200)}`);
  }
}

function isTable(value: unknown): value is Table {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function idIn(reply: Table): number {
  const id = isTable(reply['data']) ? reply['data']['id'] : undefined;
  if (typeof id !== 'number' || !Number.isSafeInteger(id)) throw new JanusError(undefined, 'a reply without an id');
  return id;
}

function pluginData(message: Table): Table | undefined {
  const { plugindata } = message;
  return isTable(plugindata) && isTable(plugindata['data']) ? plugindata['data'] : undefined;
}

interface Waiting {
  readonly resolve: (data: Table) => void;
  readonly reject: (error: Error) => void;
}

interface Connection {
  readonly session: number;
  readonly shared: Handle;
}

class Gateway implements JanusGateway {
  private readonly http: HttpClient;
  private connection: Connection | undefined;
  private connecting: Promise<Connection> | undefined;
  /** Requests whose result comes as an event, by transaction. */
  private readonly waiting = new Map<string, Waiting>();
  private transactions = 0;
  private closed = false;
  private readonly prefix = randomBytes(6).toString('hex');

  constructor(private readonly options: GatewayOptions) {
    this.http = createHttpClient(options.address, options.port);
  }

  async ping(): Promise<void> {
    const { connection } = this;
    if (connection === undefined) {
      await this.connect();
      return;
    }
    try {
      await this.post(`/${connection.session}`, { janus: 'keepalive' }, PING_MS);
    } catch (error) {
      if (!(error instanceof JanusError) || error.code !== NO_SESSION) throw error;
      // It was restarted, or has not heard of us for long: what we had there is gone.
      this.lost(connection);
      await this.connect();
    }
  }

  async attach(): Promise<Handle> {
    const { session } = await this.connect();
    return this.attachTo(session);
  }

  async detach(handle: Handle): Promise<void> {
    try {
      await this.post(`/${handle.session}/${handle.id}`, { janus: 'detach' }, COMMAND_MS);
    } catch (error) {
      const gone = error instanceof JanusError && (error.code === NO_SESSION || error.code === NO_HANDLE);
      if (!gone) throw error;
    }
  }

  async request(body: object, handle?: Handle): Promise<Table> {
    const { session, id } = handle ?? (await this.connect()).shared;
    const transaction = this.transaction();
    const event = this.awaitEvent(transaction);
    try {
      const reply = await this.post(`/${session}/${id}`, { janus: 'message', body, transaction }, COMMAND_MS);
      if (reply['janus'] === 'ack') return await event.data;
      const data = pluginData(reply);
      if (data === undefined) throw new JanusError(undefined, 'a reply without data of the AudioBridge');
      return data;
    } finally {
      event.forget();
    }
  }

  isCurrent(handle: Handle): boolean {
    return this.connection?.session === handle.session;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    const { connection } = this;
    if (connection === undefined) return this.http.close();
    this.lost(connection);
    // What is left at janus would stay until its timeout.
    this.post(`/${connection.session}`, { janus: 'destroy' }, COMMAND_MS)
      .catch(() => undefined)
      .finally(() => this.http.close());
  }

  private connect(): Promise<Connection> {
    if (this.connection !== undefined) return Promise.resolve(this.connection);
    if (this.closed) return Promise.reject(new EngineError('down', 'the connection to janus is closed'));
    this.connecting ??= this.open().finally(() => (this.connecting = undefined));
    return this.connecting;
  }

  private async open(): Promise<Connection> {
    const session = idIn(await this.post('', { janus: 'create' }, PING_MS));
    const connection = { session, shared: await this.attachTo(session) };
    this.connection = connection;
    void this.poll(connection);
    return connection;
  }

  private async attachTo(session: number): Promise<Handle> {
    const plugin = 'janus.plugin.audiobridge';
    return { session, id: idIn(await this.post(`/${session}`, { janus: 'attach', plugin }, COMMAND_MS)) };
  }

  private lost(connection: Connection): void {
    if (this.connection === connection) this.connection = undefined;
    for (const { reject } of this.waiting.values()) reject(new EngineError('down', 'janus has lost the session'));
    this.waiting.clear();
  }

  /** Results of requests come as events; they are fetched one poll after another while the session lasts. */
  private async poll(connection: Connection): Promise<void> {
    while (!this.closed && this.connection === connection) {
      try {
        const path = `/janus/${connection.session}?maxev=${MAX_EVENTS}${this.secretInQuery()}`;
        const reply = await this.http.exchange({ method: 'GET', path, deadlineMs: POLL_MS });
        for (const event of Array.isArray(reply) ? reply : [reply]) this.received(event, connection);
      } catch {
        // The pings find out what is wrong; meanwhile we ask again, but not without pause.
        await new Promise((resolve) => setTimeout(resolve, POLL_AFTER_ERROR_MS).unref());
      }
    }
  }

  private received(event: unknown, connection: Connection): void {
    if (!isTable(event)) return;
    if (event['janus'] === 'timeout' || errorOf(event)?.code === NO_SESSION) return this.lost(connection);
    const { transaction } = event;
    const waiting = typeof transaction === 'string' ? this.waiting.get(transaction) : undefined;
    const data = pluginData(event);
    if (waiting !== undefined && data !== undefined) waiting.resolve(data);
  }

  private awaitEvent(transaction: string): { readonly data: Promise<Table>; readonly forget: () => void } {
    let timer: NodeJS.Timeout | undefined;
    const data = new Promise<Table>((resolve, reject) => {
      this.waiting.set(transaction, { resolve, reject });
      timer = setTimeout(() => reject(new EngineError('down', 'janus sent no result in time')), 2 * COMMAND_MS);
    });
    // Nobody waits for it when the request itself fails.
    data.catch(() => undefined);
    const forget = (): void => {
      clearTimeout(timer);
      this.waiting.delete(transaction);
    };
    return { data, forget };
  }

  private async post(path: string, body: object, deadlineMs: number): Promise<Table> {
    const { apiSecret } = this.options;
    const secret = apiSecret === undefined ? {} : { apisecret: apiSecret };
    const reply = await this.http.exchange({
      method: 'POST',
      path: `/janus${path}`,
      body: { transaction: this.transaction(), ...body, ...secret },
      deadlineMs,
    });
    if (!isTable(reply)) throw new JanusError(undefined, 'something that is not a reply');
    const error = errorOf(reply);
    if (error !== undefined) throw error;
    return reply;
  }

  private transaction(): string {
    return `${this.prefix}-${++this.transactions}`;
  }

  private secretInQuery(): string {
    const { apiSecret } = this.options;
    return apiSecret === undefined ? '' : `&apisecret=${encodeURIComponent(apiSecret)}`;
  }
}

function errorOf(reply: Table): JanusError | undefined {
  if (reply['janus'] !== 'error') return undefined;
  const error = isTable(reply['error']) ? reply['error'] : {};
  const code = typeof error['code'] === 'number' ? error['code'] : undefined;
  return new JanusError(code, typeof error['reason'] === 'string' ? error['reason'] : 'no reason given');
}

/** Connects when first asked; a janus that was restarted is found by the pings. */
export function createGateway(options: GatewayOptions): JanusGateway {
  return new Gateway(options);
}
