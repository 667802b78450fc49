import { Socket } from 'node:net';
import Srf from 'drachtio-srf';

/**
 * The part of drachtio-srf that is used here, as it really is: the package's own types leave out the agent and the
 * in-dialog requests. Its `Dialog` class is not used: it answers INFO, UPDATE and REFER by itself, guesses at hold by
 * text comparison, and a rejected `modify` blocks all later ones.
 */
export interface SrfMessage {
  readonly method: string | undefined;
  readonly uri: string;
  readonly body: string | undefined;
  get(name: string): string | undefined;
}

export interface SrfRequest extends SrfMessage {
  readonly method: string;
  readonly stackTxnId: string;
  /** When the server had it, `HH:MM:SS.uuuuuu` in UTC. */
  readonly stackTime: string | undefined;
  readonly stackDialogId: string | undefined;
  readonly source_address: string;
  readonly source_port: number;
  readonly protocol: string;
  readonly source: string;
  readonly socket: unknown;
  on(event: 'cancel', listener: (cancel: SrfMessage) => void): void;
  on(event: 'response', listener: (response: SrfResponse, ack: SrfAck) => void): void;
  on(event: 'update', listener: (request: SrfRequest, response: SrfResponse) => void): void;
  cancel(options: { headers?: Record<string, string> }, callback: (error: unknown) => void): void;
}

export type SrfAck = (options?: { body?: string; headers?: Record<string, string> }) => void;

export interface SrfResponse extends SrfMessage {
  readonly status: number;
  readonly reason: string | undefined;
  readonly stackDialogId: string | undefined;
  readonly finalResponseSent: boolean;
  readonly source_address: string;
  readonly source_port: number;
  send(
    status: number,
    reason: string | undefined,
    options: { headers?: Record<string, string>; body?: string },
    callback?: (error: unknown, sent?: SrfMessage) => void,
  ): void;
}

export interface SrfRequestOptions {
  method: string;
  uri?: string;
  proxy?: string;
  headers: Record<string, string>;
  body?: string;
  stackDialogId?: string;
  _socket?: unknown;
}

export interface SrfApplication {
  connect(options: { host: string; port: number; secret: string; reconnect: { maxAttempts: number } }): void;
  disconnect(): void;
  use(handler: (request: SrfRequest, response: SrfResponse) => void): void;
  use(method: string, handler: (request: SrfRequest, response: SrfResponse) => void): void;
  on(event: 'connect', listener: (error: unknown, hostports?: string) => void): void;
  on(event: 'error' | 'close', listener: (error?: unknown) => void): void;
  removeAllListeners(): void;
  readonly app: {
    request(options: SrfRequestOptions, callback: (error: unknown, request?: SrfRequest) => void): void;
    readonly client?: { readonly wp: SrfWire; readonly mapServer: ReadonlyMap<unknown, unknown> };
  };
}

/** Just enough of the connection object to guard its message handler. */
export interface SrfWire {
  listeners(event: 'msg'): ((...parts: unknown[]) => void)[];
  removeAllListeners(event: 'msg'): void;
  on(event: 'msg', listener: (...parts: unknown[]) => void): void;
  send(socket: unknown, command: string): string;
}

export function createSrf(): SrfApplication {
  return new Srf() as unknown as SrfApplication;
}

/** What is written in one turn of the event loop goes out in one write: a system call for each message is what costs most. */
function corkForThisTurn(socket: unknown): void {
  if (!(socket instanceof Socket) || socket.writableCorked > 0) return;
  socket.cork();
  setImmediate(() => socket.uncork());
}

const CONTENT_TYPE = /^(?:content-type|c)\s*:.*(?:\r\n[ \t].*)*/gim;

/**
 * A message, such that drachtio-srf leaves a body of several parts alone: it would cut it with expressions that take minutes for a hostile one,
 * and nobody wants its parts (ours come from `sip-message/mime`). It knows such a body by a type in small letters, and the case of types
 * says nothing (RFC 2045 section 5.1).
 */
export function withUncutBody(message: string): string {
  const end = message.indexOf('\r\n\r\n');
  const head = end < 0 ? message : message.slice(0, end);
  if (!head.includes('multipart/')) return message;
  return head.replace(CONTENT_TYPE, (line) => line.replaceAll('multipart/', 'Multipart/')) + message.slice(head.length);
}

/**
 * drachtio-srf parses what phones send with expressions that can throw, in the middle of its socket handler, where
 * nobody would catch it. A message that makes it throw is dropped, and reported.
 */
export function guardMessages(application: SrfApplication, onError: (error: unknown) => void): void {
  const wire = application.app.client?.wp;
  if (wire === undefined) return;
  const handlers = wire.listeners('msg');
  wire.removeAllListeners('msg');
  wire.on('msg', (socket, message) => {
    corkForThisTurn(socket);
    try {
      for (const handle of handlers) handle(socket, typeof message === 'string' ? withUncutBody(message) : message);
    } catch (error) {
      onError(error);
    }
  });
}
