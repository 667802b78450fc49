/**
 * Connections over which requests came that are not answered. One whose peer sends nothing more (TCP half-closed) is kept for the answers,
 * and closed after the last: the answer to a request goes back on its connection (RFC 3261 section 18.2.2).
 */
export class AwaitedConnections {
  private readonly connections = new Map<object, number>();
  private readonly counts = new Map<number, number>();
  private readonly finished = new Set<number>();

  /** `finish` is called once for each connection that `peerFinished` kept, after what is being sent. */
  constructor(private readonly finish: (connection: number) => void) {}

  /** A request that has to be answered. */
  take(holder: object, connection: number | undefined): void {
    if (connection === undefined) return;
    this.connections.set(holder, connection);
    this.counts.set(connection, (this.counts.get(connection) ?? 0) + 1);
  }

  /** It has its final answer, or never gets one. */
  release(holder: object): void {
    const connection = this.connections.get(holder);
    if (connection === undefined) return;
    this.connections.delete(holder);
    const left = (this.counts.get(connection) ?? 0) - 1;
    if (left > 0) {
      this.counts.set(connection, left);
      return;
    }
    this.counts.delete(connection);
    if (this.finished.delete(connection)) queueMicrotask(() => this.finish(connection));
  }

  /** True: the connection is kept for answers. */
  peerFinished(connection: number): boolean {
    const isAwaited = this.counts.has(connection);
    if (isAwaited) this.finished.add(connection);
    return isAwaited;
  }

  closed(connection: number): void {
    this.finished.delete(connection);
  }
}
