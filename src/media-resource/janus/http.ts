import { Agent, request } from 'node:http';
import { EngineError } from '../ports';

/** A reply as far as it can be trusted: some JSON value. */
export interface HttpExchange {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly deadlineMs: number;
}

export interface HttpClient {
  /** Resolves with the parsed reply whatever its status; rejects with `EngineError` when none that is JSON comes in time. */
  exchange(exchange: HttpExchange): Promise<unknown>;
  /** What is under way is rejected. */
  close(): void;
}

/** The largest list of participants is far below this. */
const MAX_REPLY = 4 * 1024 * 1024;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new EngineError('error', 'janus sent something that is no JSON');
  }
}

function down(why: string): EngineError {
  return new EngineError('down', `janus cannot be reached: ${why.slice(0, 200)}`);
}

/** JSON over HTTP to one address, over connections that stay open; every exchange has its deadline. */
export function createHttpClient(address: string, port: number): HttpClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const closing = new AbortController();

  const send = ({ method, path, body, deadlineMs }: HttpExchange): Promise<string> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const headers =
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(deadlineMs)]);
      const fail = (error: unknown): void => reject(down(signal.aborted ? 'no answer in time' : String(error)));
      const outgoing = request({ host: address, port, method, path, headers, agent, signal }, (response) => {
        const parts: Buffer[] = [];
        let size = 0;
        response.on('data', (part: Buffer) => {
          size += part.length;
          if (size <= MAX_REPLY) parts.push(part);
          else outgoing.destroy(new Error('a reply without end'));
        });
        response.on('end', () => resolve(Buffer.concat(parts).toString('utf8')));
        response.on('error', fail);
      });
      outgoing.on('error', fail);
      outgoing.end(text);
    });

  return {
    async exchange(exchange) {
      return parsed(await send(exchange));
    },
    close() {
      closing.abort();
      agent.destroy();
    },
  };
}
