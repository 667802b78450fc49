import type { Clock } from '../../process/clock';
import type { SipMessage } from '../../sip-message/message';
import { serialize } from '../../sip-message/serialize';
import type { Application } from '../control/application';
import type { RouteTable } from '../control/route-table';
import { timeToken } from '../control/tokens';

type Source = 'network' | 'application';
export type CallRole = 'uas' | 'uac' | 'proxy-uas' | 'proxy-uac';
export type StopReason =
  'call-rejected' | 'call-canceled' | 'normal-release' | 'session-expired' | 'system-initiated-termination';

/**
 * `cdr:attempt`, `cdr:start` and `cdr:stop`: what call detail records are made of. Each goes to one of the applications that
 * asked for it; nothing is done, and nothing costs, when nobody has.
 */
export class CallEvents {
  constructor(
    private readonly routes: RouteTable<Application>,
    private readonly clock: Clock,
  ) {}

  /** An INVITE outside a dialog was received, or sent. */
  attempt(source: Source, invite: SipMessage): void {
    this.tell('cdr:attempt', source, '', invite);
  }

  /** The 200 to it. */
  start(source: Source, role: CallRole, response: SipMessage): void {
    this.tell('cdr:start', source, `|${role}`, response);
  }

  /** Refused, cancelled or over: with the message that says so. */
  stop(source: Source, reason: StopReason, message: SipMessage): void {
    this.tell('cdr:stop', source, `|${reason}`, message);
  }

  private tell(event: string, source: Source, more: string, message: SipMessage): void {
    const application = this.routes.pick(event, (one) => one.open && !one.congested);
    if (typeof application === 'string') return;
    application.report(event, `${source}|${timeToken(this.clock.now())}${more}`, serialize(message));
  }
}
