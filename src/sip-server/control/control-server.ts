import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../../process/clock';
import type { Log } from '../log';
import { ApplicationConnection, type Application } from './application';
import { parseCommand, type Command } from './command';
import { FrameDecoder, MAX_FRAME_BYTES, MAX_UNAUTHENTICATED_FRAME_BYTES } from './frame';

export type SipCommand = Extract<Command, { type: 'sip' }>;
export type ProxyCommand = Extract<Command, { type: 'proxy' }>;

/** What the control server gives to the SIP side. */
export interface ControlHandler {
  /** The text after `OK|` in the answer to `authenticate`. */
  greeting(): string;
  route(application: Application, verb: string): void;
  removeRoute(application: Application, verb: string): void;
  /** `refuse` answers `NO` and closes the connection. */
  sip(application: Application, command: SipCommand, refuse: (reason: string) => void): void;
  proxy(application: Application, command: ProxyCommand): void;
  /** The connection of an authenticated application is gone. */
  closed(application: Application): void;
}

const AUTHENTICATION_DEADLINE_MS = 10_000;
const KEEP_ALIVE_MS = 45_000;

function sameSecret(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

/** Listens for applications, checks their secret and gives their commands to the handler, in order. */
export class ControlServer {
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  constructor(
    private readonly options: { readonly secret: string; readonly clock: Clock; readonly log: Log },
    private readonly handler: ControlHandler,
  ) {
    this.server = createServer((socket) => this.accept(socket));
  }

  /** Rejects when the address is not free. */
  listen(address: string, port: number): Promise<{ readonly address: string; readonly port: number }> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, address, () => {
        this.server.off('error', reject);
        this.server.on('error', (error) => this.options.log('control.error', { error: error.message }));
        const bound = this.server.address();
        resolve({ address, port: bound !== null && typeof bound === 'object' ? bound.port : port });
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      for (const socket of this.sockets) socket.destroy();
    });
  }

  private accept(socket: Socket): void {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.sockets.add(socket);
    const connection = new ApplicationConnection(socket);
    const decoder = new FrameDecoder(MAX_UNAUTHENTICATED_FRAME_BYTES);
    const cancelDeadline = this.options.clock.setTimer(AUTHENTICATION_DEADLINE_MS, () => {
      if (!connection.authenticated) socket.destroy();
    });
    socket.on('data', (chunk) => {
      const error = decoder.push(chunk, (payload) => {
        if (!socket.writable) return;
        this.command(connection, parseCommand(payload));
        if (connection.authenticated) decoder.setLimit(MAX_FRAME_BYTES);
      });
      if (error === undefined) return;
      this.options.log('control.bad-frame', { error });
      socket.destroy();
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      cancelDeadline();
      this.sockets.delete(socket);
      if (connection.authenticated) this.safely(() => this.handler.closed(connection));
    });
  }

  private command(connection: ApplicationConnection, command: Command): void {
    if (command.type === 'refused') return connection.refuse(command.id, command.reason);
    if (command.type === 'authenticate') return this.authenticate(connection, command.id, command.secret);
    if (!connection.authenticated) return connection.refuse(command.id, 'not authenticated');
    const done = this.safely(() => this.obey(connection, command));
    if (!done) connection.reply(command.id, 'NOK|Server error: internal error');
  }

  private authenticate(connection: ApplicationConnection, id: string, secret: string): void {
    if (!sameSecret(secret, this.options.secret)) {
      this.options.log('control.incorrect-secret', {});
      return connection.refuse(id, 'incorrect secret');
    }
    connection.authenticated = true;
    connection.reply(id, `OK|${this.handler.greeting()}`);
  }

  private obey(
    connection: ApplicationConnection,
    command: Exclude<Command, { type: 'refused' | 'authenticate' }>,
  ): void {
    switch (command.type) {
      case 'route':
        this.handler.route(connection, command.verb);
        return connection.reply(command.id, 'OK');
      case 'remove_route':
        this.handler.removeRoute(connection, command.verb);
        return connection.reply(command.id, 'OK');
      case 'ping':
        return connection.reply(command.id, 'OK|pong');
      case 'sip':
        return this.handler.sip(connection, command, (reason) => connection.refuse(command.id, reason));
      case 'proxy':
        return this.handler.proxy(connection, command);
    }
  }

  /** Nothing an application sends may end the server. */
  private safely(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      this.options.log('control.internal-error', {
        error: error instanceof Error ? (error.stack ?? error.message) : '',
      });
      return false;
    }
  }
}
