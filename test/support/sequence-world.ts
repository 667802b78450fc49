import type { MediaParty } from './media-party';
import type { PartyCall } from './party-call';

/** What disturbs all sequences. */
export interface World {
  /** How often a node was killed. */
  nodeKills: number;
  /** How often a media server was killed. */
  engineKills: number;
  /** Something is down. */
  broken: boolean;
  /** Resolves when everything that was killed runs again. */
  whole: () => Promise<void>;
  /** What the nodes say of the calls of these devices. */
  calls: (devices: readonly string[]) => Promise<string>;
  /** A moderator's command about the participant with this number, at any node; its status, 0: nobody answered. */
  moderate: (conference: string, number: string, command: 'kick' | 'mute' | 'unmute') => Promise<number>;
}

export interface End {
  readonly party: MediaParty;
  readonly call: PartyCall;
}

/** What had been lost when something was last changed; `nodeKills`: when it began. */
export interface Past {
  nodeKills: number;
  engineKills: number;
  broken: boolean;
}

/** Two parties that talk. */
export interface Pair extends Past {
  readonly ends: readonly [End, End];
}

/** A party in the conference. */
export interface Member extends Past {
  readonly ends: readonly [End];
  /** By a moderator; `unknown`: a command was not answered. */
  muted: boolean | 'unknown';
}
