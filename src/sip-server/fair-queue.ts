/** What can wait. */
export interface Queued {
  /** Whose turn it takes. */
  readonly source: string;
  /** What it takes of the room. */
  readonly cost: number;
}

interface Line<Item> {
  readonly items: Set<Item>;
  cost: number;
}

/** Items of one kind of sources, each source in turn. */
class Turns<Item extends Queued> {
  private readonly bySource = new Map<string, Line<Item>>();
  cost = 0;

  costOf(source: string): number {
    return this.bySource.get(source)?.cost ?? 0;
  }

  push(item: Item): void {
    const line = this.bySource.get(item.source) ?? { items: new Set(), cost: 0 };
    line.items.add(item);
    line.cost += item.cost;
    this.cost += item.cost;
    this.bySource.set(item.source, line);
  }

  /** The oldest item of the source whose turn it is; the source goes to the end of the line. */
  shift(): Item | undefined {
    for (const [source, line] of this.bySource) {
      for (const item of line.items) {
        this.remove(item);
        this.bySource.delete(source);
        if (line.items.size > 0) this.bySource.set(source, line);
        return item;
      }
    }
    return undefined;
  }

  remove(item: Item): boolean {
    const line = this.bySource.get(item.source);
    if (line?.items.delete(item) !== true) return false;
    line.cost -= item.cost;
    this.cost -= item.cost;
    if (line.items.size === 0) this.bySource.delete(item.source);
    return true;
  }

  /** The newest item of the source that takes most room, if that is more than `cost`. */
  newestOfGreediest(cost: number): Item | undefined {
    let found: Line<Item> | undefined;
    for (const line of this.bySource.values()) if (line.cost > (found?.cost ?? cost)) found = line;
    return found === undefined ? undefined : [...found.items].at(-1);
  }
}

/** Of four turns, so many are for those who are known as long as any of them waits. */
const TURNS_OF_KNOWN = 3;

/** What waits: `known` sources before strangers, and among equals each source in turn, whatever the others send. */
export class FairQueue<Item extends Queued> {
  private readonly known = new Turns<Item>();
  private readonly strangers = new Turns<Item>();
  private turn = 0;

  /** `room`: for those who are known, and as much for strangers. */
  constructor(private readonly room: number) {}

  get isEmpty(): boolean {
    return this.known.cost + this.strangers.cost === 0;
  }

  /**
   * The items that there is no room for: the newest of the source that has most waiting; this one when nobody has more.
   */
  push(item: Item, isKnown: boolean): Item[] {
    const turns = isKnown ? this.known : this.strangers;
    const given: Item[] = [];
    while (turns.cost + item.cost > this.room) {
      const greedy = turns.newestOfGreediest(turns.costOf(item.source) + item.cost);
      if (greedy === undefined) return [...given, item];
      turns.remove(greedy);
      given.push(greedy);
    }
    turns.push(item);
    return given;
  }

  shift(): Item | undefined {
    this.turn = (this.turn + 1) % (TURNS_OF_KNOWN + 1);
    const [first, second] = this.turn === 0 ? [this.strangers, this.known] : [this.known, this.strangers];
    return first.shift() ?? second.shift();
  }

  remove(item: Item): boolean {
    return this.known.remove(item) || this.strangers.remove(item);
  }
}
