import { z } from 'zod';
import type { HybridClock } from '../process/hlc';
import type { EntrySet } from '../registration/entry-set';
import { bodyCodec } from './body-codec';
import { lineText } from './line-text';
import type { ThisNode } from './watches';

const codec = bodyCodec('parked', z.strictObject({ slot: lineText }));

/** Why a slot was not given. */
export type NoSlot = 'unknown' | 'taken' | 'none-free';

/**
 * Numbers at which calls are parked. The node that has the call says that the slot is taken; it is free when the node takes that back, or is gone.
 */
export class ParkSlots {
  private readonly all: ReadonlySet<string>;
  private readonly inOrder: readonly string[];

  /** `nodes`: of the configuration: each begins with slots of its own, so that two do not give the same one at the same time. */
  constructor(
    private readonly self: ThisNode,
    slots: readonly string[],
    nodes: readonly number[],
    private readonly entries: EntrySet,
    private readonly stamps: HybridClock,
  ) {
    this.all = new Set(slots);
    const place = [...nodes].sort((a, b) => a - b).indexOf(self.node);
    const start = Math.floor((Math.max(place, 0) * slots.length) / Math.max(nodes.length, 1));
    this.inOrder = [...slots.slice(start), ...slots.slice(0, start)];
  }

  has(number: string): boolean {
    return this.all.has(number);
  }

  /** A slot for a call of this node: that one, or a free one. */
  take(slot: string | undefined): { readonly slot: string } | { readonly why: NoSlot } {
    if (slot !== undefined && !this.has(slot)) return { why: 'unknown' };
    const found = slot ?? this.inOrder.find((each) => this.nodesOf(each).length === 0);
    if (found === undefined) return { why: this.all.size === 0 ? 'unknown' : 'none-free' };
    if (this.nodesOf(found).length > 0) return { why: 'taken' };
    const { node: owner, boot } = this.self;
    const envelope = { key: keyOf(found), kind: codec.kind, owner, boot, stamp: this.stamps.next(), expiresAt: 0 };
    this.entries.put({ ...envelope, body: codec.write({ slot: found }) });
    return { slot: found };
  }

  release(slot: string): void {
    this.entries.delete(this.self.node, keyOf(slot), 'unregistered');
  }

  /** Where a call is parked there; ours first. Two nodes may have taken a slot while they did not hear each other. */
  nodesOf(slot: string): readonly number[] {
    const owners = this.entries.withKey(keyOf(slot)).map(({ owner }) => owner);
    const isOurs = (node: number): number => Number(node !== this.self.node);
    return [...owners].sort((a, b) => isOurs(a) - isOurs(b) || a - b);
  }
}

function keyOf(slot: string): string {
  return `parked/${slot}`;
}
