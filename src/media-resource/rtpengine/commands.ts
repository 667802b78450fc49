import { Client } from 'rtpengine-client';
import { familyOf, isLoopback } from '../../process/address';
import { type Clock, systemClock } from '../../process/clock';
import { EngineError, type UnavailableReason } from '../ports';

export type CommandName =
  | 'ping'
  | 'offer'
  | 'answer'
  | 'delete'
  | 'list'
  | 'query'
  | 'statistics'
  | 'playMedia'
  | 'blockMedia'
  | 'unblockMedia'
  | 'publish'
  | 'subscribeRequest'
  | 'subscribeAnswer'
  | 'unsubscribe';

/** A reply as far as it can be trusted: some dictionary. */
export type Reply = Readonly<Record<string, unknown>>;

export interface Commands {
  /** Resolves with a reply whose `result` is good; rejects with `EngineError` otherwise, and when no reply comes in time. */
  run(name: CommandName, parameters?: Record<string, unknown>): Promise<Reply>;
  close(): void;
}

export interface CommandOptions {
  readonly address: string;
  readonly port: number;
  readonly clock?: Clock;
  /** A reply that fits no command, or an error of the socket. */
  readonly onOddity?: (error: unknown) => void;
}

interface Effort {
  readonly deadlineMs: number;
  /**
   * A datagram may be lost, and the package does not send it again. Every command here may be given twice: an offer or answer
   * of the same tags is a re-offer of the same session, a second playback replaces the first, a second subscription too. A ping is not repeated,
   * since its loss is what it is for.
   */
  readonly attempts: number;
}

const EFFORTS: Readonly<Record<CommandName, Effort>> = {
  ping: { deadlineMs: 700, attempts: 1 },
  offer: { deadlineMs: 500, attempts: 2 },
  answer: { deadlineMs: 500, attempts: 2 },
  playMedia: { deadlineMs: 500, attempts: 2 },
  blockMedia: { deadlineMs: 500, attempts: 2 },
  unblockMedia: { deadlineMs: 500, attempts: 2 },
  publish: { deadlineMs: 500, attempts: 2 },
  subscribeRequest: { deadlineMs: 500, attempts: 2 },
  subscribeAnswer: { deadlineMs: 500, attempts: 2 },
  unsubscribe: { deadlineMs: 500, attempts: 2 },
  delete: { deadlineMs: 500, attempts: 3 },
  list: { deadlineMs: 1000, attempts: 1 },
  query: { deadlineMs: 500, attempts: 2 },
  statistics: { deadlineMs: 1000, attempts: 2 },
};

/** The package forgets a command after this; later than every deadline here, so that a late reply still finds its command. */
const FORGET_MS = 5000;

const FULL = /limit|ran out of ports/i;
/** What rtpengine says of a description that it cannot read: that is not its own fault. */
const UNREADABLE = /failed to parse sdp|incomplete sdp/i;

export function isReply(value: unknown): value is Reply {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textIn(reply: Reply, ...keys: readonly string[]): string {
  const value = keys.map((key) => reply[key]).find((candidate) => typeof candidate === 'string');
  return typeof value === 'string' ? value : 'no reason given';
}

function failureOf(reply: unknown): EngineError | undefined {
  if (!isReply(reply)) return new EngineError('error', 'rtpengine sent something that is not a reply');
  if (reply['result'] === 'ok' || reply['result'] === 'pong') return undefined;
  const detail = textIn(reply, 'error-reason', 'message', 'warning');
  return new EngineError(reasonOf(reply, detail), `rtpengine: ${detail.slice(0, 200)}`);
}

function reasonOf(reply: Reply, detail: string): UnavailableReason {
  if (reply['result'] === 'load limit' || FULL.test(detail)) return 'full';
  return UNREADABLE.test(detail) ? 'bad-request' : 'error';
}

/** Rejects with `EngineError` `down` unless `work` settles in time; what `work` does later is of no interest. */
function withDeadline(work: Promise<unknown>, clock: Clock, deadlineMs: number, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimer(deadlineMs, () => {
      reject(new EngineError('down', `rtpengine did not answer ${name} within ${deadlineMs} ms`));
    });
    work.then(
      (reply) => {
        cancel();
        resolve(reply);
      },
      (error: unknown) => {
        cancel();
        reject(new EngineError('down', `rtpengine cannot be reached: ${String(error).slice(0, 200)}`));
      },
    );
  });
}

/** The control connection to one rtpengine. */
export function createCommands(options: CommandOptions): Commands {
  const { address, port, clock = systemClock, onOddity } = options;
  // Replies are told by their cookie only; from an engine on this machine nothing from elsewhere is let in.
  const client = new Client({
    timeout: FORGET_MS,
    ...(isLoopback(address) && familyOf(address) === 4 ? { localAddress: '127.0.0.1' } : {}),
  });
  // Without a listener one late or broken datagram would end the process.
  client.on('error', (error) => onOddity?.(error));
  let closed = false;

  const once = (name: CommandName, parameters: Record<string, unknown>): Promise<unknown> => {
    if (closed) return Promise.reject(new EngineError('down', 'the connection to rtpengine is closed'));
    return withDeadline(client[name](port, address, parameters), clock, EFFORTS[name].deadlineMs, name);
  };

  return {
    async run(name, parameters = {}) {
      for (let attempt = 1; ; attempt++) {
        try {
          const reply = await once(name, parameters);
          const failure = failureOf(reply);
          if (failure !== undefined) throw failure;
          return isReply(reply) ? reply : {};
        } catch (error) {
          const lost = error instanceof EngineError && error.reason === 'down';
          if (!lost || closed || attempt >= EFFORTS[name].attempts) throw error;
        }
      }
    },
    close() {
      if (closed) return;
      closed = true;
      for (const timer of client.timers.values()) clearTimeout(timer);
      client.close();
    },
  };
}
