import type { DeviceProfile, Judgement } from '../../device/device-process';
import type { FarHalf, Shorter } from '../../device/node-context';
import type { Party, ProcessId } from '../../device/party';
import type { CodecPolicy, JoiningType } from '../../media-control';
import type { AllocationExplanation, LossReason, OfferRequest, ResourceReply, Side } from '../../media-resource/ports';
import type { Pid } from '../../process/pid';
import type { NotMine } from '../../sip/node-signature';
import type { Replaces } from '../../sip/replaces';
import type { Headers, ResponseOptions, SessionSignal } from '../../sip/user-agent';
import type { CallDetailRecord } from '../record/call-detail-record';
import type { BridgeId, Destination } from './call-state';
import type { Leg, LegId } from './leg';
import type { Slot } from '../features/transfer-state';
import type { Taken } from '../join/replace';
import type { MediaTried } from '../bridge/path';
import type { DeadlineId } from '../ringing/plan';

/** What the resource in a path is asked for. */
export type PathRequest =
  | ({ readonly op: 'offer' } & NonNullable<OfferRequest['relay']>)
  | { readonly op: 'connect'; readonly from: Side; readonly answer: string };

export type TimerName =
  /** The time of a step of the plan. */
  | `no-answer:${DeadlineId}`
  /** The ends of an established call may be brought together again. */
  | 'reconnect'
  /** Every entry was stale: the tables are being repaired, and the number is looked up once more. */
  | 'route-again'
  /** A phone whose call manager has died is not waited for any longer. */
  | 'survival'
  /** No sign of life from a node. */
  | `life:${LegId}`
  /** No ACK for our 200. */
  | `ack:${LegId}`
  /** No final answer to our re-INVITE; the SIP server should have said 408 long before. */
  | `reinvite:${LegId}`
  /** Who has parked the call is to be called back. */
  | 'recall'
  /** Pause after 491. */
  | `retry:${LegId}`
  /** The session must be refreshed by us. */
  | `refresh:${LegId}`
  /** Nobody has been behind us for a while. */
  | 'shorten'
  /** Whoever leaves has not answered our last word. */
  | `leave:${LegId}`
  /** Music that nobody had is asked for again. */
  | `music:${LegId}`
  /** Another resource for the path may be asked for. */
  | `path:${BridgeId}`;

/** Whom a REFER wants called. */
export type Refer =
  | { readonly type: 'to'; readonly digits: string; readonly replaces: Replaces | undefined }
  | { readonly type: 'refused'; readonly status: number; readonly reason: string };

/** What a route leads to, as digit analysis or the node that called says it. */
export type Route =
  | {
      readonly type: 'targets';
      readonly branches: readonly (readonly Destination[])[];
      readonly matched: string | undefined;
      /** How long it rings; undefined: as long as any number. */
      readonly noAnswerMs?: number;
    }
  | {
      readonly type: 'refused';
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Headers;
      readonly matched?: string;
    };

/** The same for a transfer, which may be to a slot: the other end is to be parked. */
export type TransferRoute = Route | ({ readonly type: 'park' } & Slot);

/** What became of a wish to join a call; `slot`: it is a slot that was asked for by it. */
export interface Joined {
  readonly status: number;
  readonly slot?: Slot;
}

