import { effectiveDirection, type Direction } from '../../sdp';
import type { ServingResource } from '../../device/node-context';
import type { Party } from '../../device/party';
import type { CodecPolicy } from '../../media-control';
import type { AllocationExplanation } from '../../media-resource/ports';
import type { Pid } from '../../process/pid';
import type { Target } from '../../digit-analysis/analysis';
import { spokenBy, toldTo } from '../core/agreed';
import type { Path } from '../bridge/path';
import { joinedElsewhere } from '../core/far-half';
import {
  answeredLeg,
  type Bridge,
  bridgeOf,
  type CallState,
  type Destination,
  type RouteTrial,
} from '../core/call-state';
import type { Survival } from '../survival/survival-state';
import type { Connection, Leg, LegId, Music } from '../core/leg';

/** A call as the API shows it; plain JSON. Times are milliseconds since the epoch. */
export interface CallSummary {
  readonly id: Pid;
  /** Its name in the whole cluster, at whichever node. */
  readonly call: string;
  readonly state: 'setup' | 'ringing' | 'established' | 'held' | 'ended';
  readonly caller: string;
  readonly dialled: string;
  readonly from: string;
  /** The device that answered. */
  readonly to: string | undefined;
  readonly startedAt: number;
  readonly answeredAt: number | undefined;
}

export interface LegView {
  readonly id: LegId;
  readonly device: string;
  readonly kind: string;
  readonly pid: Pid | undefined;
  readonly callId: string;
  readonly phase: Leg['phase'];
  /** The leg that it is brought together with; undefined: it has no place (yet, or any more). */
  readonly peer: LegId | undefined;
  readonly holds: boolean;
  readonly connection: Connection;
  readonly music: Music['step'];
  /** As the device sees it: what it sends and hears. */
  readonly direction: Direction | undefined;
  /** As we told it. */
  readonly ourDirection: Direction | undefined;
}

export interface CallDetail extends CallSummary {
  readonly legs: readonly LegView[];
  /** Why the call went where it went. */
  readonly route: {
    readonly matched: string | undefined;
    readonly branches: readonly (readonly Target[])[];
    readonly trials: readonly RouteTrial[];
  };
  /** Undefined until somebody has answered. */
  readonly media: MediaPathView | undefined;
  /** What may be spoken between the sites of caller and callee; undefined: anything. */
  readonly codecPolicy: CodecPolicy | undefined;
  /** Why each media resource was asked for, and who was asked. */
  readonly allocations: readonly AllocationExplanation[];
  /** What other nodes tell of their parts of the call. */
  readonly elsewhere: readonly FarHalfView[];
  readonly holdCount: number;
  /** The leg whose node was lost last, and what has become of it; undefined: none was. */
  readonly survival?: Pick<Survival, 'leg' | 'step'>;
}

/** The part of a call that another node has, behind one leg. */
export interface FarHalfView {
  readonly leg: LegId;
  readonly node: number | undefined;
  /** PID of its call process. */
  readonly process: Pid;
  readonly boot: number;
  readonly party: Party;
  /** The media resources that serve the call there. */
  readonly resources: readonly ServingResource[];
}

/** How the two ends are connected: straight, or through a media resource, and why. */
export type MediaPathView =
  | { readonly path: 'direct' }
  | {
      readonly path: 'through';
      readonly type: string;
      readonly why: string;
      readonly step: Exclude<Path['step'], 'direct'>;
      /** Name of the media resource. */
      readonly resource?: string;
      /** The other node that has put it in. */
      readonly node?: number;
    };

function stateName(state: CallState): CallSummary['state'] {
  if (state.kind === 'setup') return state.ringingAt === undefined ? 'setup' : 'ringing';
  if (state.kind === 'ended') return 'ended';
  return [...state.legs.values()].some((leg) => leg.holds) ? 'held' : 'established';
}

export function summaryOf(state: CallState): CallSummary {
  const { facts, answeredAt } = state;
  return {
    id: facts.pid,
    call: facts.call,
    state: stateName(state),
    caller: facts.caller.number,
    dialled: facts.dialled,
    from: facts.caller.device,
    to: answeredLeg(state)?.device,
    startedAt: facts.startedAt,
    answeredAt,
  };
}

function legView(leg: Leg, bridge: Bridge | undefined): LegView {
  const { id, device, profile, pid, callId, phase, holds, connection, music } = leg;
  const seats = bridge === undefined ? [] : [bridge.seats.a, bridge.seats.b];
  const [spoken, told] = [spokenBy(leg), toldTo(leg)];
  return {
    id,
    device,
    kind: profile.kind,
    pid,
    callId,
    phase,
    peer: seats.includes(id) ? seats.find((other) => other !== id) : undefined,
    holds,
    connection,
    music: music.step,
    direction: spoken === undefined ? undefined : effectiveDirection(spoken),
    ourDirection: told === undefined ? undefined : effectiveDirection(told),
  };
}

function mediaPathOf(state: CallState): MediaPathView | undefined {
  const path = bridgeOf(state)?.path;
  if (path === undefined) return undefined;
  if (path.step === 'direct') {
    const elsewhere = joinedElsewhere(state);
    if (elsewhere === undefined) return { path: 'direct' };
    const { type, name: resource, why, node } = elsewhere;
    return { path: 'through', type, why, step: 'joined', resource, ...(node === undefined ? {} : { node }) };
  }
  const { type, why } = path.need;
  const resource = path.step === 'joined' ? { resource: path.resource } : {};
  return { path: 'through', type, why, step: path.step, ...resource };
}

export function farHalves(state: CallState): readonly FarHalfView[] {
  return [...state.legs.values()].flatMap(({ id: leg, far, profile: { node } }) => {
    if (far === undefined) return [];
    const { process, party, resources } = far;
    return [{ leg, node, process: process.pid, boot: process.boot, party, resources }];
  });
}

/** As digit analysis named it. */
function targetOf({ pid, boot, node, local, device, kind, digits }: Destination): Target {
  return { pid, boot, node, local, device, kind, digits };
}

export function detailOf(state: CallState): CallDetail {
  return {
    ...summaryOf(state),
    legs: [...state.legs.values()].map((leg) => legView(leg, bridgeOf(state))),
    route: {
      matched: state.matched,
      branches: state.routes.map((targets) => targets.map(targetOf)),
      trials: state.trials,
    },
    media: mediaPathOf(state),
    codecPolicy: bridgeOf(state)?.codecPolicy,
    allocations: state.explanations,
    elsewhere: farHalves(state),
    holdCount: state.holdCount,
    ...(state.survival === undefined ? {} : { survival: { leg: state.survival.leg, step: state.survival.step } }),
  };
}
