/**
 * The user agent port: what the call manager asks of the SIP server that it drives, whichever that is.
 * `sip/drachtio` implements it. Commands never throw and never wait: what becomes of them is a later signal,
 * so that everything about one dialog is seen in one order.
 */

import type { DigestClient } from './digest-client';
import type { Reason } from './reason';
import type { DialogTags } from './replaces';

/** Where a message came from, as the SIP server saw it. */
export interface SipSource {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
  /**
   * Of a REGISTER or an INVITE: the flow that it came by, as next hop for requests to its sender. What is sent there arrives by that
   * flow or not at all. Undefined: the SIP server has no names for flows.
   */
  readonly flow?: string;
}

/** Reads headers of a received message; names in any case; several of one name are joined with a comma. */
export type HeaderReader = (name: string) => string | undefined;

export interface ReceivedRequest {
  readonly method: string;
  /** The request URI as text. */
  readonly uri: string;
  readonly callId: string;
  readonly header: HeaderReader;
  readonly body: string;
  readonly contentType: string | undefined;
  readonly source: SipSource;
  /** When the SIP server had it, ms since the epoch; it may have waited since. Undefined: not known. */
  readonly receivedAt?: number;
}

export type Headers = Readonly<Record<string, string>>;

export interface ResponseOptions {
  readonly reason?: string;
  readonly headers?: Headers;
  /** Further lines of headers that are no lists: several challenges (RFC 3261 section 7.3.1), behind the one in `headers`. */
  readonly moreLines?: Readonly<Record<string, readonly string[]>>;
  readonly body?: string;
  readonly contentType?: string;
}

/** A request outside any dialog, INVITE apart, that waits for its answer. Only the first answer counts. */
export interface ServerTransaction {
  readonly request: ReceivedRequest;
  respond(status: number, options?: ResponseOptions): void;
}

export interface SessionProgress {
  readonly reason?: string;
  readonly sdp?: string;
  readonly headers?: Headers;
}

/**
 * One INVITE and the dialog that it makes, in either role.
 * A command that no longer fits (the peer was faster) does nothing.
 */
export interface Session {
  /** Unique within this process; for logs and maps. */
  readonly id: string;
  readonly callId: string;
  /**
   * How its dialog is named (RFC 3261 section 12): the early one that was told of last, then the confirmed one. Undefined: there was none yet,
   * or none has a name. It is known before the signal that tells of the dialog, and stays when the session is over.
   */
  readonly dialog: DialogTags | undefined;
  /** Everything that happens to the session from now on, in order; signals before the first call are kept for it. */
  listen(listener: (signal: SessionSignal) => void): void;

  /** Server role, before the final answer: a 1xx. */
  progress(status: number, options?: SessionProgress): void;
  /** Server role: 200. `sdp` is the answer, or our offer when the INVITE had none (its answer comes with `acknowledged`). */
  answer(options: { readonly sdp: string; readonly headers?: Headers }): void;
  /** Server role: a final answer of 300 or more. */
  reject(status: number, options?: Pick<ResponseOptions, 'reason' | 'headers' | 'moreLines'>): void;

  /** Client role, before the final answer: CANCEL. Should a 200 cross it, it is ACKed and ended with BYE; the signal is `rejected` 487 either way. */
  cancel(reason?: string): void;
  /**
   * ACK with our answer, for a 200 (to the INVITE or to a re-INVITE of ours) that carried the peer's *offer*.
   * A 200 to an INVITE that carried our offer is ACKed by the adapter at once.
   */
  acknowledge(sdp: string): void;

  /** Established: our re-INVITE; without `sdp` the peer makes the offer. One at a time. */
  reinvite(id: string, options: { readonly sdp?: string; readonly headers?: Headers }): void;
  /** Established: another request of ours (INFO, UPDATE, MESSAGE ...). */
  request(
    id: string,
    options: {
      readonly method: string;
      readonly headers?: Headers;
      readonly body?: string;
      readonly contentType?: string;
    },
  ): void;
  /** Answers a `reinvited` or `requested` signal. Body of a re-INVITE's or UPDATE's 200: `sdp`. */
  respond(id: string, status: number, options?: ResponseOptions & { readonly sdp?: string }): void;
  /** Server role: the caller is a gateway, whose challenges to requests of ours in the dialog are answered. */
  useCredentials?(digest: DigestClient): void;
  /** Server role: as `OutgoingInvite.movedTo`. */
  followPeer?(movedTo: () => string | undefined): void;
  /** Ends it whatever its state: CANCEL, a 487/480, or BYE. */
  bye(options?: { readonly reason?: string }): void;
}

