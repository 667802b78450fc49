import type { Bridge } from '../core/call-state';
import type { Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { abandonExchange } from '../bridge/exchange';
import { moveExchange, newExchange } from '../bridge/exchange-state';
import { dropPath } from '../bridge/path-resource';
import { keepTalking } from '../survival/survive';
import { scheduleRefresh } from '../dialog/outgoing-offer';

/**
 * Makes a bridge the call's. Whoever sat there before and has no seat on it any more is left alone: to end such a leg is the
 * matter of who wanted this. The ends hear each other by offers of ours (`reconcile`), whatever they were connected with.
 */
export function connect(draft: Draft, bridge: Bridge): void {
  const before = draft.bridge;
  if (before !== undefined && before.id !== bridge.id) dissolve(draft, before);
  draft.state.bridges.set(bridge.id, bridge);
  draft.state.bridge = bridge.id;
  for (const leg of draft.ends(bridge)) if (leg.connection === 'peer') leg.connection = 'silence';
}

/** Two legs have nothing to do with each other any more. What waits for the other one is answered. */
export function dissolve(draft: Draft, bridge: Bridge): void {
  abandonExchange(draft);
  for (const leg of draft.ends(bridge)) abandonOffers(draft, leg);
  for (const { leg, id } of draft.state.forwarded.values())
    draft.emit({ type: 'respond', leg, id, status: 500, options: { headers: { 'Retry-After': '0' } } });
  draft.state.forwarded.clear();
  if (bridge.reconnectionPaused) draft.cancelTimer('reconnect');
  dropPath(draft, bridge);
  draft.state.bridges.delete(bridge.id);
}

/** The exchange that an offer of this leg, or of ours to it, was part of is no more. */
export function abandonOffers(draft: Draft, leg: Leg): void {
  const { incoming, outgoing } = leg;
  if (incoming !== undefined && incoming.initial !== true) {
    leg.incoming = undefined;
    draft.emit({ type: 'respond', leg: leg.id, id: incoming.id, status: 491 });
  }
  if (outgoing?.purpose === 'relay') leg.outgoing = { ...outgoing, purpose: 'abandoned' };
}

/** Who was rung (`b`) for a waiter in a dialog (`a`) has answered: the two are the call now. */
export function bridgeTaken(draft: Draft, bridge: Bridge): void {
  const [, answered] = draft.ends(bridge);
  draft.state.ringing = undefined;
  connect(draft, bridge);
  scheduleRefresh(draft, answered, 'uac');
  if (answered.localSdp === undefined) {
    // Its 200 has brought an offer, which the waiter is offered; the waiter's answer goes there in our ACK (RFC 3725 §4.1).
    answered.ability = answered.remoteSdp;
    moveExchange(bridge, {
      ...newExchange({ from: 'a', requestId: undefined, offer: undefined }),
      step: 'received',
    });
    return;
  }
  if (keepTalking(draft, bridge)) return;
  // It has answered what was meant for another, or for nobody: both are asked anew.
  if (bridge.path.step !== 'direct') dropPath(draft, bridge);
}
