import type { SipResponse } from '../../../sip-message/message';

/**
 * The response context of a stateful proxy (RFC 3261 section 16.7): which targets are tried when, which response goes
 * upstream, what is cancelled. Decisions only; time and network are the shell's.
 */

/** Where a copy of the request goes. */
export interface Target {
  readonly uri: string;
  /** A Contact of a redirect: it becomes the Request-URI. What an application names is only the way there. */
  readonly redirected: boolean;
}

/** `trying`: no provisional response yet. `given-up`: whatever comes now, only a 2xx counts. */
type BranchState = 'trying' | 'proceeding' | 'given-up' | 'done';

export interface ProxyState {
  readonly invite: boolean;
  readonly simultaneous: boolean;
  readonly followRedirects: boolean;
  readonly waiting: readonly Target[];
  readonly branches: readonly BranchState[];
  /** Every URI that was a target: a redirect back to one of them is a loop. */
  readonly known: readonly string[];
  /** The best of the final responses so far; without `response` the server makes one. */
  readonly best: Outcome | undefined;
  /** All challenges go upstream with the one that is chosen (section 16.7, step 7). */
  readonly challenges: readonly SipResponse[];
  /** No new targets. */
  readonly stopped: boolean;
  readonly cancelled: boolean;
  /** What went upstream as final response. */
  readonly answered: 'no' | 'refused' | 'accepted';
}

/** How a branch ended: its response, or the status that stands for none (408, 503). */
export interface Outcome {
  readonly status: number;
  readonly response: SipResponse | undefined;
}

export type ProxySignal =
  | { readonly type: 'start' }
  | { readonly type: 'provisional'; readonly branch: number; readonly response: SipResponse }
  /** `contacts`: where a 3xx points. */
  | {
      readonly type: 'final';
      readonly branch: number;
      readonly outcome: Outcome;
      readonly contacts: readonly string[];
    }
  /** One of the application's time limits is over for this branch. */
  | { readonly type: 'overdue'; readonly branch: number }
  /** The caller has cancelled. */
  | { readonly type: 'cancel' };

export type ProxyEffect =
  | { readonly type: 'try'; readonly branch: number; readonly target: Target }
  | { readonly type: 'cancel'; readonly branch: number }
  /** Upstream, as it is. */
  | { readonly type: 'forward'; readonly response: SipResponse }
  /** The final response upstream; `response` undefined: one of the server's own. */
  | {
      readonly type: 'refuse';
      readonly status: number;
      readonly response: SipResponse | undefined;
      readonly challenges: readonly SipResponse[];
    }
  /** The application can be told that this is over. */
  | { readonly type: 'done' };

export interface ProxyStep {
  readonly state: ProxyState;
  readonly effects: readonly ProxyEffect[];
}

/** More copies of one request than this are not made, however many redirects there are. */
const MAX_BRANCHES = 32;

export function proxyInitial(options: {
  readonly invite: boolean;
  readonly simultaneous: boolean;
  readonly followRedirects: boolean;
  readonly destinations: readonly string[];
}): ProxyState {
  const { invite, simultaneous, followRedirects } = options;
  const known = [...new Set(options.destinations)].slice(0, MAX_BRANCHES);
  const waiting = known.map((uri) => ({ uri, redirected: false }));
  return {
    invite,
    simultaneous,
    followRedirects,
    waiting,
    branches: [],
    known,
    best: undefined,
    challenges: [],
    stopped: false,
    cancelled: false,
    answered: 'no',
  };
}

/** One step; total: every signal has an answer. */
export function proxyStep(state: ProxyState, signal: ProxySignal): ProxyStep {
  switch (signal.type) {
    case 'start':
      return advance(state, []);
    case 'provisional':
      return provisional(state, signal.branch, signal.response);
    case 'final':
      return final(state, signal.branch, signal.outcome, signal.contacts);
    case 'overdue':
      return overdue(state, signal.branch);
    case 'cancel':
      return cancel(state);
  }
}

const isActive = (branch: BranchState): boolean => branch === 'trying' || branch === 'proceeding';

function withBranch(state: ProxyState, branch: number, now: BranchState): ProxyState {
  return { ...state, branches: state.branches.map((old, index) => (index === branch ? now : old)) };
}

function cancelActive(state: ProxyState): ProxyEffect[] {
  return state.branches.flatMap((branch, index) => (isActive(branch) ? [{ type: 'cancel', branch: index }] : []));
}

function provisional(state: ProxyState, branch: number, response: SipResponse): ProxyStep {
  if (state.branches[branch] === undefined || !isActive(state.branches[branch])) return { state, effects: [] };
  const next = withBranch(state, branch, 'proceeding');
  return { state: next, effects: state.answered === 'no' ? [{ type: 'forward', response }] : [] };
}

