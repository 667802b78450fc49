import type { Pid } from '../process/pid';

/** Device processes come and go; those that have not called for long are forgotten. */
const CAPACITY = 20_000;

/** The last offer with which each device process began a call: what its device can do. */
export class Abilities {
  private readonly offers = new Map<Pid, string>();

  note(pid: Pid, offer: string): void {
    this.offers.delete(pid);
    this.offers.set(pid, offer);
    const [oldest] = this.offers.keys();
    if (this.offers.size > CAPACITY && oldest !== undefined) this.offers.delete(oldest);
  }

  of(pid: Pid): string | undefined {
    return this.offers.get(pid);
  }
}