/** Everything that can happen to a call. */
export type CallSignal =
  | { readonly type: 'routed'; readonly route: TransferRoute }
  | {
      readonly type: 'session';
      readonly leg: LegId;
      readonly signal: SessionSignal;
      /** For a REFER: what its Refer-To says. */
      readonly refer?: Refer;
      /** For a rejection: the signed "not mine" of a node (claim R13). */
      readonly notMine?: NotMine;
      /** For a rejection: the signed word of a node that it had no media resource for the call. */
      readonly tried?: MediaTried;
      /** For a rejection: the signed word of a node that this is about who is behind it, and no failure of its own. */
      readonly judged?: Judgement;
      /** What a node tells of its half of the call. */
      readonly half?: FarHalf;
      /** A node wants to be left out. */
      readonly shorter?: Shorter;
      /** Of a phone that can be asked to go on when we die. */
      readonly dialog?: Replaces;
    }
  /** The INVITE of a leg is on its way. */
  | {
      readonly type: 'branch-started';
      readonly leg: LegId;
      readonly profile: DeviceProfile;
      readonly pid: Pid | undefined;
      readonly callId: string;
    }
  /** The process behind a leg's PID is gone. */
  /** `headers`: what the caller is told of it. */
  | { readonly type: 'branch-unreachable'; readonly leg: LegId; readonly headers?: Headers }
  | { readonly type: 'timer'; readonly timer: TimerName }
  | {
      readonly type: 'allocated';
      readonly leg: LegId;
      readonly token: number;
      /** False: nobody did. */
      readonly granted: boolean;
      readonly explanation: AllocationExplanation;
    }
  | {
      readonly type: 'resource-replied';
      readonly token: number;
      readonly op: 'offer' | 'connect';
      readonly reply: ResourceReply;
    }
  /** What became of `allocate-path`; `resource`: the name of who granted. */
  | {
      readonly type: 'path-allocated';
      readonly bridge: BridgeId;
      readonly token: number;
      readonly resource: string | undefined;
      readonly explanation: AllocationExplanation;
    }
  | {
      readonly type: 'path-replied';
      readonly bridge: BridgeId;
      /** Of the question. */
      readonly number: number;
      readonly reply: ResourceReply;
    }
  /** The session of a leg has asked for a resource of its own. */
  | { readonly type: 'explained'; readonly leg: LegId; readonly explanation: AllocationExplanation }
  /** The resource behind a token serves no more. */
  | { readonly type: 'resource-lost'; readonly token: number; readonly reason: LossReason }
  /** What became of `join-dialog`: 200, or why not. */
  | ({ readonly type: 'join-answered' } & Joined)
  /** Who talks to the leg goes to a conference. `stays`: so does the leg itself, with its dialog, as soon as that has come about. */
  | { readonly type: 'to-conference'; readonly by: LegId; readonly to: Destination; readonly stays: boolean }
  /** A leg of another call, or a new INVITE, takes the place of one of this call. */
  | ({ readonly type: 'taken' } & Taken)
  /** The node behind a leg is off-line; `sure`: it has nothing of the dialog any more. */
  | { readonly type: 'leg-lost'; readonly leg: LegId; readonly sure: boolean }
  /** It was only cut off, and is there with all that it had. */
  | { readonly type: 'leg-back'; readonly leg: LegId }
  /** The phone behind a lost leg is registered elsewhere: each of its bindings. */
  | { readonly type: 'phone-back'; readonly targets: readonly Destination[] }
  /** Ends the call whatever its state; `reason` is for people. */
  | { readonly type: 'end'; readonly reason: string };

/** What another node is told of our half of the call; the process is that of the call. */
export type Told = Omit<FarHalf, 'process'>;

