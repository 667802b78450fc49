import { isNeverTooLate } from '../../sip-message/lateness';
import type { SipMessage } from '../../sip-message/message';
import type { Flow } from '../layers';
import { Wakefulness } from './wakefulness';

type Pass = (message: SipMessage, flow: Flow, bytes: number) => void;

/**
 * Requests that may have waited in the kernel while this process did not run. A datagram comes again if it is still meant, and
 * is dropped. What came over a connection waits until the end of the connection would have been seen: if it is closed by then,
 * the request is dead; if it may be older than any transaction, the connection is closed, so that the client begins anew. What ends
 * something is meant however late it is, and nobody may send it again: it is taken, over a connection in its order.
 */
export class LateMessages {
  private held: {
    readonly pass: () => void;
    readonly connection: number;
    readonly isEnd: boolean;
    readonly lateBy: number;
  }[] = [];

  constructor(
    private readonly wakefulness: Wakefulness | undefined,
    private readonly isOpen: (connection: number) => boolean,
    private readonly close: (connection: number) => void,
  ) {}

  take(message: SipMessage, flow: Flow, bytes: number, pass: Pass): void {
    const lateBy = this.wakefulness?.lateBy ?? 0;
    if (lateBy === 0 || this.wakefulness === undefined || message.kind === 'response') {
      if (this.held.length > 0 && lateBy === 0) this.release();
      return pass(message, flow, bytes);
    }
    const { connection } = flow;
    const isEnd = isNeverTooLate(message.method);
    if (connection === undefined) {
      if (isEnd) pass(message, flow, bytes);
      return;
    }
    if (this.held.length === 0) setTimeout(() => this.release(), this.wakefulness.settleMs);
    this.held.push({ pass: () => pass(message, flow, bytes), connection, isEnd, lateBy });
  }

  private release(): void {
    for (const { pass, connection, isEnd, lateBy } of this.held.splice(0)) {
      const isOpen = this.isOpen(connection);
      const isBeyondUse = Wakefulness.isBeyondUse(lateBy);
      if (isEnd || (isOpen && !isBeyondUse)) pass();
      if (isOpen && isBeyondUse) this.close(connection);
    }
  }
}