function final(state: ProxyState, branch: number, outcome: Outcome, contacts: readonly string[]): ProxyStep {
  const before = state.branches[branch];
  if (before === undefined) return { state, effects: [] };
  const { status, response } = outcome;
  if (status < 300 && response !== undefined) return accepted(withBranch(state, branch, 'done'), response);
  if (before === 'done' || before === 'given-up') return { state, effects: [] };
  const ended = withBranch(state, branch, 'done');
  if (ended.answered !== 'no') return { state: ended, effects: [] };
  const found = state.followRedirects && !state.stopped && status < 400 ? newTargets(ended, contacts) : [];
  if (found.length > 0) {
    const known = [...ended.known, ...found.map((target) => target.uri)];
    return advance({ ...ended, known, waiting: [...found, ...ended.waiting] }, []);
  }
  const challenged = status === 401 || status === 407;
  const next: ProxyState = {
    ...ended,
    best: better(ended.best, outcome),
    challenges: challenged && response !== undefined ? [...ended.challenges, response] : ended.challenges,
    // The caller has to answer a challenge before anything else is tried; after 6xx nobody else is asked.
    stopped: ended.stopped || challenged || status >= 600,
  };
  return advance(next, status >= 600 ? cancelActive(next) : []);
}

function newTargets(state: ProxyState, contacts: readonly string[]): Target[] {
  const fresh = [...new Set(contacts)].filter((uri) => !state.known.includes(uri));
  return fresh.slice(0, Math.max(0, MAX_BRANCHES - state.known.length)).map((uri) => ({ uri, redirected: true }));
}

/** A 2xx goes upstream at once; those of further branches too when they are to INVITE (step 5). */
function accepted(state: ProxyState, response: SipResponse): ProxyStep {
  if (state.answered === 'refused' || (state.answered === 'accepted' && !state.invite)) return { state, effects: [] };
  const forward: ProxyEffect = { type: 'forward', response };
  if (state.answered === 'accepted') return { state, effects: [forward] };
  const next: ProxyState = { ...state, answered: 'accepted', stopped: true, waiting: [] };
  return { state: next, effects: [forward, ...cancelActive(state), { type: 'done' }] };
}

/** What the target may still say is not waited for. */
function overdue(state: ProxyState, branch: number): ProxyStep {
  const before = state.branches[branch];
  if (before === undefined || !isActive(before)) return { state, effects: [] };
  const next = withBranch(state, branch, 'given-up');
  const best = better(next.best, { status: 408, response: undefined });
  return advance({ ...next, best }, [{ type: 'cancel', branch }]);
}

/** Branches that have said something are heard to the end (section 16.10): a 2xx may be on its way. */
function cancel(state: ProxyState): ProxyStep {
  if (state.answered !== 'no' || state.cancelled) return { state, effects: [] };
  const branches = state.branches.map((branch) => (branch === 'trying' ? 'given-up' : branch));
  return advance({ ...state, branches, cancelled: true, stopped: true, waiting: [] }, cancelActive(state));
}

/** Tries what is next, or ends the search. */
function advance(state: ProxyState, effects: readonly ProxyEffect[]): ProxyStep {
  if (state.answered !== 'no') return { state, effects };
  const active = state.branches.some(isActive);
  const open = state.stopped ? [] : state.waiting;
  if (open.length > 0 && (state.simultaneous || !active)) {
    const chosen = state.simultaneous ? open : open.slice(0, 1);
    const first = state.branches.length;
    const branches = [...state.branches, ...chosen.map((): BranchState => 'trying')];
    const tries = chosen.map((target, index): ProxyEffect => ({ type: 'try', branch: first + index, target }));
    return { state: { ...state, branches, waiting: open.slice(chosen.length) }, effects: [...effects, ...tries] };
  }
  if (active) return { state, effects };
  return { state: { ...state, answered: 'refused' }, effects: [...effects, verdict(state), { type: 'done' }] };
}

function verdict(state: ProxyState): ProxyEffect {
  const best = state.cancelled && state.best?.status !== 487 ? { status: 487, response: undefined } : state.best;
  if (best === undefined) return { type: 'refuse', status: 408, response: undefined, challenges: [] };
  // Step 6: a 503 of one target says nothing about what we can do with the next request.
  if (best.status === 503) return { type: 'refuse', status: 500, response: undefined, challenges: [] };
  const challenged = best.status === 401 || best.status === 407;
  return { type: 'refuse', ...best, challenges: challenged ? state.challenges : [] };
}

/** Smaller is better (step 6): 6xx, then the lowest class; of 4xx those that tell the caller what to change. */
function rank({ status, response }: Outcome): number {
  const made = response === undefined ? 0.5 : 0;
  if (status >= 600) return 0;
  if (status < 400) return 1 + made;
  if (status < 500) return ([401, 407, 415, 420, 484].includes(status) ? 2 : 3) + made;
  return 4 + made;
}

function better(best: Outcome | undefined, outcome: Outcome): Outcome {
  return best === undefined || rank(outcome) <= rank(best) ? outcome : best;
}
