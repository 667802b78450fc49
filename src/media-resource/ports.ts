/**
 * Ports of the media resource room: what it needs of others, and what an engine (rtpengine, FreeSWITCH)
 * must do to serve as a media resource.
 */

/** music-on-hold server, transcoder, media termination point, conference bridge. */
export type MediaResourceType = 'moh' | 'transcoder' | 'mtp' | 'conference';

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
}

/** Idempotent by `allocation`: asking again gives the same answer and takes nothing more. */
export type ResourceRequest =
  | {
      readonly op: 'allocate';
      readonly allocation: string;
      readonly type: MediaResourceType;
      readonly musicSource?: string;
      readonly holder: string;
    }
  /** An SDP offer of the resource to the telephony device. `peer`: the device's last SDP, for codec order and transport. */
  | { readonly op: 'offer'; readonly allocation: string; readonly peer?: string }
  /** The telephony device's answer to that offer; media flows from here on. */
  | { readonly op: 'connect'; readonly allocation: string; readonly answer: string }
  | { readonly op: 'renew'; readonly allocation: string }
  | { readonly op: 'release'; readonly allocation: string };

export type UnavailableReason =
  'full' | 'down' | 'draining' | 'unsupported' | 'unknown-allocation' | 'unknown-process' | 'bad-request' | 'error';

export type ResourceReply =
  | { readonly ok: true; readonly sdp?: string; readonly leaseMs?: number }
  | { readonly ok: false; readonly reason: UnavailableReason; readonly detail?: string };

/** Device manager as this room sees it (claim M10): device name -> device process, wherever it runs. */
export interface DeviceDirectory {
  find(device: string): { readonly pid: string; readonly boot: number; readonly node: number } | undefined;
}

/** Sends a request to a process by its PID, here or on another node (claim M11). Never rejects: no answer in time is `undefined`. */
export interface ProcessMessenger {
  request(target: { readonly pid: string; readonly boot: number }, body: unknown, deadlineMs: number): Promise<unknown>;
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
  /** Ends a session; unknown sessions are no error. */
  release(session: string): Promise<void>;
  /** All sessions that the engine holds, by id, foreign ones too; for the audit. Rejects rather than leave any out. */
  sessions(): Promise<readonly string[]>;
  close(): void;
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
  readonly device: string;
  readonly list: string | undefined;
  readonly listFrom: 'device' | 'request' | 'site' | 'none';
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
  readonly leaseMs: number;
  offer(peer?: string): Promise<ResourceReply>;
  connect(answer: string): Promise<ResourceReply>;
  renew(): Promise<ResourceReply>;
  /** Idempotent; also while another method waits. */
  release(): Promise<void>;
}

export interface AllocationResult {
  readonly allocation: Allocation | undefined;
  readonly explanation: AllocationExplanation;
}

/** The media resource manager, as call control and media control ask it (claim M15). */
export interface MediaResourceManager {
  /** Walks the list until a device grants (M7, M12, M13). `why` is kept in the explanation. Never rejects. */
  allocate(need: ResourceNeed, why: string): Promise<AllocationResult>;
  /** Allocations of this node that are not released. */
  readonly open: number;
}
