import { requestTimer } from '../call-control/dialog/session-timer';
import type { SipCall, SipCaller, SipCallOutcome, SipOfferOutcome } from '../media-resource/ports';
import type { Clock } from '../process/clock';
import type { Session, SessionSignal, UserAgent } from '../sip/user-agent';

/**
 * RFC 4028: the engine ends a call that is not refreshed for so long, in seconds; the SIP server refreshes while it and its node live. What many
 * engines take as the shortest; one that wants less says so in its answer.
 */
const SESSION_SECONDS = 120;

/** Who has no answer in time; also what the SIP server says then. */
const TIMEOUT = { ok: false, status: 408, reason: 'Request Timeout' } as const;
const NO_DESCRIPTION = { ok: false, status: 500, reason: 'the answer has no session description' } as const;

/** One call to a media engine. The engine's own requests in it are answered so that the call goes on as it is. */
class EngineCall implements SipCall {
  private answered: ((outcome: SipCallOutcome) => void) | undefined;
  private readonly offers = new Map<string, (outcome: SipOfferOutcome) => void>();
  private offerCount = 0;
  private over: { readonly reason: string | undefined } | undefined;
  private listener: ((reason: string | undefined) => void) | undefined;

  constructor(
    private readonly session: Session,
    private readonly clock: Clock,
  ) {
    session.listen((signal) => this.take(signal));
  }

  outcome(deadlineMs: number): Promise<SipCallOutcome> {
    return new Promise((resolve) => {
      const cancel = this.clock.setTimer(deadlineMs, () => {
        // CANCEL, or BYE should the answer be on its way.
        this.session.bye();
        this.answered?.(TIMEOUT);
      });
      this.answered = (outcome) => {
        this.answered = undefined;
        cancel();
        resolve(outcome);
      };
    });
  }

  acknowledge(answer: string): void {
    this.session.acknowledge(answer);
  }

  offer(sdp: string, deadlineMs: number): Promise<SipOfferOutcome> {
    if (this.over !== undefined) return Promise.resolve({ ok: false, status: 481, reason: 'the call is over' });
    const id = String(++this.offerCount);
    return new Promise((resolve) => {
      const settle = (outcome: SipOfferOutcome): void => {
        if (!this.offers.delete(id)) return;
        cancel();
        resolve(outcome);
      };
      const cancel = this.clock.setTimer(deadlineMs, () => settle(TIMEOUT));
      this.offers.set(id, settle);
      this.session.reinvite(id, { sdp, headers: requestTimer(SESSION_SECONDS) });
    });
  }

  end(): void {
    this.finish(undefined);
    this.session.bye();
  }

  onEnded(listener: (reason: string | undefined) => void): void {
    if (this.over !== undefined) listener(this.over.reason);
    else this.listener = listener;
  }

  private take(signal: SessionSignal): void {
    switch (signal.type) {
      case 'answered':
        if (signal.sdp === undefined) {
          this.answered?.(NO_DESCRIPTION);
          this.session.bye();
        } else this.answered?.({ ok: true, call: this, sdp: signal.sdp });
        return;
      case 'rejected':
        this.answered?.({ ok: false, status: signal.status, reason: signal.reason });
        return;
      case 'reinvite-answered':
        this.offers.get(signal.id)?.(signal.sdp === undefined ? NO_DESCRIPTION : { ok: true, sdp: signal.sdp });
        return;
      case 'reinvite-rejected':
        this.offers.get(signal.id)?.({ ok: false, status: signal.status, reason: signal.reason });
        return;
      case 'reinvited':
        // What its participant wants only the participant can say: the session stays as it is (RFC 3261 §14.2).
        this.session.respond(signal.id, 488);
        return;
      case 'requested':
        this.session.respond(signal.id, signal.method === 'REFER' ? 603 : 200);
        return;
      case 'ended': {
        const { listener } = this;
        this.finish(signal.reason);
        listener?.(signal.reason);
        return;
      }
      case 'provisional':
      case 'cancelled':
      case 'acknowledged':
      case 'request-answered':
        return;
    }
  }

  private finish(reason: string | undefined): void {
    this.over ??= { reason };
    this.listener = undefined;
    for (const settle of [...this.offers.values()]) settle({ ok: false, status: 481, reason: 'the call is over' });
  }
}

/** The port through which media engines are called, on the user agent. */
export function createSipCaller({
  userAgent,
  clock,
}: {
  readonly userAgent: Pick<UserAgent, 'invite' | 'request'>;
  readonly clock: Clock;
}): SipCaller {
  return {
    call({ target, from, offer, deadlineMs }) {
      const headers = {
        From: `<sip:${from}@localhost>`,
        Contact: `<sip:${from}@localhost>`,
        ...requestTimer(SESSION_SECONDS),
      };
      const session = userAgent.invite({ ...target, headers, ...(offer === undefined ? {} : { sdp: offer }) });
      return new EngineCall(session, clock).outcome(deadlineMs);
    },
    async options(target, deadlineMs) {
      return (await userAgent.request({ method: 'OPTIONS', ...target, deadlineMs })).status;
    },
  };
}
