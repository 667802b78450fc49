import type { Stamp } from '../../process/hlc';
import type { Probe, ProtocolMessage, Taken } from './messages';

/** Two nodes that start at once say so within this time of each other; if their clocks differ by more, their polls tell. */
const PROBE_MAX_AGE_MS = 10_000;

/** What a starting node answers while it probes. */
export type ProbeAnswer = { readonly publish: Taken } | undefined;

/**
 * The start of a node: is its number in use, and which incarnation may it take? Of two that start at once
 * the one with the smaller token goes on.
 */
export class StartProbe {
  private highest = 0;
  private takenBy: string | undefined;

  constructor(
    private readonly node: number,
    private readonly token: string,
    private readonly address: string,
    private readonly stamp: () => Stamp,
  ) {}

  /** Where the process runs that has our number, in words; `undefined` while nobody answered. */
  get refused(): string | undefined {
    return this.takenBy;
  }

  message(): Probe {
    return { type: 'probe', node: this.node, boot: 0, token: this.token, at: this.stamp() };
  }

  receive(message: ProtocolMessage): ProbeAnswer {
    if (message.token === this.token) return undefined;
    if (message.type === 'known' && message.to === this.token) this.raise(message.highest);
    if (message.node !== this.node) return undefined;
    this.raise(message.boot);
    if (message.type === 'taken' && message.to === this.token) this.takenBy = `the node at ${message.address}`;
    if (message.type !== 'probe') return undefined;
    // A recorded probe of an earlier start of ours must not keep us from starting.
    if (message.at.ms < this.stamp().ms - PROBE_MAX_AGE_MS) return undefined;
    if (message.token < this.token) {
      this.takenBy = 'another node that starts at this moment';
      return undefined;
    }
    const { node, token, address } = this;
    return { publish: { type: 'taken', node, boot: 0, token, at: this.stamp(), to: message.token, address } };
  }

  /** Our incarnation: newer than every one that was heard of this number, also when the wall clock went back. */
  boot(now: number): number {
    return Math.max(now, this.highest + 1);
  }

  private raise(boot: number): void {
    if (boot > this.highest) this.highest = boot;
  }
}
