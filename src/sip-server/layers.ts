import type { SipMessage, SipRequest, SipResponse } from '../sip-message/message';

/**
 * The seams between the layers of the embedded SIP server (RFC 3261 section 5): transport below, transactions,
 * and the transaction user above (dialogs and the control protocol).
 */

export type Protocol = 'udp' | 'tcp' | 'tls' | 'ws' | 'wss';

export interface ListenPoint {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** Address and port announced in Via, Contact and Record-Route instead, when configured. */
  readonly announced?: { readonly address: string; readonly port: number };
}

/** Where a message came from or goes to. */
export interface Flow {
  readonly protocol: Protocol;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** The listener that received it, or that is named in what we send. */
  readonly local: ListenPoint;
  /** The connection, for stream transports. Unique in this process, never used again. */
  readonly connection?: number;
}

/** Next hop, resolved to one address. */
export interface Destination {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** Send on this connection, and nowhere else. */
  readonly connection?: number;
  /** The host name that was resolved to the address: with TLS the peer's certificate must be for it (RFC 5922). */
  readonly name?: string;
  /**
   * The target names no transport: a request that is too large for a datagram goes over TCP instead of UDP
   * (RFC 3261 section 18.1.1).
   */
  readonly anyTransport?: boolean;
  /** Send from this listener (a response leaves from where its request came in); chosen by `pointFor` otherwise. */
  readonly local?: ListenPoint;
}

/** `untrusted`: the peer's certificate is not for the host, or of nobody we trust. */
export type TransportFailure =
  'refused' | 'untrusted' | 'unreachable' | 'closed' | 'no-listener' | 'timeout' | 'too-large' | 'error';

export interface TransportEvents {
  /** A message that parsed. Via `received`/`rport` of a request are set already (RFC 3261 18.2.1, RFC 3581). */
  message(message: SipMessage, flow: Flow, bytes: number): void;
  /** A request or response that did not parse; answering 400 is the transaction layer's business. */
  malformed(
    failure: { readonly reason: string; readonly status: number; readonly partial: SipMessage | undefined },
    flow: Flow,
  ): void;
  connectionClosed(connection: number): void;
  /**
   * The peer sends nothing more over the connection, and may still read. True: answers are on their way to it, and `finish` is called after
   * the last one. Else it is closed at once.
   */
  peerFinished?(connection: number): boolean;
}

export interface TransportLayer {
  listen(points: readonly ListenPoint[], events: TransportEvents): Promise<readonly ListenPoint[]>;
  readonly points: readonly ListenPoint[];
  /** The listener to name when sending there; undefined: there is none for that protocol. */
  pointFor(protocol: Protocol, address: string): ListenPoint | undefined;
  /**
   * Sends bytes; reuses a connection to the same address and port, opens one otherwise. `done` is called once:
   * with the flow, or with the failure. An ICMP port unreachable for UDP may come later, through `onSendFailure`.
   */
  send(
    bytes: Buffer,
    to: Destination,
    done: (result: { readonly flow: Flow } | { readonly failure: TransportFailure }) => void,
  ): void;
  /** Late failures (ICMP, a connection that dies with requests outstanding). */
  onSendFailure(
    listener: (
      to: {
        readonly protocol: Protocol;
        readonly address: string;
        readonly port: number;
        readonly connection?: number;
      },
      failure: TransportFailure,
    ) => void,
  ): void;
  /** Requests can be sent on it, and their answers come back. */
  isOpen(connection: number): boolean;
  /** It is open, or its peer still reads. */
  takesAnswers(connection: number): boolean;
  /** Sends what is queued on the connection, then closes it. */
  finish(connection: number): void;
  /** Ends the connection at once when nothing came over it for so long: what it still has to send must not arrive. */
  cutOff(connection: number, silentMs: number): void;
  /** Something that came over this connection was accepted: keep-alives keep it open, and strangers take no place of it. */
  keep(connection: number): void;
  close(): Promise<void>;
}

/** A request from the network, and the means to answer it (RFC 3261 section 17.2, RFC 6026). */
export interface ServerTransaction {
  /** New for each transaction: a UUID. The control protocol shows it to the application. */
  readonly id: string;
  readonly request: SipRequest;
  readonly flow: Flow;
  /** The last final response sent. */
  readonly final: SipResponse | undefined;
  /**
   * Sends a response; the state machine retransmits and absorbs. After a final one only retransmissions happen
   * (2xx to INVITE: the transaction user retransmits through `resend` until ACK, RFC 6026). False: no longer possible.
   */
  respond(
    response: SipResponse,
    done?: (result: { readonly flow: Flow; readonly bytes: number } | { readonly failure: TransportFailure }) => void,
  ): boolean;
  /** RFC 6026 Accepted state: sends the 2xx once more. */
  resend(): void;
  /** Ends it without any answer: an answer would come too late. A request that comes again is a new one. */
  drop(): void;
}

/** A request of ours (RFC 3261 section 17.1). */
export interface ClientTransaction {
  readonly id: string;
  readonly request: SipRequest;
  /** Sends CANCEL now, or when the first provisional arrives (RFC 3261 9.1). False: a final response was there first. */
  cancel(headers: SipRequest['headers']): false | { readonly request: SipRequest; readonly held: boolean };
}

export interface ClientTransactionEvents {
  /** Once, when the request has been handed to the network the first time. */
  sent?(flow: Flow, bytes: number): void;
  /** 100 is not reported. Each 2xx to an INVITE is (RFC 6026); later ones too, with `retransmission` true when its To tag was seen. */
  response(response: SipResponse, flow: Flow | undefined, retransmission: boolean): void;
  /** No response: Timer B/F (`timeout`), or the transport failed. Exactly one of a final response and `failed`. */
  failed(failure: TransportFailure): void;
  /** The transaction is over and forgotten. */
  terminated?(): void;
}

export interface TransactionEvents {
  /** A new request; ACK for a 2xx also arrives here (as a request with `transaction` undefined). CANCEL: see `cancelled`. */
  request(request: SipRequest, flow: Flow, transaction: ServerTransaction | undefined): void;
  /** CANCEL matched this INVITE transaction that has no final response yet. The layer has answered the CANCEL with 200; 487 is sent by the user. */
  cancelled(transaction: ServerTransaction, cancel: SipRequest, flow: Flow): void;
  /** Nothing can be sent to its peer any more, or nothing but answers. The transactions on it hear of it by themselves. */
  connectionClosed?(connection: number): void;
  /** The non-2xx final was ACKed, or Timer H fired (`acked` false), or Timer L/J ended it. */
  terminated(transaction: ServerTransaction, acked: boolean): void;
}

export interface TransactionLayer {
  start(points: readonly ListenPoint[], events: TransactionEvents): Promise<readonly ListenPoint[]>;
  readonly transport: TransportLayer;
  /** Adds the Via (branch, rport) and sends. The request must already have everything else. */
  request(request: SipRequest, to: Destination, events: ClientTransactionEvents): ClientTransaction;
  /** Sends a request outside any transaction: the ACK for a 2xx. Adds the Via unless `withVia` is false (a retransmission). */
  sendAck(ack: SipRequest, to: Destination, withVia: boolean): void;
  /** Transactions not yet terminated, for metrics and tests. */
  readonly open: { readonly client: number; readonly server: number };
  stop(): Promise<void>;
}
