import type { SipRequest } from '../../sip-message/message';
import type { ClientTransaction, ClientTransactionEvents, Destination, TransportFailure } from '../layers';

type Start = (request: SipRequest, to: Destination, events: ClientTransactionEvents) => ClientTransaction;

/**
 * A request that goes to the first destination, and when no connection can be made there to the second, with a new
 * branch (RFC 3261 section 18.1.1). For the user it is one transaction.
 */
export class RequestWithFallback implements ClientTransaction {
  readonly id: string;
  private current: ClientTransaction;
  private sent = false;
  private cancelled = false;
  private fellBack = false;

  constructor(
    private readonly original: SipRequest,
    first: Destination,
    private readonly second: Destination,
    private readonly events: ClientTransactionEvents,
    private readonly start: Start,
  ) {
    this.current = start(original, first, {
      sent: (flow, bytes) => {
        this.sent = true;
        events.sent?.(flow, bytes);
      },
      response: (response, flow, retransmission) => events.response(response, flow, retransmission),
      failed: (failure) => this.failed(failure),
      terminated: () => {
        if (!this.fellBack) events.terminated?.();
      },
    });
    this.id = this.current.id;
  }

  get request(): SipRequest {
    return this.current.request;
  }

  cancel(headers: SipRequest['headers']): ReturnType<ClientTransaction['cancel']> {
    this.cancelled = true;
    return this.current.cancel(headers);
  }

  private failed(failure: TransportFailure): void {
    // Once it was sent, the peer may have it: then sending it again would be another request.
    if (this.sent || this.cancelled) return this.events.failed(failure);
    this.fellBack = true;
    this.current = this.start(this.original, this.second, this.events);
  }
}
