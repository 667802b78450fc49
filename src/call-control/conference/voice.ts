/** Whether a participant is heard by the others, and why not. */
export interface Voice {
  /** By a moderator: stays until a moderator takes it back, whatever the participant or the bridge does. */
  readonly muted: boolean;
  /** Who holds is not heard: its phone may go on sending, or play music. */
  readonly held: boolean;
  /** What the bridge has confirmed; `absent`: it does not have this participant, `unknown`: a command failed there. */
  readonly there: 'absent' | 'heard' | 'muted' | 'unknown';
}

export type VoiceSignal =
  | { readonly type: 'mute'; readonly muted: boolean }
  /** The device has described itself. */
  | { readonly type: 'described'; readonly held: boolean }
  /** A bridge has taken the participant in, or goes on with it; it begins as one who is heard. */
  | { readonly type: 'joined' }
  /** Its place at the bridge is given up, or lost. */
  | { readonly type: 'gone' }
  /** The bridge has done what it was asked. */
  | { readonly type: 'confirmed'; readonly muted: boolean }
  | { readonly type: 'failed' }
  /** Time to try again what has failed. */
  | { readonly type: 'retry' };

export interface VoiceStep {
  readonly voice: Voice;
  /** What the bridge is to be asked now: true to mute. Undefined: nothing. */
  readonly command: boolean | undefined;
}

export const SPEAKER: Voice = { muted: false, held: false, there: 'absent' };

/** What becomes of a participant's voice by a signal. Pure; every signal fits every state. */
export function hear(voice: Voice, signal: VoiceSignal): VoiceStep {
  switch (signal.type) {
    case 'mute':
      return asked({ ...voice, muted: signal.muted });
    case 'described':
      return asked({ ...voice, held: signal.held });
    case 'joined':
      return asked(voice.there === 'absent' ? { ...voice, there: 'heard' } : voice);
    case 'gone':
      return { voice: { ...voice, there: 'absent' }, command: undefined };
    case 'confirmed':
      // It may have been given up while it was asked.
      if (voice.there === 'absent') return { voice, command: undefined };
      return asked({ ...voice, there: signal.muted ? 'muted' : 'heard' });
    case 'failed':
      // Not at once again: it would fail for the same reason.
      return { voice: voice.there === 'absent' ? voice : { ...voice, there: 'unknown' }, command: undefined };
    case 'retry':
      return asked(voice);
  }
}

/** Whether the bridge has it as it is wanted. */
export function isSettled({ muted, held, there }: Voice): boolean {
  return there === (muted || held ? 'muted' : 'heard');
}

function asked(voice: Voice): VoiceStep {
  const command = voice.there === 'absent' || isSettled(voice) ? undefined : voice.muted || voice.held;
  return { voice, command };
}
