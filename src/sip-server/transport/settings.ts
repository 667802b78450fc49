import type { StreamTimes } from './connection';

/** Limits of the transports that have connections; times in ms. */
export interface StreamSettings extends StreamTimes {
  readonly connectMs: number;
  /** A client must be done with TLS and the WebSocket upgrade in this time. */
  readonly handshakeMs: number;
  /** Clients in the middle of that, at each transport. */
  readonly maxHandshakes: number;
  /** Bytes that may wait for a peer that does not read; a stranger has less. */
  readonly queueBytes: number;
  /** Bytes of messages that are not complete, of all connections of all transports. */
  readonly unfinishedBytes: number;
  /** For each transport. */
  readonly maxConnections: number;
  /** An IPv4 address, or an IPv6 /64. */
  readonly maxConnectionsPerAddress: number;
}

export const DEFAULT_STREAM_SETTINGS: StreamSettings = {
  idleMs: 30 * 60_000,
  strangerMs: 60_000,
  messageMs: 30_000,
  stallMs: 30_000,
  connectMs: 4_000,
  handshakeMs: 10_000,
  maxHandshakes: 1_000,
  queueBytes: 1024 * 1024,
  unfinishedBytes: 64 * 1024 * 1024,
  maxConnections: 10_000,
  maxConnectionsPerAddress: 2_500,
};
