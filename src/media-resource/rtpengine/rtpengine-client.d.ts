/** The part of the package (which has no types of its own) that is used here. */
declare module 'rtpengine-client' {
  import { EventEmitter } from 'node:events';

  interface ClientOptions {
    /** Milliseconds after which a command without a reply is forgotten, and its promise rejected. */
    timeout?: number;
    localAddress?: string;
    localPort?: number;
  }

  type Command = (port: number, host: string, options?: Record<string, unknown>) => Promise<unknown>;

  /** The ng protocol in bencode over UDP. Emits `error` for every reply that it cannot use. */
  export class Client extends EventEmitter {
    constructor(options?: ClientOptions);
    ping: Command;
    offer: Command;
    answer: Command;
    delete: Command;
    list: Command;
    query: Command;
    statistics: Command;
    playMedia: Command;
    blockMedia: Command;
    unblockMedia: Command;
    publish: Command;
    subscribeRequest: Command;
    subscribeAnswer: Command;
    unsubscribe: Command;
    /** Of the commands without a reply; `close` leaves them running. */
    readonly timers: Map<string, NodeJS.Timeout>;
    close(): void;
  }
}
