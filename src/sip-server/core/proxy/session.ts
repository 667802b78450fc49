import type { CancelTimer } from '../../../process/clock';
import type { SipRequest, SipResponse } from '../../../sip-message/message';
import { createResponse } from '../../../sip-message/response';
import type { ClientTransaction, Destination, Flow, ServerTransaction, TransportFailure } from '../../layers';
import { newTag, type CoreContext } from '../context';
import { redirectTargets, withChallenges, withoutOwnVia } from './forwarding';
import {
  proxyInitial,
  proxyStep,
  type Outcome,
  type ProxyEffect,
  type ProxySignal,
  type Target,
} from './response-context';

/** RFC 3261 section 16.6 step 11: more than three minutes. */
const TIMER_C_MS = 185_000;

/** What somebody wants to know of a request that is passed on. */
export interface ProxyObserver {
  /** A copy has gone out. */
  sent?(target: Target, request: SipRequest): void;
  /** A final response of a target; also when it does not go upstream. */
  final?(target: Target, response: SipResponse, flow: Flow | undefined): void;
  /** What went upstream as final response. */
  answered?(response: SipResponse): void;
  /** No more events, but for further 2xx. */
  done?(): void;
}

export interface ProxySessionOptions {
  readonly destinations: readonly string[];
  readonly simultaneous: boolean;
  readonly followRedirects: boolean;
  readonly provisionalTimeout: number | undefined;
  readonly finalTimeout: number | undefined;
  /** The copy for a target and where it goes; calls back once, with a status when there is no way. */
  readonly prepare: (target: Target, ready: (prepared: Prepared | number) => void) => void;
  readonly observer: ProxyObserver;
}

export interface Prepared {
  readonly request: SipRequest;
  readonly destination: Destination;
}

interface Branch {
  readonly target: Target;
  client: ClientTransaction | undefined;
  cancelled: boolean;
  readonly timers: Map<'C' | 'provisional' | 'final', CancelTimer>;
}

/** One request that is passed on: the shell around the response context (RFC 3261 section 16). */
export class ProxySession {
  private state;
  private readonly branches: Branch[] = [];

  constructor(
    private readonly context: CoreContext,
    private readonly transaction: ServerTransaction,
    private readonly options: ProxySessionOptions,
  ) {
    const { simultaneous, followRedirects, destinations } = options;
    const invite = transaction.request.method === 'INVITE';
    this.state = proxyInitial({ invite, simultaneous, followRedirects, destinations });
  }

  start(): void {
    this.run({ type: 'start' });
  }

  /** The caller has cancelled its INVITE. */
  cancel(): void {
    this.run({ type: 'cancel' });
  }

  private run(signal: ProxySignal): void {
    const { state, effects } = proxyStep(this.state, signal);
    this.state = state;
    for (const effect of effects) this.act(effect);
  }

  private act(effect: ProxyEffect): void {
    switch (effect.type) {
      case 'try':
        return this.try(effect.branch, effect.target);
      case 'cancel':
        return this.cancelBranch(effect.branch);
      case 'forward':
        return this.forward(effect.response);
      case 'refuse':
        return this.refuse(effect);
      case 'done':
        return this.options.observer.done?.();
    }
  }

  private try(index: number, target: Target): void {
    const branch: Branch = { target, client: undefined, cancelled: false, timers: new Map() };
    this.branches[index] = branch;
    const { provisionalTimeout, finalTimeout } = this.options;
    const overdue = (): void => this.run({ type: 'overdue', branch: index });
    if (provisionalTimeout !== undefined && this.state.invite)
      this.arm(branch, 'provisional', provisionalTimeout, overdue);
    if (finalTimeout !== undefined) this.arm(branch, 'final', finalTimeout, overdue);
    this.options.prepare(target, (prepared) => {
      if (typeof prepared === 'number') return this.ended(index, { status: prepared, response: undefined });
      if (branch.cancelled) return this.ended(index, { status: 487, response: undefined });
      this.send(index, branch, prepared);
    });
  }

  private send(index: number, branch: Branch, { request, destination }: Prepared): void {
    const { observer } = this.options;
    branch.client = this.context.transactions.request(request, destination, {
      response: (response, flow, retransmission) => {
        if (response.status < 200) this.provisional(index, branch, response);
        else if (retransmission) this.transaction.resend();
        else {
          observer.final?.(branch.target, response, flow);
          this.ended(index, { status: response.status, response });
        }
      },
      failed: (failure) => this.ended(index, { status: statusOf(failure), response: undefined }),
    });
    if (this.state.invite) this.armTimerC(branch);
    observer.sent?.(branch.target, branch.client.request);
  }

  private provisional(index: number, branch: Branch, response: SipResponse): void {
    this.disarm(branch, 'provisional');
    if (this.state.invite && !branch.cancelled) this.armTimerC(branch);
    this.run({ type: 'provisional', branch: index, response });
  }

  /** RFC 3261 section 16.8: the target is cancelled; its 487, or the end of its patience, ends the branch. */
  private armTimerC(branch: Branch): void {
    this.arm(branch, 'C', TIMER_C_MS, () => {
      branch.cancelled = true;
      branch.client?.cancel([]);
    });
  }

  private ended(index: number, outcome: Outcome): void {
    const branch = this.branches[index];
    if (branch === undefined) return;
    for (const stop of branch.timers.values()) stop();
    branch.timers.clear();
    const redirect = outcome.status >= 300 && outcome.status < 400 && outcome.response !== undefined;
    const contacts = redirect ? redirectTargets(outcome.response) : [];
    this.run({ type: 'final', branch: index, outcome, contacts });
  }

  private cancelBranch(index: number): void {
    const branch = this.branches[index];
    if (branch === undefined || branch.cancelled) return;
    branch.cancelled = true;
    for (const stop of branch.timers.values()) stop();
    branch.timers.clear();
    branch.client?.cancel([]);
  }

  private forward(response: SipResponse): void {
    const upstream = withoutOwnVia(response);
    this.transaction.respond(upstream);
    if (upstream.status >= 200) this.options.observer.answered?.(upstream);
  }

  private refuse({ status, response, challenges }: Extract<ProxyEffect, { type: 'refuse' }>): void {
    const upstream =
      response === undefined
        ? createResponse(this.transaction.request, status, { toTag: newTag() })
        : withoutOwnVia(withChallenges(response, challenges));
    // RFC 4320 section 4.2: nobody can use a 408 to anything but INVITE, because the caller has given up itself.
    if (status === 408 && !this.state.invite) return;
    this.transaction.respond(upstream);
    this.options.observer.answered?.(upstream);
  }

  private arm(branch: Branch, timer: 'C' | 'provisional' | 'final', ms: number, over: () => void): void {
    this.disarm(branch, timer);
    branch.timers.set(timer, this.context.clock.setTimer(ms, over));
  }

  private disarm(branch: Branch, timer: 'C' | 'provisional' | 'final'): void {
    branch.timers.get(timer)?.();
    branch.timers.delete(timer);
  }

  /** Nothing of it is to happen any more. */
  stop(): void {
    for (const branch of this.branches) for (const stop of branch.timers.values()) stop();
  }
}

function statusOf(failure: TransportFailure): number {
  return failure === 'timeout' ? 408 : 503;
}
