import { isDead } from '../sip-message/lateness';
import type { ReceivedRequest } from '../sip/user-agent';
import { isConnectionBound } from './outgoing';
import type { DevicesOptions } from './ports';
import { bindsConnection } from './registration-request';

/** What has waited for less was held up nowhere: whether its connection is still there need not be asked. */
const PROMPT_MS = 1_000;

/**
 * Keeps old requests from acting late. Wherever a request has waited since the SIP server had it (in a socket of a process that stood
 * still, or here while the node was built), it is dead when it is older than its transaction, or when its connection is closed.
 */
export class Lateness {
  constructor(private readonly options: Pick<DevicesOptions, 'clock' | 'flows' | 'log' | 'metrics'>) {}

  /** Calls `act`, at once or when the SIP server has said that the connection is there; `drop` when the request is dead. */
  judge(request: ReceivedRequest, act: () => void, drop: () => void): void {
    const { clock, flows } = this.options;
    const { receivedAt, source } = request;
    const waitedMs = receivedAt === undefined ? 0 : clock.now() - receivedAt;
    const dead = (why: string): void => {
      this.tell(request, why, waitedMs);
      drop();
    };
    if (isDead(request.method, waitedMs)) return dead('it is older than its transaction');
    const { flow } = source;
    const mayBeGone = bindsConnection(request) || (waitedMs >= PROMPT_MS && isConnectionBound(source));
    if (flow === undefined || flows === undefined || !mayBeGone) return act();
    void flows.isOpen(flow).then((open) => (open ? act() : dead('its connection is closed')));
  }

  private tell({ method, callId, source }: ReceivedRequest, why: string, waitedMs: number): void {
    const { log, metrics } = this.options;
    if (method === 'REGISTER') metrics.count('tandem_register_total', { result: 'dead' });
    log.info({ callId, source, why, waitedMs }, `${method} dropped`);
  }
}
