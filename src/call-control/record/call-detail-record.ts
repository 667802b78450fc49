import type { AllocationExplanation } from '../../media-resource/ports';
import type { Pid } from '../../process/pid';
import type { Reason } from '../../sip/reason';
import type { FarHalfView } from './call-view';
import type { RouteTrial } from '../core/call-state';

/** What is kept of a call when it is over. Times are milliseconds since the epoch. */
export interface CallDetailRecord {
  readonly pid: Pid;
  /** Of the whole cluster: both halves of a call between two nodes have it. */
  readonly call: string;
  readonly caller: string;
  readonly callerDevice: string;
  readonly dialled: string;
  readonly matched: string | undefined;
  /** The device that answered. */
  readonly calleeDevice: string | undefined;
  readonly startedAt: number;
  readonly ringingAt: number | undefined;
  readonly answeredAt: number | undefined;
  readonly endedAt: number;
  /** Milliseconds of talk; 0 when nobody answered. */
  readonly talkMs: number;
  /** Final status of the caller's INVITE: 200, or why there was no call; 487 when the caller gave up. */
  readonly status: number;
  readonly endedBy: 'caller' | 'callee' | 'system';
  /** For people. */
  readonly reason: string | undefined;
  /** What the party that ended it has told (RFC 3326). */
  readonly reasons: readonly Reason[];
  readonly callIds: readonly string[];
  readonly holdCount: number;
  readonly trials: readonly RouteTrial[];
  readonly allocations: readonly AllocationExplanation[];
  /** What other nodes told last of their parts of the call. */
  readonly elsewhere: readonly FarHalfView[];
}
