import type { Pid } from '../../process/pid';

/** Device processes come and go; those that have not called for long are forgotten. */
const CAPACITY = 20_000;

interface Ability {
  /** As the device made it, and as the call got it: a media termination point may have been between. */
  readonly spoken: string;
  readonly shown: string;
}

/** The last offer with which each device process began a call: what its device can do. */
export class Abilities {
  private readonly offers = new Map<Pid, Ability>();

  note(pid: Pid, spoken: string, shown = spoken): void {
    this.offers.delete(pid);
    this.offers.set(pid, { spoken, shown });
    const [oldest] = this.offers.keys();
    if (this.offers.size > CAPACITY && oldest !== undefined) this.offers.delete(oldest);
  }

  /** As calls know the device. */
  of(pid: Pid): string | undefined {
    return this.offers.get(pid)?.shown;
  }

  /** As the device put it. */
  spokenBy(pid: Pid): string | undefined {
    return this.offers.get(pid)?.spoken;
  }
}
