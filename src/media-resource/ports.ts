/**
 * Ports of the media resource room: what it needs of others, and what an engine (rtpengine, FreeSWITCH)
 * must do to serve as a media resource.
 */

/** music-on-hold server, transcoder, media termination point, conference bridge. */
export type MediaResourceType = 'moh' | 'transcoder' | 'mtp' | 'conference';

/** An end of a call that a transcoder or media termination point joins: `a` the caller's, `b` the callee's. */
export type Side = 'a' | 'b';

/** How one end can be spoken to. What is left out is as the other end has it. */
export interface MediaTerms {
  /** Codec names with their clock rate where it is not 8000 (`PCMA`, `opus/48000/2`), in order of preference. */
  readonly codecs?: readonly string[];
  readonly security?: 'none' | 'sdes' | 'dtls';
  readonly family?: 4 | 6;
}

/** What a caller of the media resource manager wants, and for whom. */
export interface ResourceNeed {
  readonly type: MediaResourceType;
  /** The device whose media resource group list is walked. */
  readonly device: string;
  readonly site: string | undefined;
  /** Overrides the device's list: the list that came with the device (claim M14). */
  readonly list?: string;
  readonly userClass?: string;
  /** For music on hold: name of the music source, chosen by the holder; undefined: the default. */
  readonly musicSource?: string;
  /** Media resources that are not to be asked: they failed for this call already. */
  readonly exclude?: readonly string[];
  /** For a transcoder or media termination point: the codecs it must be able to speak, of both ends. */
  readonly codecs?: readonly string[];
  /** For a conference bridge: the room. All participants of a conference ask for the same one. */
  readonly room?: string;
  /** For the log: the name of the call in the cluster. */
  readonly call?: string;
  /** For the explanation. */
  readonly ends?: AllocationExplanation['ends'];
  /** For a conference bridge: only this device is asked, since the others of the conference are there. */
  readonly at?: string;
}

/** Idempotent by `allocation`: asking again gives the same answer and takes nothing more. */
export type ResourceRequest =
  | {
      readonly op: 'allocate';
      readonly allocation: string;
      readonly type: MediaResourceType;
      readonly musicSource?: string;
      readonly codecs?: readonly string[];
      readonly room?: string;
      readonly holder: string;
    }
  | ({ readonly op: 'offer'; readonly allocation: string } & OfferRequest)
  | ({ readonly op: 'connect'; readonly allocation: string } & ConnectRequest)
  /** Conference bridge: the offer of a participant; the reply has the answer. */
  | { readonly op: 'accept'; readonly allocation: string; readonly offer: string }
  /** Conference bridge: what a participant may do. */
  | { readonly op: 'control'; readonly allocation: string; readonly muted: boolean }
  /** Conference bridge: which of these participants talk right now. */
  | { readonly op: 'talkers'; readonly allocations: readonly string[] }
  | { readonly op: 'renew'; readonly allocation: string }
  | { readonly op: 'release'; readonly allocation: string };

/** Asks for an SDP offer. */
export interface OfferRequest {
  /** Music and conferences: the device's last SDP, for codec order and transport. */
  readonly peer?: string;
  /** Transcoder and MTP: the offer of one end, to be made one for the other; see `MediaRelay.offer`. */
  readonly relay?: { readonly to: Side; readonly sdp?: string; readonly terms: MediaTerms };
}

/** The answer to that offer. Transcoder and MTP: from side `from`; the reply has the answer for the other end, if that made an offer. */
export interface ConnectRequest {
  readonly answer: string;
  readonly from?: Side;
}

export type UnavailableReason =
  'full' | 'down' | 'draining' | 'unsupported' | 'unknown-allocation' | 'unknown-process' | 'bad-request' | 'error';

export type ResourceReply =
  | {
      readonly ok: true;
      readonly sdp?: string;
      readonly leaseMs?: number;
      /** With a grant: what the engine calls it. Its holder can end it there should the node be lost that controls the engine. */
      readonly session?: string;
      /** Allocations whose participants talk; left out: the bridge cannot tell. */
      readonly talking?: readonly string[];
    }
  | { readonly ok: false; readonly reason: UnavailableReason; readonly detail?: string };

