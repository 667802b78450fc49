import type { ConferenceConfig } from '../../config/types';

/** What is known of a conference beside its bridge: who is in, or on the way in, and who else may come. */
export interface ConferenceState {
  readonly members: ReadonlySet<string>;
  /** Those of them who came in from outside, through a gateway. */
  readonly outsiders: ReadonlySet<string>;
  /** Who called first; undefined: nobody has called since it was last over. */
  readonly opener: string | undefined;
  /** Nobody else is let in until a moderator opens it again, or it is over. */
  readonly locked: boolean;
  readonly draining: boolean;
}

export type ConferenceSignal =
  /** Somebody calls. */
  | { readonly type: 'called'; readonly member: string; readonly outside?: boolean }
  /** It is over for a member, for whatever reason. */
  | { readonly type: 'left'; readonly member: string }
  /** A moderator locks it, or opens it again. */
  | { readonly type: 'lock'; readonly locked: boolean }
  | { readonly type: 'mute'; readonly member: string; readonly muted: boolean }
  | { readonly type: 'kick'; readonly member: string }
  /** The node stops: nobody joins any more. */
  | { readonly type: 'drain' };

/** What a moderator may want. */
export type ModeratorCommand = Extract<ConferenceSignal, { readonly type: 'lock' | 'mute' | 'kick' }>;

export type ConferenceEffect =
  | { readonly type: 'admit'; readonly member: string; readonly opens: boolean }
  | { readonly type: 'refuse'; readonly member: string; readonly status: number; readonly text: string }
  | { readonly type: 'mute'; readonly member: string; readonly muted: boolean }
  /** A refusal for one who is on the way in, a BYE for one who is in, with a Reason. */
  | { readonly type: 'end'; readonly member: string; readonly status: number; readonly text: string }
  /** A command of a moderator that cannot be followed. */
  | { readonly type: 'decline'; readonly why: 'unknown-member' | 'empty' }
  /** The last one has left. */
  | { readonly type: 'over' };

export interface ConferencePolicy extends Pick<ConferenceConfig, 'maxMembers' | 'endPolicy'> {
  /**
   * It was made of calls: who is left alone in it has nobody to talk to any more, and strangers are not left to talk to each other at our cost, with nobody of ours there.
   */
  readonly endsAlone?: boolean;
}

export interface ConferenceStep {
  readonly state: ConferenceState;
  readonly effects: readonly ConferenceEffect[];
}

export const EMPTY: ConferenceState = {
  members: new Set(),
  outsiders: new Set(),
  opener: undefined,
  locked: false,
  draining: false,
};

/** What becomes of a conference by a signal. Pure; every signal fits every state. */
export function step(state: ConferenceState, signal: ConferenceSignal, policy: ConferencePolicy): ConferenceStep {
  switch (signal.type) {
    case 'called':
      return called(state, signal, policy);
    case 'left':
      return left(state, signal.member, policy);
    case 'lock':
      // The lock ends with the conference: one without anybody could never be joined again.
      if (signal.locked && state.members.size === 0) return declined(state, 'empty');
      return { state: { ...state, locked: signal.locked }, effects: [] };
    case 'mute': {
      const { type, member, muted } = signal;
      return state.members.has(member)
        ? { state, effects: [{ type, member, muted }] }
        : declined(state, 'unknown-member');
    }
    case 'kick':
      return state.members.has(signal.member)
        ? { state, effects: [end(signal.member, 403, 'Removed by a moderator')] }
        : declined(state, 'unknown-member');
    case 'drain':
      return { state: { ...state, draining: true }, effects: [] };
  }
}

/** Bridges let everybody in, and end the call of one too many after they have answered it: so it is decided here. */
function called(
  state: ConferenceState,
  { member, outside }: Extract<ConferenceSignal, { type: 'called' }>,
  { maxMembers }: ConferencePolicy,
): ConferenceStep {
  const refuse = (status: number, text: string): ConferenceStep => ({
    state,
    effects: [{ type: 'refuse', member, status, text }],
  });
  if (state.draining) return refuse(503, 'The node stops');
  if (state.locked) return refuse(403, 'The conference is locked');
  if (state.members.size >= maxMembers) return refuse(486, 'The conference is full');
  const opens = state.opener === undefined;
  return {
    state: {
      ...state,
      members: new Set([...state.members, member]),
      outsiders: outside === true ? new Set([...state.outsiders, member]) : state.outsiders,
      opener: state.opener ?? member,
    },
    effects: [{ type: 'admit', member, opens }],
  };
}

function left(state: ConferenceState, member: string, { endPolicy, endsAlone }: ConferencePolicy): ConferenceStep {
  // One that was refused.
  if (!state.members.has(member)) return { state, effects: [] };
  const [members, outsiders] = [state.members, state.outsiders].map(
    (all) => new Set([...all].filter((other) => other !== member)),
  ) as [Set<string>, Set<string>];
  if (members.size === 0)
    return { state: { ...state, members, outsiders, opener: undefined, locked: false }, effects: [{ type: 'over' }] };
  const deserted = endsAlone === true && (members.size === 1 || members.size === outsiders.size);
  const over = deserted || (state.opener === member && endPolicy === 'initiator-leaves');
  const effects = over ? [...members].map((other) => end(other, 503, 'The conference is over')) : [];
  return { state: { ...state, members, outsiders }, effects };
}

function end(member: string, status: number, text: string): ConferenceEffect {
  return { type: 'end', member, status, text };
}

function declined(state: ConferenceState, why: 'unknown-member' | 'empty'): ConferenceStep {
  return { state, effects: [{ type: 'decline', why }] };
}
