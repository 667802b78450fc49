import type { AllocationExplanation, LossReason, UnavailableReason } from '../../media-resource/ports';
import { spokenBy } from '../core/agreed';
import type { Leg, Music, OutgoingOffer } from '../core/leg';
import type { Draft } from '../core/draft';
import { follow, type StepTable } from '../core/steps';
import { isFree, sendOffer } from '../dialog/outgoing-offer';
import type { CallSignal } from '../core/signals';

/** Which step of the music for a leg may follow which. */
export const MUSIC_STEPS: StepTable<Music['step']> = {
  none: ['allocating'],
  allocating: ['granted', 'refused', 'unavailable', 'none'],
  granted: ['asking', 'refused', 'unavailable', 'none'],
  asking: ['offering', 'refused', 'unavailable', 'none'],
  offering: ['asking', 'connecting', 'refused', 'unavailable', 'none'],
  connecting: ['playing', 'refused', 'unavailable', 'none'],
  playing: ['granted', 'connecting', 'refused', 'unavailable', 'none'],
  refused: ['none'],
  unavailable: ['refused', 'none'],
};

/** The one place where the music for a leg changes. Throws when this step cannot follow. */
function moveMusic(leg: Leg, music: Music): void {
  follow(MUSIC_STEPS, 'music', leg.music.step, music.step);
  (leg as { music: Music }).music = music;
}

/** Tries at music in a row, before there is a pause. */
const MAX_ATTEMPTS = 3;

/**
 * A hold without music asks for it again, at first soon, then rarely: a server that is back, or a node that was away, is found without anybody
 * telling. Each try is one walk through a list.
 */
const FIRST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;

/** A server that has played for so long works: what fails then is another matter than what has failed before. */
const WORKS_MS = 10_000;

/** Kept with the call; a phone that holds again and again must not fill the memory. */
const MAX_EXPLANATIONS = 50;

/**
 * Brings music to the device on `leg`, or ends it: one step towards what is wanted, whatever has happened before.
 * It is wanted while the other end holds and this one does not (design: Hold). Only for our own devices.
 */
export function reconcileMusic(draft: Draft, leg: Leg, other: Leg): void {
  if (!other.holds || leg.holds) return dropMusic(draft, leg);
  if (leg.music.step === 'playing' && leg.connection !== 'music') {
    // The device has negotiated something else meanwhile.
    moveMusic(leg, { ...leg.music, step: 'granted' });
  }
  switch (leg.music.step) {
    case 'none':
      return allocate(draft, leg, other);
    case 'granted':
      return askForMusic(draft, leg, leg.music.token);
    case 'offering':
      if (!isFree(leg)) return;
      // The offer is for what the device spoke when it was made.
      if (leg.music.peer !== spokenBy(leg)) return askForMusic(draft, leg, leg.music.token);
      return sendOffer(draft, leg, 'music', draft.offerFor(leg, leg.music.sdp));
    case 'refused':
    case 'unavailable':
      if (leg.connection !== 'silence' && leg.localSdp !== undefined && isFree(leg)) {
        sendOffer(draft, leg, 'silence', draft.silentOffer(leg, leg.localSdp));
      }
      return;
    case 'allocating':
    case 'asking':
    case 'connecting':
    case 'playing':
      return;
  }
}

function askForMusic(draft: Draft, leg: Leg, token: number): void {
  const peer = spokenBy(leg);
  moveMusic(leg, { step: 'asking', token, peer });
  draft.emit({ type: 'ask-offer', token, peer });
}

function allocate(draft: Draft, leg: Leg, holder: Leg): void {
  const token = draft.state.nextToken;
  draft.state.nextToken += 1;
  leg.musicAttempts += 1;
  moveMusic(leg, { step: 'allocating', token });
  const again = leg.musicAttempts > 1 ? ' (again: the last server failed)' : '';
  const why = `held by ${holder.device}${again}`;
  draft.emit({ type: 'allocate-music', leg: leg.id, holder: holder.id, token, why, exclude: leg.failedServers });
}

/** The hold is over, or the held device holds by itself. */
export function dropMusic(draft: Draft, leg: Leg): void {
  if (leg.music.step === 'none') return;
  if ('token' in leg.music) release(draft, leg.music.token);
  if (leg.music.step === 'unavailable') draft.cancelTimer(`music:${leg.id}`);
  moveMusic(leg, { step: 'none' });
  leg.musicAttempts = 0;
  leg.musicPauses = 0;
  leg.failedServers = [];
}

/** This hold is silent for a while. */
function pauseMusic(draft: Draft, leg: Leg): void {
  moveMusic(leg, { step: 'unavailable' });
  draft.setTimer(`music:${leg.id}`, Math.min(FIRST_PAUSE_MS * 2 ** leg.musicPauses, LONGEST_PAUSE_MS));
  leg.musicPauses = Math.min(leg.musicPauses + 1, 10);
}

