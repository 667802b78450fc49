import type { HybridClock, Stamp } from '../../process/hlc';
import { CommonEntries } from './common';
import type { Effect, Report } from './effects';
import { Graves } from './graves';
import type { Deltas, Destination, Header, Poll, ProtocolMessage } from './messages';
import { OwnLog } from './own-log';
import { Ownership } from './ownership';
import type { Peer } from './peer';

/** Who this node is. `token` is random and new for each process. */
export interface Self {
  readonly node: number;
  readonly boot: number;
  readonly token: string;
  /** SIP address for calls to this node, `host:port`. */
  readonly address: string;
  /** For how long a registration is granted at most. */
  readonly longestLifeMs: number;
  /** Left out: nothing hangs on it. */
  readonly vitals?: () => Vitals;
}

/** What polls say of a process besides its entries. */
export type Vitals = Pick<Poll, 'sip' | 'calls' | 'phones'>;

const NO_VITALS: Vitals = { sip: 0, calls: 0, phones: 0 };

/** What the parts of the protocol core share: our identity, our log, what is known of the others, and the effects that are being collected. */
export class Context {
  readonly own = new OwnLog();
  readonly common: CommonEntries;
  readonly peers = new Map<number, Peer>();
  readonly ownership = new Ownership(this);
  /** Entries that their devices have ended, whoever held them. */
  readonly graves: Graves;
  /** Our time, as it was last said. */
  now = 0;
  private effects: Effect[] = [];
  private polls = 0;
  private over = 0;

  constructor(
    readonly self: Self,
    readonly hybridClock: HybridClock,
  ) {
    this.common = new CommonEntries(this);
    this.graves = new Graves(self.longestLifeMs, {
      buried: (key, grave) => this.emit({ type: 'buried', key, grave }),
      exhumed: (key) => this.emit({ type: 'exhumed', key }),
    });
  }

  /** `false`: the stamp is so far ahead of our time that nothing is to be concluded from it. */
  believes(stamp: Stamp): boolean {
    return this.hybridClock.merge(stamp);
  }

  get vitals(): Vitals {
    return this.self.vitals?.() ?? NO_VITALS;
  }

  /** The highest incarnation that we stand for: our own, or a newer one that we have outlived. */
  get rank(): number {
    return Math.max(this.self.boot, this.over);
  }

  /** Another process of our number, with this rank, is not to go on. */
  outlive(rank: number): void {
    this.over = rank + 1;
    this.poll('poll', false);
  }

  emit(effect: Effect): void {
    this.effects.push(effect);
  }

  report(report: Report, node: number, detail: string): void {
    this.emit({ type: 'report', report, node, detail });
  }

  take(): Effect[] {
    const effects = this.effects;
    this.effects = [];
    return effects;
  }

  header(): Header {
    const { node, boot, token } = this.self;
    return { node, boot, token, at: this.hybridClock.next() };
  }

  publish(to: Destination, message: ProtocolMessage): void {
    this.emit({ type: 'publish', to, message });
  }

  /** Publishes the changes that wait. */
  flush(): void {
    this.common.flush();
    const batch = this.own.flush();
    if (batch === undefined) return;
    const deltas: Deltas = { type: 'deltas', ...this.header(), ...batch };
    this.publish('cluster', deltas);
  }

  /** Our poll as it is now, after a flush: sequence and digest belong together. */
  poll(to: Destination, hello: boolean): Poll {
    this.flush();
    const { sequence, table } = this.own;
    this.polls += 1;
    const poll: Poll = {
      type: 'poll',
      ...this.header(),
      hello,
      number: this.polls,
      address: this.self.address,
      sequence,
      count: table.count,
      digest: table.digest,
      common: this.common.digest,
      ...this.vitals,
      over: this.over,
    };
    this.publish(to, poll);
    return poll;
  }
}
