/**
 * The bus between the nodes: at most once, in order for each sender and channel at best. Nothing of it rejects or
 * throws: what cannot be published now is lost, and the protocol above finds that out by itself.
 */
export interface Bus {
  /** Connects; resolves when connected and subscribed, or when `deadlineMs` is over (it goes on trying). */
  start(deadlineMs: number): Promise<void>;
  /** `urgent`: must not wait behind others (polls); the channel has a connection of its own. Call before `start`. */
  subscribe(channel: string, listener: (payload: string) => void, options?: { readonly urgent?: boolean }): void;
  /** `false`: not connected (or too much is on its way already); the payload is dropped. */
  publish(channel: string, payload: string): boolean;
  readonly connected: boolean;
  /** Called at every change of `connected`. */
  onConnected(listener: (connected: boolean) => void): void;
  /** Ends all connections, after what was published has gone out or `deadlineMs` is over. */
  stop(deadlineMs: number): Promise<void>;
}
