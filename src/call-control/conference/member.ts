import type { OutgoingCall } from '../../device/device-process';
import type { Allocation, AllocationExplanation } from '../../media-resource/ports';
import type { Clock } from '../../process/clock';
import type { HeaderReader } from '../../sip/user-agent';
import type { CallLog } from '../dependencies';

export type Placement =
  | { readonly ok: true; readonly allocation: Allocation; readonly explanation: AllocationExplanation }
  | { readonly ok: false; readonly explanation: AllocationExplanation };

/** What a participant asks of its conference. */
export interface ConferenceRoom {
  /** A place at the bridge of the conference; `exclude`: bridges that failed for this participant. Never rejects. */
  place(exclude: readonly string[], why: string): Promise<Placement>;
  /** The process that granted is gone, and with it the bridge for everybody. */
  bridgeGone(allocation: Allocation): void;
  /** It can be heard there. Called once. */
  joined(): void;
  /** It is over for this participant. Called once. */
  left(id: string): void;
}

export interface ConferenceSessionOptions {
  readonly id: string;
  readonly call: OutgoingCall;
  readonly room: ConferenceRoom;
  readonly clock: Clock;
  readonly log: CallLog;
  /** For the 200: who we are, and for how long. */
  readonly header: HeaderReader;
}

/** What the API shows of a participant. */
export interface MemberView {
  readonly id: string;
  readonly number: string;
  readonly device: string;
  readonly node: number | undefined;
  readonly bridge: string | undefined;
  /** Id of its lease at the bridge. */
  readonly allocation: string | undefined;
  /** By a moderator. */
  readonly muted: boolean;
  readonly held: boolean;
  /** The bridge has confirmed that the others do not hear it. */
  readonly silenced: boolean;
  /** Left out: the bridge cannot tell. */
  readonly talking?: boolean;
  readonly since: number;
}
