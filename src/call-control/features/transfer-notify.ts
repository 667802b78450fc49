import { referNotifyHeaders, SIPFRAG_TYPE, sipfrag } from '../../sip/sipfrag';
import { type Destination, newRinging } from '../core/call-state';
import type { Draft } from '../core/draft';
import type { Leg } from '../core/leg';
import { moveTransfer } from './transfer-state';

/** Who talked to the transferor waits for whom it has named. `to`: where that leads is known. */
export function ringFor(draft: Draft, waiter: Leg, by: Leg, digits: string, to?: Destination): void {
  const { state } = draft;
  const { maxForwards } = state.facts;
  state.ringing = newRinging({
    waiter: waiter.id,
    offer: undefined,
    maxForwards,
    number: digits,
    by: by.id,
    firstTrial: state.trials.length,
  });
  draft.emit({
    ...{ type: 'look-up', number: digits, by: by.id, waiter: waiter.id },
    ...(to === undefined ? {} : { to }),
  });
}

/** Tells the transferor how its call stands; a final status ends its subscription. Gives the id of the request; undefined: it is not told. */
export function notify(draft: Draft, status: number, reason?: string): string | undefined {
  const { transfer } = draft.state;
  const leg = transfer === undefined ? undefined : draft.leg(transfer.by);
  if (transfer?.subscription === undefined || leg?.phase !== 'confirmed') return undefined;
  const id = draft.requestId();
  moveTransfer(draft.state, { ...transfer, told: [...transfer.told, status] });
  draft.emit({
    type: 'request',
    leg: leg.id,
    id,
    method: 'NOTIFY',
    body: sipfrag(status, reason),
    contentType: SIPFRAG_TYPE,
    headers: referNotifyHeaders({ status, id: transfer.subscription.id }),
  });
  return id;
}
