import type { DeviceProfile } from '../../device/device-process';
import type { FarHalf, ServingResource } from '../../device/node-context';
import type { Party } from '../../device/party';
import type { Pid } from '../../process/pid';
import type { Replaces } from '../../sip/replaces';
import type { Headers } from '../../sip/user-agent';
import { type AgreedTimer, MIN_SE } from '../dialog/session-timer';
import { follow, type StepTable } from './steps';

/** One dialog with one device, as a value: what is negotiated, what is under way, what the device hears. A leg knows nothing of other legs. */

/** Names a leg of a call. Nothing is to be read out of it. */
export type LegId = string;

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

/** A re-INVITE or UPDATE of the device, or an INVITE in the place of another leg, that has no final answer yet. */
export interface IncomingOffer {
  readonly id: string;
  readonly method: 'INVITE' | 'UPDATE';
  /** Of the 200: the session timer. */
  readonly headers: Headers;
  /** It is the INVITE that began the dialog, in the place of another leg. */
  readonly initial?: boolean;
}

/** Music for the device on a leg. `token` names the attempt, so that an answer that comes too late is known as such. */
export type Music =
  | { readonly step: 'none' }
  /** The device refused it: this hold is silent. */
  | { readonly step: 'refused' }
  /** No server granted, or those that did failed: it is asked for again later. */
  | { readonly step: 'unavailable' }
  | { readonly step: 'allocating'; readonly token: number }
  | { readonly step: 'granted'; readonly token: number }
  /** `peer`: what the device had described then. */
  | { readonly step: 'asking'; readonly token: number; readonly peer: string | undefined }
  | {
      readonly step: 'offering';
      readonly token: number;
      readonly peer: string | undefined;
      readonly sdp: string;
    }
  | { readonly step: 'connecting'; readonly token: number }
  | { readonly step: 'playing'; readonly token: number; readonly since: number };

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
  /** Ours in the request that has agreed on the session timer. */
  refreshRole: AgreedTimer['refresher'];
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
  /** Of a leg to a node: what that has told of its half of the call. */
  far: FarHalf | undefined;
  /** Of a leg to a phone that can be asked to go on when we die: its dialog, as the phone names it. */
  dialog: Replaces | undefined;
  /** Of a leg to a node: what it was told last of ours. */
  toldHalf: { readonly version: number; readonly text: string } | undefined;
  /** The media resource that its session has of its own. */
  serving: ServingResource | undefined;
  /** It is a conference, here or at another node: its number (RFC 4579 §4.2). */
  focus: string | undefined;
  /** It holds by our doing, since it has asked for a transfer: it is to hear nothing. `held`: and so it did before, or wants to now. */
  aside: { readonly held: boolean } | undefined;
  /** Who it takes the other end for, as it was told last; undefined: whoever it has dialled. */
  knows: string | undefined;
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

/** A node cares for its device by itself, a conference for its room, and a park slot hears nobody: they are told who holds, and get no music. */
export function caresForItself({ profile }: Leg): boolean {
  return profile.kind === 'node' || profile.kind === 'conference' || profile.kind === 'park';
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
    refreshRole: 'uac',
    timer: undefined,
    minimumInterval: MIN_SE,
    music: { step: 'none' },
    musicAttempts: 0,
    musicPauses: 0,
    failedServers: [],
    aside: undefined,
    knows: undefined,
    refers: 0,
    leaving: undefined,
    early: undefined,
    far: undefined,
    dialog: undefined,
    toldHalf: undefined,
    serving: undefined,
    ability: remoteSdp,
  };
}
