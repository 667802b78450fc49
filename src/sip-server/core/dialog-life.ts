import { deltaSeconds } from '../../sip-message/final-meaning';
import type { CancelTimer } from '../../process/clock';
import { postponedRefreshMs, refresherExpiryMs, sessionDelayMs, type SessionInterval } from '../dialog/session-timer';
import type { ServerTransaction } from '../layers';
import { patience, type CoreContext } from './context';
import type { DialogRecord, DialogTable } from './dialog-table';
import type { IncomingTable } from './incoming';

const DEFAULT_SUBSCRIPTION_SECONDS = 3600;
/** So long an application that wants to may take for a BYE of its own. */
const APPLICATION_BYE_MS = 2000;

/** How a dialog acts on the network by itself. */
export interface DialogActions {
  /** Sends BYE with this reason; `tells`: the application, too. The dialog has ended by then. */
  bye(record: DialogRecord, reason: string, tells: boolean): void;
  /** Tells the application the same; it will send the BYE. */
  askForBye(record: DialogRecord, reason: string): void;
  /** Sends a re-INVITE that keeps the session alive. */
  refresh(record: DialogRecord, interval: SessionInterval): void;
}

/** Beginning and end of dialogs, and the timers in between. */
export class DialogLife {
  private actions: DialogActions | undefined;

  constructor(
    private readonly context: CoreContext,
    private readonly dialogs: DialogTable,
    private readonly incoming: IncomingTable,
  ) {}

  /** Sends are made by a room that needs this one: it is told afterwards. */
  connect(actions: DialogActions): void {
    this.actions = actions;
  }

  /** The dialog is over: nothing of it is left. Requests of the peer that wait get their 487 (RFC 3261 section 15.1.2). */
  end(record: DialogRecord): void {
    if (!this.dialogs.remove(record)) return;
    for (const incoming of [...record.unanswered]) this.incoming.abandon(incoming, 487);
    record.unanswered.clear();
    record.releaseAfterAck();
  }

  /** Ends the dialog with a BYE: of our own, or of an application that can answer the peer's challenge to it. */
  hangUp(record: DialogRecord, reason: string): void {
    if (record.ended || record.stopWaiting !== undefined) return;
    if (!record.byeByApplication || !record.application.open) {
      this.end(record);
      this.actions?.bye(record, reason, true);
      return;
    }
    record.stopSession?.();
    record.stopWaiting = this.context.clock.setTimer(APPLICATION_BYE_MS, () => {
      this.end(record);
      this.actions?.bye(record, reason, false);
    });
    this.actions?.askForBye(record, reason);
  }

  /** A BYE of the application was challenged. Without one that is proved the dialog is over all the same (RFC 3261 section 15.1.1). */
  byeChallenged(record: DialogRecord): void {
    if (record.ended) return;
    record.stopSession?.();
    record.stopWaiting?.();
    record.stopWaiting = this.context.clock.setTimer(patience(this.context), () => this.end(record));
  }

  /** A 2xx to INVITE is sent again until its ACK comes; without one the call ends (RFC 3261 section 13.3.1.4). */
  awaitAck(record: DialogRecord, sequence: number, transaction: ServerTransaction, ackTransactionId: string): void {
    let stopRetransmission: CancelTimer = () => undefined;
    const again = (delay: number): void => {
      stopRetransmission = this.context.clock.setTimer(delay, () => {
        transaction.resend();
        again(Math.min(delay * 2, this.context.timers.t2));
      });
    };
    const stopDeadline = this.context.clock.setTimer(patience(this.context), () => {
      stopRetransmission();
      record.unacknowledged.delete(sequence);
      // The application's own BYE may have waited for this.
      if (!record.releaseAfterAck()) this.hangUp(record, 'ACK timeout');
    });
    again(this.context.timers.t1);
    record.unacknowledged.set(sequence, {
      transaction,
      ackTransactionId,
      stop: () => {
        stopRetransmission();
        stopDeadline();
      },
    });
  }

  /** A subscription whose last NOTIFY never comes is over some time after it expired (RFC 6665 section 4.1.2.4). */
  armSubscription(record: DialogRecord, expires: string | undefined): void {
    const lifetime = (deltaSeconds(expires) ?? DEFAULT_SUBSCRIPTION_SECONDS) * 1000;
    record.stopSession?.();
    if (record.ended) return;
    record.stopSession = this.context.clock.setTimer(lifetime + patience(this.context), () => this.end(record));
  }

  /** Starts the session timer anew; undefined: the session has none from now on (RFC 4028). */
  armSession(record: DialogRecord, interval: SessionInterval | undefined): void {
    record.stopSession?.();
    record.stopSession = undefined;
    if (interval === undefined || record.ended) return;
    const local = interval.refresher === 'local';
    const delay = sessionDelayMs(interval, Math.random());
    const { clock } = this.context;
    const stopExpiry = clock.setTimer(local ? refresherExpiryMs(interval) : delay, () =>
      this.hangUp(record, 'Session timer expired'),
    );
    record.stopSession = () => {
      stopExpiry();
      record.refresh?.stop();
      record.refresh = undefined;
    };
    if (local) this.refreshAt(record, interval, clock.now(), delay);
  }

  /** A refresh of ours could not be sent, or was refused: once more after some seconds, while the session stands (RFC 4028 section 10). */
  refreshAgain(record: DialogRecord, interval: SessionInterval, seconds: number): void {
    const armedAt = record.refresh?.armedAt;
    if (record.ended || armedAt === undefined) return;
    this.refreshAt(record, interval, armedAt, this.context.clock.now() - armedAt + seconds * 1000);
  }

  /** The application sends what refreshes the session. It may know more than we do (credentials): should that fail it gets time to try again. */
  applicationRefreshes(record: DialogRecord): void {
    const { refresh } = record;
    if (refresh === undefined) return;
    const delay = postponedRefreshMs(refresh.interval);
    if (refresh.delay < delay) this.refreshAt(record, refresh.interval, refresh.armedAt, delay);
  }

  private refreshAt(record: DialogRecord, interval: SessionInterval, armedAt: number, delay: number): void {
    record.refresh?.stop();
    const { clock } = this.context;
    const stop = clock.setTimer(armedAt + delay - clock.now(), () => this.actions?.refresh(record, interval));
    record.refresh = { interval, armedAt, delay, stop };
  }
}
