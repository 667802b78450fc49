import type { SimulatedNode } from './simulated-node';
import type { World } from './world';

/**
 * How wrong the clocks are. `right`: not at all; `wrong`: within the bound, so that stamps order what has moved; `wild`: some are
 * off by up to hours, so that other nodes refuse their stamps. Tables must be equal all the same; only which of two
 * entries of a device is the newer one cannot be told then.
 */
export type Clocks = 'right' | 'wrong' | 'wild';

/** A phone: it keeps its key wherever it registers. Two phones may share a number. */
export interface Device {
  readonly key: string;
  readonly line: string;
  /** Where it last got a 200. */
  home: SimulatedNode | undefined;
  /** It can be reached only over its connection, which it closes when it leaves for another node. */
  readonly bound: boolean;
  /** Where its last REGISTER came from. */
  address: string;
  /** Its last registration ends within the run. */
  brief: boolean;
  /** Until its registration ends it says nothing of its own accord. */
  sleeps: boolean;
  /** It has taken leave at some time: only clocks that are right tell whether it has come again since. */
  hasLeft: boolean;
  /** It has taken leave since: where, and where it was registered. */
  left: { readonly at: SimulatedNode; readonly from: SimulatedNode; readonly name: string } | undefined;
}

/** What holds of devices when all is quiet. */
export class Judgement {
  constructor(
    private readonly world: World,
    private readonly devices: readonly Device[],
    private readonly clocks: Clocks,
  ) {}

  /** Broken invariants, in words. */
  wrong(): string[] {
    const { world } = this;
    const wrong = world.differences();
    if (this.clocks !== 'wild') wrong.push(...world.heldTwice(), ...this.lost());
    if (this.clocks === 'right') wrong.push(...this.misplaced(), ...this.undead());
    return wrong;
  }

  private holderOf(key: string): SimulatedNode | undefined {
    return this.world.running.find((node) => node.composite.get(node.number, key) !== undefined);
  }

  /** A device whose registration stands, as far as it knows itself, is in the tables, wherever. */
  private lost(): string[] {
    const wrong: string[] = [];
    for (const { key, home, brief, hasLeft } of this.devices) {
      if (
        home?.running !== true ||
        brief ||
        (hasLeft && this.clocks !== 'right') ||
        home.endedBy.get(key) === 'expired'
      )
        continue;
      if (this.holderOf(key) === undefined)
        wrong.push(`lost: ${key} registered with node ${home.number}, and nobody has it`);
    }
    return wrong;
  }

  /** A device that has left is in no table, as long as a node lives that has heard of it. */
  private undead(): string[] {
    const wrong: string[] = [];
    for (const { key, left } of this.devices) {
      if (left === undefined) continue;
      if (!this.world.running.some((node) => node.witnessed.has(left.name))) continue;
      const holder = this.holderOf(key);
      if (holder === undefined) continue;
      const elsewhere = left.at !== left.from && left.from === holder;
      wrong.push(
        `${elsewhere ? 'left at another node, and there again' : 'left, and restored'}: ${key} at node ${holder.number}`,
      );
    }
    return wrong;
  }

  /** Where the clocks are right, a device is where it last registered. */
  private misplaced(): string[] {
    const wrong: string[] = [];
    for (const { key, home } of this.devices) {
      if (home?.running !== true || home.endedBy.get(key) !== 'moved') continue;
      const holder = this.holderOf(key);
      if (holder !== undefined && holder !== home)
        wrong.push(`misplaced: ${key} is held by node ${holder.number}, but registered with node ${home.number} last`);
    }
    return wrong;
  }
}