/** Device manager as this room sees it (claim M10): device name -> device process, wherever it runs. */
export interface DeviceDirectory {
  find(device: string): { readonly pid: string; readonly boot: number; readonly node: number } | undefined;
  /** A device process has gone from the tables of this node. */
  onGone(listener: (process: { readonly pid: string; readonly boot: number }) => void): void;
  /** False: the node is off-line, and its device processes with it. */
  isLive(node: number): boolean;
}

/** Sends a request to a process by its PID, here or on another node (claim M11). Never rejects: no answer in time is `undefined`. */
export interface ProcessMessenger {
  request(target: { readonly pid: string; readonly boot: number }, body: unknown, deadlineMs: number): Promise<unknown>;
}

/** Whom a SIP caller calls. */
export interface SipTarget {
  /** Request URI. */
  readonly uri: string;
  /** Where the request is sent: `sip:127.0.0.1:5060;transport=udp`. */
  readonly nextHop: string;
}

export type SipCallOutcome =
  | { readonly ok: true; readonly call: SipCall; readonly sdp: string }
  | { readonly ok: false; readonly status: number; readonly reason: string };

export type SipOfferOutcome =
  | { readonly ok: true; readonly sdp: string }
  | { readonly ok: false; readonly status: number; readonly reason: string };

/** Places SIP calls to engines that are called. Its methods never reject; no answer in time is 408. */
export interface SipCaller {
  /**
   * An INVITE with our offer; `sdp` of the outcome is the answer. Without an offer the callee makes one, which must be given to
   * `acknowledge` with our answer at once.
   */
  call(request: {
    readonly target: SipTarget;
    /** User part of From. */
    readonly from: string;
    readonly offer?: string;
    readonly deadlineMs: number;
  }): Promise<SipCallOutcome>;
  /** Status of the answer to OPTIONS. */
  options(target: SipTarget, deadlineMs: number): Promise<number>;
}

/** An answered call. */
export interface SipCall {
  /** Our answer to the offer of the callee. */
  acknowledge(answer: string): void;
  /** A re-INVITE. */
  offer(sdp: string, deadlineMs: number): Promise<SipOfferOutcome>;
  /** BYE. */
  end(): void;
  /** Called once when the call ends by the callee, or because the way to it is lost; at once when it has ended already. */
  onEnded(listener: (reason: string | undefined) => void): void;
}

/** One engine, as the resource device process uses it. Every method has its own deadline inside and rejects with `EngineError`. */
export interface MediaEngine {
  readonly name: string;
  /** Resolves when the engine is able to serve. */
  ping(): Promise<void>;
  /** An offer towards the device. */
  musicOffer(session: string, options: { readonly file: string; readonly peer?: string }): Promise<string>;
  /** Takes the device's answer and starts (or restarts) the music. */
  musicConnect(session: string, options: { readonly file: string; readonly answer: string }): Promise<void>;
  /** Transcoder and MTP; undefined: the engine is none. */
  readonly relay?: MediaRelay;
  /** Conference bridge; undefined: the engine is none. */
  readonly mixer?: ConferenceMixer;
  /** Ends a session; unknown sessions are no error. */
  release(session: string): Promise<void>;
  /** Sessions that the engine holds, by id, foreign ones too; for the audit. */
  sessions(): Promise<SessionList>;
  /** Whether the engine holds this session. */
  holds(session: string): Promise<boolean>;
  /** Why the engine takes nothing new at the moment, although it serves what it has. Left out, or undefined: it does. */
  readonly refusal?: () => EngineError | undefined;
  /** Calls the listener when the engine has ended a session by itself. */
  readonly onSessionLost?: (listener: (session: string) => void) => void;
  /** How long the engine has been running. Undefined: it cannot tell; then one that has lost all its sessions was restarted. */
  readonly uptimeMs?: () => Promise<number>;
  close(): void;
}

export interface SessionList {
  readonly ids: readonly string[];
  /** False: the engine may hold more than could be listed. */
  readonly complete: boolean;
}

