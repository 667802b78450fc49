import type { CancelTimer, Clock } from '../../process/clock';
import type { SocketEvent } from './event-socket';
import { afterEvent, type Member, type Roster } from './roster';

interface Waiter {
  readonly holds: () => boolean;
  readonly settle: (outcome: boolean) => void;
}

/** Who is in the conferences of one FreeSWITCH, as its events tell. */
export class Members {
  private roster: Roster = new Map();
  /** Events that came before the list did; undefined: the roster is whole. */
  private early: SocketEvent[] | undefined = [];
  private readonly waiters = new Set<Waiter>();

  constructor(private readonly clock: Clock) {}

  /** False: what is known may be old. */
  get ready(): boolean {
    return this.early === undefined;
  }

  take(event: SocketEvent): void {
    if (this.early !== undefined) {
      this.early.push(event);
      return;
    }
    this.roster = afterEvent(this.roster, event);
    for (const waiter of [...this.waiters]) if (waiter.holds()) waiter.settle(true);
  }

  /** The connection is lost: events are missed from here on. */
  lost(): void {
    this.early = [];
    for (const waiter of [...this.waiters]) waiter.settle(false);
  }

  /** A whole list, asked for after the events were; those that came meanwhile may be in it already, which does no harm. */
  begin(roster: Roster): void {
    const early = this.early ?? [];
    this.early = undefined;
    this.roster = early.reduce(afterEvent, roster);
  }

  find(session: string): readonly Member[] {
    return [...this.roster.values()].filter((member) => member.session === session);
  }

  /** Resolves with whether the session is in the conference within the time. */
  joined(session: string, conference: string, withinMs: number): Promise<boolean> {
    return this.wait(() => this.find(session).some((member) => member.conference === conference), withinMs);
  }

  /** Resolves with whether the session is in no conference within the time. */
  gone(session: string, withinMs: number): Promise<boolean> {
    return this.wait(() => this.find(session).length === 0, withinMs);
  }

  private wait(holds: () => boolean, withinMs: number): Promise<boolean> {
    if (!this.ready) return Promise.resolve(false);
    if (holds()) return Promise.resolve(true);
    return new Promise((resolve) => {
      let cancel: CancelTimer = () => undefined;
      const waiter: Waiter = {
        holds,
        settle: (outcome) => {
          cancel();
          this.waiters.delete(waiter);
          resolve(outcome);
        },
      };
      cancel = this.clock.setTimer(withinMs, () => waiter.settle(false));
      this.waiters.add(waiter);
    });
  }
}
