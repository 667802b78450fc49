import type { TransactionLayer } from '../layers';
import type { TransactionLayerOptions } from './layer';
import { SipTransactionLayer } from './layer';

export type { TransactionLayerOptions } from './layer';

/** The transaction layer (RFC 3261 section 17, RFC 6026) over a transport; the transport is started and stopped by it. */
export function createTransactionLayer(options: TransactionLayerOptions): TransactionLayer {
  return new SipTransactionLayer(options);
}