/** Joins two ends that could not talk directly. Every exchange may be repeated in either direction while the session lasts. */
export interface MediaRelay {
  /** Codec names that can be made into each other; known once the engine has answered a ping. */
  readonly codecs: readonly string[];
  /**
   * The offer for side `to`, made of the other end's (`sdp`); without it, of what that end said last, or of nothing: then that
   * end is offered something later. One that fails leaves the session as it was; a first one leaves none.
   */
  offer(session: string, request: NonNullable<OfferRequest['relay']>): Promise<string>;
  /**
   * Takes the answer of side `from`. Resolves with the description for the other end, unless its offer was made of nothing. A later answer to
   * the same offer replaces an earlier one.
   */
  answer(session: string, request: { readonly from: Side; readonly answer: string }): Promise<string | undefined>;
}

/** Mixes the participants of rooms. A room is there while it has participants. */
export interface ConferenceMixer {
  /** Takes a participant's offer, in its room; resolves with the answer. Again for each later offer. */
  accept(session: string, request: { readonly room: string; readonly offer: string }): Promise<string>;
  /** An offer to a participant. */
  offer(session: string, request: { readonly room: string; readonly peer?: string }): Promise<string>;
  connect(session: string, request: { readonly room: string; readonly answer: string }): Promise<void>;
  mute(session: string, request: { readonly room: string; readonly muted: boolean }): Promise<void>;
  /** Whether the participant talks right now; undefined: unknown. Left out: the engine cannot tell. */
  readonly talks?: (session: string) => boolean | undefined;
}

export class EngineError extends Error {
  constructor(
    readonly reason: UnavailableReason,
    message: string,
  ) {
    super(message);
  }
}

/** One device that was asked, for the explanation. */
export interface CandidateTrial {
  readonly group: string;
  readonly device: string;
  readonly pid: string | undefined;
  readonly node: number | undefined;
  readonly outcome: 'granted' | 'unavailable' | 'silent' | 'not-registered' | 'skipped';
  readonly reason?: string;
  readonly ms: number;
}

/** Why a resource was needed, whose list was walked, who was asked, who won. */
export interface AllocationExplanation {
  readonly type: MediaResourceType;
  readonly why: string;
  /** Transcoder and MTP: what both ends can do. */
  readonly ends?: readonly { readonly device: string; readonly codecs: readonly string[] | undefined }[];
  readonly device: string;
  readonly list: string | undefined;
  readonly listFrom: 'device' | 'request' | 'site' | 'none';
  /** The list that was asked for (claim M14), when there is none of that name. */
  readonly unknownList?: string;
  readonly trials: readonly CandidateTrial[];
  readonly winner: string | undefined;
  readonly at: number;
  readonly ms: number;
}

/** A granted resource. Methods never reject; a failure is `ok: false`. */
export interface Allocation {
  readonly id: string;
  readonly device: string;
  readonly pid: string;
  readonly boot: number;
  offer(request: OfferRequest): Promise<ResourceReply>;
  connect(request: ConnectRequest): Promise<ResourceReply>;
  accept(offer: string): Promise<ResourceReply>;
  control(muted: boolean): Promise<ResourceReply>;
  /** Idempotent; also while another method waits. */
  release(): Promise<void>;
  /**
   * Called once when the resource serves no more: the device process that granted is gone from the tables (its engine died, or its node), or it
   * knows nothing of the lease any more. The allocation must still be released. At once when that has happened already.
   */
  onLost(listener: (reason: LossReason) => void): void;
}

/** One that has only lost the lease, since its engine was started again, may grant the next. */
export type LossReason = Extract<UnavailableReason, 'down' | 'unknown-allocation'>;

export interface AllocationResult {
  readonly allocation: Allocation | undefined;
  readonly explanation: AllocationExplanation;
}

/** The media resource manager, as call control and media control ask it (claim M15). */
export interface MediaResourceManager {
  /** Walks the list until a device grants (M7, M12, M13). `why` is kept in the explanation. Never rejects. */
  allocate(need: ResourceNeed, why: string): Promise<AllocationResult>;
  /**
   * Conference bridge: which of these allocations of one device process talk right now. Undefined: it cannot tell, or does
   * not answer. Never rejects.
   */
  talkers(
    process: { readonly pid: string; readonly boot: number },
    allocations: readonly string[],
  ): Promise<ReadonlySet<string> | undefined>;
  /** Allocations of this node that are not released. */
  readonly open: number;
}
