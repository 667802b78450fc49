import type { JoiningType } from '../../media-control';
import type { MediaSecurity } from '../../config/types';
import type { Bridge, Seat } from '../core/call-state';
import { follow, type StepTable } from '../core/steps';

/** Why something must stand between the ends of a bridge. */
export interface PathNeed {
  readonly type: JoiningType;
  readonly why: string;
  /** The call can do without. */
  readonly optional: boolean;
  /** `b` has refused what we took it to speak: how often, and how it is spoken to now. */
  readonly refusals: number;
  readonly security?: MediaSecurity;
  /** Kept codecs of `b` that another node tells us of. */
  readonly codecs?: readonly string[];
  /** The resource makes the offer for `b` by itself. */
  readonly ownOffer?: boolean;
  /** Whose list is walked first; else that of `b`. */
  readonly near?: Seat;
}

/** The media path between the ends of a bridge. `token` names the attempt, as with music. */
export type Path =
  | { readonly step: 'direct' }
  | {
      readonly step: 'allocating';
      readonly need: PathNeed;
      readonly token: number;
      /** Whose lists are walked if this one helps not. */
      readonly lists: readonly Seat[];
      /** What the ends are connected by meanwhile. */
      readonly before: 'direct' | 'nothing';
    }
  | {
      readonly step: 'joined';
      readonly need: PathNeed;
      readonly token: number;
      /** Name of the media resource. */
      readonly resource: string;
      /** The ends talk through it. */
      readonly used: boolean;
      /** Of a callee that rings: the description that the resource has made the caller's answer of. It makes one once. */
      readonly answered?: string;
    }
  /** It died; another one is asked for, after a pause when there was none. */
  | { readonly step: 'lost'; readonly need: PathNeed; readonly paused: boolean };

/** What a resource was asked for; its reply carries the number, so that one that is not awaited any more is known. */
export interface Question {
  readonly number: number;
  readonly about:
    /** Before the call is answered: the offer for the callee. */
    | { readonly type: 'invite' }
    /** The callee's early description, for the caller. */
    | { readonly type: 'early'; readonly status: number }
    /** The callee's answer, for the caller. */
    | { readonly type: 'answer' }
    /** The callee's answer to an offer of the resource's own. */
    | { readonly type: 'own-answer' }
    /** The offer for the caller of a call that began without one. */
    | { readonly type: 'caller-offer'; readonly ownOffer: boolean }
    /** Established: the step of the exchange says it. */
    | { readonly type: 'exchange' };
}

export const DIRECT: Path = { step: 'direct' };

/** Which step of a path may follow which. */
export const PATH_STEPS: StepTable<Path['step']> = {
  direct: ['allocating', 'joined', 'lost'],
  allocating: ['joined', 'lost', 'direct'],
  joined: ['lost', 'direct'],
  lost: ['allocating', 'direct'],
};

/** The one place where a path changes. Throws when this step cannot follow. */
export function movePath(bridge: Bridge, path: Path): void {
  follow(PATH_STEPS, 'path', bridge.path.step, path.step);
  (bridge as { path: Path }).path = path;
}

/** What a node tells the caller's node when no media resource of its own could join the ends. */
export interface MediaTried {
  readonly type: JoiningType;
  /** Of the callee; empty: not known. */
  readonly codecs: readonly string[];
  readonly security: MediaSecurity | undefined;
  /** Names of media resources that need not be asked again. */
  readonly resources: readonly string[];
}

const MAX_NAMES = 64;

/** As the value of a header: `transcoder;codecs=G722;security=sdes;tried=x1,x2`. */
export function formatTried({ type, codecs, security, resources }: MediaTried): string {
  const names = (values: readonly string[]): string => values.slice(0, MAX_NAMES).join(',');
  return `${type};codecs=${names(codecs)};security=${security ?? ''};tried=${names(resources)}`;
}

/** Undefined: not such a value. */
export function parseTried(text: string): MediaTried | undefined {
  const match =
    /^(transcoder|mtp);codecs=([A-Za-z0-9._+/,-]{0,2048});security=(none|sdes|dtls|);tried=([A-Za-z0-9._,-]{0,8192})$/.exec(
      text,
    );
  if (match === null) return undefined;
  const names = (list: string | undefined): readonly string[] => (list ?? '').split(',').filter((name) => name !== '');
  const security = match[3];
  return {
    type: match[1] === 'mtp' ? 'mtp' : 'transcoder',
    codecs: names(match[2]),
    security: security === 'none' || security === 'sdes' || security === 'dtls' ? security : undefined,
    resources: names(match[4]),
  };
}
