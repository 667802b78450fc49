import { remoteKey } from '../transport/addresses';
import type { Flow } from '../layers';

interface Keyed {
  readonly key: string;
}

const SEPARATOR = '\n';

/** The name of a request of one source: two clients may use the same branch and sent-by (behind NATs, or old ones). */
export function keyAt(key: string, flow: Flow): string {
  return `${key}${SEPARATOR}${remoteKey(flow.remoteAddress, flow.remotePort)}`;
}

const withoutSource = (key: string): string => key.slice(0, key.lastIndexOf(SEPARATOR));

/**
 * Server transactions by RFC 3261 section 17.2.3, each source for itself. ACK and CANCEL may come from elsewhere (a new
 * connection, an address translator that forgot): when no INVITE of their source fits, one of another source does.
 */
export class ServerTable<Transaction extends Keyed> {
  private readonly bySource = new Map<string, Transaction>();
  private readonly anywhere = new Map<string, Transaction>();

  get size(): number {
    return this.bySource.size;
  }

  add(transaction: Transaction): void {
    this.bySource.set(transaction.key, transaction);
    this.anywhere.set(withoutSource(transaction.key), transaction);
  }

  /** The transaction of which this is a retransmission. */
  get(key: string): Transaction | undefined {
    return this.bySource.get(key);
  }

  /** The INVITE that an ACK or a CANCEL means. */
  meant(key: string): Transaction | undefined {
    return this.bySource.get(key) ?? this.anywhere.get(withoutSource(key));
  }

  remove(transaction: Transaction): void {
    const { key } = transaction;
    if (this.bySource.get(key) === transaction) this.bySource.delete(key);
    if (this.anywhere.get(withoutSource(key)) === transaction) this.anywhere.delete(withoutSource(key));
  }

  all(): Transaction[] {
    return [...this.bySource.values()];
  }

  clear(): void {
    this.bySource.clear();
    this.anywhere.clear();
  }
}
