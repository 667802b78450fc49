import type { DeviceProfile } from '../../device/device-process';
import type { FarHalf, Why } from '../../device/node-context';
import type { Party } from '../../device/party';
import type { Target } from '../../digit-analysis/analysis';
import type { CodecPolicy } from '../../media-control';
import type { AllocationExplanation, Side } from '../../media-resource/ports';
import type { Pid } from '../../process/pid';
import type { AddressPair } from '../../sdp';
import type { Replaces } from '../../sip/replaces';
import type { Headers } from '../../sip/user-agent';
import type { Exchange } from '../bridge/exchange-state';
import { DIRECT, type MediaTried, type Path, type Question } from '../bridge/path';
import type { PlanState } from '../ringing/advance';
import type { RingId } from '../ringing/plan';
import type { Survival } from '../survival/survival-state';
import type { Transfer } from '../features/transfer-state';
import type { Shortening } from '../join/shorten';
import { type Leg, type LegId, newLeg } from './leg';

/**
 * A call as a value: two or more legs and what is under way on them. Only `transition` makes a new one out of an old one;
 * everything that is nested deeper than a leg is replaced, never changed.
 */

/** Names a bridge of a call. */
export type BridgeId = string;

/** The ends of a bridge, by the names that a media resource between them has for its sides: `b` was rung for `a`. */
export type Seat = Side;

/**
 * Two ends that are brought together, and all that stands between them. Every target that is rung has one with who waits for it; when it answers, that
 * one is the call's.
 */
export interface Bridge {
  readonly id: BridgeId;
  readonly seats: Readonly<Record<Seat, LegId>>;
  /** What may be spoken between the sites of the ends. */
  codecPolicy: CodecPolicy | undefined;
  /** Changed by `movePath` alone. */
  readonly path: Path;
  question: Question | undefined;
  /** Resources of the path that failed, or that had nothing for us. */
  failedResources: readonly string[];
  /** Resources of the path that were lost since the ends last agreed. */
  losses: number;
  /** `a` was told something else in an 18x than `b` has answered, and must be offered that. */
  unsettled: boolean;
  /** Changed by `moveExchange` alone. */
  readonly exchange: Exchange | undefined;
  /** Reconnections that we began by ourselves since the ends last agreed. */
  reconnections: number;
  /** The next one waits. */
  reconnectionPaused: boolean;
}

/** What goes from one end of a bridge to the other. */
export interface Way {
  readonly bridge: Bridge;
  readonly from: Leg;
  readonly to: Leg;
}

export function seatOf({ seats }: Bridge, { id }: Leg): Seat {
  return seats.a === id ? 'a' : 'b';
}

/** The bridge between the caller and who has answered; undefined: nobody yet. */
export function bridgeOf({ bridge, bridges }: CallState): Bridge | undefined {
  return bridge === undefined ? undefined : bridges.get(bridge);
}

/** Who has answered; undefined: nobody yet. */
export function answeredLeg(state: CallState): Leg | undefined {
  const bridge = bridgeOf(state);
  return bridge === undefined ? undefined : state.legs.get(bridge.seats.b);
}

/** The legs that lead to another node. */
export function legsTo({ legs }: CallState, node: number): readonly Leg[] {
  return [...legs.values()].filter(({ profile }) => profile.kind === 'node' && profile.node === node);
}

/** Where a call may lead: a process that digit analysis named, or the one that a node asked for. */
export type Destination = Target & {
  /** Undefined: nothing is known of the device yet. */
  readonly profile?: DeviceProfile;
  /** The last offer with which the device began a call. */
  readonly ability?: string;
  readonly codecPolicy?: CodecPolicy;
  /** It is to answer in the place of another dialog (RFC 3891), as it sees that; `why` is for a node. */
  readonly inPlaceOf?: { readonly replaces: Replaces | undefined; readonly why: Why };
};

export interface Failure {
  readonly status: number;
  readonly reason: string | undefined;
  readonly headers: Headers;
  /** For the caller's node: what was tried in vain to join the ends. */
  readonly tried?: MediaTried;
  /** Nobody has decided anything: another target for the same number may do better. */
  readonly tryAnother?: boolean;
}

/**
 * Somebody who waits, and who is rung for them. The waiter is an INVITE that has no answer, which is told of progress and of failure; or it
 * is in a dialog already: then who began the ringing learns of both.
 */
export interface Ringing {
  readonly waiter: LegId;
  /** Of the waiter, for who is rung; undefined: they make it. */
  readonly offer: string | undefined;
  readonly maxForwards: number;
  /** What is looked up, and for which leg: what that one may dial. */
  readonly number: string;
  readonly by: LegId;
  /** Of the trials of the call, the first that belongs to this. */
  readonly firstTrial: number;
  /** Changed by `goOn` alone. Undefined: the number is being looked up. */
  plan: PlanState<Destination> | undefined;
  /** Of who is rung now. */
  legs: ReadonlyMap<RingId, LegId>;
  /** Of plans before this one. */
  failures: readonly Failure[];
  /** 18x that the waiter, or who began the ringing, has had already. */
  relayed: readonly number[];
  /** How often the number was looked up again, since every entry was stale. */
  routedAgain: number;
  /** Nobody has answered. Only when the waiter is in a dialog: else the call is over. */
  failed: Failure | undefined;
}

export function newRinging(
  about: Pick<Ringing, 'waiter' | 'offer' | 'maxForwards' | 'number' | 'by' | 'firstTrial'>,
): Ringing {
  return { ...about, plan: undefined, legs: new Map(), failures: [], relayed: [], routedAgain: 0, failed: undefined };
}

