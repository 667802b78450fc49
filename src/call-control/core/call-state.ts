import type { DeviceProfile } from '../../device/device-process';
import type { Party } from '../../device/party';
import type { Target } from '../../digit-analysis/analysis';
import type { CodecPolicy } from '../../media-control';
import type { AllocationExplanation, Side } from '../../media-resource/ports';
import type { Pid } from '../../process/pid';
import type { AddressPair } from '../../sdp';
import type { Headers } from '../../sip/user-agent';
import { type AgreedTimer, MIN_SE } from '../dialog/session-timer';
import type { Exchange } from '../bridge/exchange-state';
import { DIRECT, type MediaTried, type Path, type Question } from '../bridge/path';
import type { Transfer } from '../features/transfer-state';
import { follow, type StepTable } from './steps';

/**
 * A call as a value: two or more legs and what is under way on them. Only `transition` makes a new one out of an old one;
 * everything that is nested deeper than a leg is replaced, never changed.
 */

/** Names a leg of a call. Nothing is to be read out of it. */
export type LegId = string;

/** Names a bridge of a call. */
export type BridgeId = string;

/** The ends of a bridge, by the names that a media resource between them has for its sides: `b` was rung for `a`. */
export type Seat = Side;

/** What the device on a leg is connected with, as its last negotiated description says. */
export type Connection = 'peer' | 'music' | 'silence';

/** Why we sent a re-INVITE on a leg. */
export type OfferPurpose =
  /** The other leg's offer, or its wish to be offered something. */
  | 'relay'
  | 'music'
  | 'silence'
  /** Tells another node that the other leg holds, or holds no longer. */
  | 'direction'
  /** Keeps the session alive; changes nothing. */
  | 'refresh'
  /** Of an exchange that is no more: the leg was brought together with another one meanwhile. */
  | 'abandoned';

export interface OutgoingOffer {
  readonly id: string;
  readonly purpose: OfferPurpose;
  /** Undefined: the peer makes the offer. */
  readonly sdp: string | undefined;
  /** For `direction`: what the node is told. */
  readonly hold?: boolean;
}

/** A re-INVITE or UPDATE of the device that has no final answer yet. */
export interface IncomingOffer {
  readonly id: string;
  readonly method: 'INVITE' | 'UPDATE';
  /** Of the 200: the session timer. */
  readonly headers: Headers;
}

/** Music for the device on a leg. `token` names the attempt, so that an answer that comes too late is known as such. */
export type Music =
  | { readonly step: 'none' }
  /** The device refused it: this hold is silent. */
  | { readonly step: 'refused' }
  /** No server granted, or those that did failed: it is asked for again later. */
  | { readonly step: 'unavailable' }
  | { readonly step: 'allocating'; readonly token: number }
  | { readonly step: 'granted'; readonly token: number; readonly leaseMs: number }
  /** `peer`: what the device had described then. */
  | { readonly step: 'asking'; readonly token: number; readonly leaseMs: number; readonly peer: string | undefined }
  | {
      readonly step: 'offering';
      readonly token: number;
      readonly leaseMs: number;
      readonly peer: string | undefined;
      readonly sdp: string;
    }
  | { readonly step: 'connecting'; readonly token: number; readonly leaseMs: number }
  | { readonly step: 'playing'; readonly token: number; readonly leaseMs: number };

export type LegPhase =
  /** Our INVITE has no final answer. */
  | 'calling'
  /** Its INVITE has no final answer of ours. */
  | 'offered'
  /** There is a dialog. */
  | 'confirmed'
  /** The dialog is over. It keeps its seat until another leg takes it: who held holds on. */
  | 'over';

export interface Leg {
  readonly id: LegId;
  /** Changed by `moveLeg` alone. */
  readonly phase: LegPhase;
  /** Who is at its end, as others are told. */
  party: Party;
  /** Role of our session on this leg; the client owns the Call-ID (RFC 3261 §14.1). */
  readonly role: 'server' | 'client';
  profile: DeviceProfile;
  pid: Pid | undefined;
  callId: string;
  /** Name of the device at the end of the leg, also when another node is between. */
  device: string;
  /** Our `o=` line on this leg. */
  readonly sessionId: number;
  version: number;
  /** Last negotiated descriptions: ours to the device, the device's to us. */
  localSdp: string | undefined;
  remoteSdp: string | undefined;
  /** The device (behind a node: the far side) holds the other leg. */
  holds: boolean;
  /** Only for a node or a conference: it was told that the other leg holds. */
  toldHold: boolean;
  connection: Connection;
  incoming: IncomingOffer | undefined;
  outgoing: OutgoingOffer | undefined;
  /** Our 200 waits for its ACK; `answer`: and the ACK brings the answer to our offer. */
  awaitingAck: 'no' | 'plain' | 'answer';
  /** We were told 491 and wait before we offer again. */
  blocked: boolean;
  refreshDue: boolean;
  /** Of the last 2xx with a description; undefined: the device keeps no session timer. */
  timer: AgreedTimer | undefined;
  /** The shortest session interval that the device takes, in seconds (RFC 4028 §7.4). */
  minimumInterval: number;
  /** Changed by `moveMusic` alone. */
  readonly music: Music;
  /** Attempts at music in this hold, so that a broken server cannot keep us busy. */
  musicAttempts: number;
  /** Pauses without music in this hold, after which it was asked for again. */
  musicPauses: number;
  /** Music servers that failed in this hold; they are not asked again. */
  failedServers: readonly string[];
  /** First 18x with a description, kept until it may be relayed. */
  early: { readonly status: number; readonly sdp: string } | undefined;
  /** The device's last offer, which says all that it can do; an answer says only what was chosen. */
  ability: string | undefined;
  /** It is a conference, here or at another node: its number (RFC 4579 §4.2). */
  focus: string | undefined;
  /** It holds by our doing, since it has asked for a transfer: it is to hear nothing. */
  aside: boolean;
  /** How often it has asked for a transfer. */
  refers: number;
  /** It has no seat any more, and is ended when it has answered this request of ours. */
  leaving: { readonly lastWord: string; readonly reason: string } | undefined;
}

