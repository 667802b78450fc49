import type { FarHalf, NodeContext, ServingResource } from '../../device/node-context';
import { formatReplaces, type Replaces } from '../../sip/replaces';
import { parsePid } from '../../process/pid';
import { answeredLeg, bridgeOf, type CallState } from './call-state';
import type { Draft } from './draft';
import type { Leg, LegId } from './leg';
import type { CallEffect, CallSignal, Told } from './signals';

/**
 * A call between two nodes has a half at each. Each tells the other who is behind it, and which media resources serve the call there: in the
 * INVITE, in the answers to it, and in the dialog whenever that has changed.
 */

/** What goes with an INVITE to another node: which call it is of, and who waits for the answer. A waiter in a dialog is being transferred. */
export function contextOf(
  { facts, legs }: CallState,
  { waiter, destination: { inPlaceOf } }: Pick<Extract<CallEffect, { type: 'start-branch' }>, 'waiter' | 'destination'>,
  half: FarHalf,
): NodeContext {
  const { pid, call, passed, forwardedFrom } = facts;
  const node = parsePid(pid)?.node;
  return {
    call,
    why: inPlaceOf?.why ?? (legs.get(waiter)?.phase === 'confirmed' ? 'transfer' : 'call'),
    forwardedFrom,
    passed: node === undefined ? passed : [...passed, node],
    half,
  };
}

/** A node tells of its half. What is older than what is known says nothing. */
export function hearHalf(draft: Draft, id: LegId, half: FarHalf): void {
  const leg = draft.leg(id);
  if (leg === undefined || half.version <= (leg.far?.version ?? 0)) return;
  leg.far = half;
  leg.party = half.party;
  leg.device = half.party.device;
  const { codecPolicyOf } = draft.moment;
  if (codecPolicyOf === undefined) return;
  for (const bridge of draft.state.bridges.values()) {
    const [a, b] = draft.ends(bridge);
    if (a === leg || b === leg) bridge.codecPolicy = codecPolicyOf(a.party, b.party);
  }
}

/** More nodes in a row than a call can need. */
const MOST_HOPS = 12;

/**
 * Nobody is in the call but nodes, one after the other in a ring: everybody has taken leave by transferring the other. Whoever is said to be behind a
 * node seems to be farther away with each word, and the nodes would go on telling each other for ever.
 */
export function isRing(state: CallState): boolean {
  const seats = bridgeOf(state)?.seats;
  const [a, b] = [seats?.a, seats?.b].map((id) => state.legs.get(id ?? '')?.far);
  if (a === undefined || b === undefined) return false;
  const same = a.process.pid === b.process.pid && a.process.boot === b.process.boot;
  return same || Math.max(a.hops ?? 0, b.hops ?? 0) >= MOST_HOPS;
}

/** Both ends have parked each other, here and at another node: nobody is there who could hang up. */
export function areBothParked(state: CallState): boolean {
  const { transfer, legs } = state;
  const seats = bridgeOf(state)?.seats;
  if (transfer?.parked === undefined || seats === undefined) return false;
  return legs.get(seats.a === transfer.by ? seats.b : seats.a)?.far?.parked === true;
}

/** The phone on a leg can be asked to go on when we die: other nodes are told how. */
export function noteDialog(draft: Draft, id: LegId, dialog: Replaces): void {
  const leg = draft.leg(id);
  if (leg === undefined || (leg.dialog !== undefined && formatReplaces(leg.dialog) === formatReplaces(dialog))) return;
  leg.dialog = dialog;
}

/** A session has asked for a resource of its own, which serves as long as the leg: a place in a conference, a media termination point. */
export function noteServing(draft: Draft, { leg: id, explanation }: Extract<CallSignal, { type: 'explained' }>): void {
  const leg = draft.leg(id);
  if (leg === undefined) return;
  const { type, why, winner: name } = explanation;
  leg.serving = name === undefined ? undefined : { type, name, why };
}