export type SessionSignal =
  /** 101-199 to our INVITE. `sdp` is what holds in the early dialog of this response. */
  | {
      readonly type: 'provisional';
      readonly status: number;
      readonly reason: string;
      readonly sdp: string | undefined;
      readonly header: HeaderReader;
    }
  /** 200 to our INVITE. `sdp` is the answer, be it told before in this dialog; or the peer's offer when we sent none (then `acknowledge` is due). */
  | { readonly type: 'answered'; readonly sdp: string | undefined; readonly header: HeaderReader }
  /** A final answer of 300 or more to our INVITE, or the server's word that it could not be delivered (408, 410, 503). */
  | { readonly type: 'rejected'; readonly status: number; readonly reason: string; readonly header: HeaderReader }
  /** The peer took its INVITE back; 487 has been sent. */
  | { readonly type: 'cancelled'; readonly reason: string | undefined; readonly reasons?: readonly Reason[] }
  /** ACK for our 200, to the INVITE or to a re-INVITE; `sdp` is the answer when our 200 carried the offer. */
  | { readonly type: 'acknowledged'; readonly sdp: string | undefined }
  /** The peer's re-INVITE; answer with `respond`. */
  | { readonly type: 'reinvited'; readonly id: string; readonly sdp: string | undefined; readonly header: HeaderReader }
  /** Any other request of the peer in the dialog (UPDATE, INFO, MESSAGE, REFER, OPTIONS, NOTIFY); answer with `respond`. */
  | {
      readonly type: 'requested';
      readonly id: string;
      readonly method: string;
      readonly body: string;
      readonly contentType: string | undefined;
      readonly header: HeaderReader;
    }
  /** 200 to our re-INVITE. `sdp` is the answer, or the peer's offer when we sent none (then `acknowledge` is due). */
  | {
      readonly type: 'reinvite-answered';
      readonly id: string;
      readonly sdp: string | undefined;
      readonly header?: HeaderReader;
    }
  /** Undefined `header`: it is no answer of the peer. */
  | {
      readonly type: 'reinvite-rejected';
      readonly id: string;
      readonly status: number;
      readonly reason: string;
      readonly header?: HeaderReader;
    }
  /** The final answer to our `request`. */
  | {
      readonly type: 'request-answered';
      readonly id: string;
      readonly method: string;
      readonly status: number;
      readonly reason: string;
      readonly body: string;
      readonly contentType: string | undefined;
      readonly header: HeaderReader;
    }
  /** The dialog is over: BYE of the peer, BYE of the SIP server (session expired, no ACK), or the server itself is gone. The last signal. */
  | {
      readonly type: 'ended';
      readonly by: 'peer' | 'server';
      /** For people. */
      readonly reason: string | undefined;
      /** What the peer has told in its BYE (RFC 3326). */
      readonly reasons?: readonly Reason[];
    };

/** An INVITE from outside any dialog. */
export interface IncomingInvite {
  readonly request: ReceivedRequest;
  readonly session: Session;
  /**
   * The peer is one of the configuration: requests in the dialog follow its Contact and its Record-Route (RFC 3261 section
   * 12.2.1.1). To anybody else they go where the INVITE came from. To be called before the first response.
   */
  readonly trustRoute: () => void;
}

export interface OutgoingInvite {
  /** Request URI. */
  readonly uri: string;
  /** Next hop, when it is not the request URI: `sip:127.0.0.1:5062;transport=udp`, or a flow, to which the dialog keeps. */
  readonly nextHop?: string;
  /** Without it the callee makes the offer. */
  readonly sdp?: string;
  /** From, To, P-Asserted-Identity, Max-Forwards and so on. `localhost` in From and Contact becomes our address. */
  readonly headers: Headers;
  /** Answers the challenges of a gateway, to this INVITE and to every request in its dialog. */
  readonly digest?: DigestClient | undefined;
  /**
   * Asked before each request of ours in the dialog: the flow over which the device has registered since, when it is another one than that
   * of the INVITE. The dialog goes there. Undefined: it stays where it is.
   */
  readonly movedTo?: () => string | undefined;
  /** Called with the Call-ID before the INVITE is sent, for headers that depend on it (the node signature). */
  readonly sign?: (callId: string) => Headers;
}

export interface OutgoingRequest {
  readonly method: string;
  readonly uri: string;
  readonly nextHop?: string;
  readonly headers?: Headers;
  readonly body?: string;
  readonly contentType?: string;
  /** Answers the challenges of a gateway. */
  readonly digest?: DigestClient | undefined;
  /** No final answer by then: `status` 408. */
  readonly deadlineMs: number;
}

export interface FinalResponse {
  readonly status: number;
  readonly reason: string;
  readonly header: HeaderReader;
  readonly body: string;
}

/** One address on which the SIP server listens. */
export interface ListenAddress {
  readonly protocol: string;
  readonly address: string;
  readonly port: number;
}

export interface UserAgentEvents {
  readonly invited: (invite: IncomingInvite) => void;
  /** Every request outside a dialog but INVITE, ACK and CANCEL. */
  readonly requested: (transaction: ServerTransaction) => void;
  /** `listen` is empty when the SIP server is lost; every session has then had its `ended` or `rejected`. */
  readonly serverChanged: (listen: readonly ListenAddress[]) => void;
}

export interface UserAgent {
  /**
   * Connects, and goes on reconnecting until `stop`. Resolves at the first connection; rejects at the first failure after
   * `deadlineMs` (without it it waits as long as it takes), and with a `ConfigurationError` when waiting is of no use.
   */
  start(events: UserAgentEvents, deadlineMs?: number): Promise<readonly ListenAddress[]>;
  invite(invite: OutgoingInvite): Session;
  /** Never rejects: failure is a status. */
  request(request: OutgoingRequest): Promise<FinalResponse>;
  stop(): void;
}
