import { randomUUID } from 'node:crypto';
import type { CancelTimer } from '../../process/clock';
import { ConfigurationError } from '../../process/exit';
import type {
  FinalResponse,
  ListenAddress,
  OutgoingInvite,
  OutgoingRequest,
  Session,
  UserAgent,
  UserAgentEvents,
} from '../user-agent';
import { Connection, type DrachtioOptions, failure, lostConnection } from './connection';
import { errorText } from './messages';

export type { DrachtioOptions, ServerAddress } from './connection';

const FIRST_RETRY_MS = 100;
/** In the words of drachtio-srf. */
const WRONG_SECRET = 'failed to authenticate to server';
const SECRET_ADVICE = 'drachtio.secret of this node must be that of its drachtio-server';
const LONGEST_RETRY_MS = 5000;

/** Who waits for the first connection. */
interface FirstConnection {
  /** After this time the next failure is the last. */
  readonly until: number;
  opened(listen: readonly ListenAddress[]): void;
  failed(error: Error): void;
}

/** The user agent port on a drachtio server, real or embedded, through drachtio-srf. */
export class DrachtioUserAgent implements UserAgent {
  private connection: Connection | undefined;
  private events: UserAgentEvents | undefined;
  private retryMs = FIRST_RETRY_MS;
  private cancelRetry: CancelTimer | undefined;
  private stopped = false;
  /** What waits for the first connection. */
  private first: FirstConnection | undefined;

  constructor(private readonly options: DrachtioOptions) {}

  start(events: UserAgentEvents, deadlineMs = Infinity): Promise<readonly ListenAddress[]> {
    this.events = events;
    return new Promise((resolve, reject) => {
      this.first = {
        until: this.options.clock.now() + deadlineMs,
        opened: (listen) => {
          this.first = undefined;
          resolve(listen);
        },
        failed: (error) => {
          this.first = undefined;
          this.stop();
          reject(error);
        },
      };
      void this.connect();
    });
  }

  invite(invite: OutgoingInvite): Session {
    const callId = randomUUID();
    return (this.connection ?? lostConnection(this.options)).invite(invite, callId);
  }

  request(request: OutgoingRequest): Promise<FinalResponse> {
    if (this.connection === undefined) return Promise.resolve(failure(503, 'SIP server lost'));
    return this.connection.request(request);
  }

  /** The flow over which the peer of a dialog has registered since, by the SIP server's name of the dialog; undefined: it is where it was. */
  flowOf(dialogId: string): string | undefined {
    return this.connection?.flowOf(dialogId);
  }

  stop(): void {
    this.stopped = true;
    this.cancelRetry?.();
    this.connection?.close();
    this.connection = undefined;
  }

  private async connect(): Promise<void> {
    const { log } = this.options;
    try {
      const address = await this.options.server();
      if (this.isStopped()) return;
      const connection: Connection = new Connection(address, this.options, {
        opened: (listen) => this.opened(connection, listen),
        closed: (why) => this.closed(connection, why),
        invited: (session, request) =>
          this.events?.invited({ request, session, trustRoute: () => session.trustRoute() }),
        requested: (transaction) => this.events?.requested(transaction),
      });
    } catch (error) {
      if (error instanceof ConfigurationError && this.first !== undefined) return this.first.failed(error);
      log.warn({ error: errorText(error) }, 'the SIP server cannot be reached; it is tried again');
      this.retry(errorText(error));
    }
  }

  /** As a function: `stop` may be called while something is awaited. */
  private isStopped(): boolean {
    return this.stopped;
  }

  private opened(connection: Connection, listen: readonly ListenAddress[]): void {
    if (this.stopped) {
      connection.close();
      return;
    }
    this.connection = connection;
    this.retryMs = FIRST_RETRY_MS;
    this.first?.opened(listen);
    this.events?.serverChanged(listen);
  }

  private closed(connection: Connection, why: string): void {
    if (this.stopped) return;
    if (why === WRONG_SECRET && this.first !== undefined)
      return this.first.failed(new ConfigurationError(`the SIP server refuses the secret: ${SECRET_ADVICE}`));
    this.options.log.warn({ why }, 'no connection to the SIP server; it is tried again');
    if (this.connection === connection) {
      this.connection = undefined;
      this.events?.serverChanged([]);
    }
    this.retry(why);
  }

  /** An attempt failed; each has a deadline of its own. */
  private retry(why: string): void {
    if (this.stopped) return;
    if (this.first !== undefined && this.options.clock.now() >= this.first.until)
      return this.first.failed(new Error(`no SIP server: ${why}`));
    this.cancelRetry?.();
    this.cancelRetry = this.options.clock.setTimer(this.retryMs, () => void this.connect());
    this.retryMs = Math.min(this.retryMs * 2, LONGEST_RETRY_MS);
  }
}