/** Tells every node what is news to it: with the answers and INVITEs that go to it anyway, else in a request of its own. */
export function tellNodes(draft: Draft): void {
  const { state, effects } = draft;
  for (const leg of state.legs.values()) {
    if (leg.profile.kind !== 'node') continue;
    const at = effects.findIndex((effect) => carriesHalf(effect, leg));
    const found = effects[at];
    const effect = found !== undefined && carriesHalf(found, leg) ? found : undefined;
    const half = halfFor(state, leg, effect?.type === 'start-branch' ? effect.waiter : undefined);
    if (half === undefined) continue;
    const text = `${state.facts.pid} ${JSON.stringify(half)}`;
    if (effect === undefined && (text === leg.toldHalf?.text || !mayBeAsked(leg))) continue;
    const version = (leg.toldHalf?.version ?? 0) + 1;
    leg.toldHalf = { version, text };
    if (effect === undefined) draft.emit({ type: 'tell-half', leg: leg.id, half: { ...half, version } });
    else effects[at] = { ...effect, half: { ...half, version } };
  }
}

type Carrier = Extract<CallEffect, { type: 'start-branch' | 'progress' | 'answer' }>;

function carriesHalf(effect: CallEffect, { id }: Leg): effect is Carrier {
  return (
    (effect.type === 'start-branch' || effect.type === 'progress' || effect.type === 'answer') && effect.leg === id
  );
}

function mayBeAsked({ phase, awaitingAck, leaving }: Leg): boolean {
  return phase === 'confirmed' && awaitingAck === 'no' && leaving === undefined;
}

/** Undefined: there is nobody behind us for that leg. `waiter`: who has it rung. */
function halfFor(state: CallState, leg: Leg, waiter: LegId | undefined): Omit<Told, 'version'> | undefined {
  const other = waiter === undefined ? otherEnd(state, leg) : state.legs.get(waiter);
  const isParked = state.transfer?.parked !== undefined && state.transfer.by === other?.id;
  if (other === undefined || (other.phase === 'over' && !isParked)) return undefined;
  const parked = isParked || other.far?.parked === true ? ({ parked: true } as const) : {};
  const hops = other.profile.kind === 'node' ? { hops: (other.far?.hops ?? 0) + 1 } : {};
  const dialog = other.dialog === undefined ? {} : { dialog: other.dialog };
  const resources = [...servingHere(state, leg), ...(other.far?.resources ?? [])];
  return { party: other.party, ...hops, ...parked, resources, ...dialog };
}

function otherEnd(state: CallState, leg: Leg): Leg | undefined {
  const seats = bridgeOf(state)?.seats;
  if (seats !== undefined) {
    if (seats.a !== leg.id && seats.b !== leg.id) return undefined;
    return state.legs.get(seats.a === leg.id ? seats.b : seats.a);
  }
  // Nobody has answered: who rings, if it is only one.
  const [rung, ...more] = [...state.legs.values()].filter(({ id }) => id !== leg.id);
  return leg.id === state.caller && more.length === 0 ? rung : undefined;
}

/** The media resources that this node has put in between the ends of a call; with `leg`: between that leg and its other end. */
function servingHere(state: CallState, leg: Leg): readonly ServingResource[] {
  const serving: ServingResource[] = [];
  for (const { seats, path } of state.bridges.values()) {
    if (path.step !== 'joined' || (seats.a !== leg.id && seats.b !== leg.id)) continue;
    serving.push({ type: path.need.type, name: path.resource, why: path.need.why, between: true });
  }
  for (const { serving: own, music, profile } of state.legs.values()) {
    if (own !== undefined) serving.push(own);
    if (music.step !== 'playing') continue;
    const asked = state.explanations.findLast(({ type, device }) => type === 'moh' && device === profile.name);
    if (asked?.winner !== undefined) serving.push({ type: 'moh', name: asked.winner, why: asked.why });
  }
  return serving;
}

/** The resource between the ends that the node of who has answered has put in. */
export function joinedElsewhere(
  state: CallState,
): (ServingResource & { readonly node: number | undefined }) | undefined {
  const leg = answeredLeg(state);
  const found = leg?.far?.resources.find(({ between }) => between === true);
  return found && { ...found, node: leg?.profile.node };
}