/** Which phase of a leg may follow which. */
export const LEG_STEPS: StepTable<LegPhase> = {
  calling: ['confirmed', 'over'],
  offered: ['confirmed', 'over'],
  confirmed: ['over'],
  over: [],
};

/** The one place where a leg goes on. Throws when this phase cannot follow. */
export function moveLeg(leg: Leg, phase: LegPhase): void {
  follow(LEG_STEPS, 'leg', leg.phase, phase);
  (leg as { phase: LegPhase }).phase = phase;
}

/**
 * Two ends that are brought together, and all that stands between them. Every target that is rung has one with who waits for it; when it answers, that
 * one is the call's.
 */
export interface Bridge {
  readonly id: BridgeId;
  readonly seats: Readonly<Record<Seat, LegId>>;
  /** What may be spoken between the sites of the ends. */
  readonly codecPolicy: CodecPolicy | undefined;
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

/** A node cares for its device by itself, and a conference for its room: they are told who holds, and get no music. */
export function caresForItself({ profile }: Leg): boolean {
  return profile.kind === 'node' || profile.kind === 'conference';
}

/** Where a branch may lead: a process that digit analysis named, or the one that a node asked for. */
export type Destination = Target & {
  /** Undefined: nothing is known of the device yet. */
  readonly profile?: DeviceProfile;
  /** The last offer with which the device began a call. */
  readonly ability?: string;
  readonly codecPolicy?: CodecPolicy;
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

/** Targets that are tried one after another; branches ring at the same time. */
export interface Branch {
  readonly targets: readonly Destination[];
  /** Index of the target to try next. */
  next: number;
  leg: LegId | undefined;
  done: boolean;
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
  readonly branches: Branch[];
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
  return { ...about, branches: [], failures: [], relayed: [], routedAgain: 0, failed: undefined };
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
  /** For the 200 to the caller: its session timer. */
  readonly timerHeaders: Headers;
}

/** As every line in the log names a call: in the cluster, and its part here. */
export function namesOf({ call, pid }: Pick<CallFacts, 'call' | 'pid'>): {
  readonly call: string;
  readonly process: Pid;
} {
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
    ringing: state.ringing && { ...state.ringing, branches: state.ringing.branches.map((branch) => ({ ...branch })) },
    forwarded: new Map(state.forwarded),
  };
}

/** `remoteSdp`: the offer with which the device has called. */
export function newLeg(
  about: Pick<Leg, 'id' | 'role' | 'profile' | 'pid' | 'callId' | 'device' | 'sessionId' | 'party'>,
  remoteSdp: string | undefined,
): Leg {
  return {
    ...about,
    phase: about.role === 'server' ? 'offered' : 'calling',
    version: 0,
    localSdp: undefined,
    remoteSdp,
    holds: false,
    toldHold: false,
    focus: undefined,
    connection: 'peer',
    incoming: undefined,
    outgoing: undefined,
    awaitingAck: 'no',
    blocked: false,
    refreshDue: false,
    timer: undefined,
    minimumInterval: MIN_SE,
    music: { step: 'none' },
    musicAttempts: 0,
    musicPauses: 0,
    failedServers: [],
    aside: false,
    refers: 0,
    leaving: undefined,
    early: undefined,
    ability: remoteSdp,
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
export function sessionIdOf({ startedAt }: CallFacts, ordinal: number): number {
  return startedAt * 100 + (ordinal % 100);
}

export function initialState(facts: CallFacts, caller: { pid: Pid | undefined; callId: string }): CallState {
  const leg = newLeg(
    {
      id: FIRST_LEG,
      role: 'server',
      profile: facts.from,
      device: facts.from.name,
      party: facts.caller,
      sessionId: sessionIdOf(facts, 0),
      ...caller,
    },
    facts.offer,
  );
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
