import { sourceOf } from '../source';
import { remoteKey } from './addresses';
import type { Connection } from './connection';

/** The connections of one stream transport: by number, and by the remote address and port that they lead to. */
export class ConnectionTable {
  private readonly byId = new Map<number, Connection>();
  private readonly byRemote = new Map<string, Connection>();
  private readonly perSource = new Map<string, number>();

  get size(): number {
    return this.byId.size;
  }

  /** Of the source that the address belongs to. */
  countFrom(address: string): number {
    return this.perSource.get(sourceOf(address)) ?? 0;
  }

  add(connection: Connection): void {
    const { remoteAddress, remotePort } = connection.flow;
    this.byId.set(connection.id, connection);
    this.perSource.set(sourceOf(remoteAddress), this.countFrom(remoteAddress) + 1);
    this.name(connection, remoteAddress, remotePort);
  }

  /**
   * RFC 5923: requests to this address and port may use the connection too. Another usable connection that has the
   * name already keeps it.
   */
  alias(connection: Connection, address: string, port: number): void {
    if (this.find(address, port) === undefined) this.name(connection, address, port);
  }

  get(id: number): Connection | undefined {
    return this.byId.get(id);
  }

  find(address: string, port: number): Connection | undefined {
    const connection = this.byRemote.get(remoteKey(address, port));
    return connection?.isUsable === true ? connection : undefined;
  }

  remove(connection: Connection): void {
    if (!this.byId.delete(connection.id)) return;
    const { remoteAddress } = connection.flow;
    const count = this.countFrom(remoteAddress) - 1;
    if (count > 0) this.perSource.set(sourceOf(remoteAddress), count);
    else this.perSource.delete(sourceOf(remoteAddress));
    for (const key of connection.keys) if (this.byRemote.get(key) === connection) this.byRemote.delete(key);
  }

  all(): Connection[] {
    return [...this.byId.values()];
  }

  private name(connection: Connection, address: string, port: number): void {
    const key = remoteKey(address, port);
    connection.keys.add(key);
    this.byRemote.set(key, connection);
  }
}
