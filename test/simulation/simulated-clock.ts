/** A node's wall clock that may be wrong: off by so much, too fast or too slow, set while the node runs. */
export class WrongClock {
  constructor(
    private readonly trueTime: () => number,
    /** How far it is off. */
    public skewMs = 0,
    /** How much faster than true time it runs: 0.001 gains a ms each second. */
    private readonly drift = 0,
    private readonly began = trueTime(),
  ) {}

  now(): number {
    const time = this.trueTime();
    return Math.floor(time + this.skewMs + (time - this.began) * this.drift);
  }
}
