import {
  type CodecPolicy,
  codecsToJoin,
  decideMediaPath,
  type MediaEnd,
  type MediaPath,
  narrowed,
  speechCodecs,
  termsFor,
} from '../../media-control';
import type { AllocationExplanation, MediaTerms } from '../../media-resource/ports';
import { audioCodecs, audioStreams, audioTransport, isSpeechCodec, withOneAudioStream } from '../../sdp';
import { spokenBy, toldTo } from '../core/agreed';
import { type Bridge, type Destination, seatOf, type Way } from '../core/call-state';
import type { Leg } from '../core/leg';
import type { Draft } from '../core/draft';
import type { MediaTried, PathNeed } from './path';

/** Pure decisions: whether something must stand between two ends, and how each is to be spoken to. */

/** A description that says what a device speaks: a removed stream says nothing. */
function telling(sdp: string | undefined): string | undefined {
  return sdp !== undefined && audioCodecs(sdp).some(isSpeechCodec) ? sdp : undefined;
}

/**
 * The codec policy for what goes from one leg to another. It is kept where the offer enters the cluster, once: what comes from another node
 * that one has narrowed already, and where its device speaks nothing that is allowed it has put a transcoder before it.
 */
function policyFor({ codecPolicy }: Bridge, from: Leg): CodecPolicy | undefined {
  return from.profile.kind === 'node' ? undefined : codecPolicy;
}

/**
 * A description of one leg as it may go to the other (claim M2): never without a codec, since a transcoder is put in before. Answers too:
 * they may name more than was offered (RFC 3264 §6.1).
 */
export function withinPolicy({ bridge, from, to }: Way, offer: string): string {
  // A conference takes one audio stream.
  const sdp = to.profile.kind === 'conference' ? withOneAudioStream(offer, toldTo(from)) : offer;
  return narrowed(sdp, policyFor(bridge, from));
}

/** What a resource is given to make an offer of: a transcoder chooses the codecs, a media termination point leaves them as they are. */
export function offerThrough(way: Way, offer: string, { type }: PathNeed): string {
  return type === 'mtp' ? withinPolicy(way, offer) : offer;
}

/** Between the two ends, by a description of each, before and after `b` has answered. */
export function decidePath(
  { bridge, from, to }: Way,
  fromSdp: string | undefined,
  toSdp: string | undefined,
): MediaPath {
  const policy = policyFor(bridge, from);
  const path = decideMediaPath(endOf(from, fromSdp), endOf(to, toSdp), policy);
  if (path.path === 'direct' || fromSdp === undefined) return path;
  // What will be joined is the stream that was in use.
  return decideMediaPath(endOf(from, withOneAudioStream(fromSdp, toldTo(from))), endOf(to, toSdp), policy);
}

function endOf({ profile, device }: Leg, description: string | undefined): MediaEnd {
  // A conference takes every codec and transport, whatever it was spoken to in last.
  const sdp = profile.kind === 'conference' ? undefined : description;
  const { codecs, security, presumedSecurity, presumedFamily, mtpRequired, name } = profile;
  return {
    name: device,
    sdp: telling(sdp),
    codecs,
    security,
    presumedSecurity,
    presumedFamily,
    mtpRequiredBy: mtpRequired === true ? name : undefined,
  };
}

/** Of a path that was decided for a way. `unsure`: what was taken for the abilities of `to` may be out of date. */
function needFrom(path: MediaPath, { bridge, from, to }: Way, unsure = false): PathNeed | undefined {
  if (path.path === 'direct') return undefined;
  const { needs: type, reason: why, outside } = path;
  const near = outside === undefined ? {} : { near: seatOf(bridge, outside === 'a' ? from : to) };
  return { type, why, optional: path.optional || (unsure && outside !== 'a'), refusals: 0, ...near };
}

/** Before the callee is asked: what configuration and earlier calls tell. Behind a node that node knows better. */
export function needAtSetup(draft: Draft, bridge: Bridge, { ability }: Destination): PathNeed | undefined {
  const way = draft.wayFrom(bridge, 'a');
  const { profile } = way.to;
  const { offer } = draft.ringing;
  // An earlier call may be out of date: the resource is no condition then.
  const need = needFrom(decidePath(way, offer, ability), way, telling(ability) !== undefined);
  if (offer !== undefined || profile.delayedOffer !== false) return need;
  const why = `${profile.name} takes no call without an offer`;
  return { type: need?.type ?? 'mtp', why, optional: false, refusals: 0, ownOffer: true };
}

/** When the callee's offer has come for a caller that made none. */
export function needForCaller(draft: Draft, bridge: Bridge, offer: string): PathNeed | undefined {
  const way = draft.wayFrom(bridge, 'b');
  return needFrom(decidePath(way, offer, way.to.ability), way);
}

