import type { UserAgentEvents } from '../sip/user-agent';

const MOST_WAITING = 1000;

/**
 * Keeps what comes from the network while the node is being built: the SIP server is connected before the registrations
 * are restored. Beyond a bound requests are refused with 503.
 */
export class WaitingEvents implements UserAgentEvents {
  private target: UserAgentEvents | undefined;
  private waiting: (() => void)[] = [];

  readonly invited: UserAgentEvents['invited'] = (invite) =>
    this.pass(
      (target) => target.invited(invite),
      () => invite.session.reject(503, { headers: { 'Retry-After': '5' } }),
    );

  readonly requested: UserAgentEvents['requested'] = (transaction) =>
    this.pass(
      (target) => target.requested(transaction),
      () => transaction.respond(503, { headers: { 'Retry-After': '5' } }),
    );

  readonly serverChanged: UserAgentEvents['serverChanged'] = (listen) => this.target?.serverChanged(listen);

  /** From here on everything goes to `target`, first what has waited. */
  release(target: UserAgentEvents): void {
    this.target = target;
    const waiting = this.waiting;
    this.waiting = [];
    for (const act of waiting) act();
  }

  private pass(act: (target: UserAgentEvents) => void, refuse: () => void): void {
    if (this.target !== undefined) act(this.target);
    else if (this.waiting.length >= MOST_WAITING) refuse();
    else this.waiting.push(() => this.target !== undefined && act(this.target));
  }
}