/** What a call wants done. Nothing here waits: what becomes of it is a signal. */
export type CallEffect =
  | {
      readonly type: 'start-branch';
      readonly leg: LegId;
      /** Who is called for. */
      readonly waiter: LegId;
      readonly destination: Destination;
      readonly sdp: string | undefined;
      readonly maxForwards: number;
      readonly headers: Headers;
      /** For a node. */
      readonly half?: Told;
    }
  | {
      readonly type: 'progress';
      readonly leg: LegId;
      readonly status: number;
      readonly sdp?: string;
      /** For a node. */
      readonly half?: Told;
    }
  | {
      readonly type: 'answer';
      readonly leg: LegId;
      readonly sdp: string;
      readonly headers: Headers;
      /** Who has answered, when the device is to be told. */
      readonly connected?: Party;
      /** For a node. */
      readonly half?: Told;
    }
  /** Tells a node, in the dialog, what has changed in our half. */
  | { readonly type: 'tell-half'; readonly leg: LegId; readonly half: Told }
  | {
      readonly type: 'reject';
      readonly leg: LegId;
      readonly status: number;
      readonly reason?: string;
      readonly headers?: Headers;
      /** Told only to a node, signed. */
      readonly tried?: MediaTried;
      /** Told only to a node, signed. Undefined: the call was not handled to its end here. */
      readonly judged?: Judgement;
    }
  | { readonly type: 'cancel'; readonly leg: LegId; readonly reason: string }
  | { readonly type: 'acknowledge'; readonly leg: LegId; readonly sdp: string }
  | {
      readonly type: 'reinvite';
      readonly leg: LegId;
      readonly id: string;
      readonly sdp: string | undefined;
      readonly headers: Headers;
      /** Who is at the other end now, when that is news to the device. */
      readonly connected?: Party;
    }
  | {
      readonly type: 'request';
      readonly leg: LegId;
      readonly id: string;
      readonly method: string;
      readonly body: string;
      readonly contentType: string | undefined;
      readonly headers: Headers;
    }
  | {
      readonly type: 'respond';
      readonly leg: LegId;
      readonly id: string;
      readonly status: number;
      readonly options?: ResponseOptions & { readonly sdp?: string };
    }
  | { readonly type: 'bye'; readonly leg: LegId; readonly reason?: string }
  | { readonly type: 'set-timer'; readonly timer: TimerName; readonly ms: number }
  | { readonly type: 'cancel-timer'; readonly timer: TimerName }
  /** Music for the device on `leg`, chosen by the device on `holder`. */
  | {
      readonly type: 'allocate-music';
      readonly leg: LegId;
      readonly holder: LegId;
      readonly token: number;
      readonly why: string;
      /** Servers that have failed in this hold. */
      readonly exclude: readonly string[];
    }
  | { readonly type: 'ask-offer'; readonly token: number; readonly peer: string | undefined }
  | { readonly type: 'connect-resource'; readonly token: number; readonly answer: string }
  /** A resource for the path of a bridge, out of the list of `owner`. */
  | {
      readonly type: 'allocate-path';
      readonly bridge: BridgeId;
      readonly owner: LegId;
      readonly token: number;
      readonly kind: JoiningType;
      readonly why: string;
      /** What it must be able to speak. */
      readonly codecs: readonly string[];
      readonly ends: NonNullable<AllocationExplanation['ends']>;
      readonly exclude: readonly string[];
    }
  | {
      readonly type: 'ask-path';
      readonly bridge: BridgeId;
      readonly token: number;
      readonly number: number;
      readonly request: PathRequest;
    }
  | { readonly type: 'release-resource'; readonly token: number }
  /** The device behind a leg whose node is lost is waited for; the answer is `phone-back`, at once when it is registered elsewhere already. */
  | { readonly type: 'await-phone'; readonly device: string; readonly number: string; readonly lost: ProcessId }
  /** A node said that an entry is not its own (claim R13). */
  | { readonly type: 'refute-entry'; readonly node: number; readonly pid: Pid | undefined; readonly boot: number }
  /** What digit analysis has for the number when `by` dials it for `waiter`; the answer is `routed`. */
  | {
      readonly type: 'look-up';
      readonly number: string;
      readonly by: LegId;
      readonly waiter: LegId;
      /** Where it leads is known. */
      readonly to?: Destination;
    }
  /** The leg is none of this call any more: it goes to the call that was found for it. */
  | { readonly type: 'give'; readonly leg: Leg }
  /** Another call of the device on `by` is to take this leg in its place; the answer is `join-answered`. */
  | {
      readonly type: 'join-dialog';
      readonly leg: LegId;
      readonly by: LegId;
      readonly digits: string;
      readonly replaces: Replaces;
      /** `by` leads to a node which that dialog is with, too. */
      readonly shortens?: true;
    }
  /** Tells a node where the other leg leads, so that this one can be left out. */
  | { readonly type: 'ask-shorter'; readonly leg: LegId; readonly other: LegId; readonly process: ProcessId }
  | { readonly type: 'finish'; readonly record: CallDetailRecord };

/** What the outer world lends to a transition, so that it stays a function of its arguments. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** In [0, 1). */
  readonly random: number;
  /** As configured; left out: anything may be spoken. */
  readonly codecPolicyOf?: ((a: Party, b: Party) => CodecPolicy | undefined) | undefined;
}
