import type { Clock } from '../../process/clock';
import type { Session, SessionSignal } from '../../sip/user-agent';

/** Who it keeps a seat for comes within so long, ms, or not at all. */
const COMES_MS = 5000;

/** A session with nobody: it keeps the seat in a new call for a leg of another one, which takes its place as soon as it may. */
export class Placeholder implements Session {
  readonly callId: string;
  /** There is none that could be named. */
  readonly dialog = undefined;
  private listener: (signal: SessionSignal) => void = () => undefined;
  private over = false;
  private readonly stopWaiting: () => void;

  /** `inVain`: nobody has come. Called once, or never. */
  constructor(
    readonly id: string,
    clock: Clock,
    private readonly inVain: () => void,
  ) {
    this.callId = id;
    this.stopWaiting = clock.setTimer(COMES_MS, () => this.giveUp());
  }

  listen(listener: (signal: SessionSignal) => void): void {
    this.listener = listener;
  }

  reject(): void {
    if (this.finish()) this.inVain();
  }

  /** Somebody has taken the seat, or the call is over. */
  bye(): void {
    this.finish();
  }

  cancel(): void {
    this.finish();
  }

  progress(): void {
    // Nobody hears it.
  }

  answer(): void {
    // The leg that comes is asked anew.
  }

  acknowledge(): void {
    // The same.
  }

  reinvite(): void {
    // The same.
  }

  request(): void {
    // The same.
  }

  respond(): void {
    // It asks nothing.
  }

  private giveUp(): void {
    if (!this.finish()) return;
    this.listener({ type: 'ended', by: 'peer', reason: 'Nobody has come' });
    this.inVain();
  }

  /** False: it was over. */
  private finish(): boolean {
    const first = !this.over;
    this.over = true;
    this.stopWaiting();
    return first;
  }
}
