import { effectiveDirection, type Direction } from '../sdp';
import { decideMediaPath, type MediaPath } from '../media-control';
import type { AllocationExplanation } from '../media-resource/ports';
import type { Pid } from '../process/pid';
import type { CallState, Connection, Destination, Leg, LegId, Music, RouteTrial } from './call-state';

/** A call as the API shows it; plain JSON. Times are milliseconds since the epoch. */
export interface CallSummary {
  readonly id: Pid;
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
    readonly branches: readonly (readonly Destination[])[];
    readonly trials: readonly RouteTrial[];
  };
  /** What the media path of the call must be, and why it cannot be direct; undefined until somebody has answered. */
  readonly media: MediaPath | undefined;
  /** Why each media resource was asked for, and who was asked. */
  readonly allocations: readonly AllocationExplanation[];
  readonly holdCount: number;
}

function stateName(state: CallState): CallSummary['state'] {
  if (state.kind === 'setup') return state.ringingAt === undefined ? 'setup' : 'ringing';
  if (state.kind === 'ended') return 'ended';
  return [...state.legs.values()].some((leg) => leg.holds) ? 'held' : 'established';
}

export function summaryOf(state: CallState): CallSummary {
  const { facts, answered, answeredAt } = state;
  return {
    id: facts.pid,
    state: stateName(state),
    caller: facts.caller.number,
    dialled: facts.dialled,
    from: facts.from.name,
    to: answered === undefined ? undefined : state.legs.get(answered)?.device,
    startedAt: facts.startedAt,
    answeredAt,
  };
}

function legView(leg: Leg): LegView {
  const { id, device, profile, pid, callId, holds, connection, music, localSdp, remoteSdp } = leg;
  return {
    id,
    device,
    kind: profile.kind,
    pid,
    callId,
    holds,
    connection,
    music: music.step,
    direction: remoteSdp === undefined ? undefined : effectiveDirection(remoteSdp),
    ourDirection: localSdp === undefined ? undefined : effectiveDirection(localSdp),
  };
}

function mediaPathOf({ legs, answered }: CallState): MediaPath | undefined {
  const [caller, callee] = [legs.get('a'), answered === undefined ? undefined : legs.get(answered)];
  if (caller === undefined || callee === undefined) return undefined;
  const end = (leg: Leg): Parameters<typeof decideMediaPath>[0] => ({ sdp: leg.remoteSdp, codecs: leg.profile.codecs });
  return decideMediaPath(end(caller), end(callee));
}

export function detailOf(state: CallState): CallDetail {
  return {
    ...summaryOf(state),
    legs: [...state.legs.values()].map(legView),
    route: { matched: state.matched, branches: state.branches.map((branch) => branch.targets), trials: state.trials },
    media: mediaPathOf(state),
    allocations: state.explanations,
    holdCount: state.holdCount,
  };
}
