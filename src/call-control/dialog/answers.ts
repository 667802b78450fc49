import { type Leg, moveLeg } from '../core/leg';
import type { Draft } from '../core/draft';
import { awaitAck, followOurs } from './outgoing-offer';

/** 200 to what a leg waits for: its INVITE, re-INVITE or UPDATE. `answer`: it carries our offer. */
export function answerIncoming(draft: Draft, leg: Leg, sdp: string, ack: 'plain' | 'answer'): void {
  const { incoming } = leg;
  if (incoming === undefined) return;
  leg.incoming = undefined;
  const { id, headers, method, initial } = incoming;
  if (initial === true) {
    draft.emit({ type: 'answer', leg: leg.id, sdp, headers });
    moveLeg(leg, 'confirmed');
  } else draft.emit({ type: 'respond', leg: leg.id, id, status: 200, options: { headers, sdp } });
  followOurs(draft, leg, headers);
  if (method === 'INVITE') awaitAck(draft, leg, ack);
}

/** The answer to the offer of a peer: in our ACK, or in our 200 to its INVITE. */
export function answerOffer(draft: Draft, leg: Leg, sdp: string): void {
  leg.localSdp = sdp;
  if (leg.incoming?.initial === true) answerIncoming(draft, leg, sdp, 'plain');
  else draft.emit({ type: 'acknowledge', leg: leg.id, sdp });
}