/** The pause is over: all servers are asked, those that failed before as well. */
export function musicPauseOver(leg: Leg): void {
  if (leg.music.step !== 'unavailable') return;
  moveMusic(leg, { step: 'none' });
  leg.musicAttempts = 0;
  leg.failedServers = [];
}

/** Releases a token that was granted; one that is still asked for is released when it is granted. */
function release(draft: Draft, token: number): void {
  const { state } = draft;
  if (!state.tokens.includes(token)) return;
  state.tokens = state.tokens.filter((other) => other !== token);
  draft.emit({ type: 'release-resource', token });
}

export function keepExplanation({ state }: Draft, explanation: AllocationExplanation): void {
  state.explanations = [...state.explanations, explanation].slice(-MAX_EXPLANATIONS);
}

/** The server behind a token is gone. */
export function musicLost(draft: Draft, token: number, reason: LossReason): void {
  const leg = legWithMusic(draft, token);
  if (leg !== undefined) musicFailed(draft, leg, token, reason);
}

/** The leg whose music was granted under this token. */
function legWithMusic({ state }: Draft, token: number): Leg | undefined {
  return [...state.legs.values()].find(
    ({ music }) => 'token' in music && music.token === token && music.step !== 'allocating',
  );
}

export function allocated(draft: Draft, signal: Extract<CallSignal, { type: 'allocated' }>): void {
  const { state } = draft;
  const { token, granted } = signal;
  const leg = draft.leg(signal.leg);
  if (state.tokens.includes(token)) return;
  const wanted = leg?.music.step === 'allocating' && leg.music.token === token;
  // That there is still none is nothing new.
  if (granted || !wanted || leg.musicPauses === 0) keepExplanation(draft, signal.explanation);
  if (!granted) {
    if (wanted) pauseMusic(draft, leg);
    return;
  }
  if (!wanted) return draft.emit({ type: 'release-resource', token });
  state.tokens = [...state.tokens, token];
  moveMusic(leg, { step: 'granted', token });
}

export function resourceReplied(draft: Draft, signal: Extract<CallSignal, { type: 'resource-replied' }>): void {
  const leg = legWithMusic(draft, signal.token);
  const music = leg?.music;
  if (leg === undefined || music === undefined || !('token' in music) || music.step === 'allocating') return;
  const { op, reply } = signal;
  if (!reply.ok) return musicFailed(draft, leg, music.token, reply.reason);
  const { token } = music;
  switch (op) {
    case 'offer':
      if (music.step !== 'asking') return;
      if (reply.sdp === undefined) return musicFailed(draft, leg, token, 'error');
      moveMusic(leg, { step: 'offering', token, peer: music.peer, sdp: reply.sdp });
      return;
    case 'connect':
      if (music.step === 'connecting') moveMusic(leg, { step: 'playing', token, since: draft.moment.now });
      return;
  }
}

/** The server died or refused: another one is asked for, but not without end. */
function musicFailed(draft: Draft, leg: Leg, token: number, reason: UnavailableReason): void {
  release(draft, token);
  const { music } = leg;
  if (music.step === 'playing' && draft.moment.now - music.since >= WORKS_MS)
    [leg.musicAttempts, leg.musicPauses] = [1, 0];
  const server = draft.state.explanations.findLast(({ device }) => device === leg.profile.name)?.winner;
  // One that only lost our lease (its engine was started again) may serve us once more.
  if (server !== undefined && reason !== 'unknown-allocation') leg.failedServers = [...leg.failedServers, server];
  if (leg.musicAttempts < MAX_ATTEMPTS) moveMusic(leg, { step: 'none' });
  else pauseMusic(draft, leg);
}

/** The device has taken the offer of the music server. */
export function musicAnswered(draft: Draft, leg: Leg, offer: OutgoingOffer, answer: string | undefined): void {
  if (answer === undefined) return musicRefused(draft, leg);
  leg.localSdp = offer.sdp;
  leg.remoteSdp = answer;
  leg.connection = 'music';
  if (leg.music.step === 'offering') connect(draft, leg, spokenBy(leg) ?? answer);
}

/** The device answers the same offer of the server differently. */
export function reconnectMusic(draft: Draft, leg: Leg, answer: string): void {
  if (leg.music.step === 'playing' && leg.connection === 'music') connect(draft, leg, answer);
}

function connect(draft: Draft, leg: Leg, answer: string): void {
  const { music } = leg;
  if (music.step !== 'offering' && music.step !== 'playing') return;
  moveMusic(leg, { step: 'connecting', token: music.token });
  draft.emit({ type: 'connect-resource', token: music.token, answer });
}

/** The device does not want the music: this hold is silent. The offer may have been of an earlier server, or of a hold that is over. */
export function musicRefused(draft: Draft, leg: Leg): void {
  if (leg.music.step === 'none') return;
  if ('token' in leg.music) release(draft, leg.music.token);
  if (leg.music.step === 'unavailable') draft.cancelTimer(`music:${leg.id}`);
  moveMusic(leg, { step: 'refused' });
}