/** One target that was tried, for the explanation of the route. */
export interface RouteTrial {
  readonly leg: LegId;
  readonly device: string;
  readonly pid: Pid | undefined;
  readonly node: number;
  readonly outcome: string;
}

/** What never changes. */
export interface CallFacts {
  readonly pid: Pid;
  /** The call's name in the whole cluster: that of the call process in which it began. */
  readonly call: string;
  /** Nodes that it has passed on its way here, the first one first. */
  readonly passed: readonly number[];
  /** Numbers that it was forwarded from on its way here. */
  readonly forwardedFrom: readonly string[];
  readonly caller: Party;
  readonly from: DeviceProfile;
  readonly dialled: string;
  /** Of the INVITE; undefined: delayed offer. */
  readonly offer: string | undefined;
  readonly maxForwards: number;
  readonly startedAt: number;
  /** IP addresses of this node, for `o=` and for blackholes. */
  readonly mediaAddress: AddressPair;
  readonly refreshSeconds: number;
  /** For how long a phone whose call manager has died is waited for, in ms; 0, or left out: not at all. */
  readonly surviveMs?: number;
  /** For the 200 to the caller: its session timer. */
  readonly timerHeaders: Headers;
}

/** As every line in the log names a call: in the cluster, and its part here. */
export interface CallNames {
  readonly call: string;
  readonly process: Pid;
}

export function namesOf({ call, pid }: Pick<CallFacts, 'call' | 'pid'>): CallNames {
  return { call, process: pid };
}

/** Whether `id` is the name of the call in the cluster, or the PID of the call process in which it began. */
export function isNamed({ call }: Pick<CallFacts, 'call'>, id: string): boolean {
  return call === id || call.startsWith(`${id}-`);
}

export interface CallState {
  kind: 'setup' | 'established' | 'ended';
  readonly facts: CallFacts;
  /** The leg of who called. */
  readonly caller: LegId;
  readonly legs: Map<LegId, Leg>;
  readonly bridges: Map<BridgeId, Bridge>;
  /** Undefined: nobody is rung. */
  ringing: Ringing | undefined;
  /** Changed by `moveTransfer` alone. */
  readonly transfer: Transfer | undefined;
  /** Undefined: this node has somebody in the call, or it is too early to say. */
  shortening: Shortening | undefined;
  /** Changed by `moveSurvival` alone. Undefined: no node of the call was lost. */
  readonly survival: Survival | undefined;
  matched: string | undefined;
  /** Where the call was to go, for the explanation of the route. */
  routes: readonly (readonly Destination[])[];
  trials: readonly RouteTrial[];
  /** Between the caller and who has answered; undefined: nobody yet. */
  bridge: BridgeId | undefined;
  /** Requests (INFO, MESSAGE) on their way: our request id -> whose it is. */
  readonly forwarded: Map<string, { readonly leg: LegId; readonly id: string }>;
  explanations: readonly AllocationExplanation[];
  /** Tokens of granted resources that were not released yet. */
  tokens: readonly number[];
  holdCount: number;
  ringingAt: number | undefined;
  answeredAt: number | undefined;
  nextLeg: number;
  nextRequest: number;
  nextToken: number;
  nextQuestion: number;
}

/** The same call, free to be changed without touching the old value. */
export function copyState(state: CallState): CallState {
  return {
    ...state,
    legs: new Map([...state.legs].map(([id, leg]) => [id, { ...leg }])),
    bridges: new Map([...state.bridges].map(([id, bridge]) => [id, { ...bridge }])),
    ringing: state.ringing && { ...state.ringing },
    forwarded: new Map(state.forwarded),
  };
}

export function newBridge(about: Pick<Bridge, 'id' | 'seats' | 'codecPolicy'>): Bridge {
  return {
    ...about,
    path: DIRECT,
    question: undefined,
    failedResources: [],
    losses: 0,
    unsettled: false,
    exchange: undefined,
    reconnections: 0,
    reconnectionPaused: false,
  };
}

/** The caller's; the others are given out in order. */
const FIRST_LEG: LegId = 'a';

/** For the `o=` line of the nth leg of a call. */
export function sessionIdOf({ startedAt }: Pick<CallFacts, 'startedAt'>, ordinal: number): number {
  return startedAt * 100 + (ordinal % 100);
}

export function initialState(
  facts: CallFacts,
  { far, ...caller }: { pid: Pid | undefined; callId: string; far?: FarHalf | undefined },
): CallState {
  const leg = newLeg(
    {
      id: FIRST_LEG,
      role: 'server',
      profile: facts.from,
      device: facts.caller.device,
      party: facts.caller,
      sessionId: sessionIdOf(facts, 0),
      ...caller,
    },
    facts.offer,
  );
  leg.far = far;
  return {
    kind: 'setup',
    facts,
    caller: leg.id,
    legs: new Map([[leg.id, leg]]),
    bridges: new Map(),
    ringing: newRinging({
      waiter: leg.id,
      offer: facts.offer,
      maxForwards: facts.maxForwards,
      number: facts.dialled,
      by: leg.id,
      firstTrial: 0,
    }),
    transfer: undefined,
    shortening: undefined,
    survival: undefined,
    matched: undefined,
    routes: [],
    trials: [],
    bridge: undefined,
    forwarded: new Map(),
    explanations: [],
    tokens: [],
    holdCount: 0,
    ringingAt: undefined,
    answeredAt: undefined,
    nextLeg: 1,
    nextRequest: 1,
    nextToken: 1,
    nextQuestion: 1,
  };
}
