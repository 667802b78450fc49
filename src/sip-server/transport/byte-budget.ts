/** Somebody who keeps bytes for a peer. */
export interface Holder {
  /** It has shown that it is one of ours: it gives way last. */
  readonly isKnown: boolean;
  /** Ends it; its bytes are free again. */
  giveWay(): void;
}

/** Bytes of unfinished messages, of all connections together: when there are too many, whoever holds most gives way. */
export class ByteBudget {
  private readonly held = new Map<Holder, number>();
  private total = 0;

  constructor(private readonly limit: number) {}

  get size(): number {
    return this.total;
  }

  set(holder: Holder, bytes: number): void {
    const before = this.held.get(holder) ?? 0;
    if (bytes === before) return;
    this.total += bytes - before;
    if (bytes > 0) this.held.set(holder, bytes);
    else this.held.delete(holder);
    while (this.total > this.limit) {
      const largest = this.largest();
      if (largest === undefined) return;
      this.total -= this.held.get(largest) ?? 0;
      this.held.delete(largest);
      largest.giveWay();
    }
  }

  private largest(): Holder | undefined {
    let found: Holder | undefined;
    let weight = 0;
    for (const [holder, bytes] of this.held) {
      const its = holder.isKnown ? bytes : bytes + this.limit;
      if (its <= weight) continue;
      weight = its;
      found = holder;
    }
    return found;
  }
}