/** What may still help after 488 or 606; undefined: nothing. */
export function needAfterRefusal(draft: Draft, bridge: Bridge, tried: MediaTried | undefined): PathNeed | undefined {
  const { path } = bridge;
  const way = draft.wayFrom(bridge, 'a');
  const { profile, device } = way.to;
  const direct = path.step === 'direct';
  if (profile.kind === 'node') {
    if (!direct || tried === undefined) return undefined;
    const why = `${profile.name} had no ${tried.type} for ${device}`;
    const { type, codecs, security } = tried;
    return { type, why, optional: false, refusals: 1, codecs, ...(security === undefined ? {} : { security }) };
  }
  const before = direct ? 0 : path.need.refusals;
  if (before >= 2) return undefined;
  const { offer } = draft.ringing;
  const common = { why: refusalText(way, offer), optional: false, refusals: before + 1 };
  if (direct) {
    if (offer === undefined) return { ...common, type: 'mtp', ownOffer: true };
    const secure = audioStreams(offer).every((stream) => audioTransport(stream)?.security !== 'none');
    return { ...common, type: secure ? 'mtp' : 'transcoder', security: 'none' };
  }
  if (path.need.type === 'mtp') return { ...common, type: 'transcoder', security: 'none', refusals: 2 };
  const spoken = termsOf(way, path.need).security ?? 'none';
  return { ...common, type: 'transcoder', security: spoken === 'none' ? 'sdes' : 'none', refusals: 2 };
}

function refusalText({ from, to }: Way, offer: string | undefined): string {
  const offered = speechCodecs(endOf(from, offer));
  return `${to.device} refused what it was offered (${offered?.join(', ') ?? 'nothing'})`;
}

/** The same in an established call, for a re-INVITE. Undefined: the codecs are not what was wrong with it. */
export function needAfterRefusedOffer(way: Way, offer: string): PathNeed | undefined {
  const { to } = way;
  const last = telling(spokenBy(to));
  if (telling(offer) === undefined) return undefined;
  if (last !== undefined && decidePath(way, offer, last).path === 'direct') return undefined;
  const codecs = speechCodecs({ sdp: telling(offer), codecs: undefined });
  const why = `${to.device} refused what it was offered (${codecs?.join(', ') ?? 'nothing'})`;
  return { type: 'transcoder', why, optional: false, refusals: 0 };
}

/** Whether the offer of an exchange needs something between the legs on its way. */
export function needOfOffer(way: Way, offer: string): PathNeed | undefined {
  if (telling(offer) === undefined) return undefined;
  return needFrom(decidePath(way, offer, knownOf(way.bridge, way.to)), way);
}

/**
 * What a leg can do for certain. Through a resource: what it has just spoken. Directly: its own last offer, since its
 * answers name only what was chosen; the device behind another node is that node's concern.
 */
function knownOf(bridge: Bridge, leg: Leg): string | undefined {
  if (bridge.path.step !== 'direct') return telling(spokenBy(leg)) ?? leg.ability;
  return leg.profile.kind === 'node' && seatOf(bridge, leg) === 'b' ? undefined : leg.ability;
}

/** How the device at the end of a way is to be spoken to through a resource. */
export function termsOf({ bridge, from, to }: Way, need: PathNeed): MediaTerms {
  const learned = seatOf(bridge, to) === 'a' ? undefined : need;
  const refused = (learned?.refusals ?? 0) > 0;
  const known = telling(spokenBy(to)) ?? (refused ? undefined : to.ability);
  const told = learned?.codecs ?? [];
  const policy = policyFor(bridge, from);
  const end = { ...endOf(to, known), ...(told.length > 0 ? { codecs: told } : {}), policy };
  return termsFor(need.type, end, {
    refused: refused && told.length === 0,
    security: learned?.security,
    own: need.ownOffer === true,
  });
}

/** What is known of a leg, for the choice of a resource and for its explanation. */
function describedEnd(bridge: Bridge, leg: Leg, need: PathNeed): MediaEnd {
  const known = leg.ability ?? spokenBy(leg);
  if (seatOf(bridge, leg) === 'a' || need.refusals === 0) return endOf(leg, known);
  const { profile } = leg;
  return { ...endOf(leg, spokenBy(leg)), codecs: (need.codecs ?? []).length > 0 ? need.codecs : profile.codecs };
}

/** Codecs that the resource must speak, and those of both ends. */
export function choiceOf(
  draft: Draft,
  bridge: Bridge,
  need: PathNeed,
): { readonly codecs: readonly string[]; readonly ends: NonNullable<AllocationExplanation['ends']> } {
  const ways = [draft.wayFrom(bridge, 'b'), draft.wayFrom(bridge, 'a')];
  const described = ways.map(({ from, to }) => ({
    ...describedEnd(bridge, to, need),
    policy: policyFor(bridge, from),
  }));
  const ends = ways.map(({ to }, at) => {
    const end = described[at];
    return { device: to.device, codecs: end === undefined ? undefined : speechCodecs(end) };
  });
  // Who has refused may mean something else than its codecs.
  const sure = need.refusals > 0 && need.codecs === undefined ? described.slice(0, 1) : described;
  return { codecs: need.type === 'transcoder' ? codecsToJoin(sure) : [], ends };
}

/** For the caller's node: what it needs to know to try its own resources. */
export function triedFor(draft: Draft, bridge: Bridge, need: PathNeed): MediaTried {
  const { codecs = [], security } = termsFor(
    need.type === 'mtp' ? 'transcoder' : need.type,
    describedEnd(bridge, draft.seated(bridge, 'b'), need),
  );
  return { type: need.type, codecs, security, resources: bridge.failedResources };
}
