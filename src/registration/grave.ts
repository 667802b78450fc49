import { compareStamps, type Stamp } from '../process/hlc';

/** What has left and must not come back: a binding, by its key, or a device with all that it has anywhere, by its name. */
export interface BuriedName {
  readonly of: 'binding' | 'device';
  readonly name: string;
}

/** That it has left. */
export interface Departed extends BuriedName {
  /** Whatever of it is no newer has ended. */
  readonly stamp: Stamp;
  /** Nothing of it that is as old can live longer, ms since the epoch. */
  readonly until: number;
}

/** Where it is remembered over a restart what has left, and for how long. */
export interface GraveStore {
  buried(): readonly Departed[];
  /** Nothing happens when it is known already. */
  bury(departed: Departed): void;
  /** It is over, or the device has come again. */
  exhume(name: BuriedName): void;
}

/** Graves as they stand in the journal. Who gives them bounds them in count and time. */
export class GraveTable {
  private readonly graves = new Map<string, Departed>();

  get size(): number {
    return this.graves.size;
  }

  all(): readonly Departed[] {
    return [...this.graves.values()];
  }

  /** `false`: it, or a newer one of the same name, was there. */
  add(departed: Departed): boolean {
    const id = idOf(departed);
    const present = this.graves.get(id);
    if (present !== undefined && compareStamps(present.stamp, departed.stamp) >= 0) return false;
    this.graves.set(id, departed);
    return true;
  }

  delete(name: BuriedName): boolean {
    return this.graves.delete(idOf(name));
  }

  /** Forgets what could not live any more. */
  prune(now: number): void {
    for (const [id, { until }] of this.graves) if (until <= now) this.graves.delete(id);
  }
}

function idOf({ of, name }: BuriedName): string {
  return `${of} ${name}`;
}
