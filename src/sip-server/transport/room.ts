import { sourceOf } from '../source';

/** Something that takes one place of many: a connection, or a handshake. */
interface Guest {
  readonly address: string;
  readonly since: number;
  readonly leave: () => void;
}

/** In ms: the time in which everybody may say something before having to give way. */
const GRACE_MS = 2_000;
/** A source with so many has no such time. */
const MANY = 64;

/** The places of those who have shown nothing yet: when all are taken, one of the source that has most is given to the next. */
export class Room {
  private readonly bySource = new Map<string, Set<Guest>>();
  private count = 0;

  constructor(private readonly now: () => number) {}

  get size(): number {
    return this.count;
  }

  countFrom(address: string): number {
    return this.bySource.get(sourceOf(address))?.size ?? 0;
  }

  /** Takes a place; the result gives it back. */
  enter(address: string, leave: () => void): () => void {
    const source = sourceOf(address);
    const guest: Guest = { address, since: this.now(), leave };
    const guests = this.bySource.get(source) ?? new Set();
    this.bySource.set(source, guests.add(guest));
    this.count += 1;
    return () => {
      if (!guests.delete(guest)) return;
      this.count -= 1;
      if (guests.size === 0 && this.bySource.get(source) === guests) this.bySource.delete(source);
    };
  }

  /** Makes somebody of another source leave who has had time and whose source has more than that of `address`. False: nobody. */
  makePlaceFor(address: string): boolean {
    const own = this.countFrom(address);
    let greediest: Set<Guest> | undefined;
    for (const guests of this.bySource.values())
      if (guests.size > Math.max(own, greediest?.size ?? 0)) greediest = guests;
    const [oldest] = greediest ?? [];
    if (oldest === undefined || greediest === undefined) return false;
    if (greediest.size < MANY && this.now() - oldest.since < GRACE_MS) return false;
    oldest.leave();
    return true;
  }
}
