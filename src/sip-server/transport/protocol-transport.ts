import type { ParseFailure, SipMessage } from '../../sip-message/message';
import type { Destination, Flow, ListenPoint, Protocol, TransportFailure } from '../layers';
import type { RemoteAddress } from './wire';

export type SendResult = { readonly flow: Flow } | { readonly failure: TransportFailure };
export type SendDone = (result: SendResult) => void;

/** Where a send failed after `done` had said that it went well. */
export interface FailedRemote {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  readonly connection?: number;
}

/** Why a client of a connection is not let in, or has to go. */
export type TurnedAwayBecause = 'no-sip' | 'origin' | 'tls' | 'too-many' | 'gave-way' | 'too-slow';

/** Tells that a client was turned away; `detail`: what it said, or what went wrong. */
export type TurnAway = (remote: RemoteAddress, why: TurnedAwayBecause, detail?: string) => void;

/** What a protocol tells the layer. None of these throws. */
export interface Receiver {
  message(message: SipMessage, flow: Flow, bytes: number): void;
  malformed(failure: ParseFailure, flow: Flow): void;
  closed(connection: number): void;
  /** As `TransportEvents.peerFinished`. */
  finished(connection: number): boolean;
  sendFailed(to: FailedRemote, failure: TransportFailure): void;
  /** A listener's own error, for instance no file descriptor left to accept a connection. */
  listenerError(point: ListenPoint, error: Error): void;
  turnedAway(protocol: Protocol, ...facts: Parameters<TurnAway>): void;
  /** Datagrams that there was no room for. */
  lost(address: string, port: number): void;
}

/** One transport protocol; TLS and WebSocket stand beside UDP and TCP as further implementations. */
export interface ProtocolTransport {
  readonly protocol: Protocol;
  /** Binds; rejects when the address cannot be had. Returns the point with the port that was really bound. */
  listen(point: ListenPoint): Promise<ListenPoint>;
  /** The address is in canonical spelling, without brackets. `local` is the listener to send from. `done` is called exactly once. */
  send(bytes: Buffer, to: Destination, local: ListenPoint, done: SendDone): void;
  isOpen(connection: number): boolean;
  /** As `TransportLayer.takesAnswers`. */
  takesAnswers(connection: number): boolean;
  /** As `TransportLayer.finish`; nothing when it is not one of ours. */
  finish(connection: number): void;
  /** As `TransportLayer.cutOff`; nothing when it is not one of ours. */
  cutOff(connection: number, silentMs: number): void;
  /** As `TransportLayer.keep`; nothing when it is not one of ours. */
  keep(connection: number): void;
  close(): Promise<void>;
}
