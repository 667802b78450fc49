import { alignAnswer, holds } from '../../sdp';
import { toldTo } from '../core/agreed';
import { type Bridge, seatOf, type Way } from '../core/call-state';
import { caresForItself, type Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import { type Exchange, moveExchange } from './exchange-state';
import { movePath, type PathNeed } from './path';
import { offerThrough, termsOf } from './path-need';
import { askPath, dropPath, fromResource, requirePath } from './path-resource';

/** What the steps of an exchange have in common. */

/** What a resource is asked for by an exchange; the step says what of it. */
export const ABOUT = { type: 'exchange' } as const;

/** An exchange that is under way, and the way of its offer. */
export interface UnderWay {
  readonly exchange: Exchange;
  readonly way: Way;
  /** The way back. */
  readonly back: Way;
}

export function underWay(draft: Draft): UnderWay | undefined {
  const { bridge } = draft;
  const exchange = bridge?.exchange;
  if (bridge === undefined || exchange === undefined) return undefined;
  const way = draft.wayFrom(bridge, exchange.from);
  return { exchange, way, back: { bridge, from: way.to, to: way.from } };
}

export function step({ way: { bridge }, exchange }: UnderWay, change: Partial<Exchange>): void {
  moveExchange(bridge, { ...exchange, ...change });
}

export function currentNeed({ path }: Bridge): PathNeed | undefined {
  return path.step === 'direct' ? undefined : path.need;
}

/** The resource in the path makes an offer for one leg, of the other's. */
export function askForOffer(draft: Draft, way: Way, offer: string, need: PathNeed): void {
  const sdp = offerThrough(way, offer, need);
  askPath(draft, way.bridge, ABOUT, { op: 'offer', to: seatOf(way.bridge, way.to), sdp, terms: termsOf(way, need) });
}

/** Whether a resource for this need is in the path; otherwise it is asked for. */
export function isJoined(draft: Draft, bridge: Bridge, need: PathNeed): boolean {
  const { path } = bridge;
  switch (path.step) {
    case 'joined':
      // A transcoder does what a media termination point does, and not the other way round.
      if (path.need.type === need.type || path.need.type === 'transcoder') return true;
      dropPath(draft, bridge);
      requirePath(draft, bridge, need, 'nothing');
      return false;
    case 'direct':
      requirePath(draft, bridge, need, 'direct');
      return false;
    case 'lost':
      requirePath(draft, bridge, need, 'nothing');
      return false;
    case 'allocating':
      return false;
  }
}

/** The legs talk to each other again. */
export function joined(draft: Draft, { exchange, way }: UnderWay): void {
  const { bridge, from, to } = way;
  for (const leg of [from, to]) leg.connection = 'peer';
  // By what it has been told: a resource between them may have said something else than the other end.
  for (const leg of [from, to]) if (caresForItself(leg)) leg.toldHold = holds(toldTo(leg) ?? '');
  moveExchange(bridge, undefined);
  bridge.reconnections = 0;
  if (bridge.reconnectionPaused) draft.cancelTimer('reconnect');
  bridge.reconnectionPaused = false;
  bridge.unsettled = false;
  if (exchange.via === 'direct') {
    if (bridge.path.step !== 'direct') dropPath(draft, bridge);
    return;
  }
  if (bridge.path.step === 'joined') movePath(bridge, { ...bridge.path, used: true });
  bridge.losses = 0;
}

/** They are brought together anew, by an offer of `b`. */
export function leaveApart(draft: Draft, bridge: Bridge): void {
  for (const leg of draft.ends(bridge)) leg.connection = 'silence';
}

/** What this end has answered must yet be offered to the other. */
export function isUnsettled(bridge: Bridge, leg: Leg): boolean {
  return bridge.unsettled && seatOf(bridge, leg) === 'b';
}

/** An answer with the `m=` lines of the offer of this leg. */
export function inPlaces({ via }: Exchange, offerer: Leg, offer: string, answer: string): string {
  return via === 'resource' ? fromResource(offerer, offer, answer) : alignAnswer(answer, offer);
}
