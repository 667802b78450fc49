import type { FeatureCodes } from '../config/feature-codes';
import type { Headers } from '../sip/user-agent';
import type { DeviceProfile, DeviceRouter } from '../device/device-process';
import type { Party } from '../device/party';
import type { DigitAnalysis } from '../digit-analysis/analysis';
import type { CodecPolicy, PolicyParty } from '../media-control';
import type { Lines } from '../line/lines';
import type { MediaResourceManager } from '../media-resource/ports';
import type { Clock } from '../process/clock';
import type { Pid, PidAllocator } from '../process/pid';
import type { AddressPair } from '../sdp';
import type { AdHocConference } from './conference/ad-hoc';
import type { CallState } from './core/call-state';
import type { Parking } from './process/parks';
import type { DeviceLocations } from './survival/waiting-phones';
import type { CallDetailRecord } from './record/call-detail-record';

/** The part of a logger that this room uses. */
export interface CallLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** For metrics; every call is `started` and `ended` once. */
export interface CallHooks {
  started?(): void;
  /** A call process has gone on. */
  changed?(state: CallState): void;
  /** Milliseconds from the INVITE to the callee's 200. */
  answered?(setupMs: number): void;
  ended?(record: CallDetailRecord): void;
  /** A call that was not even begun. */
  refused?(status: number): void;
}

/** Questions to the call control of other nodes. */
export interface OtherNodes {
  /** Those that live, by their numbers. */
  live(): readonly number[];
  /** Undefined: no answer in time. Never rejects. */
  ask(node: number, question: unknown, deadlineMs: number): Promise<unknown>;
}

/** What call control asks of the rest of the node. */
export interface CallControlDependencies {
  readonly digitAnalysis: DigitAnalysis;
  readonly router: DeviceRouter;
  /** Left out: no line has limits, and no device has a part in the calls of another. */
  readonly lines?: Lines;
  /** What can be dialled to have something done; left out: nothing. */
  readonly featureCodes?: FeatureCodes;
  /** Left out: nothing is parked. */
  readonly parking?: Parking;
  /** The call control of the other nodes; left out: there are none. */
  readonly otherNodes?: OtherNodes;
  /** A new conference of this node, for calls that become one; left out: there are none. */
  readonly adHocConference?: () => AdHocConference;
  readonly resources: MediaResourceManager;
  readonly clock: Clock;
  readonly pids: PidAllocator;
  /** Our incarnation. */
  readonly boot: number;
  /** `record`: for call detail records, of which none is left out. */
  readonly log: CallLog & { record(fields: Readonly<Record<string, unknown>>, message: string): void };
  readonly hooks?: CallHooks;
  /** Call detail records, one for each call, at its end. */
  readonly onRecord?: (record: CallDetailRecord) => void;
  /** IP addresses of this node for `o=` lines and blackholes. */
  readonly mediaAddress: AddressPair;
  /** A node has said, signed, that an entry (without a PID: a number) is not its own: repair from its owner (claim R13). */
  readonly onStaleEntry: (node: number, pid: Pid | undefined, boot: number) => void;
  /** The music source of a party that holds, at whichever node. */
  readonly musicSourceOf: (holder: Party) => string | undefined;
  /** What may be spoken between the sites of caller and callee; left out, or undefined: anything. */
  readonly codecPolicyOf?: (caller: PolicyParty, callee: PolicyParty) => CodecPolicy | undefined;
  /** The headers by which a device is told who it is connected with; left out: none. */
  readonly connectedAs?: (party: Party, towards: DeviceProfile, as: 'calling' | 'called') => Headers;
  /** Whether a host, or the context of a `tel` number, is a name of this exchange; left out: every one. */
  readonly isOurs?: (host: string, context: string | undefined) => boolean;
  /** Where devices are registered; left out: no call survives its call manager. */
  readonly locations?: DeviceLocations;
  /** For how long the phone of a lost call manager is waited for, in ms; 0, or left out: not at all. */
  readonly surviveMs?: number;
  /** Session-Expires that we ask for; 1800 when left out. */
  readonly refreshSeconds?: number;
  /** In [0, 1); Math.random when left out. */
  readonly random?: () => number;
}
