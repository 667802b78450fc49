import type { CancelTimer, Clock } from '../../process/clock';
import type { SrfApplication } from './srf';

/** In ms. A busy server answers when it has done what came before. */
const PING_MS = 2_000;
const SILENT_MS = 5_000;

/**
 * Asks a connected server over the control protocol whether it lives, every few seconds. Anything that it sends is an answer.
 * Time in which we did not run ourselves does not count.
 */
export class ControlPings {
  private unansweredMs = 0;
  private heard = true;
  private silent = false;
  private at: number;
  private cancel: CancelTimer | undefined;

  constructor(
    private readonly application: SrfApplication,
    private readonly clock: Clock,
    private readonly onSilent: (silent: boolean, unansweredMs: number) => void,
  ) {
    this.at = clock.now();
    application.app.client?.wp.on('msg', () => this.answered());
    this.next();
  }

  stop(): void {
    this.cancel?.();
    this.tell(false);
  }

  private answered(): void {
    this.heard = true;
    this.unansweredMs = 0;
    this.tell(false);
  }

  private next(): void {
    const ping = (): void => {
      const now = this.clock.now();
      const late = Math.abs(now - this.at - PING_MS) > PING_MS / 2;
      this.at = now;
      if (!this.heard && !late) this.unansweredMs += PING_MS;
      if (this.unansweredMs >= SILENT_MS) this.tell(true);
      this.heard = false;
      this.ask();
      this.next();
    };
    this.cancel = this.clock.setTimer(PING_MS, ping, true);
  }

  private ask(): void {
    const { wp, socket } = this.connected();
    if (wp !== undefined && socket !== undefined) wp.send(socket, 'ping');
    else this.heard = true;
  }

  /** Nobody is asked before the connection is ready. */
  private connected(): { wp: NonNullable<SrfApplication['app']['client']>['wp'] | undefined; socket: unknown } {
    const { client } = this.application.app;
    const [socket] = client?.mapServer.keys() ?? [];
    return { wp: client?.wp, socket };
  }

  private tell(silent: boolean): void {
    if (silent === this.silent) return;
    this.silent = silent;
    this.onSilent(silent, this.unansweredMs);
  }
}
