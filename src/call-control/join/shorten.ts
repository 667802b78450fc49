import { parsePid } from '../../process/pid';
import type { FarHalf, Shorter } from '../../device/node-context';
import type { Bridge, Destination } from '../core/call-state';
import type { Draft } from '../core/draft';
import type { Leg } from '../core/leg';
import { isFree } from '../dialog/outgoing-offer';
import { ringFor } from '../features/transfer-notify';
import { moveTransfer } from '../features/transfer-state';
import { isLeaving } from './leaving';

/**
 * A node whose two legs both lead to other nodes has nobody in the call any more (its phone has transferred it): it takes itself out. It names to
 * one of the two the dialog that it has with the other one; that node calls there in the place of this dialog (RFC 3891), and the longer way ends when the
 * shorter one stands. What fails is tried again; until then the longer way stays.
 */

/** A call is left alone for so long after it has changed, and so long again with chance, so that neighbours do not ask each other at once. */
const REST_MS = 1000;
const TIMES = 6;

/** Of the bridge for which this node wants to be left out. */
export interface Shortening {
  readonly bridge: string;
  readonly asked: number;
  /** Until then neither of its neighbours is to be told of another way. */
  readonly busyUntil: number;
}

interface Middle {
  readonly a: Leg & { readonly far: FarHalf };
  readonly b: Leg & { readonly far: FarHalf };
}

/** Both ends are nodes, which have a phone or another node behind them, and nothing is under way. */
function middleOf(draft: Draft, bridge: Bridge): Middle | undefined {
  const { state } = draft;
  const atRest = bridge.exchange === undefined && state.ringing === undefined && state.transfer === undefined;
  const [a, b] = draft.ends(bridge);
  return atRest && isOfNode(a) && isOfNode(b) ? { a, b } : undefined;
}

/** Who holds is left where it is: its music comes from where it has held. */
function isOfNode(leg: Leg): leg is Middle['a'] {
  return leg.profile.kind === 'node' && leg.far !== undefined && isFree(leg) && !leg.holds && !isLeaving(leg);
}

/** After each step of a call. */
export function considerShortening(draft: Draft): void {
  const { state, bridge } = draft;
  if (bridge === undefined || state.shortening?.bridge === bridge.id || middleOf(draft, bridge) === undefined) return;
  state.shortening = { bridge: bridge.id, asked: 0, busyUntil: 0 };
  again(draft, 0);
}

function again(draft: Draft, asked: number): void {
  draft.setTimer('shorten', Math.round(REST_MS * 2 ** asked * (1 + draft.moment.random)));
}

/** It has been as it is for a while: one of the two is asked, by turns. */
export function shortenDue(draft: Draft): void {
  const { state, bridge, moment } = draft;
  const { shortening } = state;
  state.shortening = undefined;
  const middle = bridge && middleOf(draft, bridge);
  if (middle === undefined || bridge === undefined || shortening?.bridge !== bridge.id) return;
  const { asked } = shortening;
  state.shortening = { ...shortening, asked: asked + 1, busyUntil: moment.now + REST_MS };
  if (asked >= TIMES) return;
  const [leg, other] = asked % 2 === 0 ? [middle.a, middle.b] : [middle.b, middle.a];
  draft.emit({ type: 'ask-shorter', leg: leg.id, other: other.id, process: other.far.process });
  again(draft, asked + 1);
}

/** A node that wants to be left out names where its other leg leads. */
export function takeShorter(draft: Draft, leg: Leg, id: string, { process, replaces }: Shorter): void {
  const { state, moment } = draft;
  const { facts } = state;
  const other = draft.other(leg);
  const answer = (status: number): void => draft.emit({ type: 'respond', leg: leg.id, id, status });
  if (state.kind !== 'established' || other === undefined || leg.profile.kind !== 'node') return answer(481);
  const free = isFree(leg) && isFree(other) && !leg.holds && !other.holds && !isLeaving(leg);
  const idle = state.transfer === undefined && state.ringing === undefined && draft.bridge?.exchange === undefined;
  const asks = (state.shortening?.busyUntil ?? 0) > moment.now;
  const place = parsePid(process.pid);
  if (!free || !idle || asks || place === undefined) return answer(491);
  answer(202);
  moveTransfer(state, { by: leg.id, step: 'asked', subscription: undefined, told: [], shortens: true });
  const { number: digits, device } = leg.party;
  if (place.node === parsePid(facts.pid)?.node)
    return draft.emit({ type: 'join-dialog', leg: other.id, by: leg.id, digits, replaces, shortens: true });
  const to: Destination = {
    ...{ pid: undefined, boot: 0, node: place.node, local: false, device, kind: 'station', digits },
    inPlaceOf: { replaces, why: 'shorten' },
  };
  ringFor(draft, other, leg, digits, to);
}
