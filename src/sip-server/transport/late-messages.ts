import type { SipMessage } from '../../sip-message/message';
import type { Flow } from '../layers';
import { Wakefulness } from './wakefulness';

type Pass = (message: SipMessage, flow: Flow, bytes: number) => void;

/**
 * Requests that may have waited in the kernel while this process did not run. A datagram comes again if it is still meant, and
 * is dropped. What came over a connection waits until the end of the connection would have been seen: if it is closed by then,
 * the request is dead; if it may be older than any transaction, the connection is closed, so that the client begins anew.
 */
export class LateMessages {
  private held: { readonly pass: () => void; readonly connection: number; readonly lateBy: number }[] = [];

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
    if (connection === undefined) return;
    if (this.held.length === 0) setTimeout(() => this.release(), this.wakefulness.settleMs);
    this.held.push({ pass: () => pass(message, flow, bytes), connection, lateBy });
  }

  private release(): void {
    for (const { pass, connection, lateBy } of this.held.splice(0)) {
      if (!this.isOpen(connection)) continue;
      if (Wakefulness.isBeyondUse(lateBy)) this.close(connection);
      else pass();
    }
  }
}
