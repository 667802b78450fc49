/**
 * SIP messages as values. Headers keep their order, spelling and repetition; the body is bytes.
 * (RFC 3261 section 7.)
 */
export interface HeaderField {
  /** As received or as given. */
  readonly name: string;
  /** Unfolded, trimmed. */
  readonly value: string;
}

interface MessageParts {
  /** In order. Change only through the functions of this room. */
  headers: HeaderField[];
  body: Buffer;
}

export interface SipRequest extends MessageParts {
  readonly kind: 'request';
  method: string;
  /** Request URI as text. */
  uri: string;
  /** Of a received one: the port at its source where answers are wanted, when that is not the source port. */
  answerPort?: number;
}

export interface SipResponse extends MessageParts {
  readonly kind: 'response';
  status: number;
  reason: string;
}

export type SipMessage = SipRequest | SipResponse;

/** What is wrong with a message: enough to answer 400 with a reason phrase when it is a request. */
export interface ParseFailure {
  /** For instance `Bad Via Header`, `Missing CSeq Header`. */
  readonly reason: string;
  /** The SIP status with which a request should be refused: 400, 413, 505, 513 ... */
  readonly status: number;
  /** What could be read all the same; enough to answer when it has Via, From, To, Call-ID and CSeq. */
  readonly partial: SipMessage | undefined;
}

export type ParseResult = { readonly ok: true; readonly message: SipMessage } | ({ readonly ok: false } & ParseFailure);
