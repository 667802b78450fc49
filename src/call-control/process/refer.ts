import { readReferTo } from '../../sip/refer-to';
import type { HeaderReader } from '../../sip/user-agent';
import type { CallControlDependencies } from '../dependencies';
import type { Refer } from '../core/signals';

/** Where a REFER wants to go, if that is with us. */
export function referIn(header: HeaderReader, isOurs: CallControlDependencies['isOurs']): Refer {
  const refer = readReferTo(header);
  if ('status' in refer) return { type: 'refused', ...refer };
  const { dialled, host, context } = refer.target;
  // The dialog says which call it is; its URI is whatever the phone knows of that one, the Contact without a user as well (RFC 5589 §7).
  if (refer.replaces !== undefined) return { type: 'to', digits: dialled, replaces: refer.replaces };
  if (dialled === '') return { type: 'refused', status: 484, reason: 'Address Incomplete' };
  if (isOurs?.(host, context) === false) return { type: 'refused', status: 403, reason: 'Not Our Domain' };
  return { type: 'to', digits: dialled, replaces: undefined };
}
