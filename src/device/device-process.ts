import type { MediaSecurity } from '../config/types';
import type { Pid } from '../process/pid';
import type { NodeContext, NodeWord } from './node-context';
import type { Party } from './party';
import type { NotMine } from '../sip/node-signature';
import type { Replaces } from '../sip/replaces';
import type { Headers, OutgoingInvite, Session } from '../sip/user-agent';

/** What call control must know of the device on a leg. */
export interface DeviceProfile {
  /** Device name; for a node `node-2`. */
  readonly name: string;
  readonly kind: 'station' | 'gateway' | 'conference' | 'node' | 'park';
  /** What its lines are called, by configuration. */
  readonly displayName?: string;
  readonly site: string | undefined;
  /** Claim M6; undefined: the site's list is used. */
  readonly mediaResourceGroupList: string | undefined;
  readonly userClass: string | undefined;
  /** Codec names in order of preference, as configured for the device or its site; undefined: anything. */
  readonly codecs: readonly string[] | undefined;
  /** A media termination point stands in each of its calls, where there is one. */
  readonly mtpRequired?: boolean;
  /** False: it cannot take an INVITE without an offer. */
  readonly delayedOffer?: boolean;
  /** How it encrypts its media, by configuration; undefined: not known. */
  readonly security?: MediaSecurity;
  /** The same as the transport of its signalling lets expect. */
  readonly presumedSecurity?: MediaSecurity;
  /** The IP address that its signalling comes from; undefined: not known, or of no meaning for its media. */
  readonly signallingAddress?: string;
  /** IPv4 or IPv6: that of the address that it registered from. */
  readonly presumedFamily?: 4 | 6;
  /** The media resource group list that came with its REGISTER (claim M14). */
  readonly listFromDevice?: string;
  /** Whether its calls go on when their call manager dies, by configuration; undefined: when it says that it knows Replaces. */
  readonly survive?: boolean;
  /** Only of a node: its number. */
  readonly node?: number;
}

/** Who calls. */
export interface CallerIdentity {
  readonly number: string;
  readonly displayName: string | undefined;
  /**
   * Somebody in the network behind a gateway. Such a call reaches numbers only, never a gateway, on whatever node; and what it says of
   * itself is never asserted as an identity of our domain.
   */
  readonly outside?: true;
  /** The caller does not want to be shown (RFC 3323, 3325): the Privacy header for those who are trusted with the identity. */
  readonly privacy?: string;
}

/** The callee end of a call, as call control asks for it. */
export interface OutgoingCall {
  readonly caller: Party;
  /** Where the call came from: the device, or the node that has it. */
  readonly from?: DeviceProfile;
  /** Digits sent to the device: the dialled line, or what the route pattern leaves for a gateway. */
  readonly digits: string;
  /** Without it the callee makes the offer. */
  readonly sdp: string | undefined;
  /** For the INVITE: already one less than what came in. */
  readonly maxForwards: number;
  /** Session-Expires, Supported and the like. */
  readonly headers?: OutgoingInvite['headers'];
  /** For a node: which call it is, and who is behind this one. */
  readonly context?: NodeContext;
}

/** The object through which all signalling to and from one device passes (claim R2). */
export interface DeviceProcess {
  readonly pid: Pid | undefined;
  readonly boot: number;
  readonly profile: DeviceProfile;
  /** It has a `sips` address, and is reached by TLS. */
  readonly takesSips?: boolean;
  call(call: OutgoingCall): Session;
}

/** A call that a device process hands to call control: authenticated, normalised. */
export interface IncomingCall {
  readonly session: Session;
  readonly from: DeviceProfile;
  /** The device process that it came through; undefined for a node. */
  readonly pid: Pid | undefined;
  readonly caller: CallerIdentity;
  /**
   * It was sent to a `sips` URI: it goes to a device that takes such calls, or is refused with these headers (RFC 5630 section 5.3).
   */
  readonly secure?: Headers;
  /** Dialled digits: user part of the request URI, unescaped. */
  readonly dialled: string;
  readonly sdp: string | undefined;
  readonly maxForwards: number;
  /**
   * The dialog that it wants to take the place of, as its INVITE says (RFC 3891): there is one such header, and it could be read. Whether
   * there is such a dialog, and whether the caller may do that, is for call control to say.
   */
  readonly replaces?: Replaces;
  /**
   * From a node with `;pid=`: the device process that is wanted, checked already to be ours, in this incarnation, with this number.
   * A call from a node goes to our own devices only.
   */
  readonly target: DeviceProcess | undefined;
  /** From a node: which call of the cluster it is, and who is behind that node. */
  readonly context?: NodeContext;
  /**
   * From a node without `;pid=` (claim R14): makes the signed header of the refusal that says that nothing here answers to the
   * dialled number.
   */
  readonly notMine?: () => Headers;
  readonly header: (name: string) => string | undefined;
}

/** What a refusal means for the caller: it is the answer; or nobody has decided anything, and another target of the number may do better. */
export const JUDGEMENTS = ['answer', 'try-another'] as const;
export type Judgement = (typeof JUDGEMENTS)[number];

/** How call control reaches the process behind a PID: our own, or another node's through that node's device. */
export interface DeviceRouter {
  /** Undefined: the process is ours and gone, or its node is unknown. */
  resolve(target: {
    /** Undefined: the node itself. */
    readonly pid: Pid | undefined;
    readonly boot: number;
    readonly node: number;
    readonly digits: string;
  }): DeviceProcess | undefined;
  /** An answer of a node that says "not mine": undefined when the signed header is missing or wrong (claim R13). */
  readNotMine(node: number, callId: string, header: (name: string) => string | undefined): NotMine | undefined;
  /** What node `to` is told, sealed, in an answer to its INVITE or in the dialog: the value of `WORD_HEADER`, or a body. */
  seal(to: number, callId: string, word: NodeWord): string;
  /** The same as a node tells it; undefined: there is none, or none that is genuine and can be read, of which the log tells. */
  open(node: number, callId: string, text: string | undefined): NodeWord | undefined;
}
