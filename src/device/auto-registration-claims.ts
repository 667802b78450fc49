import { compareStamps } from '../process/hlc';
import type { Assignment } from '../registration/record';

/** That a device was given a number, as a node has said it; never changed afterwards. */
export interface Claim extends Assignment {
  readonly number: string;
  readonly device: string;
  readonly mac: string | undefined;
}

/**
 * The numbers that devices were given (claim R16). It is a set that only grows, and which claims of it stand is a function
 * of the set: in the order of their stamps, each whose device and number are both still free. So nodes that have heard
 * of the same claims, in whatever order, agree, and of two claims that contradict each other the older one stands.
 */
export class Claims {
  private readonly heard = new Map<string, Claim>();
  private byIdentity = new Map<string, Claim>();
  private byNumber = new Map<string, Claim>();

  /** `numbers`: the pool, in order. */
  constructor(private readonly numbers: readonly string[]) {
    this.pool = new Set(numbers);
  }

  private readonly pool: ReadonlySet<string>;

  /** `false`: known already, or of a number that is not in the pool. */
  add(claim: Claim): boolean {
    const key = JSON.stringify([claim.identity, claim.number, claim.at]);
    if (this.heard.has(key) || !this.pool.has(claim.number)) return false;
    this.heard.set(key, claim);
    if (this.byIdentity.has(claim.identity) || this.byNumber.has(claim.number)) this.settle();
    else this.accept(claim);
    return true;
  }

  of(identity: string): Claim | undefined {
    return this.byIdentity.get(identity);
  }

  holder(number: string): Claim | undefined {
    return this.byNumber.get(number);
  }

  /** Those that stand. */
  standing(): Iterable<Claim> {
    return this.byIdentity.values();
  }

  /** Everything that was heard. */
  all(): Iterable<Claim> {
    return this.heard.values();
  }

  /**
   * A number for a new device; undefined: none is free. Each of the nodes has a share of the pool that it gives first, so that
   * nodes that do not hear each other give different ones; from the shares of others it takes from the end.
   */
  free(share: { readonly index: number; readonly of: number }, taken: (number: string) => boolean): string | undefined {
    const isFree = (number: string): boolean => !this.byNumber.has(number) && !taken(number);
    for (let at = share.index; at < this.numbers.length; at += share.of) {
      const number = this.numbers[at];
      if (number !== undefined && isFree(number)) return number;
    }
    return [...this.numbers].reverse().find(isFree);
  }

  private settle(): void {
    this.byIdentity = new Map();
    this.byNumber = new Map();
    for (const claim of [...this.heard.values()].sort(inOrder))
      if (!this.byIdentity.has(claim.identity) && !this.byNumber.has(claim.number)) this.accept(claim);
  }

  private accept(claim: Claim): void {
    this.byIdentity.set(claim.identity, claim);
    this.byNumber.set(claim.number, claim);
  }
}

/** Two nodes never make the same stamp; the rest is for what somebody has made up. */
function inOrder(a: Claim, b: Claim): number {
  const [left, right] = [`${a.identity} ${a.number}`, `${b.identity} ${b.number}`];
  return compareStamps(a.at, b.at) || (left < right ? -1 : Number(left > right));
}
